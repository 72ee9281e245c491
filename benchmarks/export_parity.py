"""Export parity: every exported graph against the model it came from, at batches 1, 2 and 5, on the CPU.

Each entry names a model and builds its graph for a batch with inputs and the outputs that it must give; differences may
reach 1e-5, and no graph may hold a control-flow node.

::

    python -m benchmarks.export_parity [--quick] [--json]
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from bci.decoder.wire import read_facts
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.generators.dcgan import Dcgan
from models.generators.graphs import draw_graph, round_to_half
from models.generators.interface import build as build_generator
from models.generators.package import GeneratorPackage
from models.readouts.bayes import InvertedEncoder
from models.readouts.deep import LEVIN, DeepReadout
from models.readouts.dense import Dense
from models.readouts.export import export_readout
from models.readouts.gradient import Schedule
from models.readouts.interface import Readout
from models.readouts.kernel import KernelReadout
from models.readouts.linear import LinearReadout
from models.readouts.solvers import BandedRidge, ChosenVoxels, LeastSquares, Principal, PseudoInverse, Ridge
from models.readouts.sparse import ElasticNet, PartialLeastSquares

BUNDLES = Path(__file__).resolve().parent.parent / "models" / "bundles"
BATCHES = (1, 2, 5)
BOUND = 1e-5
Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """An Exported is a graph with inputs and the outputs that it must give."""

    model: bytes
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]


#: A model's name, and the function that builds its graph for a batch size.
Entry = tuple[str, Callable[[int], Exported]]


def readout_entries(quick: bool) -> list[Entry]:
    """Fit every readout to a planted problem and return their entries."""
    trials, voxels, d = (150, 200, 10) if quick else (400, 2000, 64)
    rng = np.random.default_rng(8)
    latents = 0.5 + rng.standard_normal((trials, d)) * 2
    weights = rng.standard_normal((d, voxels)) * np.sqrt(0.3 / d)
    brain = 100 + 3 * (latents @ weights + rng.standard_normal((trials, voxels)))
    short = Schedule(epochs=3, rate=1e-3)
    bands = np.arange(voxels) % 3
    kinds: dict[str, Callable[[], Readout]] = {
        "inverted encoder": InvertedEncoder,
        "inverted encoder of components": lambda: InvertedEncoder(components=40, relevance=True),
        "least squares": lambda: LinearReadout(LeastSquares()),
        "ridge": lambda: LinearReadout(Ridge()),
        "banded ridge": lambda: LinearReadout(BandedRidge(tuple(map(int, bands)), tries=2)),
        "chosen voxels": lambda: LinearReadout(ChosenVoxels(count=100)),
        "components, then ridge": lambda: LinearReadout(Principal(50)),
        "encoder, pseudo-inverted": lambda: LinearReadout(PseudoInverse()),
        "components, then encoder": lambda: LinearReadout(Principal(80, PseudoInverse())),
        "lasso": lambda: LinearReadout(ElasticNet(steps=4), folds=2),
        "partial least squares": lambda: LinearReadout(PartialLeastSquares((1, 4))),
        "kernel ridge": KernelReadout,
        "dense layer, Adam": lambda: LinearReadout(Dense(schedule=short), folds=2),
        **{f"network: {name}": (lambda v=v: DeepReadout(v, schedule=short)) for name, v in LEVIN.items()},
    }
    entries: list[Entry] = []
    for name, build in kinds.items():
        progress(f"fitting {name}")
        entries.append((name, _exporter(build().fit(brain, latents), brain)))
    return entries


def _exporter(readout: Any, brain: Array) -> Callable[[int], Exported]:
    def export(batch: int) -> Exported:
        new = brain[:batch].astype(np.float32)
        expected = {"latent": readout.predict(new), "confidence": readout.confidence(new)}
        return Exported(export_readout(readout.frozen(1), batch=batch), {"brain": new}, expected)

    return export


def generator_entries() -> list[Entry]:
    """Return what exports a new DCGAN of the published size, stored in full and by half, and the shipped generators."""
    torch.manual_seed(5)
    new = Dcgan(100, 64, 64)
    new.train()
    with torch.no_grad():
        for _ in range(4):  # gives batch normalisation statistics, as a trained network has
            new(torch.randn(32, 100))
    new.eval()
    rounded = new.folded()
    round_to_half(rounded)
    folders = [folder.parent for folder in sorted(BUNDLES.glob("*/generator.json"))]
    packages = [GeneratorPackage.load(folder) for folder in folders]
    return [
        ("DCGAN, new", _generator(draw_graph(new, half=False), new, 100)),
        ("DCGAN, new, weights as float16", _generator(draw_graph(new, half=True), rounded, 100)),
        *(
            (
                f"{package.spec.name}, shipped",
                _generator(package.graph, network_of(package), package.spec.latent),
            )
            for package in packages
        ),
    ]


def network_of(package: GeneratorPackage) -> torch.nn.Module:
    """Rebuild a shipped generator in torch, with the weights of its graph."""
    network = build_generator(package.spec.architecture).folded()
    stored = onnx.load_from_string(package.graph).graph.initializer
    weights = {tensor.name.removesuffix(".half"): numpy_helper.to_array(tensor) for tensor in stored}
    named = {name: torch.from_numpy(weights[name].astype(np.float32)) for name in network.state_dict()}
    network.load_state_dict(named)
    return network


def _generator(graph: bytes, network: torch.nn.Module, latent: int) -> Callable[[int], Exported]:
    def export(batch: int) -> Exported:
        z = np.random.default_rng(batch).standard_normal((batch, latent), np.float32)
        with torch.no_grad():
            expected = network(torch.from_numpy(z)).numpy()
        return Exported(graph, {"latent": z}, {"image": expected})

    return export


def compare(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Run every graph at every batch size; return the largest difference and the control-flow nodes of each."""
    rows = []
    for name, export in entries:
        differences, control = {}, set()
        for batch in BATCHES:
            exported = export(batch)
            control |= set(read_facts(exported.model, name).control_flow)
            session = onnxruntime.InferenceSession(exported.model, providers=["CPUExecutionProvider"])
            names = [output.name for output in session.get_outputs()]
            outputs = dict(zip(names, session.run(None, dict(exported.inputs)), strict=True))
            for output, expected in exported.expected.items():
                if outputs[output].shape != expected.shape:
                    raise ValueError(
                        f"{name}: {output} has shape {outputs[output].shape}, expected {expected.shape}"
                    )
            differences[batch] = max(
                float(np.abs(outputs[output] - expected).max())
                for output, expected in exported.expected.items()
            )
        rows.append({"model": name, "differences": differences, "control_flow": sorted(control)})
        rows[-1]["met"] = max(differences.values()) <= BOUND and not control
    return rows


def main(arguments: list[str] | None = None, entries: Iterable[Entry] = ()) -> int:
    """Run and print; exit status 1 where something is not met.

    Parameters
    ----------
    arguments : list of str, optional
        The command line.
    entries : iterable of Entry
        Further models, beside the readouts and the generators.
    """
    parser = argparse.ArgumentParser(prog="benchmarks.export_parity", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small readouts")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    options = parser.parse_args(arguments)
    rows = compare([*readout_entries(options.quick), *generator_entries(), *entries])
    facts = machine_facts(("onnxruntime", "onnx", "torch"))
    met = all(row["met"] for row in rows)
    if not options.json:
        print_machine(facts)
        print(f"\nlargest difference, bound {BOUND:g}:\n")
        print_table(
            ("model", *(f"batch {batch}" for batch in BATCHES), "control flow", ""),
            [
                (
                    row["model"],
                    *(f"{row['differences'][batch]:.1e}" for batch in BATCHES),
                    ", ".join(row["control_flow"]) or "none",
                    "met" if row["met"] else "NOT MET",
                )
                for row in rows
            ],
        )
        print()
    print_last_line(
        {"benchmark": "export_parity", "quick": options.quick, "met": met, "rows": rows, "machine": facts}
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

"""Latents → pictures on a CPU at batch 1, 2, 4 and 8, against raw runs of the same graph; and a whole decoder.

::

    python -m benchmarks.generator_latency [--quick] [--json]

"ours" is `GeneratorPackage.draw`: the rule for latents, the run, the conversion to bytes. The floor is `session.run`
in a session with the same options. The decoder is a dense readout from 4096 values in front of the generator, run by
`OnnxDecoder` as in a live session, against raw runs of both graphs. Floor and ours take turns, and who is first
alternates. GPU rows come from `python -m benchmarks.gpu`, where there is one.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.memory.lsl_clock import LslClock
from bci.signal.clock import Clock
from benchmarks.decode_latency import Floor, make_windows
from benchmarks.fresh_bundle import fresh_bundle
from benchmarks.report import (
    machine_facts,
    median_range,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from models.generators.frozen import for_decoder
from models.generators.package import GeneratorPackage

#: The generator that is measured unless another is named.
FACES = Path(__file__).resolve().parent.parent / "models" / "bundles" / "dcgan-faces"

BATCHES = (1, 2, 4, 8)
ROUNDS = 5

#: Decode, readout and generator of 64², milliseconds; and what ours may add to the floor.
TARGET_MS = {"p50": 8.0, "p99": 20.0}
OVERHEAD_SHARE, OVERHEAD_MS = 0.10, 0.2

_VOXELS = 4096


def bundle_of(package: GeneratorPackage, folder: Path) -> Bundle:
    """Save a decoder with this generator behind an untrained dense readout, which takes as long as a trained one."""
    spec = package.spec
    return fresh_bundle(
        folder,
        channels=_VOXELS,
        length=1,
        latent=spec.latent,
        size=spec.image.height,
        generator=for_decoder(package.graph, spec.rule, spec.limit),
    )


def take_turns(
    runs: dict[str, Any], items: list[Any], n: int, clock: Clock
) -> dict[str, NDArray[np.float64]]:
    """Time every run on `n` items in each round; return (rounds, n) milliseconds of each."""
    names = list(runs)
    taken = {name: np.empty((ROUNDS, n)) for name in names}
    for item in items[:10]:
        for run in runs.values():
            run(item)
    for round_ in range(ROUNDS):
        for i in range(n):
            for name in names[i % len(names) :] + names[: i % len(names)]:
                began = clock.now()
                runs[name](items[i % len(items)])
                taken[name][round_, i] = 1e3 * (clock.now() - began)
    return taken


def measure_batch(package: GeneratorPackage, batch: int, n: int, clock: Clock) -> dict[str, Any]:
    """Measure one batch size."""
    random = np.random.default_rng(batch)
    latents = [random.standard_normal((batch, package.spec.latent), np.float32) for _ in range(32)]
    session = package.session
    taken = take_turns(
        {"floor": lambda z: session.run(["image"], {"latent": z}), "ours": package.draw}, latents, n, clock
    )
    return summarise(taken)


def measure_decoder(bundle: Bundle, n: int, clock: Clock) -> dict[str, Any]:
    """Measure window → reconstruction."""
    decoder, floor = OnnxDecoder(bundle, clock=clock), Floor(bundle)
    decoder.warm_up()
    runs = {"floor": lambda window: floor(window.samples[None]), "ours": decoder.decode}
    return summarise(take_turns(runs, make_windows(bundle, 32), n, clock))


def summarise(taken: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Return percentiles of both, and the time that ours adds, from the medians of the rounds."""
    floor, ours = (np.median(taken[name], axis=1) for name in ("floor", "ours"))
    added = {"ms": median_range(list(ours - floor)), "share": median_range(list(ours / floor - 1.0))}
    return {
        "floor_ms": percentiles(taken["floor"].ravel()),
        "ours_ms": percentiles(taken["ours"].ravel()),
        "added": added,
        "met": added["share"]["median"] <= OVERHEAD_SHARE or added["ms"]["median"] <= OVERHEAD_MS,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generator_latency", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--package", type=Path, default=FACES, help="the generator (default: the faces)")
    parser.add_argument("--quick", action="store_true", help="40 runs a round instead of 200: a few seconds")
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    arguments = parser.parse_args()
    package = GeneratorPackage.load(arguments.package)
    n, clock = 40 if arguments.quick else 200, LslClock()
    rows: dict[str, dict[str, Any]] = {}
    for batch in BATCHES:
        progress(f"batch {batch}")
        rows[f"generator, batch {batch}"] = measure_batch(package, batch, n, clock)
    with tempfile.TemporaryDirectory() as scratch:
        progress("decoder")
        decoder = measure_decoder(bundle_of(package, Path(scratch) / "decoder"), n, clock)
    rows["decoder, one window"] = decoder
    facts = machine_facts(["onnxruntime"])
    print_machine(facts)
    print(f"{package.spec.name} ({package.hash[:12]}), {len(package.graph) / 1e6:.2f} MB, CPU, one thread")
    print_table(
        ["", "floor p50 ms", "ours p50 ms", "ours p95 ms", "ours p99 ms", "added ms", "added"],
        [
            [
                name,
                f"{row['floor_ms']['p50']:.2f}",
                *(f"{row['ours_ms'][point]:.2f}" for point in ("p50", "p95", "p99")),
                f"{row['added']['ms']['median']:.2f}",
                f"{100 * row['added']['share']['median']:.0f} %",
            ]
            for name, row in rows.items()
        ],
    )
    met = all(row["met"] for row in rows.values())
    fast = all(decoder["ours_ms"][point] <= limit for point, limit in TARGET_MS.items())
    print(
        f"added at most {100 * OVERHEAD_SHARE:.0f} % or {OVERHEAD_MS:g} ms: {'met' if met else 'MISSED'}; "
        f"decode p50 ≤ {TARGET_MS['p50']:g} ms, p99 ≤ {TARGET_MS['p99']:g} ms: {'met' if fast else 'MISSED'}"
    )
    if arguments.json:
        print_last_line(
            {
                "benchmark": "generator_latency",
                "machine": facts,
                "package": package.spec.name,
                "hash": package.hash,
                "rows": rows,
                "overhead_met": met,
                "target_ms": TARGET_MS,
                "target_met": fast,
            }
        )


if __name__ == "__main__":
    main()

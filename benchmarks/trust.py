"""Whether a confidence can be trusted: each shipped decoder is given what it was not trained on.

    python -m benchmarks.trust [--bundle NAME …] [--own NAME …] [--readout NAME …] [--quick] [--data FOLDER] [--json]

Beside real held-out trials: white noise of five amplitudes, artefacts of 20 standard deviations on 5 % of the channels,
channels in another order, a dead amplifier (zeros, one constant), the mains at ten times the signal, another session
and another subject. All of it goes through the bundle's own pipeline, cut and decoder. *Flagged* is the share of
windows whose reconstruction is invalid; *above* the share that is valid and surer than the median real trial. Beside
them stand decoders of one's own data, each fold of a recording read by a bundle that never saw it, and below the
readouts of the family, fitted to a planted brain of 240 voxels. Foreign input must be flagged in 95 % and
never be above; real trials may be flagged in 2 %. Another session and subject are reported, whatever they give.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.signal.clock import ManualClock
from bci.signal.types import Reconstruction, Window
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from benchmarks.trust_inputs import REAL, REPORTED, Given, has_inputs, inputs_of, planted_inputs
from benchmarks.trust_own import OWN, own_inputs
from models.readouts.family import FAMILY, build_readout

BUNDLES = Path(__file__).resolve().parent.parent / "models" / "bundles"
FLAGGED, REFUSED = 0.95, 0.02

#: What keeps a member of the family short, or what it cannot do without.
_OPTIONS: Mapping[str, dict[str, Any]] = {
    "banded-ridge": {"bands": tuple(k % 3 for k in range(240)), "tries": 1},
    "components-ridge": {"components": 40},
    "components-encoder": {"components": 40},
    "elastic-net": {"steps": 3},
    "dense": {"epochs": 40, "rate": 3e-3},
    **{name: {"epochs": 40, "rate": 3e-3} for name in FAMILY if name.startswith("network")},
}


def measure_bundle(folder: Path, data: Path | None, *, quick: bool = False) -> list[dict[str, Any]]:
    """Return a row for each kind of input of one bundle.

    Parameters
    ----------
    folder : Path
        The bundle's.
    data : Path, optional
        Root of the recordings, where its system needs them.
    quick : bool
        Fewer trials.
    """
    bundle = Bundle.load(folder)
    claims = bundle.spec.confidence.kind != "none"
    return _measure(bundle.name, claims, inputs_of(bundle, data, quick=quick))


def _measure(model: str, claims: bool, given: Iterable[Given]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    median = float("nan")
    for name, same in groupby(given, key=itemgetter(0)):
        progress(f"{model}: {name}")
        frames = [frame for _, decoded_by, windows in same for frame in _decoded(decoded_by, windows)]
        sure = np.array([frame.confidence for frame in frames if frame.valid])
        if name == REAL:
            median = float(np.median(sure)) if claims else float("nan")
        reasons = sorted({frame.reason for frame in frames if not frame.valid})
        rows.append(
            _row(model, name, len(frames), len(frames) - len(sure), sure, median)
            | {"reasons": reasons, "largest": float(sure.max()) if claims and len(sure) else None}
        )
    return rows


def _decoded(bundle: Bundle, windows: Sequence[Window]) -> Iterator[Reconstruction]:
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    return (decoder.decode(window) for window in windows if window.settled)


def measure_readout(name: str) -> list[dict[str, Any]]:
    """Return a row for each kind of input of one readout, fitted to a planted brain."""
    progress(f"readout {name}")
    train, inputs = planted_inputs()
    readout = build_readout(name, **_OPTIONS.get(name, {})).fit(*train, runs=np.arange(len(train[0])) // 30)
    fitted, rows, median = readout.frozen(1), [], float("nan")
    for case, brain in inputs:
        unlike, confidence = fitted.unlike(brain), fitted.confidence(brain)
        if case == REAL:
            median = float(np.median(confidence))
        rows.append(_row(name, case, len(brain), int(unlike.sum()), confidence[~unlike], median))
    return rows


def _row(
    model: str, case: str, n: int, flagged: int, sure: NDArray[np.floating[Any]], median: float
) -> dict[str, Any]:
    share, above = flagged / n, float(np.count_nonzero(sure > median)) / n
    met = None
    if case == REAL:
        met = share <= REFUSED
    elif not case.startswith(REPORTED):
        met = share >= FLAGGED and (above == 0 or np.isnan(median))
    return {
        "model": model,
        "input": case,
        "n": n,
        "flagged": share,
        "above": above,
        "median_of_real": median,
        "mean_confidence": float(sure.mean()) if len(sure) else None,
        "met": met,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit status 1 where something is not met."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.trust", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shipped = sorted(file.parent.name for file in BUNDLES.glob("*/bundle.json") if has_inputs(file))
    parser.add_argument("--bundle", nargs="*", default=shipped, help="folders in models/bundles")
    parser.add_argument("--own", nargs="*", default=list(OWN), help="recordings of one's own")
    parser.add_argument("--readout", nargs="*", default=list(FAMILY), help="names of the family")
    parser.add_argument("--data", type=Path, help="root of the recordings")
    parser.add_argument("--quick", action="store_true", help="fewer trials, three readouts")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    options = parser.parse_args(arguments)
    readouts = options.readout[:3] if options.quick else options.readout
    rows = [
        row
        for name in options.bundle
        for row in measure_bundle(BUNDLES / name, options.data, quick=options.quick)
    ]
    for name in () if options.quick else options.own:
        rows += _measure(f"own: {name}", True, own_inputs(name, options.data))
    rows += [row for name in readouts for row in measure_readout(name)]
    facts = machine_facts(("onnxruntime",))
    met = all(row["met"] is not False for row in rows)
    if not options.json:
        print_machine(facts)
        _print_tables(rows)
        print()
    print_last_line(
        {"benchmark": "trust", "quick": options.quick, "met": met, "rows": rows, "machine": facts}
    )
    return 0 if met else 1


def _print_tables(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table for the bundles and one for the readouts: a line an input, a column a model."""
    for title, which in (("bundles", _is_bundle), ("readouts", lambda row: not _is_bundle(row))):
        chosen = [row for row in rows if which(row)]
        models = list(dict.fromkeys(row["model"] for row in chosen))
        at = {(row["model"], row["input"]): row for row in chosen}
        print(f"\n{title}: flagged · above the median confidence of real trials\n")
        cells = [
            [case, *(_cell(at.get((model, case))) for model in models)]
            for case in dict.fromkeys(row["input"] for row in chosen)
        ]
        print_table(["input", *models], cells)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    words = f"{row['flagged']:.1%}"
    if not np.isnan(row["median_of_real"]) and row["input"] != REAL:
        words += f" · {row['above']:.1%}"
    return words + (" NOT MET" if row["met"] is False else "")


def _is_bundle(row: Mapping[str, Any]) -> bool:
    return "reasons" in row


if __name__ == "__main__":
    sys.exit(main())

"""Whether an adaptation follows a drift: held-out trials of a shipped decoder, as they are and drifting.

    python -m benchmarks.adaptation [--bundle NAME …] [--quick] [--seed N] [--json]

The drift is made, and stated: behind the pipeline, every value of an epoch is multiplied by a gain that falls evenly
from 1 to 0.4 over the session, and a fixed random pattern is added that grows from nothing to one standard deviation of
each value. The trials come in the order of the session, three times over (`--quick`: once); the last third of them is
scored, where the drift is largest: mean cosine and two-way identification of single trials, and the error of the
latents relative to their variance. Adapted must keep 0.9 of what the same trials give without drift, counted from
chance. Beside it stands what adaptation does where nothing drifts.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.adaptation import Drift, OnlineAdaptation
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.signal.clock import ManualClock
from bci.signal.types import Event, Window
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.insilico.heldout import HeldOut
from models.metrics.identification import correlation_table, wins
from models.metrics.latents import cosine
from models.systems.hyper.heldout import make_again

BUNDLES = Path(__file__).resolve().parent.parent / "models" / "bundles"
SHIPPED = ("hyper-insilico", "hyper-insilico-fmri")
TO_GAIN, TO_OFFSET, MUST = 0.4, 1.0, 0.9


def drifting(windows: Sequence[Window], seed: int = 0) -> list[Window]:
    """Return the windows with the stated drift."""
    values = np.stack([window.samples for window in windows])
    pattern = np.random.default_rng(seed).standard_normal(values.shape[1:]) * values.std(0)
    changed = []
    for place, window in enumerate(windows):
        share = place / (len(windows) - 1)
        samples = (1 - (1 - TO_GAIN) * share) * window.samples + TO_OFFSET * share * pattern
        changed.append(dataclasses.replace(window, samples=samples.astype(np.float32)))
    return changed


def decode(
    bundle: Bundle, windows: Sequence[Window], held: HeldOut, which: NDArray[np.int64], *, adapt: bool
) -> NDArray[np.float32]:
    """Decode windows in their order, learning from each behind it: latents, (n, d)."""
    truth = {
        f"{k:03d}": np.asarray(row, np.float64) for k, row in enumerate(held.plan.latents[held.plan.test])
    }
    adaptation = OnlineAdaptation(Drift(bundle.spec.latent), truth) if adapt else None
    decoder = OnnxDecoder(bundle, clock=ManualClock(), unlike="keep", adaptation=adaptation)
    latents = []
    for window, picture in zip(windows, which, strict=True):
        event = Event(float(window.times[-1]), f"stimulus {picture} {picture:03d}")
        frame = decoder.decode(dataclasses.replace(window, event=event))
        latents.append(frame.latent)
        decoder.learn(frame)
    return np.stack(latents)


def score(latents: NDArray[np.float32], held: HeldOut, which: NDArray[np.int64]) -> dict[str, float]:
    """Score the last third of the trials."""
    last = slice(-(len(which) // 3), None)
    test = held.plan.latents[held.plan.test]
    true, read = test[which[last]], latents[last]
    chosen = wins(correlation_table(test, read), 2)[np.arange(len(read)), which[last]]
    return {
        "cosine": float(cosine(true, read).mean()),
        "two_way": float(chosen.mean()),
        "error": float(((read - true) ** 2).mean() / true.var()),
    }


def measure(name: str, *, times: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return a row for each case of one bundle."""
    progress(name)
    bundle = Bundle.load(BUNDLES / name)
    held = make_again(bundle)
    windows, which = list(held.windows) * times, np.tile(held.which, times)
    cases = {"without drift": windows, "drifting": drifting(windows, seed)}
    rows = [
        {"bundle": name, "case": f"{case}{', adapted' if adapt else ''}", "trials": len(windows)}
        | score(decode(bundle, given, held, which, adapt=adapt), held, which)
        for case, given in cases.items()
        for adapt in (False, True)
    ]
    plain, adapted = rows[0], rows[-1]
    chance = {"cosine": 0.0, "two_way": 0.5}
    kept = {key: (adapted[key] - low) / (plain[key] - low) for key, low in chance.items()}
    adapted |= {"kept": kept, "met": min(kept.values()) >= MUST}
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit status 1 where an adapted decoder keeps too little."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.adaptation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", nargs="*", default=list(SHIPPED), help="folders in models/bundles")
    parser.add_argument("--quick", action="store_true", help="the session once, not three times over")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    parser.add_argument("--seed", type=int, default=0, help="of the pattern that is added")
    options = parser.parse_args(arguments)
    times = 1 if options.quick else 3
    rows = [row for name in options.bundle for row in measure(name, times=times, seed=options.seed)]
    facts = machine_facts(("onnxruntime",))
    met = all(row["met"] for row in rows if "met" in row)
    if not options.json:
        print_machine(facts)
        print_table(
            ["bundle", "case", "trials", "cosine", "two-way", "error", "kept", ""],
            [
                [row["bundle"], row["case"], str(row["trials"]), f"{row['cosine']:.3f}", f"{row['two_way']:.3f}",
                 f"{row['error']:.3f}", *(_kept(row) if "kept" in row else ("", ""))]
                for row in rows
            ],
        )  # fmt: skip
    print_last_line(
        {"benchmark": "adaptation", "machine": facts, "seed": options.seed, "rows": rows, "met": met}
    )
    return 0 if met else 1


def _kept(row: dict[str, Any]) -> tuple[str, str]:
    words = ", ".join(f"{key} {value:.2f}" for key, value in row["kept"].items())
    return words, "met" if row["met"] else f"MISSED ({MUST:g})"


if __name__ == "__main__":
    sys.exit(main())

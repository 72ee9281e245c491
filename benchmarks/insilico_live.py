"""The closed loop in silico: scores of the live line, beside those of the offline decoder and of null runs.

::

    python -m benchmarks.insilico_live            # 144 trials a session, some five minutes
    python -m benchmarks.insilico_live --quick    # 24 trials a session, a minute

A headless session of the demo's closed loop runs at four times real time, is reproduced, and is compared with its
twin: the same participant shown the same flips offline, its answers decoded by the same bundle. Beside it stand other
sessions of the same participant with the same trials, offline, which show how much two sessions differ.
Attention lapses in 2 % of looks, and a lapsed trial holds no information: three of 48 cost some three points.

Three null runs go through the same line: SNR 0; permuted channels; and the first session's epochs cut again around
markers at random times. A score without information lies outside its 95 % interval once in twenty
runs: that is what the interval means. Scrambling costs no session, so it is repeated, and the share inside is given.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bci.cli import demos
from bci.cli.session_score import score_scrambled
from bci.decoder.bundle import Bundle
from bci.io.shipped import SHIPPED
from bci.session.reproduce import reproduce
from bci.signal.types import INTERVALS
from benchmarks.insilico_twin import Twin, other_session, twin_of
from benchmarks.report import (
    machine_facts,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.reproduce_speed import bci
from models.sessions.readings import Reading, known_latents, read_trials, score
from stimuli.protocols.order import order

SPEED, SNR, PERMUTED, SEED = 4.0, demos.SNR, 1, 0
WITHIN = 0.02

_SESSION = """
name = "insilico"
network = "machine"
[source]
kind = "insilico"
modality = "eeg"
subject = 1
session = {session}
reference = {reference}
snr = {snr}
speed = {speed}
{more}
[decoder]
bundle = {bundle}
unlike = {unlike}
[display]
kind = "headless"
contact_sheet = 0
max_png = 0
[experiment]
folder = {faces}
repeats = {repeats}
seed = {seed}
stimulus_s = {stimulus}
feedback_s = {feedback}
blank_s = {blank}
lead_in_s = {lead}
"""

#: Seconds of the signal. What is read reaches the screen .07 s of real time after the epoch, which is .28 s of these.
_TIMES = {"stimulus": 0.4, "feedback": 0.8, "blank": 0.2, "lead": 2.8}


def run(
    folder: Path, repeats: int, *, snr: float = SNR, session: int = 2, more: str = "", unlike: str = "refuse"
) -> dict[str, Any]:
    """Run one live session; return its last line."""
    faces, bundle = SHIPPED["stimuli"] / "faces", SHIPPED["bundles"] / "hyper-insilico"
    config = folder / "session.toml"
    values = {name: seconds / SPEED for name, seconds in _TIMES.items()}
    config.write_text(
        _SESSION.format(
            session=session,
            reference=json.dumps(str(faces / "reference.npy")),
            snr=snr,
            speed=SPEED,
            more=more,
            bundle=json.dumps(str(bundle)),
            unlike=json.dumps(unlike),
            faces=json.dumps(str(faces)),
            repeats=repeats,
            seed=SEED,
            **values,
        )
    )
    return bci("run", config, "--out", folder / "sessions")


def others(repeats: int, sessions: int) -> list[float]:
    """Return the two-way score of other sessions, offline."""
    faces = SHIPPED["stimuli"] / "faces"
    bundle = Bundle.load(SHIPPED["bundles"] / "hyper-insilico")
    config = {
        "source": {
            "modality": "eeg",
            "subject": 1,
            "snr": SNR,
            "reference": str(faces / "reference.npy"),
        },
        "experiment": {"folder": str(faces)} | {f"{name}_s": value for name, value in _TIMES.items()},
    }
    config["experiment"]["lead_in_s"] = config["experiment"].pop("lead_s")
    latents = known_latents(faces)
    shown = list(order(len(latents), repeats, "random", SEED))
    return [
        score(other_session(number, config, shown, bundle), latents)["two_way"]
        for number in range(3, 3 + sessions)
    ]


def without_lapses(readings: list[Reading], twin: Twin, latents: Any) -> dict[str, Any]:
    """Score the trials without a lapse of attention."""
    return score([r for r, lapsed in zip(readings, twin.lapsed, strict=True) if not lapsed], latents)


def null_row(found: dict[str, Any]) -> dict[str, Any]:
    """Return the figures by which a null run is judged."""
    low, high = found["two_way_chance"]
    return {
        "two_way": found["two_way"],
        "chance": [low, high],
        "p": found["two_way_p"],
        "trials": found["trials"],
        "inside": bool(low <= found["two_way"] <= high),
        "headline": found["headline"],
        "no_information": not found["informed"],
    }


def main() -> int:
    """Run and report; status 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="24 trials a session instead of 144")
    parser.add_argument("--json", action="store_true", help="end with one machine-readable line")
    options = parser.parse_args()
    repeats, sessions, seeds = (1, 3, 3) if options.quick else (6, 12, 40)
    latents = known_latents(SHIPPED["stimuli"] / "faces")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        progress(f"a live session of {24 * repeats} trials, {SPEED:g} times real time …")
        live = run(folder, repeats)
        session = Path(live["session"])
        progress("reproducing it, and its twin offline …")
        again = reproduce(session)
        twin = twin_of(session)
        readings = read_trials(session)
        scores = {
            "live": score(readings, latents),
            "twin": score(twin.readings, latents),
            "live_without_lapses": without_lapses(readings, twin, latents),
        }
        progress(f"{sessions} other sessions offline …")
        elsewhere = others(repeats, sessions)
        progress("null run: SNR 0 …")
        nulls = {"SNR 0": null_row(run(folder, repeats, snr=0.0)["identification"])}
        progress("null run: channels permuted …")
        permuted = run(folder, repeats, more=f"permute_channels = {PERMUTED}", unlike="keep")
        nulls["channels permuted"] = null_row(permuted["identification"])
        progress(f"null run: markers scrambled, {seeds} times …")
        scrambled = [null_row(score_scrambled(session, seed)) for seed in range(seeds)]
        nulls["markers scrambled"] = scrambled[0]
    mean, spread = float(np.mean(elsewhere)), float(np.std(elsewhere, ddof=1))
    difference = scores["live"]["two_way"] - scores["twin"]["two_way"]
    stages = {name: live["latency_ms"][name]["n"] for name in INTERVALS}
    met = {
        "reproduced": again["frames"] == again["equal"] > 0,
        "within 2 points of offline": abs(difference) <= WITHIN,
        "latency table complete": min(stages.values()) > 0,
        "nulls inside chance": all(null["inside"] for null in nulls.values()),
        "headline 'no information'": all(null["no_information"] for null in nulls.values()),
    }
    summary = {
        "machine": machine_facts(["onnxruntime"]),
        "speed": SPEED,
        "snr": SNR,
        "frames": again["frames"],
        "frames_equal": again["equal"],
        "twin": {
            "samples": twin.samples,
            "samples_equal": twin.samples_equal,
            "trials": twin.trials,
            "epochs_equal": twin.epochs_equal,
            "latents_equal": twin.latents_equal,
        },
        "lapses": sum(twin.lapsed),
        "flips_unseen": sum(live["programs"]["source"][key] for key in ("changes_late", "changes_lost")),
        "scores": scores,
        "difference": difference,
        "other_sessions": {"two_way": elsewhere, "mean": mean, "sd": spread},
        "latency_ms": live["latency_ms"],
        "nulls": nulls,
        "scrambled_inside": sum(null["inside"] for null in scrambled),
        "scrambled": len(scrambled),
        "met": met,
    }
    say(summary)
    if options.json:
        print_last_line(summary)
    return 0 if all(met.values()) else 1


def say(found: dict[str, Any]) -> None:
    """Print the results."""
    print_machine(found["machine"])
    twin = found["twin"]
    print(
        f"\nLive, {found['speed']:g} times real time, SNR {found['snr']:g}, SIMULATED participant: "
        f"{found['frames_equal']} of {found['frames']} reconstructions equal when decoded again. Its offline twin: "
        f"{twin['samples_equal']} of {twin['samples']} samples, {twin['epochs_equal']} of {twin['trials']} epochs' "
        f"places and {twin['latents_equal']} of {twin['trials']} latents equal, bit for bit; {found['flips_unseen']} "
        "flips seen late or lost.\n"
    )
    names = {
        "live": "live",
        "twin": "the offline decoder, the same flips",
        "live_without_lapses": f"live, without the {found['lapses']} trials of lapsed attention",
    }
    rows = [
        (
            names[name],
            str(score["trials"]),
            f"{score['two_way']:.1%}",
            "{:.1%} to {:.1%}".format(*score["two_way_chance"]),
            f"{score['n_way']:.1%}",
        )
        for name, score in found["scores"].items()
    ]
    print_table(
        ("single trials", "n", "two-way", "95 % of guessing", f"of {found['scores']['live']['pictures']}"),
        rows,
    )
    other = found["other_sessions"]
    print(
        f"\n{len(other['two_way'])} other sessions of as many trials, offline: two-way {other['mean']:.1%}, "
        f"from session to session ±{other['sd']:.1%} (SD), {min(other['two_way']):.1%} to {max(other['two_way']):.1%}\n"
    )
    latency = found["latency_ms"]
    print_table(
        ("stage, ms", "p50", "p95", "p99", "n"),
        [
            (
                name,
                *(f"{latency[name][point]:.2f}" for point in ("p50", "p95", "p99")),
                str(latency[name]["n"]),
            )
            for name in INTERVALS
        ],
    )
    print()
    rows = [
        (
            name,
            str(null["trials"]),
            f"{null['two_way']:.1%}",
            "{:.1%} to {:.1%}".format(*null["chance"]),
            f"{null['p']:.3f}",
            "inside" if null["inside"] else "OUTSIDE",
            null["headline"].partition(":")[0],
        )
        for name, null in found["nulls"].items()
    ]
    print_table(("null run", "n", "two-way", "95 % of guessing", "p", "", "headline"), rows)
    print(f"\nscrambled {found['scrambled']} times: {found['scrambled_inside']} inside the interval")
    for target, met in found["met"].items():
        print(f"{'met' if met else 'MISSED'}: {target}")


if __name__ == "__main__":
    raise SystemExit(main())

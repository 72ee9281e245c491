"""Figures are the measurements of one session without faults, each against its limit."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bci.control.certify.checks import Check, Fact
from bci.control.certify.rig import Rig
from bci.control.certify.traces import Traces, number
from bci.errors import BciError
from bci.io.files.xdf.damage import joined
from bci.io.files.xdf.verify import verify
from bci.session.latency import STAGES, intervals, percentiles
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce
from bci.signal.types import INTERVALS


@dataclass(frozen=True)
class Figures:
    """Figures holds the measurements of a session without faults.

    Attributes
    ----------
    seconds : float
        How long the session ran.
    summary : dict
        The session's own summary.
    latency : dict
        Percentiles of every stage, milliseconds: p50, p95, p99, max, n.
    flips : dict
        The display's flip intervals, milliseconds, and its drops.
    offsets : list of (float, float)
        Seconds from the first, and the sender's clock offset against ours, milliseconds.
    verified, reproduced : dict
        Results of `bci verify` and `bci reproduce`.
    known : dict
        How well the known answer was decoded: ``agreement``, ``baseline`` and ``n``; empty where none is known.
    checks : tuple of Check or Fact
        Each figure against its limit.
    """

    seconds: float
    summary: dict[str, Any]
    latency: dict[str, dict[str, float]]
    flips: dict[str, Any]
    offsets: list[tuple[float, float]]
    verified: dict[str, Any]
    reproduced: dict[str, Any]
    known: dict[str, Any]
    checks: "tuple[Check | Fact, ...]"


def measure(rig: Rig, session: Path, summary: dict[str, Any], asked: float, known: dict[str, Any]) -> Figures:
    """Measure a session that ran without faults, verify its recording and reproduce it.

    Parameters
    ----------
    rig : Rig
        The rig that was run.
    session : Path
        The session's folder.
    summary : dict
        The session's own summary.
    asked : float
        Planned length, seconds.
    known : dict
        How well the known answer was decoded; empty where none is known.
    """
    traces = Traces(session)
    latency = {}
    for name, seconds in intervals(session).items():
        finite = seconds[np.isfinite(seconds)]
        longest = float(finite.max() * 1e3) if len(finite) else math.nan
        latency[name] = {**percentiles(seconds), "max": round(longest, 4)}
    display = summary["programs"].get("display", {})
    flips = {
        **display.get("flip_interval_ms", {}),
        "dropped": summary["dropped_flips"],
        "flips": summary["flips"],
    }
    decoded = rig.config.decoded_by(0)
    seconds = summary["samples"] / rig.bundles[0].signal.rate / rig.speed(decoded)
    offsets = traces.offsets
    since = [(float(t - offsets[0, 0]), float(v * 1e3)) for t, v in offsets]
    verified = joined([verify(path) for path in traces.parts]) if traces.parts else {}
    reproduced = decode_again(session)
    checks: tuple[Check | Fact, ...] = (
        *_latencies(rig, latency),
        *_losses(rig, summary, traces),
        *_flips(rig, flips),
        Check(
            "clock_step_ms",
            "largest step of the sender's clock",
            _step(since),
            rig.config.limits.clock_step_ms,
            "ms",
        ),
        Fact(
            "complete",
            "session ran as long as it was to",
            f"{seconds:.0f} of {asked:g} s of samples, until {summary['ended_by']}",
            summary["status"] == "done" and str(summary["ended_by"]).endswith("have passed"),
        ),
        Fact(
            "recording",
            "recording verified",
            "sound"
            if verified.get("sound")
            else "; ".join(verified.get("notes", ["no recording"])) or "damaged",
            bool(verified.get("sound")) and bool(verified.get("finished")),
        ),
        _same_pictures(traces),
        Check(
            "wrong_reproductions",
            "reconstructions that differ when decoded again",
            float(reproduced.get("wrong", math.nan)),
            rig.config.limits.wrong_reproductions,
        ),
    )
    return Figures(seconds, summary, latency, flips, since, verified, reproduced, known, checks)


def _latencies(rig: Rig, latency: dict[str, dict[str, float]]) -> list[Check]:
    limits = rig.config.limits
    two_refreshes = 2e3 / rig.config.display.refresh_hz
    return [
        Check(
            f"{name}_p99_ms",
            STAGES[name],
            latency[name]["p99"],
            getattr(limits, f"{name}_p99_ms") or two_refreshes,
            "ms",
        )
        for name in INTERVALS
    ]


def _losses(rig: Rig, summary: dict[str, Any], traces: Traces) -> list[Check]:
    limits = rig.config.limits
    try:
        unrecorded = traces.coverage.missing
    except BciError:
        unrecorded = summary["samples"]
    lost = summary["samples_lost"] + unrecorded
    return [
        Check("lost_samples", "samples lost", lost, limits.lost_samples),
        Check(
            "skipped_windows_percent",
            "windows passed over",
            # Of several decoders, the one that passed over most.
            max(_percent(own["skipped"], own["windows"]) for own in _decoders(summary)),
            limits.skipped_windows_percent,
            "%",
        ),
        Check(
            "neutral_percent",
            "neutral picture without a fault",
            neutral_share(traces),
            limits.neutral_percent,
            "%",
        ),
    ]


def _decoders(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what each decoder counted."""
    return list(summary.get("decoders", {}).values()) or [summary]


def neutral_share(traces: Traces) -> float:
    """Return the neutral share of the time from the first picture to the last, percent; NaN without pictures."""
    pictures = [i for i, row in enumerate(traces.shown) if row["kind"] != "neutral"]
    if len(pictures) < 2:
        return math.nan
    rows = traces.shown[pictures[0] : pictures[-1] + 1]
    flips = [number(row, "flip") for row in rows]
    neutral = sum(
        b - a for row, a, b in zip(rows, flips, flips[1:], strict=False) if row["kind"] == "neutral"
    )
    return _percent(neutral, flips[-1] - flips[0])


def _flips(rig: Rig, flips: dict[str, Any]) -> list[Check]:
    limits = rig.config.limits
    p99 = flips.get("p99")
    return [
        Check(
            "late_flips_percent",
            "refreshes without a flip",
            _percent(flips["dropped"], flips["flips"] + flips["dropped"]),
            limits.late_flips_percent,
            "%",
        ),
        Check(
            "flip_interval_p99_frames",
            "time between two flips",
            math.nan if p99 is None else p99 / 1e3 * rig.config.display.refresh_hz,
            limits.flip_interval_p99_frames,
            "refreshes",
        ),
    ]


def _same_pictures(traces: Traces) -> Fact:
    """Whether each picture on the screen was, to the pixel, the reconstruction it claims to be."""
    decoded = {row["frame"]: row["digest"] for row in traces.frames}
    pictures = [row for row in traces.shown if row["kind"] == "frame"]
    same = sum(decoded.get(row["frame"]) == row["digest"] for row in pictures)
    return Fact(
        "same_pictures",
        "pictures shown as they were decoded",
        f"{same} of {len(pictures)}",
        same == len(pictures) > 0,
    )


def decode_again(session: Path) -> dict[str, Any]:
    """Return the result of reproduction of the first decoder, and ``wrong``: reconstructions of all that differ."""
    try:
        results = [
            reproduce(session, decoder=name) for name in (None, *RecordedSession.read(session).decoders)
        ]
    except (BciError, OSError) as error:
        return {"trouble": str(error)}
    return {**results[0], "wrong": sum(_wrong(result) for result in results)}


def _wrong(result: dict[str, Any]) -> int:
    # Those behind samples that were not recorded need only agree within the tolerance.
    wrong: int = result["frames"] - result["equal"] - result["approximate"]
    return 0 if result["reproduced"] else max(1, wrong)


def _step(offsets: list[tuple[float, float]]) -> float:
    """Return the largest change between two neighbouring clock offsets, milliseconds; NaN without any."""
    values = [value for _, value in offsets]
    if not values:
        return math.nan
    return max((abs(b - a) for a, b in itertools.pairwise(values)), default=0.0)


def _percent(part: float, whole: float) -> float:
    return 100.0 * part / whole if whole else math.nan

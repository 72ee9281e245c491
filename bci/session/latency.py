"""The latency table of a session: for every stage between two stamps, its percentiles.

Stamps and intervals are `bci.signal.types.STAGES` and `INTERVALS`. Everything up to *published* counts every
valid reconstruction; *handover*, *flip* and *total* count what the screen showed, at its first flip. A flip
stamp is the buffer swap, not light.

Where epochs are decoded, a reconstruction also waits for the answer itself: blood takes seconds. That wait, from the
stimulus' flip to the newest sample of its epoch, is the body's and the bundle's choice, not the line's, so it stands
beside the table and in none of its stages.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.session.recorded import RecordedSession
from bci.session.sample_times import sample_times
from bci.signal.types import INTERVALS

Percentiles = Mapping[str, float]

#: What each stage is, for people.
STAGES: Mapping[str, str] = MappingProxyType(
    {
        "transport": "sample to shared memory",
        "window": "arrival to window",
        "decode": "window to picture",
        "publish": "picture to display's ring",
        "handover": "ring to display",
        "flip": "display to flip",
        "total": "sample to flip",
    }
)


def percentiles(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds (NaN when empty) and n.

    >>> percentiles(np.array([0.001, 0.002, 0.003]))["p50"]
    2.0
    """
    ms = seconds[np.isfinite(seconds)] * 1e3
    if not len(ms):
        return {"p50": math.nan, "p95": math.nan, "p99": math.nan, "n": 0}
    p50, p95, p99 = np.percentile(ms, (50, 95, 99))
    return {
        "p50": round(float(p50), 4),
        "p95": round(float(p95), 4),
        "p99": round(float(p99), 4),
        "n": len(ms),
    }


def intervals(session: Path) -> dict[str, NDArray[np.float64]]:
    """Return the seconds that each stage of each reconstruction of a session took: of the decoders that were shown.

    Raises
    ------
    RecordingError
        If the folder holds no session, or a table of it is missing.
    """
    recorded = RecordedSession.read(session)
    shown = [row for row in recorded.table("shown") if row["kind"] == "frame"]
    frames = [row for feed in recorded.feeds for row in recorded.table("frames", feed) if row["valid"] == "1"]
    out = {}
    for name, (start, stop) in INTERVALS.items():
        rows = shown if stop in ("taken", "flipped") else frames
        out[name] = np.array([float(r[stop] or "nan") - float(r[start] or "nan") for r in rows])
    return out


def latency_table(session: Path) -> dict[str, Percentiles]:
    """Return the percentiles of every stage of a session, milliseconds."""
    return {name: percentiles(seconds) for name, seconds in intervals(session).items()}


def stimulus_wait(session: Path) -> Percentiles:
    """Return the percentiles of the time from when a stimulus was asked for to its flip, milliseconds.

    Without an experiment there is none, and n is 0.

    Raises
    ------
    RecordingError
        As `intervals`.
    """
    rows = RecordedSession.read(session).table("trials")
    waits = [float(row["onset"]) - float(row["planned"]) for row in rows if row["ending"] == "shown"]
    return percentiles(np.array(waits, np.float64))


def response_wait(session: Path) -> Percentiles:
    """Return the percentiles of the time from an event to the newest sample of its epoch, milliseconds.

    Of sliding windows there is none, and n is 0.

    Raises
    ------
    RecordingError
        As `intervals`.
    """
    recorded = RecordedSession.read(session)
    frames = [frame for feed in recorded.feeds for frame in recorded.frames_of(feed)]
    waits = [frame.stamps["data"] - frame.event.time for frame in frames if frame.event is not None]
    return percentiles(np.array(waits, np.float64))


def acquisition(session: Path) -> float:
    """Return how long the scanner takes for a volume, milliseconds: its stamp says when that began.

    0 where samples are no volumes, where none has a time, and where they were not recorded.

    Raises
    ------
    RecordingError
        If the folder holds no session.
    """
    recorded = RecordedSession.read(session)
    try:
        shape = () if recorded.collects else recorded.signal().shape
    except RecordingError:  # a session may do without a recording
        return 0.0
    times = sample_times(recorded) if len(shape) == 3 else None
    return 0.0 if times is None else 1e3 * float(np.median(np.diff(times.times) / np.diff(times.counts)))

"""Markers of an XDF file of ours whose time was not known well enough when they were recorded, told from the others.

Its stream of marks holds a mark ``uncertain`` for each of them, at the marker's time, with what that may be wrong by. A
reader that lays a line through the clock offsets gives the marker a time that differs by less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bci.io.files.formats.file import text_at
from bci.io.files.xdf.streams import is_own
from bci.signal.types import Event, MarkKind

#: Name of our stream of marks, and its channels.
_MARKS = "bci-marks"
_KIND, _VALUE = 1, 4


def with_uncertainty(
    markers: Sequence[Event], streams: Sequence[Mapping[str, Any]], zero: float, speed: float
) -> list[Event]:
    """Return the markers, each marked one with its uncertainty in seconds; of the others it stays as it is.

    Parameters
    ----------
    markers : sequence of Event
        Of all streams, in seconds since `zero`.
    streams : sequence
        From pyxdf, among them the stream of marks.
    zero : float
        The signal's first sample, by the stamps.
    speed : float
        How many times faster than real time the file was played when it was recorded.
    """
    events = list(markers)
    times = np.array([event.time for event in events])
    free = np.ones(len(events), np.bool_)
    for time, uncertainty in _marks(streams):
        apart = np.where(free, np.abs(times - (time - zero) * speed), np.inf)
        if len(apart) and apart.min() <= uncertainty * speed:
            nearest = int(np.argmin(apart))
            free[nearest] = False
            events[nearest] = replace(events[nearest], uncertainty=uncertainty)
    return events


def _marks(streams: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Return time and uncertainty of each mark of an uncertain marker."""
    return [
        (float(time), float(row[_VALUE]))
        for stream in streams
        if is_own(stream["info"]) and text_at(stream["info"], "name") == _MARKS
        for time, row in zip(stream["time_stamps"], stream["time_series"], strict=True)
        if len(row) > _VALUE and int(row[_KIND]) == MarkKind.UNCERTAIN
    ]

"""The events of a recording that stand in a file of their own: ``-eve.fif``, BIDS ``events.tsv``, a table (.csv, .tsv).

A recording without markers takes them from the file beside it that is named like it. One that has markers of its own
keeps them, for such a file mostly repeats them, and says that the file is there.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.events_table import read_table
from bci.io.files.formats.fif_events import read_event_list
from bci.io.files.formats.file import FileRecording
from bci.io.files.regular import require_regular
from bci.signal.types import Event, code_of

#: What a recording's name ends with and its events' does not: MNE's and BIDS's words for what is recorded.
_KIND = re.compile(r"[_-](?:raw|eeg|ieeg|meg|nirs)(?:_raw)?$")
_ENDINGS = ("-eve.fif", "_eve.fif", "_events.tsv", "_events.csv", "-events.tsv", "-events.csv")
_FIF = ".fif"


def with_events(recording: FileRecording, path: Path, events: Path | None) -> FileRecording:
    """Return a recording with the markers of its file of events, and a sentence that says so.

    Parameters
    ----------
    recording : FileRecording
        As it was opened.
    path : Path
        Its file.
    events : Path, optional
        The file to take them from, whatever markers the recording has; else the one beside it, for one without markers.

    Raises
    ------
    RecordingError
        If the file of events cannot be read.
    """
    found = events or beside(path)
    if found is None:
        return recording
    if events is None and recording.markers:
        words = f"{found.name} beside it is not played: the recording has {len(recording.markers)} markers of its own"
        return replace(recording, defects=(*recording.defects, words))
    require_regular(found, RecordingError)
    markers, words = _read(found, recording)
    end = float(recording.times(recording.n - 1, recording.n)[0])
    outside = sum(not 0 <= marker.time <= end for marker in markers)
    if outside:
        words += f"; {outside} of them lie outside of it: are they its, and their times in seconds?"
    return replace(recording, markers=tuple(markers), defects=(*recording.defects, words))


def beside(path: Path) -> Path | None:
    """Return the file of events that is named like a recording; None where there is none."""
    stem = path.name.removesuffix(path.suffix).removesuffix(_FIF)
    for name in dict.fromkeys((stem, _KIND.sub("", stem))):
        for ending in _ENDINGS:
            if (candidate := path.with_name(name + ending)).is_file():
                return candidate
    return None


def _read(path: Path, recording: FileRecording) -> tuple[list[Event], str]:
    if path.suffix.casefold() == _FIF:
        values = read_event_list(path)
        times = _times(recording, values[:, 0] - recording.first_count)
        markers = [
            Event(time, str(code), code) for time, code in zip(times, values[:, 2].tolist(), strict=True)
        ]
        return markers, f"the markers are the {len(markers)} events of {path.name}"
    table = read_table(path)
    places = np.array([row.place for row in table.rows])
    if table.in_samples:
        times = _times(recording, places)
    elif recording.place is None:
        times = places.tolist()
    else:
        times = _times(recording, places * recording.signal.rate)
    markers = [
        Event(time, row.text, row.code or code_of(row.text))
        for time, row in zip(times, table.rows, strict=True)
    ]
    words = f"the markers are the {len(markers)} events of {path.name}"
    if table.placeless:
        words += f"; {table.placeless} lines of it name no place"
    if table.encoding:
        words += f"; it is not UTF-8 and was read as {table.encoding}"
    return markers, words


def _times(recording: FileRecording, samples: NDArray[Any]) -> list[float]:
    """Return the times of places in the file, in samples from the first that stands in it."""
    if not len(samples):
        return []
    if recording.place is not None:
        times = recording.place(samples)
    elif recording.stamps is not None:
        times = np.interp(samples, np.arange(recording.n), recording.stamps)
    else:
        times = np.asarray(samples / recording.signal.rate, np.float64)
    return [float(time) for time in times]

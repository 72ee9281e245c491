"""A Recording is a signal that can be read again: samples, their times, markers, and known defects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.arrays import open_array
from bci.io.files.formats.brainvision_reader import open_brainvision
from bci.io.files.formats.edf_reader import open_edf
from bci.io.files.formats.events_beside import with_events
from bci.io.files.formats.file import FileRecording, chosen, text_at
from bci.io.files.formats.mne_raw import open_mne
from bci.io.files.formats.nwb import open_nwb
from bci.io.files.formats.table import open_table
from bci.io.files.formats.volumes import open_volumes
from bci.io.files.kinds import is_run
from bci.io.files.regular import require_regular
from bci.io.files.xdf.reader import open_xdf
from bci.signal.quality.amplitude import implausible, measurable, moves
from bci.signal.types import Event, Signal, Times, Window

#: Seconds of a recording whose amplitude is looked at when it is opened.
_LOOKED_AT = 5


class Opener(Protocol):
    """An Opener opens the files of one format; see `open_recording`."""

    def __call__(
        self,
        path: Path,
        rate: float | None,
        channels: Sequence[str] | None,
        unit: str | None,
        stream: str | None,
    ) -> FileRecording:
        """Open the file at `path`."""
        ...


#: What opens a file, by its suffix; MNE opens all others.
OPENERS: Mapping[str, Opener] = MappingProxyType(
    {
        ".npy": open_array,
        ".npz": open_array,
        ".csv": open_table,
        ".tsv": open_table,
        ".xdf": open_xdf,
        ".edf": open_edf,
        ".bdf": open_edf,
        ".vhdr": open_brainvision,
        ".nii": open_volumes,
        ".nwb": open_nwb,
    }
)

#: Suffixes of files, by which a name that is not there is told from the name of a stream.
SUFFIXES = frozenset(OPENERS) | frozenset(".cnt .fif .gdf .gz .mat .set .xdfz".split())


#: Suffixes of formats that are a folder: CTF, EGI.
FOLDERS = frozenset({".ds", ".mff"})


class Recording(Protocol):
    """A Recording can be replayed: it is a file or a simulator.

    Attributes
    ----------
    name : str
        The file's or the simulator's name.
    signal : Signal
        Rate, shape, channels and unit of the samples.
    n : int or None
        Number of samples; None when the recording never ends.
    markers : tuple of Event
        Events in order, in seconds from the first sample; of an endless recording, those of its first hour.
    defects : tuple of str
        Faults of the recording and parts of it that are not played; a sentence each.
    segments : tuple of (int, int)
        Runs of samples without a gap: the first, and one past the last.
    simulated : bool
        Whether the signal was simulated.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def signal(self) -> Signal: ...  # noqa: D102
    @property
    def n(self) -> int | None: ...  # noqa: D102
    @property
    def markers(self) -> tuple[Event, ...]: ...  # noqa: D102
    @property
    def defects(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def segments(self) -> tuple[tuple[int, int], ...]: ...  # noqa: D102
    @property
    def simulated(self) -> bool: ...  # noqa: D102

    def read(self, first: int, end: int) -> NDArray[np.float32]:
        """Return samples `first` to `end`: (end - first, *signal.shape) float32, the same for any split."""
        ...

    def times(self, first: int, end: int) -> Times:
        """Return the times of samples `first` to `end`: (end - first,) float64 seconds from the first sample."""
        ...

    def markers_between(self, start: float, stop: float) -> tuple[Event, ...]:
        """Return the markers with ``start ≤ time < stop``, seconds from the first sample."""
        ...


def open_recording(
    path: str | Path,
    *,
    rate: float | None = None,
    channels: Sequence[str] | None = None,
    unit: str | None = None,
    stream: str | None = None,
    events: Path | None = None,
) -> Recording:
    """Open a recorded signal: XDF, .npy, .npz, a table (.csv, .tsv), volumes, or what `mne.io.read_raw` opens.

    Volumes are a 4-D NIfTI file or a folder of DICOM or NIfTI files; a sample of them is (x, y, z).

    Parameters
    ----------
    path : path
        The file.
    rate : float, optional
        Samples per second, for a file that does not state them; must agree with one that does.
    channels : sequence of str, optional
        Channels to read, in this order, of a file that names its own; names for all of a file that does not.
    unit : str, optional
        Unit of the values, for a file that does not state it; must agree with one that does. Voltages read by MNE
        are always in microvolts, ``"uV"``.
    stream : str, optional
        The stream of an XDF file to open (name, source id or stream id), the array of a .npz, the column of a table
        that holds the markers, the number of a series of volumes, or the series or the probe of an NWB file.
    events : path, optional
        A file of events (``-eve.fif``, BIDS ``events.tsv``, a table) whose markers take the place of the recording's. A
        recording without markers takes those of such a file beside it, if one is named like it.

    Raises
    ------
    RecordingError
        If the file is missing, no regular file, damaged, of no known format, claims more than it holds, needs one of
        the arguments above, or has no channel of a name.
    """
    path = Path(path)
    opened = chosen(_open(path, rate, channels, unit, stream), channels)
    return judged(with_events(opened, path, events))


def _open(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open a file by its suffix."""
    suffix = path.suffix.casefold()
    if is_run(path):
        return open_volumes(path, rate, channels, unit, stream)
    if suffix not in FOLDERS or not path.is_dir():
        require_regular(path, RecordingError)
    try:
        if suffix in OPENERS:
            return OPENERS[suffix](path, rate, channels, unit, stream)
        if suffix == ".xdfz" or path.name.casefold().endswith(".xdf.gz"):
            raise RecordingError(f"{path.name} is compressed: unpack it with gzip first")
        if stream is not None:
            raise RecordingError(f"{path.name} holds one signal: leave out the stream {stream!r}")
        return open_mne(path, rate, channels, unit)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error


def usual_movement(recording: Recording, places: Sequence[int] | None = None) -> float:
    """Return how far the median channel moves within a second of a recording with an end, in its unit.

    Parameters
    ----------
    recording : Recording
        Of rows of channels.
    places : sequence of int, optional
        Which channels; absent means all.

    Returns
    -------
    float
        NaN where no channel moves in any of the seconds that are looked at, or none holds a number.
    """
    read = slice(None) if places is None else list(places)
    found = [moves(samples[:, read]) for samples in _seconds(recording)]
    return float(np.nanmedian(found)) if np.isfinite(found).any() else np.nan


def judged(recording: FileRecording) -> FileRecording:
    """Return a recording with a sentence among its defects where channels move by what no brain gives.

    Its unit is probably misstated then.
    """
    if not measurable(recording.signal):
        return recording
    words = implausible(usual_movement(recording), recording.signal.unit, text_at(recording.header, "type"))
    if not any(np.isfinite(samples).any() for samples in _seconds(recording)):
        words = "the channels hold no number (NaN alone) in any of the seconds that were looked at"
    return replace(recording, defects=(*recording.defects, words)) if words else recording


def _seconds(recording: Recording) -> Iterator[NDArray[np.float32]]:
    """Yield some seconds of a recording. Not the start alone: amplifiers settle there."""
    n = recording.n or 0
    second = min(round(recording.signal.rate), n)
    for first in np.linspace(0, n - second, min(_LOOKED_AT, n // second), dtype=np.int64):
        yield recording.read(int(first), int(first) + second)


def chunks(
    recording: Recording, size: int = 1024, start: int = 0, stop: int | None = None
) -> Iterator[Window]:
    """Yield a recording as the chunks that the live line would receive.

    Counts begin at 0 with sample `start`, as those of a stream that a player starts there. A chunk never
    spans a gap: the chunk after a gap has ``gap`` in `reset`, the very first chunk ``start``. Stamps are the
    recording's own, seconds from its first sample, as are the times of its markers.

    Parameters
    ----------
    recording : Recording
        The recording to read.
    size : int
        Samples per chunk at most; the windows cut from the chunks do not depend on it.
    start, stop : int
        First sample and one past the last; the end where there is none.

    Raises
    ------
    ValueError
        If the recording does not hold these samples.
    """
    end = recording.n if stop is None else stop
    if size < 1 or start < 0 or (end is not None and end < start):
        raise ValueError(f"chunks of {size} samples from {start} to {end} cannot be cut")
    signal, reset = recording.signal, "start"
    for first, last in recording.segments:
        at, chunk_end = max(first, start), last if end is None else min(last, end)
        while at < chunk_end:
            n = min(size, chunk_end - at)
            yield Window(
                signal=signal,
                first=at - start,
                samples=recording.read(at, at + n),
                times=recording.times(at, at + n),
                bad=np.zeros((n, *signal.flag_shape), bool),
                last_sample=at - start + n - 1,
                reset=reset,
            )
            at, reset = at + n, ""
        if reset != "start":
            reset = "gap"


def is_uncertain(marker: Event) -> bool:
    """Whether the session that recorded a marker marked its time as not known well enough.

    >>> [is_uncertain(Event(1.0, "2", uncertainty=by)) for by in (float("nan"), 0.0, 0.02)]
    [False, False, True]
    """
    return marker.uncertainty > 0


def sample_at(recording: Recording, seconds: float) -> int:
    """Return the first sample taken at `seconds` or later; the recording's length when there is none."""
    low = 0
    high = int(max(seconds, 0) * recording.signal.rate) + 2 if recording.n is None else recording.n
    while low < high:
        middle = (low + high) // 2
        if recording.times(middle, middle + 1)[0] < seconds:
            low = middle + 1
        else:
            high = middle
    return low

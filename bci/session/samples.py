"""The samples of a session's streams, over all the files that its recorders began.

Samples are read chunk by chunk, by the counts that stand beside each recording: what is damaged or was never recorded
is left out, and everything else is there, also of a recording whose recorder was killed. A sample that two files hold
is the same sample.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files import safe_xml
from bci.io.files.checksums import ChunkSum, HeaderCopy, read_sums, sums_path
from bci.io.files.xdf.content import Header, read_values
from bci.io.files.xdf.framing import Tag
from bci.io.files.xdf.walk import Piece, Walk
from bci.io.lsl.metadata import StreamInfo, parse_info
from bci.session.session_time import load_stream
from bci.signal.types import Signal, Times

#: Samples that are handed on at a time; a recorder's own chunks hold a twentieth of a second each.
_PIECE = 4096

#: The first stream that a recorder begins is the one that the first decoder decodes.
_FIRST = 1

#: The stream whose description says which role each stream has; streams of the rig's own are called like it.
_MARKS, _OWN = "bci-marks", "bci-"

#: Stamps further apart than this are a gap, seconds.
_GAP_S = 0.5


@dataclass(frozen=True)
class Coverage:
    """A Coverage lists the samples of a stream in a session's files, by the rig's own count.

    Attributes
    ----------
    samples : int
        How many.
    holes : tuple of (int, int)
        First and end of what is missing in between.
    """

    samples: int
    holes: tuple[tuple[int, int], ...]

    @property
    def missing(self) -> int:
        """Samples that were in the rig's hands and are in no file."""
        return sum(end - first for first, end in self.holes)


@dataclass(frozen=True, slots=True)
class Place:
    """A Place is a stream in one file of the session: the file, the stream's id in it, and its header."""

    path: Path
    id: int
    header: Header

    def is_it(self, info: Mapping[str, Any]) -> bool:
        """Whether a description is that of this stream, as pyxdf gives it in brief."""
        return bool(info["stream_id"] == self.id)


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Consecutive samples in session time.

    Attributes
    ----------
    first : int
        The rig's count of the first sample.
    times : (n,) float64
        Session seconds.
    samples : (n, channels) array
        Values as they were sent.
    reset : str
        ``"start"`` or ``"gap"`` where it does not go on from the stretch before; empty where it does.
    """

    first: int
    times: Times
    samples: NDArray[Any]
    reset: str


class RecordedStream:
    """One stream of a session, over all files that hold some of it.

    Parameters
    ----------
    folder : Path
        The session's.
    paths : sequence of Path
        Its recordings, in order, finished or not.
    name : str, optional
        Role (``"stream-2"``), source id or name; the first stream when absent.

    Attributes
    ----------
    places : list of Place
        Where its samples are, in order.

    Raises
    ------
    RecordingError
        If no file holds such a stream, or several streams are called so; or if a file has no checksums beside it,
        which hold the counts.
    """

    def __init__(self, folder: Path, paths: Sequence[Path], name: str | None = None) -> None:
        self._folder = folder
        self.places: list[Place] = []
        held: dict[str, None] = {}
        for path in paths:
            if not path.stat().st_size and not sums_path(path).is_file():
                continue  # its recorder was killed before it wrote anything
            headers, roles = _streams_in(path)
            number = _choose(headers, roles, name, path)
            held |= {roles.get(i) or header.source_id: None for i, header in headers.items()}
            if number is not None:
                self.places.append(Place(path, number, headers[number]))
        if not self.places and name is not None:
            raise RecordingError(
                f"stream {name!r} was expected in the recording of {folder}, which holds {', '.join(held) or 'none'}. "
                "Name one of these, or its source id."
            )

    @property
    def info(self) -> StreamInfo:
        """What its sender said of it.

        Raises
        ------
        RecordingError
            If there is no recording, or none that says so.
        """
        if not self.places:
            raise RecordingError(f"{self._folder} holds no recording of a stream (recording.xdf)")
        return parse_info(self.places[0].header.xml)

    @property
    def signal(self) -> Signal:
        """What its samples are; errors as of `info`."""
        return self.info.signal

    def pieces(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the samples in order: (count of the first, samples (n, channels)).

        Counts are the rig's own; where a piece does not begin at the end of the one before, samples were not recorded
        or are damaged.
        """
        gathered: list[NDArray[Any]] = []
        first = end = 0
        for at, samples in self._chunks():
            held = end - first
            if gathered and (at != end or held + len(samples) > _PIECE):
                yield first, np.concatenate(gathered)
                gathered = []
            if not gathered:
                first = at
            gathered.append(samples)
            end = at + len(samples)
        if gathered:
            yield first, np.concatenate(gathered)

    def between(self, first: int, end: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield what there is of some samples, in order, without reading the rest: as `pieces`, a chunk at a time.

        Parameters
        ----------
        first, end : int
            Counts of the first, and of the one after the last.
        """
        at = first
        for place, lines in self._lines:
            wanted = [line for line in lines if line.first < end and line.first + line.samples > at]
            if not wanted:
                continue
            with Walk(place.path) as walk:
                for line in wanted:
                    piece = walk.listed(line)
                    if piece.trouble or line.first + line.samples <= at:
                        continue
                    samples = self._values(place, walk, piece)
                    start = max(at, line.first)
                    yield start, samples[start - line.first : end - line.first]
                    at = min(end, line.first + line.samples)

    @cached_property
    def _lines(self) -> list[tuple[Place, list[ChunkSum]]]:
        return [(place, _chunk_lines(place)) for place in self.places]

    def stretches(self) -> Iterator[Stretch]:
        """Yield the samples with their times on the session's clock, a stretch without a gap at a time.

        Senders' clocks are set right and jitter is removed as `pyxdf` does it, in each file by itself; the live line's
        times, found while the session ran, can differ by a fraction of a sample.

        Raises
        ------
        RecordingError
            If a file is damaged.
        """
        end, last, reset = 0, -np.inf, "start"
        for place in self.places:
            lines = _chunk_lines(place)
            until = max((line.offset + line.length for line in _all_lines(place.path)), default=0)
            loaded = load_stream(place.path, place.is_it, break_s=_GAP_S, break_samples=1, until=until)
            if loaded is None:
                continue
            counts = np.concatenate([np.arange(line.first, line.first + line.samples) for line in lines])
            times, samples = np.asarray(loaded["time_stamps"], np.float64), loaded["time_series"]
            if len(counts) != len(times):
                raise RecordingError(
                    f"{place.path.name}: {len(counts)} samples of stream {place.id} were expected by its checksums, "
                    f"{len(times)} can be read. Run `bci verify` on it."
                )
            segments = loaded["info"]["segments"]
            for low, high in segments:
                for part in _consecutive(counts, int(low), int(high) + 1):
                    # What the file before holds too has been given already.
                    part = slice(part.start + int(np.count_nonzero(counts[part] < end)), part.stop)
                    if part.start == part.stop:
                        continue
                    first, step = int(counts[part.start]), float(times[part.start]) - last
                    # pyxdf's segments end at gaps; a file may go on where the one before it ended.
                    goes_on = low == segments[0][0] and first == end and 0 <= step <= _GAP_S
                    yield Stretch(first, times[part], samples[part], "" if goes_on else reset)
                    end, last, reset = int(counts[part.stop - 1]) + 1, float(times[part.stop - 1]), "gap"

    def coverage(self) -> Coverage:
        """Return which samples the files hold, by their checksums' lines; whether they are whole `verify` says.

        Raises
        ------
        RecordingError
            If they hold none.
        """
        spans = [
            (line.first, line.first + line.samples) for place in self.places for line in _chunk_lines(place)
        ]
        if not spans:
            raise RecordingError(f"{self._folder} holds no recording of samples with checksums beside it")
        return cover(spans)

    def _chunks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        end = 0
        for place in self.places:
            with Walk(place.path) as walk:
                for piece in walk:
                    line = piece.line
                    if (
                        piece.trouble
                        or piece.tag != Tag.SAMPLES
                        or line is None
                        or line.stream != place.id
                        or not line.samples
                    ):
                        continue
                    samples = self._values(place, walk, piece)
                    known = max(0, end - line.first)
                    if known < len(samples):
                        yield line.first + known, samples[known:]
                        end = line.first + len(samples)

    @staticmethod
    def _values(place: Place, walk: Walk, piece: Piece) -> NDArray[Any]:
        try:
            return read_values(place.header, walk.content(piece))
        except ValueError as error:
            raise RecordingError(
                f"{place.path.name}, byte {piece.offset}: {error}. Run `bci verify`."
            ) from None


def cover(spans: list[tuple[int, int]]) -> Coverage:
    """Return what spans of samples, (first, end) each, cover together.

    >>> cover([(0, 10), (12, 20), (5, 11)])
    Coverage(samples=19, holes=((11, 12),))
    """
    samples, at = 0, 0
    holes: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if first > at:
            holes.append((at, first))
            at = first
        samples += max(0, end - at)
        at = max(at, end)
    return Coverage(samples, tuple(holes))


def _consecutive(counts: NDArray[np.int64], low: int, high: int) -> Iterator[slice]:
    """Yield the parts of ``counts[low:high]`` that count on without a jump."""
    jumps = low + 1 + np.flatnonzero(np.diff(counts[low:high]) != 1)
    edges = [low, *jumps.tolist(), high]
    for first, end in itertools.pairwise(edges):
        yield slice(first, end)


def _all_lines(path: Path) -> Iterator[ChunkSum]:
    yield from (line for line in read_sums(sums_path(path)) if isinstance(line, ChunkSum))


def _chunk_lines(place: Place) -> list[ChunkSum]:
    """Return the lines of the checksums that are about samples of one stream of a file."""
    return [line for line in _all_lines(place.path) if line.stream == place.id and line.samples]


def stream_names(paths: Sequence[Path]) -> list[str]:
    """Return what the streams of numbers in recordings are called, by role, in the order of the recorder.

    Raises
    ------
    RecordingError
        If a recording has no checksums beside it.
    """
    names: dict[str, None] = {}
    for path in paths:
        if path.stat().st_size or sums_path(path).is_file():
            headers, roles = _streams_in(path)
            names |= {
                roles.get(i) or header.source_id: None
                for i, header in sorted(headers.items())
                if header.kind != "string"
            }
    return list(names)


def _streams_in(path: Path) -> tuple[dict[int, Header], dict[int, str]]:
    """Return the headers of a file's streams that are not the rig's own, and their roles, by their ids.

    Headers come from their copies in the checksums, all of which stand before the first sample.
    """
    sums = sums_path(path)
    if not sums.is_file():
        raise RecordingError(
            f"{sums.name} was expected beside {path.name} and is missing: the counts of the samples stand there. "
            "Put it back beside the recording."
        )
    headers: dict[int, Header] = {}
    stated = ""
    for line in read_sums(sums):
        if isinstance(line, ChunkSum) and line.samples:
            break
        if isinstance(line, HeaderCopy):
            try:
                header = Header.read(line.xml)
            except ValueError as error:
                raise RecordingError(f"{sums.name}: {error}. Run `bci verify` on {path.name}.") from None
            if header.source_id == _MARKS:
                stated = safe_xml.parse(line.xml).findtext("desc/roles") or ""
            if not header.source_id.startswith(_OWN):
                headers[line.stream] = header
    return headers, _stated_roles(stated) or _usual_roles(headers)


def _stated_roles(text: str) -> dict[int, str]:
    """Return the roles that a recording states: ``"1 stream, 2 markers"``."""
    words = [entry.partition(" ") for entry in text.split(", ") if entry]
    return {int(number): role for number, _, role in words if number.isdecimal()}


def _usual_roles(headers: Mapping[int, Header]) -> dict[int, str]:
    """Return the roles in a recording that states none: signals and markers, each in their order."""
    roles: dict[int, str] = {}
    for usual, signals in (("stream", True), ("markers", False)):
        ids = [number for number, header in headers.items() if (header.rate > 0) == signals]
        roles |= {number: usual if i == 1 else f"{usual}-{i}" for i, number in enumerate(ids, 1)}
    return roles


def _choose(
    headers: Mapping[int, Header], roles: Mapping[int, str], name: str | None, path: Path
) -> int | None:
    """Return the id of a stream in a file, by role, else source id, else name; None where it is not there."""
    if name is None:
        return _FIRST if _FIRST in headers else None
    names = {i: (roles.get(i), header.source_id, header.name) for i, header in headers.items()}
    for meaning in range(3):
        ids = [i for i, called in names.items() if called[meaning] == name]
        if len(ids) > 1:
            held = ", ".join(roles.get(i, str(i)) for i in ids)
            raise RecordingError(
                f"{path.name}: one stream {name!r} was expected, {len(ids)} came ({held}). Name its role."
            )
        if ids:
            return ids[0]
    return None

"""SampleTimes tell when the samples of a session were: by its reconstructions, else by the stamps of its recording.

Of a recording the stamps alone are read, chunk by chunk. Clocks of other computers are set right by the line through
the offsets that were measured meanwhile, and jitter is removed between holes as in any recording of ours
(`bci.io.files.xdf.times`).
"""

import csv
import io
import itertools
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.checksums import ChunkSum, read_sums, sums_path
from bci.io.files.xdf.content import read_stamps
from bci.io.files.xdf.framing import Tag
from bci.io.files.xdf.times import taken
from bci.io.files.xdf.walk import Walk
from bci.session.recorded import RecordedSession
from bci.session.samples import Place, RecordedStream
from bci.session.tables import Row, table_file

#: A table up to this size is read whole for the times of samples; of a larger one so many rows are.
_WHOLE, _ROWS = 4 << 20, 400

#: Of each run without a hole so many times are kept: between them a straight line.
_KEPT = 400

#: A recorder that was started again goes on where the one before ended, if its first stamp is no later, seconds.
_GOES_ON_S = 0.5

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SampleTimes:
    """SampleTimes tell the session time of each sample of a stream, by those of some of them.

    Attributes
    ----------
    counts, times : (n,) float64
        Counts of samples, ascending, and the session seconds of each; at least two.
    """

    counts: NDArray[np.float64]
    times: NDArray[np.float64]

    @property
    def first(self) -> float:
        """When the first sample was, session seconds."""
        return float(self.times[0] - self.counts[0] * self._step)

    def sample_at(self, time: float) -> int:
        """Return the count of the first sample at or after a session time, to a thousandth of a sample."""
        return math.ceil(round(self.place_at(time), 3))

    def place_at(self, time: float) -> float:
        """Return the count of the sample at a session time, and the part of the way to the next; 0 at the least."""
        if time < self.times[0]:
            return max(0.0, (time - self.first) / self._step)
        if time > self.times[-1]:
            return float(self.counts[-1]) + (time - float(self.times[-1])) / self._step
        return float(np.interp(time, self.times, self.counts))

    @property
    def _step(self) -> float:
        return float(np.median(np.diff(self.times) / np.diff(self.counts)))


def sample_times(session: RecordedSession) -> SampleTimes | None:
    """Return the times of samples of a session's first stream; None where nothing is left that tells them.

    Every reconstruction says which sample was its newest, and when that was. A large table is looked at in some places.
    Where nothing was decoded, the recording's own stamps tell.

    Raises
    ------
    RecordingError
        If a table or the recording is damaged.
    """
    return _by_recording(session) if session.collects else _by_frames(session)


def _by_frames(session: RecordedSession) -> SampleTimes | None:
    by_count: dict[int, float] = {}
    for decoder in [None, *session.decoders]:
        if session.ran(decoder).stream is not None:
            continue
        for row in _some_rows(session, decoder):
            if int(row["last_sample"]) >= 0 and math.isfinite(float(row["data"])):
                by_count[int(row["last_sample"])] = float(row["data"])
    if len(by_count) < 2:
        return None
    counts = np.array(sorted(by_count), np.float64)
    times = np.maximum.accumulate(np.array([by_count[int(count)] for count in counts]))
    return SampleTimes(counts, times)


def _some_rows(session: RecordedSession, decoder: str | None) -> Iterator[Row]:
    path = session.folder / table_file("frames", decoder)
    if not path.is_file() or path.stat().st_size <= _WHOLE:
        yield from session.table("frames", decoder)
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.readline().decode()
        for offset in np.linspace(file.tell(), size, _ROWS, endpoint=False).astype(int):
            file.seek(int(offset))
            if offset > len(header):
                file.readline()  # the rest of a row
            if (line := file.readline()).endswith(b"\n"):
                yield from csv.DictReader(io.StringIO(header + line.decode(), newline=""))


def _by_recording(session: RecordedSession) -> SampleTimes | None:
    counts, times = [], []
    for run in runs_of(session.stream()) if session.recordings else ():
        kept = np.unique(np.linspace(0, len(run.times) - 1, min(_KEPT, len(run.times))).round().astype(int))
        counts.append(run.first + kept)
        times.append(run.times[kept])
    known = np.concatenate(counts) if counts else np.empty(0)
    if len(known) < 2:
        return None
    return SampleTimes(known.astype(np.float64), np.maximum.accumulate(np.concatenate(times)))


@dataclass(frozen=True, slots=True, eq=False)
class TimedRun:
    """Samples without a hole between them.

    Attributes
    ----------
    first : int
        The rig's count of the first.
    times : (n,) float64
        Session seconds of each.
    goes_on : bool
        Whether they follow those before without a hole, in the file of a recorder that was started again.
    """

    first: int
    times: Times
    goes_on: bool = False


def runs_of(stream: RecordedStream) -> Iterator[TimedRun]:
    """Yield the times of a recorded stream's samples, a run without a hole at a time; its samples are not read.

    Holes are where the live line finds them too: where stamps are further apart than their jitter allows, and where a
    recorder has missed samples. A recorder that was started again may hold samples that its predecessor held; they are
    given once.

    Raises
    ------
    RecordingError
        If a file is damaged.
    """
    end, last = 0, -math.inf
    for place in stream.places:
        counts, stamps = _stamps(place)
        new = counts >= end
        counts, stamps = counts[new], stamps[new]
        if not len(counts):
            continue
        header = place.header
        holes = (np.flatnonzero(np.diff(counts) != 1) + 1).tolist()
        runs: Sequence[tuple[int, int]] = [
            (low, high) for low, high in itertools.pairwise([0, *holes, len(counts)])
        ]
        if header.rate:
            stamps, runs = taken(stamps, header.rate * header.speed, exact=header.exact, known=holes)
        for low, high in runs:
            first, step = int(counts[low]), float(stamps[low]) - last
            goes_on = low == 0 and first == end and 0 <= step <= _GOES_ON_S
            yield TimedRun(first, stamps[low:high], goes_on)
            end, last = int(counts[high - 1]) + 1, float(stamps[high - 1])


def _stamps(place: Place) -> tuple[NDArray[np.int64], Times]:
    """Return the count and the stamp, on the rig's clock, of every sample of a stream in one file."""
    counts, stamps, offsets = [], [], []
    last = math.nan
    with Walk(place.path) as walk:
        for line in read_sums(sums_path(place.path)):
            if not isinstance(line, ChunkSum) or line.stream != place.id:
                continue
            piece = walk.listed(line)
            if piece.trouble:
                continue
            content = walk.content(piece)
            if line.tag == Tag.CLOCK_OFFSET:
                offsets.append(struct.unpack_from("<dd", content, 4))
            elif line.samples:
                try:
                    own = read_stamps(place.header, content, 4, last)
                except ValueError as error:
                    raise RecordingError(
                        f"{place.path.name}, byte {line.offset}: {error}. Run `bci verify` on it."
                    ) from None
                last = float(own[-1])
                stamps.append(own)
                counts.append(np.arange(line.first, line.first + line.samples))
    if not stamps:
        return np.empty(0, np.int64), np.empty(0)
    return np.concatenate(counts), _on_the_rigs_clock(np.concatenate(stamps), offsets)


def _on_the_rigs_clock(stamps: Times, offsets: Sequence[tuple[float, float]]) -> Times:
    """Return stamps of a sender's clock on the rig's, by offsets (when, how much to add) that were measured meanwhile.

    >>> _on_the_rigs_clock(np.array([10.0, 20.0]), [(0.0, 1.0), (10.0, 1.1), (20.0, 1.2)]).round(6).tolist()
    [11.1, 21.2]
    """
    if not offsets:
        return stamps
    when, much = np.array(offsets).T
    usual = np.abs(much - np.median(much))
    # One that took long to measure may be far off.
    good = usual <= 10 * max(float(np.median(usual)), 1e-6)
    when, much = when[good], much[good]
    centred = when - when.mean()
    spread = float(centred @ centred)
    slope = float(centred @ much) / spread if spread > 0 else 0.0
    corrected: Times = stamps + much.mean() + slope * (stamps - when.mean())
    return corrected

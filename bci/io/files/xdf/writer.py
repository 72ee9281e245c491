"""An XdfWriter records streams into one XDF file, which is only appended to.

While it is written the file is called ``NAME.xdf.partial``. Beside it grow the checksums of its chunks (see
`bci.io.files.checksums`); when it is closed it gets footers and a manifest, and then its name.

*Recorded* samples survive a power cut: samples count as recorded when the file and then its checksums have been
synced. A chunk that cannot be written whole is removed again; `DiskError` then states how much is safe, and the same
chunk can be written again once the disk has room.
"""

import contextlib
import hashlib
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DiskError
from bci.io.files.checksums import ChunkSum, HeaderCopy, first_line, manifest_path, sign, sums_path
from bci.io.files.disk import AppendFile, DiskFile, sync_folder
from bci.io.files.folder import write_json
from bci.io.files.xdf import wire as xdf_wire
from bci.io.files.xdf.framing import MAGIC, Tag
from bci.io.files.xdf.layout import STAMP_BYTES
from bci.io.lsl.metadata import StreamInfo
from bci.signal.clock import Clock
from bci.signal.types import Signal

#: Chunks are at most about this long, bytes: one damage costs no more.
LONGEST_CHUNK = 1 << 20


@dataclass(slots=True)
class _Written:
    """A _Written counts what was written of one stream."""

    name: str
    source_id: str
    signal: Signal | None
    next: int
    samples: int = 0
    first: float = math.nan
    last: float = math.nan
    offsets: list[tuple[float, float]] = field(default_factory=list)
    segments: list[list[int]] = field(default_factory=list)


class XdfWriter:
    """An XdfWriter writes one recording; it is a context manager that finishes it.

    When the block is left by an exception the file keeps its name ``.partial``: it can be read as far as it goes.

    Parameters
    ----------
    path : Path
        Its final name, ``….xdf``.
    clock : Clock
        The session clock.
    sync_every : float
        Seconds between syncs; a power cut costs at most the samples since the last one.
    boundary_every : float
        Seconds between boundary chunks.
    open_file : callable, optional
        Opens a file to append to.
    before : str, optional
        In words, what earlier files hold of the same recording; an error says it beside what is safe.

    Attributes
    ----------
    path, partial : Path
        Its final name, and the one it has until it is finished.
    nbytes, chunks : int
        Bytes and chunks written so far.
    recorded : mapping of int to int
        Samples of each stream that are safe on the disk.

    Raises
    ------
    DiskError
        If the files cannot be made, for example because they are there already.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        sync_every: float = 1.0,
        boundary_every: float = 10.0,
        open_file: Callable[[Path], DiskFile] = AppendFile,
        before: str = "",
    ) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.nbytes = self.chunks = 0
        self.recorded: Mapping[int, int] = {}
        self._clock = clock
        self._sync_every, self._boundary_every = sync_every, boundary_every
        self._synced = self._bounded = clock.now()
        self._streams: dict[int, _Written] = {}
        self._sums_hash = hashlib.blake2b(digest_size=32)
        self._sums_bytes = 0
        self._lines = b""
        self._before = before
        self._broken = ""
        self._closed: set[int] = set()
        for there in (path, self.partial, sums_path(path)):
            if there.exists():
                raise DiskError(f"{there} is there already and is not overwritten: name another file")
        self._file: DiskFile | None = None
        with contextlib.ExitStack() as begun:
            begun.callback(self.remove)
            with self._saying():
                self._file = open_file(self.partial)
                begun.callback(self._file.close)
                self._sums = open_file(sums_path(path))
                begun.callback(self._sums.close)
                self._file.append(MAGIC)
            self.nbytes = len(MAGIC)
            self._note(first_line(path))
            self._put(xdf_wire.file_header(), Tag.FILE_HEADER)
            begun.pop_all()

    # -- writing -----------------------------------------------------------------------------------------

    def add_stream(self, info: StreamInfo, first: int = 0) -> int:
        """Begin a stream; return its id in the file.

        Parameters
        ----------
        info : StreamInfo
            What it is. Text has the dtype ``"str"`` and one channel.
        first : int
            The rig's count of the first sample that will be written.
        """
        stream = len(self._streams) + 1
        self._begin(
            stream,
            xdf_wire.stream_header(info),
            _Written(info.signal.name, info.source_id, info.signal, first),
        )
        return stream

    def copy_stream(self, stream: int, xml: bytes, name: str, source_id: str, first: int = 0) -> None:
        """Begin a stream under the id and with the header that it has in another file."""
        self._begin(stream, xml, _Written(name, source_id, None, first))

    def write(self, stream: int, samples: NDArray[Any], stamps: ArrayLike, first: int | None = None) -> None:
        """Append samples.

        Parameters
        ----------
        stream : int
            As `add_stream` returned it.
        samples : (n, *shape) array
            Of the stream's type and shape.
        stamps : (n,) float64
            As the sender gave them.
        first : int, optional
            The rig's count of ``samples[0]``; by default it follows what was written before. A jump means that
            samples between were lost: a new segment begins.

        Raises
        ------
        DiskError
            If they cannot be written; `samples_of` says how many of them were before the disk refused.
        """
        written = self._streams[stream]
        signal = written.signal
        if signal is None:
            raise ValueError(f"stream {written.name!r} takes copies of another file's chunks alone")
        times = np.asarray(stamps, np.float64)
        if samples.dtype != signal.dtype or samples.shape != (len(times), *signal.shape):
            raise ValueError(
                f"stream {signal.name!r} takes {signal.dtype} of shape {(len(times), *signal.shape)} for "
                f"{len(times)} stamps, got {samples.dtype} of shape {samples.shape}"
            )
        each = STAMP_BYTES + samples.itemsize * math.prod(signal.shape)
        step = max(1, LONGEST_CHUNK // each)
        at = written.next if first is None else first
        for begin in range(0, len(times), step):
            part = slice(begin, begin + step)
            self._append(
                stream, xdf_wire.samples(stream, samples[part], times[part]), times[part], at + begin
            )

    def write_texts(
        self, stream: int, texts: Sequence[str], stamps: Sequence[float], first: int | None = None
    ) -> None:
        """Append samples of a stream of text; as `write`. Of several channels, the texts of a sample are in a row."""
        at = self._streams[stream].next if first is None else first
        each = len(texts) // len(stamps) if len(stamps) else 1
        for begin in range(0, len(stamps), 1000):
            part = slice(begin, begin + 1000)
            times = np.asarray(stamps[part], np.float64)
            values = texts[each * begin : each * (begin + 1000)]
            self._append(stream, xdf_wire.texts(stream, values, stamps[part]), times, at + begin)

    def copy_samples(
        self, stream: int, piece: bytes, stamps: NDArray[np.float64], first: int | None = None
    ) -> None:
        """Append a chunk of samples as it stands in another file; `stamps` are those in it, `first` as in `write`."""
        self._append(stream, piece, stamps, self._streams[stream].next if first is None else first)

    def clock_offset(self, stream: int, time: float, offset: float) -> None:
        """Append how far the sender's clock was behind.

        Parameters
        ----------
        stream : int
            Whose.
        time : float
            When the clocks were compared, session seconds.
        offset : float
            Seconds to add to the sender's stamps.
        """
        self.copy_clock_offset(stream, time - offset, offset)

    def copy_clock_offset(self, stream: int, collected: float, offset: float) -> None:
        """Append a clock offset that was collected at a time on the sender's own clock."""
        self._put(xdf_wire.clock_offset(stream, collected, offset), Tag.CLOCK_OFFSET, stream)
        self._streams[stream].offsets.append((float(collected), float(offset)))

    def samples_of(self, stream: int) -> int:
        """Return how many samples of a stream have been written so far, safe or not."""
        return self._streams[stream].samples

    def tick(self) -> None:
        """Write a boundary and sync, where it is time; to be called often."""
        now = self._clock.now()
        if now - self._bounded >= self._boundary_every:
            self._put(xdf_wire.boundary(), Tag.BOUNDARY)
            self._bounded = now
        if now - self._synced >= self._sync_every:
            self.sync()

    def sync(self) -> None:
        """Return when all written samples are safe; `recorded` then counts them.

        Raises
        ------
        DiskError
            If the disk does not take it.
        """
        assert self._file is not None
        counts = {stream: written.samples for stream, written in self._streams.items()}
        with self._saying():
            try:
                self._file.sync()
            except OSError as error:
                # Data that could not be synced may be lost, and another sync would not report it any more.
                self._broken = str(error)
                raise
            self._flush_lines()
            self._sums.sync()
        self.recorded = counts
        self._synced = self._clock.now()

    # -- ending ------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write footers and the manifest, and give the file its name; may be tried again.

        Raises
        ------
        DiskError
            If the disk has no room for that; the file keeps its name ``.partial`` and what it holds.
        """
        for stream, written in self._streams.items():
            if stream in self._closed:
                continue
            footer = xdf_wire.stream_footer(
                stream, written.first, written.last, written.samples, written.offsets
            )
            self._put(footer, Tag.STREAM_FOOTER, stream)
            self._closed.add(stream)
        self.sync()
        with self._saying():
            write_json(manifest_path(self.path), sign(self._manifest()))
            self.close()
            self.partial.replace(self.path)
            sync_folder(self.path.parent)

    @property
    def empty(self) -> bool:
        """Whether not one sample of any stream has been written."""
        return not any(written.samples for written in self._streams.values())

    def remove(self) -> None:
        """Remove the files, unfinished: a recording of nothing helps no reader."""
        for path in (self.partial, sums_path(self.path)):
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Close the files as they are."""
        if self._file is not None:
            self._file.close()
            self._sums.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self.close()

    def _manifest(self) -> dict[str, Any]:
        return {
            "format": "bci-manifest 1",
            "recording": self.path.name,
            "bytes": self.nbytes,
            "chunks": self.chunks,
            "streams": [
                {
                    "stream": stream,
                    "name": written.name,
                    "source_id": written.source_id,
                    "samples": written.samples,
                    "segments": written.segments,
                }
                for stream, written in self._streams.items()
            ],
            "sums": {
                "file": sums_path(self.path).name,
                "bytes": self._sums_bytes,
                "blake2b": self._sums_hash.hexdigest(),
            },
        }

    # -- its parts ---------------------------------------------------------------------------------------

    def _begin(self, stream: int, xml: bytes, written: _Written) -> None:
        """Append a stream's header, here and among the checksums."""
        if stream in self._streams:
            raise ValueError(f"there is a stream {stream} already")
        self._put(xdf_wire.stream_chunk(Tag.STREAM_HEADER, stream, xml), Tag.STREAM_HEADER, stream)
        self._note(HeaderCopy(stream, xml).line())
        self._streams[stream] = written

    def _append(self, stream: int, piece: bytes | bytearray, stamps: NDArray[np.float64], first: int) -> None:
        """Append one chunk of samples and count them."""
        written, n = self._streams[stream], len(stamps)
        self._put(piece, Tag.SAMPLES, stream, first, n)
        if not written.samples:
            written.first = float(stamps[0])
        written.last = float(stamps[-1])
        written.samples += n
        if written.segments and first == written.next:
            written.segments[-1][1] += n
        else:
            written.segments.append([first, n])
        written.next = first + n

    def _put(
        self, piece: bytes | bytearray, tag: Tag, stream: int = 0, first: int = 0, samples: int = 0
    ) -> None:
        """Append a chunk, and the line that vouches for it."""
        assert self._file is not None
        with self._saying():
            self._file.append(piece)
        line = ChunkSum(self.nbytes, len(piece), tag, stream, first, samples, zlib.crc32(piece))
        self.nbytes += len(piece)
        self.chunks += 1
        self._note(line.line())

    def _note(self, line: bytes) -> None:
        """Append a line to the checksums, now or, when the disk is full, with the next one."""
        self._lines += line
        self._sums_hash.update(line)
        self._sums_bytes += len(line)
        # A sync cannot pass without these lines; until then the chunk does not count as recorded.
        with contextlib.suppress(OSError):
            self._flush_lines()

    def _flush_lines(self) -> None:
        if self._lines:
            self._sums.append(self._lines)
            self._lines = b""

    @contextlib.contextmanager
    def _saying(self) -> Iterator[None]:
        """Turn the system's error into a `DiskError` that states what is safe and what to do."""
        try:
            if self._broken:
                raise OSError(f"it could not be synced before ({self._broken})")
            yield
        except OSError as error:
            safe = ", ".join(
                f"{n} samples of {self._streams[stream].name!r}" for stream, n in self.recorded.items()
            )
            raise DiskError(
                f"the recording {self.partial} cannot be written: {error}. Safe on disk: {safe or 'nothing of it yet'}"
                f"{self._before}. "
                "Make room or name a folder on another disk."
            ) from error

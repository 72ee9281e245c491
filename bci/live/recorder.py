"""A Recorder is everything of one session on its way to disk: rings, a backlog, a file and its tables.

The thread that calls `Recorder.step` only copies out of the rings, into a bounded backlog; another one writes.
Where the backlog is full, the rings hold what comes; what they then overwrite is counted, marked, and begins a new
segment.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from bci.errors import DiskError
from bci.io.files.disk import AppendFile, DiskFile
from bci.io.files.space import Space, size
from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.live import tracks
from bci.live.backlog import Backlog
from bci.live.ring_reader import RingReader, Take
from bci.live.tables import Drain, Rows, Table, frame_rows, mark_rows, marker_rows, shown_rows
from bci.memory.ring import Columns, Ring
from bci.memory.stream import Stream
from bci.session.part import Part
from bci.session.tables import (
    FRAME_FIELDS,
    MARK_FIELDS,
    MARKER_FIELDS,
    SHOWN_FIELDS,
    decoder_source,
    table_file,
)
from bci.signal.clock import Clock
from bci.signal.types import MARK_DTYPE, MarkKind, Signal

#: What may wait in memory for a slow disk, bytes; the rings hold their seconds besides.
MEMORY = 512 << 20

#: How long a disk may refuse before the recording is given up, seconds.
PATIENCE_S = 3.0

_SYNC_EVERY = 1.0
_TICK_EVERY = 0.2
_SLOW_S = 1.0
_SAY_EVERY = 5.0
_LOOK_EVERY = 5.0

#: Below so many seconds until the disk is full the log says so, every so many seconds.
_SHORT_S, _SHORT_EVERY = 3600.0, 300.0

#: Who writes marks, besides the streams' own; the rig is the supervisor.
_DECODE, _RECORD, _RIG, _ENGINE, _MARKERS = decoder_source(), "record", "rig", "engine", "markers"


class Recorder:
    """Everything of one session that is being recorded; a context manager.

    Add what there is, `step` until the session ends, then go through `finishing`.

    Parameters
    ----------
    folder : Path
        The session's.
    clock : Clock
        The session clock.
    log : logging.Logger
        Told of a disk that is slow or full.
    on_disk_error : "stop" or "continue"
        Whether a disk that refuses ends the recording.
    memory : int
        Bytes that may wait for the disk.
    open_file : callable, optional
        Opens a file to append to.

    Attributes
    ----------
    space : Space
        How much room the disk has left.
    path : Path
        The recording's final name. A recorder that was restarted in a session begins another part,
        ``recording-2.xdf`` …, with the first sample that no part holds.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        log: logging.Logger,
        *,
        on_disk_error: Literal["stop", "continue"] = "stop",
        memory: int = MEMORY,
        open_file: Callable[[Path], DiskFile] = AppendFile,
    ) -> None:
        self._clock, self._log = clock, log
        self._on_disk_error = on_disk_error
        self._open_file = open_file
        self._part = Part.next_in(folder)
        self.path = self._part.recording
        earlier = [part.recorded.name for part in self._part.earlier if part.recorded is not None]
        before = f"; what came before is in {', '.join(earlier)}" if earlier else ""
        self._writer = XdfWriter(self.path, clock, sync_every=_SYNC_EVERY, open_file=open_file, before=before)
        self._backlog = Backlog(clock, memory)
        self._tracks = tracks.Tracks(self._writer, self._backlog, clock)
        self._tables: list[Table] = []
        self._readers: list[RingReader] = []
        self._signals: list[int] = []
        self._roles: dict[int, str] = {}
        self._marker_names: set[str] = set()
        self._before = 0
        self._sources: list[tuple[str, Ring, int]] = []
        self._own_marks: Take = _discard
        self._said = -np.inf
        self._ticked = self._synced = clock.now()
        self._looked = self._warned = -np.inf
        self._finished = False
        self.space = Space(folder)

    # -- what is recorded --------------------------------------------------------------------------------

    def add_stream(self, role: str, stream: Stream, facts: dict[str, Any]) -> None:
        """Record a stream: its samples, its clock offsets, its marks."""
        info = StreamInfo(stream.signal, **{"source_id": stream.signal.name} | _known(facts))
        first = self._resume()
        track, take = self._tracks.samples(info, first)
        self._signals.append(track)
        self._roles[track] = role
        self._before += first
        each = int(np.prod(stream.signal.shape)) * np.dtype(stream.signal.dtype).itemsize
        most = tracks.longest_read(each)
        self._readers.append(RingReader(role, stream.samples, take, most=most, first=first))
        self._sources.append((role, stream.marks, track))

    def add_markers(self, role: str, ring: Ring, facts: dict[str, Any]) -> None:
        """Record a ring of markers."""
        said = facts.get("signal") or {"shape": (1,), "channels": ()}
        signal = Signal(str(facts.get("name", role)), 0.0, said["shape"], said["channels"], dtype="str")
        first = self._resume()
        info = StreamInfo(signal, **{"source_id": role} | _known(facts))
        track, take = self._tracks.markers(info, first)
        self._roles[track] = role
        self._marker_names.add(role)
        rows = partial(_write_rows, self._marker_table, marker_rows(role))
        self._readers.append(RingReader(role, ring, _both(take, rows), most=1000, first=first))

    def add_doings(
        self,
        frames: Ring | None = None,
        shown: Ring | None = None,
        decode_marks: Ring | None = None,
        rig_marks: Ring | None = None,
        engine_marks: Ring | None = None,
        marker_marks: Ring | None = None,
        others: Mapping[str, tuple[Ring, Ring]] | None = None,
    ) -> None:
        """Record what the rig does, in the tables and in the file; after all streams have been added.

        Parameters
        ----------
        frames, decode_marks : Ring, optional
            The first decoder's reconstructions, and its marks.
        shown, rig_marks, engine_marks : Ring, optional
            The display's changes of picture, and the marks of the supervisor and of an experiment's engine.
        marker_marks : Ring, optional
            The marks of a program that receives markers alone.
        others : mapping of str to (Ring, Ring), optional
            Reconstructions and marks of further decoders, by their names.
        """
        others = others or {}
        further = {decoder_source(name): marks for name, (_, marks) in others.items()}
        single = {_ENGINE: engine_marks} if engine_marks is not None else {}
        single |= {_MARKERS: marker_marks} if marker_marks is not None else {}
        sources = (*(role for role, _, _ in self._sources), _DECODE, _RECORD, _RIG, *further, *single)
        _, marks_taker = self._tracks.own(tracks.marks_stream(sources, self._roles))
        table = self._table(table_file("marks"), MARK_FIELDS)
        for i, (role, ring, track) in enumerate(self._sources):
            also = _both(marks_taker(tracks.mark_values(i)), partial(self._take_offsets, track))
            self._readers.append(Drain(f"{role}_marks", ring, table, mark_rows(role), also, ring.oldest))
        for name, doings in ((_DECODE, decode_marks), (_RIG, rig_marks), *further.items(), *single.items()):
            if doings is not None:
                also = marks_taker(tracks.mark_values(sources.index(name)))
                rows = mark_rows(name)
                self._readers.append(Drain(f"{name}_marks", doings, table, rows, also, doings.oldest))
        self._own_marks = _both(
            marks_taker(tracks.mark_values(sources.index(_RECORD))),
            partial(_write_rows, table, mark_rows(_RECORD)),
        )
        if frames is not None:
            self._add_frames(frames)
        for decoder, (ring, _) in others.items():
            self._add_frames(ring, decoder)
        if shown is not None:
            name = table_file("shown")
            first = self._part.rows_before(name)
            _, flips = self._tracks.own(tracks.own_stream("bci-flips", "Flips", tracks.FLIP_CHANNELS), first)
            also = flips(tracks.flip_values)
            self._readers.append(
                Drain("shown", shown, self._table(name, SHOWN_FIELDS), shown_rows(("", *others)), also, first)
            )

    def _add_frames(self, frames: Ring, decoder: str | None = None) -> None:
        """Record a decoder's reconstructions; of the first decoder when none is named."""
        name = table_file("frames", decoder)
        first = self._part.rows_before(name)
        latent = next(column for column in frames.columns if column.name == "latent")
        decisions = tracks.own_stream(
            tracks.of_decoder("bci-decisions", decoder), "Decisions", tracks.DECISION_CHANNELS
        )
        _, decided = self._tracks.own(decisions, first)
        _, latents = self._tracks.own(tracks.latent_stream(latent.shape[0], decoder), first)
        also = _both(decided(tracks.decision_values), latents(tracks.latent_values))
        what = tracks.of_decoder("frames", decoder)
        self._readers.append(Drain(what, frames, self._table(name, FRAME_FIELDS), frame_rows, also, first))

    # -- recording ---------------------------------------------------------------------------------------

    def step(self) -> None:
        """Copy what is there out of the rings, hand it to the disk's thread, and look how that one does.

        Raises
        ------
        DiskError
            If the disk refuses for too long and the recording is to stop then.
        """
        # Only now: until here this thread wrote headers into the file.
        self._backlog.start()
        self._drain()
        now = self._clock.now()
        self._tracks.offsets.tick(now)
        if now - self._ticked >= _TICK_EVERY:
            self._ticked = now
            self._backlog.put(0, self._writer.tick)
        if now - self._synced >= _SYNC_EVERY:
            self._synced = now
            for table in self._tables:
                self._backlog.put(0, table.sync)
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            # A network disk that is gone may not answer for minutes: that is its own thread's to wait for.
            self._backlog.put(0, self._look_for_room)
        self._look_at_the_disk()

    def finishing(self) -> Iterator[None]:
        """Bring everything to disk and close the recording, a short step at a time; to be called when all is written.

        Raises
        ------
        DiskError
            As `step` does.
        """
        began = self._clock.now()
        self.step()
        while any(reader.behind for reader in self._readers):
            yield
            self._look_at_the_disk(began)
            self._drain()
        for table in self._tables:
            self._backlog.put(0, table.sync)
        self._backlog.put(0, self._writer.finish)
        while not self._backlog.idle:
            yield
            self._look_at_the_disk(began)
        self._look_at_the_disk()
        self._finished = True

    @property
    def safe(self) -> int:
        """Samples of all streams that a power cut would leave on the disk, in this part and those before it."""
        return self._before + sum(self._writer.recorded.get(track, 0) for track in self._signals)

    @property
    def lost(self) -> int:
        """Samples and events of all rings that were overwritten before they could be read."""
        return sum(reader.lost for reader in self._readers)

    @property
    def recorded(self) -> dict[str, int]:
        """Samples and events read, by ring."""
        return {reader.name: reader.rows for reader in self._readers}

    @property
    def events(self) -> int:
        """Events read from the rings of markers."""
        return sum(reader.rows for reader in self._readers if reader.name in self._marker_names)

    @property
    def trouble(self) -> tuple[int, float, float]:
        """Bytes that wait for the disk; for how long it has refused, and for how long it has not answered, seconds."""
        refuses = self._clock.now() - self._backlog.trouble_since if self._backlog.trouble else 0.0
        return self._backlog.waiting, refuses, self._backlog.busy_for

    def facts(self) -> dict[str, Any]:
        """Return what the session's summary says of the recording."""
        return {
            "file": (self.path if self._finished else self._writer.partial).name,
            "finished": self._finished,
            "samples": self.safe,
            "lost": self.lost,
            "bytes": self._writer.nbytes,
            "unwritten_bytes": self._backlog.waiting,
            "most_waiting_bytes": self._backlog.most,
            "slowest_write_s": self._backlog.longest,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._backlog.__exit__(kind, error, trace)
        if self._backlog.ended:
            self._writer.close()
            for table in self._tables:
                # After an error, a full disk for example, that error is the one to be heard of.
                with contextlib.suppress(*([OSError] if error else [])):
                    table.close()
            if error is not None and self._writer.empty:
                self._remove_what_is_empty()

    # -- its parts ---------------------------------------------------------------------------------------

    def _remove_what_is_empty(self) -> None:
        """Leave no files of a part in which there is nothing."""
        self._writer.remove()
        for table in self._tables:
            with contextlib.suppress(OSError):
                if not table.path.stat().st_size:
                    table.path.unlink()

    def _look_for_room(self) -> None:
        with contextlib.suppress(OSError):
            self.space.look(self._clock.now(), self._writer.nbytes)
        now = self._clock.now()
        if self.space.left_s < _SHORT_S and now - self._warned >= _SHORT_EVERY:
            self._warned = now
            self._log.warning(
                "at this rate the disk is full in %.0f min: %s are free",
                self.space.left_s / 60,
                size(self.space.free),
            )

    def _drain(self) -> None:
        for reader in self._readers:
            reader(lambda: not self._backlog.full, self._note_loss)
        for table in self._tables:
            rows = table.take()
            if rows:
                self._backlog.put(len(rows), partial(table.save, rows))

    def _note_loss(self, name: str, first: int, lost: int) -> None:
        self._log.error("%d of %s, from %d on, were overwritten before they were recorded", lost, name, first)
        mark = np.zeros(1, MARK_DTYPE)
        mark[0] = (MarkKind.OVERRUN, first, lost, self._clock.now(), np.nan, name.encode())
        self._own_marks({"mark": mark}, 0)

    def _take_offsets(self, track: int, columns: Columns, at: int) -> None:
        """Pick the clock offsets out of a stream's marks."""
        for mark in columns["mark"]:
            if mark["kind"] == MarkKind.CLOCK_OFFSET:
                self._tracks.offsets.note(track, float(mark["time"]), float(mark["value"]))

    def _look_at_the_disk(self, stopping: float | None = None) -> None:
        """Say aloud that it is slow or refuses; raise when that has lasted too long."""
        backlog, now = self._backlog, self._clock.now()
        if backlog.error is not None:
            raise backlog.error
        trouble = backlog.trouble
        if not trouble and backlog.busy_for < _SLOW_S:
            return
        if now - self._said >= _SAY_EVERY:
            self._said = now
            waiting = f"{backlog.waiting / 1e6:.1f} MB wait in memory"
            if trouble:
                self._log.error("%s; %s", trouble, waiting)
            else:
                self._log.warning("the disk has not answered for %.1f s; %s", backlog.busy_for, waiting)
        if trouble and now - backlog.trouble_since >= PATIENCE_S:
            if self._on_disk_error == "stop" or (stopping is not None and now - stopping >= PATIENCE_S):
                raise DiskError(trouble)

    def _resume(self) -> int:
        """Return the first count of the next stream that no part of this session holds."""
        return self._part.streams_before.get(len(self._readers) + 1, 0)

    @cached_property
    def _marker_table(self) -> Table:
        return self._table(table_file("markers"), MARKER_FIELDS)

    def _table(self, name: str, fields: Sequence[str]) -> Table:
        table = Table(self._part.path(name), fields, self._open_file)
        self._tables.append(table)
        return table


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a stream's facts describes it."""
    names = ("source_id", "uid", "host", "kind", "speed", "exact_stamps", "desc")
    known = {name: facts[name] for name in names if name in facts}
    # What else it says of itself is kept where it can be an element of XML.
    extra = {key: str(value) for key, value in facts.get("extra", {}).items() if key.isidentifier()}
    return known | ({"extra": extra} if extra else {})


def _both(first: Take, second: Take) -> Take:
    def take(columns: Columns, at: int) -> None:
        first(columns, at)
        second(columns, at)

    return take


def _discard(columns: Columns, at: int) -> None:
    """Drain a ring that has no configured consumer."""


def _write_rows(table: Table, to_rows: Rows, columns: Columns, at: int) -> None:
    for row in to_rows(columns, at):
        table.write(row)

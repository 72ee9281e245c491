"""The acquire program: blocks in liblsl and writes samples, stamps and marks into shared memory.

It never drops a sample silently and never waits for a reader. While it waits for its source, at the start or
after a loss, its heart beats on.
"""

import math
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from bci.io.lsl.discovery import WAIT
from bci.io.lsl.irregular import IrregularSource
from bci.io.lsl.markers import MarkerSource
from bci.io.lsl.source import LslSource
from bci.live.first_volume import FirstVolume
from bci.memory.marks import write_mark
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.stream import Grid, Stream
from bci.memory.turns import take_short_turns
from bci.signal.types import MarkKind

if TYPE_CHECKING:
    from bci.live.volume_records import VolumeRecords

#: How often a program without samples looks for markers, seconds.
_QUIET_S = 0.02

#: For so long a stream that comes alone is received on end by compiled code; orders are looked for in between.
GOES_ON_S = 0.05

#: Connections that end with the process, where no supervisor waits for them to be closed.
_kept: list[ExitStack] = []


class _Stopped(Exception):
    """Told to stop while connecting."""


def main(program: Program) -> None:
    """Write the stream of role ``stream``, and markers into the rings of roles ``markers``, ``markers-2`` and so on.

    Without a stream of that role it receives markers alone: quiet streams share one program; what is to be marked of
    their times goes into a ring of role ``marks``, where it has one. A stream whose signal has no rate is received
    without a grid or a limit of silence.

    Spec: ``source_id`` (of the stream; an `Address` where it takes more to tell it), ``timeout`` (seconds to look for
    each), ``data_age_limit`` (seconds of silence that count as stalled); optional ``markers`` (the same of each, in the
    order of their rings), ``marker_uncertainty_limit`` (seconds: events whose time may be wrong by more are marked
    ``uncertain``), ``stated`` (see `bci.io.lsl.stated`), ``gap_tolerance`` (seconds) and ``strict`` (see
    `LslSource`), ``grid`` (start, step: counts at which windows end) and ``slice_times`` (of volumes: what decoders
    hold of them, see `bci.live.slice_times`).

    Ready facts: ``host``, ``uid``, ``speed`` of the stream. Report: ``samples`` (written by this
    process), ``lost``, ``duplicates``, ``markers``, ``markers_cut``, ``markers_uncertain``, and how often each kind of
    mark was written (``gaps``, ``clock_resets``, ``stalls``, ``reconnects``, ``doubles``); of a regular stream
    ``time_fault`` (what is wrong with its time, in words), ``jitter_ms`` and ``finds_losses_of`` (how many lost samples
    in a row are always found), as far as its stamps told, and ``first_held_s`` (seconds for which its first samples
    were held until their stamps were understood: about half a second of packets stamped on arrival, else nearly none);
    where records of volumes come on another stream, ``volumes``: how many had which status (`VolumeRecords`).

    Raises
    ------
    StreamError
        If a stream is not there, there twice, or not what the ring was made for; also when it comes back so.
    StreamTimeError
        If it is strict, and the first seconds show another clock, unit of time or rate than they should.
    """
    take_short_turns()
    stream = program.stream("stream") if program.has("stream") else None
    with ExitStack() as open_:
        try:
            markers = _connect_markers(program, open_)
            source = None if stream is None else _connect(program, stream, open_)
        except _Stopped:
            if stream is not None:
                stream.samples.finish()
            return
        facts = {} if source is None else {"host": source.info.host, "uid": source.info.uid}
        program.ready(**facts, speed=1.0 if source is None else source.speed)
        records = None
        # A stream of volumes says where their records are; no other one pays for importing what joins them.
        if source is not None and stream is not None and source.info.extra.get("meta_source_id"):
            from bci.live.volume_records import VolumeRecords

            held = program.spec.get("slice_times", {})
            records = open_.enter_context(VolumeRecords(program.clock, lambda: _between(program), held))
        try:
            _acquire(program, source, stream, markers, records)
        finally:
            if program.orphaned:
                # liblsl waits seconds for a sender that is gone before it lets go; the end of the process does not.
                _kept.append(open_.pop_all())
            volumes = {} if records is None else {"volumes": dict(records.counts)}
            program.report(**_summary(source, [received for received, _ in markers]), **volumes)
    # Only after an ordered stop: the ring of a program that failed may be taken up by its successor.
    if stream is not None:
        stream.samples.finish()


def _between(program: Program) -> None:
    if not program.tick():
        raise _Stopped


def _connect_markers(program: Program, open_: ExitStack) -> list[tuple[MarkerSource, Ring]]:
    """Connect the streams of markers, before the samples: a sender that waits for those may send markers at once."""
    pairs = []
    for place, address in enumerate(program.spec.get("markers", ())):
        ring = program.ring("markers" if place == 0 else f"markers-{place + 1}")
        source = MarkerSource(
            address,
            program.clock,
            timeout=program.spec["timeout"],
            between=lambda: _between(program),
            uncertainty_limit=program.spec.get("marker_uncertainty_limit", math.inf),
        )
        pairs.append((open_.enter_context(source), ring))
    return pairs


def _connect(program: Program, stream: Stream, open_: ExitStack) -> LslSource | IrregularSource:
    spec = program.spec
    if not stream.signal.rate:
        return open_.enter_context(
            IrregularSource(
                spec["source_id"],
                clock=program.clock,
                stated=spec.get("stated"),
                expect=stream.signal,
                timeout=spec["timeout"],
                between=lambda: _between(program),
            )
        )
    grid = spec.get("grid")
    return open_.enter_context(
        LslSource(
            spec["source_id"],
            clock=program.clock,
            stated=spec.get("stated"),
            expect=stream.signal,
            timeout=spec["timeout"],
            data_age_limit=spec["data_age_limit"],
            gap_tolerance=spec.get("gap_tolerance"),
            strict=spec.get("strict", False),
            grid=Grid(*grid) if grid else None,
            between=lambda: _between(program),
        )
    )


def _acquire(
    program: Program,
    source: LslSource | IrregularSource | None,
    stream: Stream | None,
    markers: list[tuple[MarkerSource, Ring]],
    records: "VolumeRecords | None",
) -> None:
    """Pull until told to stop."""
    row, clock = program.row, program.clock
    lost_before, uncertain_before = int(row["lost"]), int(row["uncertain"])
    marks = stream.marks if stream is not None else program.ring("marks") if program.has("marks") else None
    if isinstance(source, LslSource) and not markers and records is None:
        source.go_on(row, GOES_ON_S)
    owes: float | None = None
    began = clock.now()
    awaited = FirstVolume(program, source) if isinstance(source, LslSource) else None
    going = True
    while going:
        going = program.tick()
        if source is None or stream is None:
            clock.sleep_until(clock.now() + (_QUIET_S if going else 0.0))
        # After the order to stop, what has arrived by then is taken without waiting: it belongs to the session.
        elif source.pull_into(stream, WAIT if going else 0.0, last=not going):
            row["samples"] = stream.samples.count
            row["lost"] = lost_before + source.lost
            row["data"] = source.newest
        if records is not None and source is not None and stream is not None:
            if not source.gone and going:
                with suppress(_Stopped):  # the next tick says so too, and what has arrived is still taken
                    records.follow(source.info, stream)
            records.mark(stream, last=not going)
            row["slices_stated_ms"] = records.slices.stated_ms
            row["slices_held_ms"] = records.slices.held_ms
        if source is not None:
            row["gone"], row["doubles"] = source.gone, source.doubles
            row["mistimed"] = source.mistimed
            if owes is None:
                if awaited is not None:
                    awaited.look()
                # The first samples need a moment: until they are late nothing is wrong.
                due = began if awaited is None else awaited.due
                if source.received or clock.now() - due > source.data_age_limit:
                    owes = row["data_limit"] = source.data_age_limit
        for received, ring in markers:
            if received.pull_into(ring):
                row["markers"] = sum(ring.count for _, ring in markers)
            for note in received.take_notes():
                row["uncertain"] = uncertain_before + sum(one.uncertain for one, _ in markers)
                if note.kind is MarkKind.UNCERTAIN:
                    program.log.warning("the time of a marker is not known well enough: %s", note.detail)
                else:
                    program.log.info("markers' clock: offset %.6f s %s", note.value, note.detail)
                if marks is not None:
                    first = 0 if stream is None else stream.samples.count
                    write_mark(marks, note.kind, first, time=note.time, value=note.value, detail=note.detail)


def _summary(source: LslSource | IrregularSource | None, markers: list[MarkerSource]) -> dict[str, Any]:
    words = {
        "markers": sum(received.received for received in markers),
        "markers_cut": sum(received.cut for received in markers),
        "markers_uncertain": sum(received.uncertain for received in markers),
    }
    if source is None:
        return words
    marked = source.marked
    return (
        words
        | {
            "samples": source.received,
            "lost": source.lost,
            "duplicates": source.duplicates,
            "gaps": marked[MarkKind.GAP],
            "clock_resets": marked[MarkKind.CLOCK_RESET],
            "stalls": marked[MarkKind.STALLED],
            "reconnects": marked[MarkKind.RECONNECT],
            "doubles": marked[MarkKind.DOUBLE],
        }
        | (_time(source) if isinstance(source, LslSource) else {})
    )


def _time(source: LslSource) -> dict[str, Any]:
    """Return what the stamps of a stream told of its time."""
    delays = source.delays
    known = delays is not None and delays.known
    return {
        "time_fault": source.stamping.fault,
        "first_held_s": round(source.first_held, 3),
        "jitter_ms": 1e3 * delays.spread if delays is not None and known else None,
        "finds_losses_of": 1 if delays is None else delays.smallest if known else None,
    }

"""The acquire program: blocks in liblsl and writes samples, stamps and marks into shared memory.

It never drops a sample silently and never waits for a reader. While it waits for its source, at the start or
after a loss, its heart beats on.
"""

from contextlib import ExitStack
from typing import Any

from bci.io.lsl.discovery import WAIT
from bci.io.lsl.markers import MarkerSource
from bci.io.lsl.source import LslSource
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.stream import Grid, Stream
from bci.signal.types import MarkKind


class _Stopped(Exception):
    """Told to stop while connecting."""


def main(program: Program) -> None:
    """Write the stream of role ``stream`` and, when asked for, the marker ring of role ``markers``.

    Spec: ``source_id``, ``timeout`` (seconds to look for it), ``data_age_limit`` (seconds of silence that count
    as stalled); optional ``marker_source_id`` (None for none), ``gap_tolerance`` (seconds, see `LslSource`) and
    ``grid`` (start, step: counts at which windows end).

    Ready facts: ``host``, ``uid``, ``speed``. Report: ``samples`` (written by this
    process), ``lost``, ``duplicates``, ``markers``, ``markers_cut``, and how often each kind of mark was written
    (``gaps``, ``clock_resets``, ``stalls``, ``reconnects``, ``doubles``).

    Raises
    ------
    StreamError
        If a stream is not there, there twice, or not what the ring was made for; also when it comes back so.
    """
    stream = program.stream("stream")
    spec = program.spec
    with ExitStack() as open_:
        try:
            source, markers, ring = _connect(program, stream, spec, open_)
        except _Stopped:
            stream.samples.finish()
            return
        program.ready(host=source.info.host, uid=source.info.uid, speed=source.speed)
        try:
            _acquire(program, source, stream, markers, ring)
        finally:
            program.report(**_summary(source, markers))
    # Only after an ordered stop: the ring of a program that failed may be taken up by its successor.
    stream.samples.finish()


def _connect(
    program: Program, stream: Stream, spec: Any, open_: ExitStack
) -> tuple[LslSource, MarkerSource | None, Ring | None]:
    def between() -> None:
        if not program.tick():
            raise _Stopped

    grid = spec.get("grid")
    markers, ring = None, None
    if spec.get("marker_source_id"):
        # Before the samples: whoever waits for a consumer of the samples may send markers at once.
        ring = program.ring("markers")
        markers = open_.enter_context(
            MarkerSource(spec["marker_source_id"], program.clock, timeout=spec["timeout"], between=between)
        )
    source = open_.enter_context(
        LslSource(
            spec["source_id"],
            clock=program.clock,
            expect=stream.signal,
            timeout=spec["timeout"],
            data_age_limit=spec["data_age_limit"],
            gap_tolerance=spec.get("gap_tolerance"),
            grid=Grid(*grid) if grid else None,
            between=between,
        )
    )
    return source, markers, ring


def _acquire(
    program: Program, source: LslSource, stream: Stream, markers: MarkerSource | None, ring: Ring | None
) -> None:
    """Pull until told to stop."""
    row = program.row
    lost_before = int(row["lost"])
    going = True
    while going:
        going = program.tick()
        # After the order to stop, what has arrived by then is taken without waiting: it belongs to the session.
        if source.pull_into(stream, WAIT if going else 0.0):
            row["samples"] = stream.samples.count
            row["lost"] = lost_before + source.lost
            row["data"] = source.newest
        if markers is not None and ring is not None:
            markers.pull_into(ring)


def _summary(source: LslSource, markers: MarkerSource | None) -> dict[str, Any]:
    marked = source.marked
    return {
        "samples": source.received,
        "lost": source.lost,
        "duplicates": source.duplicates,
        "gaps": marked[MarkKind.GAP],
        "clock_resets": marked[MarkKind.CLOCK_RESET],
        "stalls": marked[MarkKind.STALLED],
        "reconnects": marked[MarkKind.RECONNECT],
        "doubles": marked[MarkKind.DOUBLE],
        "markers": markers.received if markers else 0,
        "markers_cut": markers.cut if markers else 0,
    }

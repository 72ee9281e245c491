"""The record program: drains every ring of a session to disk; it may lag, it never blocks the line.

``recording.xdf`` holds samples as they were sent, markers, and what the rig did (see `bci.live.tracks`), with
checksums and a manifest beside it; the tables ``frames.csv``, ``shown.csv``, ``marks.csv`` and ``markers.csv`` hold the
same doings in words (see `bci.live.tables`).
"""

import math

from bci.live.amplitudes import Amplitudes
from bci.live.recorder import Recorder
from bci.live.tables import Drain, Table, frame_rows, mark_rows, shown_rows
from bci.memory.board import State
from bci.memory.frames import image_digest
from bci.memory.program import Program
from bci.session.tables import FRAME_FIELDS, MARK_FIELDS, SHOWN_FIELDS

__all__ = [
    "FRAME_FIELDS", "MARK_FIELDS", "SHOWN_FIELDS", "Drain", "Table", "frame_rows", "image_digest", "main",
    "mark_rows", "shown_rows",
]  # fmt: skip

_EVERY = 0.05

#: How long an orphaned recorder waits for the others' last words, seconds; and whose heart beats no more is gone.
_ORPHANED_S = 3.0
_SILENT_S = 1.0


def main(program: Program) -> None:
    """Record until told to stop, then drain what is left.

    Opens what was handed over of: streams ``stream``, ``stream-2`` …, marker rings ``markers``, ``markers-2`` …,
    of each decoder ``frames`` and ``decode_marks``, ``frames-2`` and ``decode_marks-2`` …, ``shown``, ``rig_marks``,
    ``engine_marks`` and ``marker_marks``.

    Spec, all optional: ``streams`` and ``markers`` (by role, what the stream says of itself: ``source_id``,
    ``uid``, ``host``, ``kind``, ``name``, ``speed``, ``exact_stamps``, ``extra``; and ``role``, what it is called in
    the recording and its marks, where that is not its role here); ``decoders``, their names in the order of their
    rings, the first one's not used; ``on_disk_error``, ``"stop"`` to
    fail when the disk is full or ``"continue"`` to go on, counting what is lost.

    Report: ``recorded`` (per ring), ``unrecorded``, and ``recording`` (see `bci.live.recorder.Recorder.facts`).

    Raises
    ------
    DiskError
        If the disk refuses for longer than `bci.live.recorder.PATIENCE_S`, unless the spec says to continue.
    """
    spec = program.spec
    policy = spec.get("on_disk_error", "stop")
    amplitudes = Amplitudes(program.log)
    with Recorder(program.folder, program.clock, program.log, on_disk_error=policy) as recorder:
        for role in program.roles("stream"):
            facts = spec.get("streams", {}).get(role, {})
            recorder.add_stream(facts.get("role") or role, program.stream(role), facts)
            amplitudes.add(facts.get("role") or role, program.stream(role), facts.get("kind", ""))
        for role in program.roles("markers"):
            facts = spec.get("markers", {}).get(role, {})
            recorder.add_markers(facts.get("role") or role, program.ring(role), facts)
        further = zip(program.roles("frames")[1:], spec.get("decoders", ())[1:], strict=True)
        others = {
            name: (program.ring(role), program.ring(role.replace("frames", "decode_marks")))
            for role, name in further
        }
        recorder.add_doings(
            **{
                role: program.ring(role)
                for role in ("frames", "shown", "decode_marks", "rig_marks", "engine_marks", "marker_marks")
                if program.has(role)
            },
            others=others,
        )
        program.ready(recording=recorder.path.name)
        going = True
        try:
            while going:
                program.clock.sleep_until(program.clock.now() + _EVERY)
                # Ask first, drain after: what was written before the order to stop is then on disk.
                going = program.tick()
                recorder.step()
                amplitudes.step()
                program.row["implausible"] = amplitudes.wrong
                _count(program, recorder)
            if program.orphaned:
                _outlast(program, recorder)
            for _ in recorder.finishing():
                program.clock.sleep_until(program.clock.now() + _EVERY)
                program.tick()
                _count(program, recorder)
        finally:
            _count(program, recorder)
            program.report(recorded=recorder.recorded, unrecorded=recorder.lost, recording=recorder.facts())


def _outlast(program: Program, recorder: Recorder) -> None:
    """Record on until the other programs have ended: without a supervisor there is no order of stopping."""
    deadline = program.clock.now() + _ORPHANED_S
    others = [program.board.row(name) for name in program.board.programs if name != program.name]
    while (now := program.clock.now()) < deadline and any(
        State.LOADING <= row["state"] <= State.RUNNING and now - float(row["beat"]) < _SILENT_S
        for row in others
    ):
        program.clock.sleep_until(now + _EVERY)
        program.tick()
        recorder.step()
        _count(program, recorder)


def _count(program: Program, recorder: Recorder) -> None:
    row, before = program.row, program.inherited
    row["samples"] = recorder.safe
    row["events"] = before["events"] + recorder.events
    row["lost"] = before["lost"] + recorder.lost
    waiting, refuses, slow = recorder.trouble
    row["waiting"], row["refuses_ms"], row["slow_ms"] = waiting, round(1e3 * refuses), round(1e3 * slow)
    row["free_mb"] = recorder.space.free // 1_000_000
    row["left_s"] = 0 if math.isinf(recorder.space.left_s) else max(1, round(recorder.space.left_s))

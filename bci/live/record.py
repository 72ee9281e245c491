"""The record program: drains every ring of a session to disk; it may lag, it never blocks the line.

``recording.xdf`` holds samples as they were sent, markers, and what the rig did (see `bci.live.tracks`), with
checksums and a manifest beside it; the tables ``frames.csv``, ``shown.csv`` and ``marks.csv`` hold the same
doings in words (see `bci.live.tables`).
"""

from bci.io.frames import image_digest
from bci.io.program import Program
from bci.live.recorder import Recorder
from bci.live.tables import (
    FRAME_FIELDS,
    MARK_FIELDS,
    SHOWN_FIELDS,
    Drain,
    Table,
    frame_rows,
    mark_rows,
    shown_rows,
)

__all__ = [
    "FRAME_FIELDS", "MARK_FIELDS", "SHOWN_FIELDS", "Drain", "Table", "frame_rows", "image_digest", "main",
    "mark_rows", "shown_rows",
]  # fmt: skip

_EVERY = 0.05


def main(program: Program) -> None:
    """Record until told to stop, then drain what is left.

    Opens what was handed over of: streams ``stream``, ``stream-2`` …, marker rings ``markers``, ``markers-2`` …,
    rings ``frames``, ``shown`` and ``decode_marks``.

    Spec, all optional: ``streams`` and ``markers`` (by role, what the stream says of itself: ``source_id``,
    ``uid``, ``host``, ``kind``, ``name``, ``speed``, ``exact_stamps``, ``extra``); ``on_disk_error``, ``"stop"`` to
    fail when the disk is full or ``"continue"`` to go on, counting what is lost.

    Report: ``recorded`` (per ring), ``unrecorded``, and ``recording`` (see `bci.live.recorder.Recorder.facts`).

    Raises
    ------
    DiskError
        If the disk refuses for longer than `bci.live.recorder.PATIENCE_S`, unless the spec says to continue.
    """
    spec = program.spec
    policy = spec.get("on_disk_error", "stop")
    with Recorder(program.folder, program.clock, program.log, on_disk_error=policy) as recorder:
        for role in _roles(program, "stream"):
            recorder.add_stream(role, program.stream(role), spec.get("streams", {}).get(role, {}))
        for role in _roles(program, "markers"):
            recorder.add_markers(role, program.ring(role), spec.get("markers", {}).get(role, {}))
        recorder.add_doings(
            **{role: program.ring(role) for role in ("frames", "shown", "decode_marks") if program.has(role)}
        )
        program.ready(recording=recorder.path.name)
        going = True
        try:
            while going:
                program.clock.sleep_until(program.clock.now() + _EVERY)
                # Ask first, drain after: what was written before the order to stop is then on disk.
                going = program.tick()
                recorder.step()
                program.row["samples"], program.row["lost"] = recorder.safe, recorder.lost
            for _ in recorder.finishing():
                program.clock.sleep_until(program.clock.now() + _EVERY)
                program.tick()
                program.row["samples"] = recorder.safe
        finally:
            program.row["samples"], program.row["lost"] = recorder.safe, recorder.lost
            program.report(recorded=recorder.recorded, unrecorded=recorder.lost, recording=recorder.facts())


def _roles(program: Program, name: str) -> list[str]:
    return [role for role in (name, *(f"{name}-{i}" for i in range(2, 100))) if program.has(role)]

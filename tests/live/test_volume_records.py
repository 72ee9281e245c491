"""The acquire program marks how each volume came, in the marks of the stream, and waits for no record."""

from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from bci.control.posts import COUNTERS
from bci.io.volumes.gate import PlacedVolume, VolumeStatus
from bci.io.volumes.outlet import VolumeOutlet
from bci.io.volumes.volume import Volume
from bci.live import acquire
from bci.memory.board import Board, State
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import read_marks
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, Program
from bci.memory.stream import Stream
from bci.signal.types import MarkKind
from bci.sim.scanner.phantom import phantom, phantom_series

pytestmark = pytest.mark.system

SERIES = phantom_series((8, 8, 4), tr=0.5, total=0)


@pytest.fixture
def outlet(segment_name: str) -> Iterator[VolumeOutlet]:
    with VolumeOutlet(SERIES, f"marks-{segment_name}") as made:
        yield made


def placed(seq: int, status: VolumeStatus, index: int | None = None) -> PlacedVolume:
    index = seq if index is None else index
    volume = None if status is VolumeStatus.GAP else Volume(SERIES, index, phantom(SERIES, index), str(index))
    return PlacedVolume(SERIES, seq, index, status, volume, 100.0 + index, 100.0 + 0.5 * seq)


def test_volumes_that_are_not_ok_or_untold_are_marked_said_and_counted(
    outlet: VolumeOutlet, segment_name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = LslClock()
    with ExitStack() as opened:
        stream = opened.enter_context(Stream.create(segment_name, outlet.signal, seconds=20.0))
        board = opened.enter_context(Board.private({"acquire": COUNTERS["acquire"]}))
        pipe, far_end = Pipe()
        held = {"step slice_timing": [time + 0.05 for time in SERIES.slice_times]}
        spec = {"source_id": outlet.source_id, "timeout": 30.0, "data_age_limit": 5.0, "slice_times": held}
        launch = Launch(
            "acquire", "bci.live.acquire", spec, str(tmp_path), "", streams={"stream": stream.handle}
        )
        program = Program(launch, far_end, board, clock)
        opened.callback(program.close)
        row = board.row("acquire")

        def wait(condition: Any) -> None:
            deadline = clock.now() + 30
            while not condition() and clock.now() < deadline:
                clock.sleep_until(clock.now() + 0.01)

        def script() -> None:
            wait(lambda: row["state"] == State.RUNNING and outlet.has_consumers_of_both)
            statuses = [VolumeStatus.OK, VolumeStatus.GAP, VolumeStatus.OK, VolumeStatus.LATE]
            for seq, status in enumerate(statuses):
                outlet.push(placed(seq, status))
            outlet.push(placed(-1, VolumeStatus.DUPLICATE, 2))
            # A volume whose record never comes.
            outlet._raw.push(phantom(SERIES, 4)[np.newaxis].astype("f4"), [102.0])
            wait(lambda: stream.marks.count >= 5)
            # And one that nothing is known of when the order to stop comes.
            outlet._raw.push(phantom(SERIES, 5)[np.newaxis].astype("f4"), [102.5])
            wait(lambda: stream.samples.count == 6)
            pipe.send(Order(STOP))

        thread = Thread(target=script)
        thread.start()
        try:
            acquire.main(program)
        finally:
            thread.join()
        told: dict[str, Any] = {}
        while pipe.poll():
            kind, facts = pipe.recv()
            told[kind] = facts
        assert (row["slices_stated_ms"], row["slices_held_ms"]) == (0, 50)
        assert stream.samples.count == 6
        assert np.isnan(stream.samples.read(1, 2)["samples"]).all()
        marks, _ = read_marks(stream.marks, 0)
        found = {
            (mark["kind"], mark["first"], mark["detail"].decode())
            for mark in marks
            if mark["kind"] in (MarkKind.VOLUME, MarkKind.UNTOLD)
        }
    assert (MarkKind.VOLUME, 1, "gap: place 1") in found
    assert (MarkKind.VOLUME, 3, "late: place 3") in found
    assert (MarkKind.UNTOLD, 4, "untold: place 4") in found
    assert (MarkKind.UNTOLD, 5, "untold: place 5") in found
    assert {detail for _, _, detail in found} == {
        "gap: place 1",
        "late: place 3",
        "duplicate: place 2",
        "untold: place 4",
        "untold: place 5",
    }
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("volume ")]
    assert sorted(said) == sorted(
        f"volume {detail.split()[-1]}: {detail.partition(':')[0]}" for _, _, detail in found
    )
    assert told["report"]["volumes"] == {
        "ok": 2, "late": 1, "duplicate": 1, "gap": 1, "partial": 0, "foreign": 0, "untold": 2,
    }  # fmt: skip

"""What a volume hears of another stream live: what has come by its end, after a wait of half a TR at the most."""

import logging
from collections.abc import Callable

import numpy as np
import pytest

from bci.control.posts import COUNTERS
from bci.live.physiology import LivePhysiology, UnheardVolumes
from bci.memory.board import Board
from bci.memory.marks import create_marks, read_marks
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.pipeline import Pipeline, RunningPipeline
from bci.signal.types import MarkKind, Signal, Window
from bci.signal.volumes.physiological_noise import COLUMNS, PhysiologicalNoise

RATE, TR, SPEED = 50.0, 2.0, 2.0
BODY = Signal("body", RATE, (3,), ("ecg", "belt", "pulse"), dtype="float64")


class Rig:
    """A stream of physiology that is played twice as fast, and a pipeline that hears two of its channels."""

    def __init__(self) -> None:
        self.clock = ManualClock(100.0)
        self.stream = Stream.private(BODY, 60.0)
        self.waits = 0
        self.while_waiting: Callable[[], None] = lambda: None
        self.physiology = LivePhysiology(self.stream, self.clock, SPEED, self._tick)
        self.pipeline: RunningPipeline = Pipeline([PhysiologicalNoise("pulse", "belt")]).start(
            Signal("BOLD", 1 / TR, (4,))
        )
        self.physiology.connect(self.pipeline)

    def _tick(self) -> bool:
        self.waits += 1
        self.while_waiting()
        return True

    def send(self, until: float) -> None:
        """Write what was taken from where it stands to a session time: each channel counts, in hundreds of its own."""
        ring = self.stream.samples
        counts = np.arange(ring.count, round((until - 100.0) * RATE * SPEED))
        samples = counts[:, None] + np.array([100.0, 200.0, 300.0])
        times = 100.0 + (counts + 1) / RATE / SPEED
        ring.write(samples=samples, times=times, raw=times, arrived=times)

    def hear(self, volume: int) -> tuple[int, list[float], float]:
        """Return what a volume hears: the count of the first sample, the pulse, and how far it reaches."""
        assert self.pipeline.beside.hears_with is not None
        (heard,) = self.pipeline.beside.hears_with(volume, np.array([100.0 + volume * TR / SPEED]))
        return heard.first, heard.samples[:, 0].tolist(), heard.newest_s


def test_a_volume_hears_what_was_taken_before_its_end_once_and_in_the_order_of_the_labels() -> None:
    rig = Rig()
    rig.send(102.5)
    first, pulse, newest_s = rig.hear(0)
    # To 1.8 s of its own time, at 50 Hz.
    assert (first, pulse, newest_s) == (0, [300.0 + k for k in range(90)], pytest.approx(1.8))
    first, pulse, newest_s = rig.hear(1)
    assert (first, len(pulse), newest_s) == (90, 100, pytest.approx(1.8))
    # Another pipeline, of a bundle that takes this one's place, hears the same.
    assert rig.hear(1)[0] == 90
    assert rig.waits == 0


def test_a_volume_waits_for_what_is_late_but_for_half_a_tr_alone_and_none_waits_again_in_vain() -> None:
    rig = Rig()
    rig.send(100.5)
    rig.clock.advance(1.0)
    rig.while_waiting = lambda: rig.send(rig.clock.now()) if rig.waits == 3 else None
    assert rig.hear(0)[2] == pytest.approx(1.8)
    assert rig.waits == 3
    rig.while_waiting = lambda: None
    before = rig.clock.now()
    first, pulse, newest_s = rig.hear(1)
    assert rig.clock.now() - before == pytest.approx(0.5 * TR / SPEED, abs=0.01)
    assert (first, len(pulse)) == (90, 11)
    assert newest_s == pytest.approx(0.02)
    waits = rig.waits
    assert rig.hear(2)[1] == []
    assert rig.waits == waits
    rig.send(104.0)
    assert rig.hear(3)[2] == pytest.approx(1.8)
    rig.while_waiting = lambda: rig.send(106.0)
    assert rig.hear(4)[2] == pytest.approx(1.8)


def test_what_the_ring_has_lost_is_not_heard_and_says_so_by_its_count() -> None:
    rig = Rig()
    rig.send(100.9)
    rig.hear(0)
    for until in range(102, 240, 10):
        rig.send(float(until))
    first, pulse, newest_s = rig.hear(130)
    assert first == rig.stream.samples.oldest > 90
    assert pulse[0] == 300.0 + first
    assert newest_s == pytest.approx(1.8)


def test_volumes_that_hear_nothing_are_marked_and_counted_and_the_return_is_said(
    segment_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    side = Signal("physiology", 1 / TR, (len(COLUMNS),), COLUMNS, "", "float64")
    rows = np.full((5, len(COLUMNS)), np.nan)
    rows[:, COLUMNS.index("newest_s")] = (1.8, np.nan, 0.3, 1.8, 1.8)
    with (
        Board.create(segment_name + "b", {"decode": COUNTERS["decode"]}) as board,
        create_marks(segment_name + "m", 1) as marks,
    ):
        noted = UnheardVolumes(board.row("decode"), marks, ManualClock(), logging.getLogger("t"))
        noted.hear(Window(side, 40, rows, np.arange(5) * TR, np.zeros(rows.shape, bool), 44))
        assert board.row("decode")["unheard"] == 2
        found, _ = read_marks(marks, 0)
    assert [(MarkKind(int(m["kind"])), int(m["first"])) for m in found] == [
        (MarkKind.UNHEARD, 41),
        (MarkKind.UNHEARD, 42),
    ]
    assert "no physiology at volume 41: it is used without" in caplog.text
    assert "physiology is back at volume 43, after 2 volumes" in caplog.text

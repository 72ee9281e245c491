"""Cues are told when they are due, marked as they are told, and the last one ends it."""

import pytest

from bci.control.cueing import Cueing
from bci.signal.clock import ManualClock
from bci.signal.types import Event

CUES = (Event(0.0, "open"), Event(10.0, "closed"), Event(20.0, "end"))


class Marked:
    """Where markers go, kept."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str]] = []

    def push(self, marker: Event) -> None:
        self.sent.append((marker.time, marker.text))


def test_cues_are_told_on_time_and_marked_at_the_moment_of_telling() -> None:
    clock, marked = ManualClock(100.0), Marked()
    told, left = [], []
    cueing = Cueing(
        CUES, clock, marked, ready_s=5.0, tell=lambda cue: told.append(cue.text), look=left.append
    )
    clock.advance(60.0)
    assert not cueing({"received": 0})
    assert not left  # before the first sample nothing begins
    over = [cueing({"received": 8})]
    while not over[-1]:
        clock.advance(0.1)
        over.append(cueing({"received": 8}))
    assert told == ["open", "closed", "end"]
    assert [text for _, text in marked.sent] == told
    for (time, _), due in zip(marked.sent, (165.0, 175.0, 185.0), strict=True):
        assert due <= time < due + 0.11
    assert left[0] == 25.0
    assert left[-1] == pytest.approx(0.0, abs=1e-6)
    assert cueing.over


def test_after_a_long_wait_every_cue_that_is_due_is_still_told_in_order() -> None:
    clock, marked = ManualClock(1.0), Marked()
    cueing = Cueing(CUES, clock, marked, ready_s=0.0, tell=lambda cue: None)
    cueing({"received": 1})
    clock.advance(15.0)
    assert not cueing({"received": 1})
    assert [text for _, text in marked.sent] == ["open", "closed"]
    assert marked.sent[1][0] == 16.0

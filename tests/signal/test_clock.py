"""A clock turned by hand moves when told to; the session's clock is that of Lab Streaming Layer."""

import pylsl
import pytest

from bci.memory.lsl_clock import LslClock
from bci.signal.clock import Clock, ManualClock


def test_a_hand_turned_clock_moves_only_when_told_to() -> None:
    clock = ManualClock(10.0)
    assert [clock.now(), clock.now()] == [10.0, 10.0]
    clock.advance(2.5)
    assert clock.now() == 12.5


def test_whoever_sleeps_on_a_hand_turned_clock_turns_it_and_never_back() -> None:
    clock = ManualClock()
    clock.sleep_until(4.0)
    clock.sleep_until(3.0)
    assert clock.now() == 4.0


def test_a_clock_is_not_turned_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        ManualClock().advance(-1.0)


def test_the_session_clock_is_that_of_lsl_and_wakes_no_earlier_than_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock: Clock = LslClock()
    before = pylsl.local_clock()
    now = clock.now()
    assert before <= now <= pylsl.local_clock()
    clock.sleep_until(now + 0.002)
    assert clock.now() >= now + 0.002
    slept: list[float] = []
    monkeypatch.setattr("bci.memory.lsl_clock.time.sleep", slept.append)
    clock.sleep_until(clock.now() - 100.0)
    assert slept == [], "what has passed is not waited for"

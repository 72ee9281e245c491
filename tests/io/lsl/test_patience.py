"""Patience: a stream that wakes its reader at every sample is left alone until shortly before the last one is due."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.io.lsl import patience
from bci.io.lsl.patience import WATCH_EVERY_S, Patience
from bci.signal.clock import ManualClock

PERIOD = 1e-3


@dataclass
class PlantedInlet:
    """Samples come one period apart; a pull waits for them, and counts how often that wakes it."""

    clock: ManualClock
    chunk: int = 1
    switches: int = 0
    began: list[float] = field(default_factory=list)
    given: int = 0
    lost: bool = False

    def pull(self, samples: NDArray[Any], stamps: NDArray[np.float64], timeout: float) -> tuple[int, bool]:
        self.began.append(self.clock.now())
        for k in range(len(stamps)):
            self.given += 1
            when = -(-self.given // self.chunk) * self.chunk * PERIOD
            if when > self.clock.now():
                self.clock.sleep_until(when)
                self.switches += 1
            samples[k] = self.given
        return len(stamps), self.lost


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0.0)


def hops(clock: ManualClock, inlet: PlantedInlet, n: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pull `n` hops of ten samples as acquisition does; return when each was in hand."""
    monkeypatch.setattr(patience, "_switches", lambda: inlet.switches)
    patient = Patience(clock, PERIOD)
    samples, stamps, done = np.zeros((10, 1)), np.zeros(10), []
    heard = clock.now()
    for hop in range(n):
        assert patient.pull(inlet, samples, stamps, 0.1, heard + 10 * PERIOD) == (10, False)
        assert samples[:, 0].tolist() == list(range(10 * hop + 1, 10 * hop + 11))
        heard = clock.now()
        done.append(heard)
    return done


def test_single_samples_are_awaited_from_shortly_before_the_last_and_no_window_is_later(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inlet = PlantedInlet(clock)
    done = hops(clock, inlet, 50, monkeypatch)
    assert done == pytest.approx(0.01 * np.arange(1, 51))
    assert inlet.began[1] == pytest.approx(0.02 - 1.5 * PERIOD)
    assert inlet.switches <= 10 + 49 * 2  # the hop that was watched, and two samples of each after it


def test_chunks_are_awaited_as_before(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    inlet = PlantedInlet(clock, chunk=10)
    done = hops(clock, inlet, 50, monkeypatch)
    assert done == pytest.approx(0.01 * np.arange(1, 51))
    assert inlet.began == pytest.approx([0.0, *done[:-1]])


def test_a_stream_that_changes_its_ways_is_seen_within_a_second(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inlet = PlantedInlet(clock)
    monkeypatch.setattr(patience, "_switches", lambda: inlet.switches)
    patient = Patience(clock, PERIOD)
    samples, stamps = np.zeros((10, 1)), np.zeros(10)
    for _ in range(10):
        patient.pull(inlet, samples, stamps, 0.1, clock.now() + 10 * PERIOD)
    assert patient.one_at_a_time
    inlet.chunk = 10
    changed = clock.now()
    while patient.one_at_a_time:
        patient.pull(inlet, samples, stamps, 0.1, clock.now() + 10 * PERIOD)
    assert clock.now() - changed <= WATCH_EVERY_S + 0.02


def test_after_an_order_to_stop_nobody_sleeps(clock: ManualClock) -> None:
    inlet = PlantedInlet(clock)
    patient = Patience(clock, PERIOD)
    patient.one_at_a_time = True
    patient._next_look = 10.0
    patient.pull(inlet, np.zeros((10, 1)), np.zeros(10), 0.0, 5.0)
    assert inlet.began == [0.0]

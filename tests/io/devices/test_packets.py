"""What a board hands over in bursts gets the times at which it was taken; what its counter leaves out is counted."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.io.devices.packets import BoardCount, Packets

RATE = 250.0


def bursts(
    n: int, packet: int, *, rate: float = RATE, late: float = 0.01, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when samples were taken, and when they arrived: with their packet, up to `late` seconds behind it."""
    true = 100.0 + np.arange(n) / rate
    last = np.minimum(np.arange(n) // packet * packet + packet - 1, n - 1)
    delays = np.random.default_rng(seed).exponential(late / 4, n // packet + 1).clip(0, late)
    return true, true[last] + delays[np.arange(n) // packet]


def timed(
    packets: Packets, counter: NDArray[np.float64], arrivals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Hand over what arrived together, packet by packet."""
    edges = [0, *np.flatnonzero(np.diff(arrivals)) + 1, len(arrivals)]
    parts = itertools.pairwise(edges)
    return np.concatenate([packets(counter[a:b], arrivals[a:b]) for a, b in parts])


@given(packet=st.integers(1, 64), late=st.floats(0, 0.02), seed=st.integers(0, 50))
def test_times_are_those_at_which_samples_were_taken(packet: int, late: float, seed: int) -> None:
    n = 900 // packet * packet  # within the window that is looked over
    true, arrivals = bursts(n, packet, late=late, seed=seed)
    times = timed(Packets(RATE), np.arange(n) % 256.0, arrivals)
    assert (np.diff(times) > 0).all()
    # Late by no more than the least delay of the packets seen so far: a packet's arrival is never early.
    behind = times - true
    assert behind.min() > -1e-9
    assert behind.max() < late + 1e-9
    settled = behind[n // 2 :]
    assert settled.max() <= (arrivals - true).reshape(-1, packet)[: n // packet // 2, -1].min() + 1e-9


@pytest.mark.parametrize("ppm", [-300, 300])
def test_another_rate_than_stated_is_followed(ppm: float) -> None:
    true, arrivals = bursts(20_000, 10, rate=RATE * (1 + ppm * 1e-6), late=0.0)
    times = timed(Packets(RATE), np.arange(20_000) % 256.0, arrivals)
    assert np.abs(times - true)[int(RATE) :].max() < 4.0 * 300e-6 + 1e-6


def test_lost_samples_keep_their_places() -> None:
    true, arrivals = bursts(1000, 1, late=0.0)
    counter = np.arange(1000) % 256.0
    kept = np.ones(1000, bool)
    kept[[300, 301, 302, 511, 700]] = False
    packets = Packets(RATE)
    times = timed(packets, counter[kept], arrivals[kept])
    assert packets.lost == 5
    assert np.abs(times - true[kept]).max() < 1e-9


@pytest.mark.parametrize(
    ("numbers", "lost", "resets"),
    [
        ([*range(250, 256), *range(10)], 0, 0),
        ([*range(256), *range(256), 3], 3, 0),
        ([*range(201), *range(201), 5], 5, 0),  # Ganglion's count goes to 200
        ([0, 2, 4, 6, 10, 12], 1, 0),  # Cyton with Daisy counts by two
        ([7, 7, 7, 8, 8, 8, 10, 10, 10], 3, 0),  # a packet of three samples is missing
        ([float("nan")] * 5, 0, 0),
        ([5, 6, 7, 2, 3], 0, 1),  # began anew before its top was seen
        ([0, 1, 2, 3, 100_000], 0, 1),
    ],
)
def test_counters_as_boards_have_them(numbers: list[float], lost: int, resets: int) -> None:
    counter = BoardCount(500)
    assert sum(counter.missing(float(n)) for n in numbers) == lost
    assert (counter.lost, counter.resets) == (lost, resets)

"""The first seconds of a stream show whether its stamps are seconds of the session clock, and its rate as stated."""

import doctest

import numpy as np
import pytest
from numpy.typing import NDArray

import bci.signal.quality.stamping
from bci.signal.quality.stamping import Stamping, judge_stamps

Times = NDArray[np.float64]

#: Unix time when the session clock showed 0.
DAY = 1.78e9


def first_seconds(rate: float = 160.0, seconds: float = 3.0, packet: int = 1, late: float = 0.005) -> tuple:
    """Return when samples were taken, and when they were received: in packets, by a loop that looks each 10 ms."""
    rng = np.random.default_rng(0)
    taken = 50 + np.arange(int(seconds * rate)) / rate
    whole = len(taken) // packet * packet
    sent = np.repeat(taken[packet - 1 : whole : packet] + rng.uniform(0, late, whole // packet), packet)
    return taken[:whole], np.ceil(np.maximum.accumulate(sent) * 100) / 100


def judged(stamps: Times, arrived: Times, rate: float = 160.0) -> Stamping:
    return judge_stamps(stamps, arrived, rate, DAY)


def test_the_examples_in_the_documentation_hold() -> None:
    result = doctest.testmod(bci.signal.quality.stamping)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("rate", "packet"), [(160, 1), (160, 32), (128, 64), (250, 8), (1000, 10), (30000, 300)]
)
@pytest.mark.parametrize("how", ["exact", "on arrival", "one stamp a packet", "jittered", "two seconds late"])
def test_a_stream_that_is_what_it_says_has_no_fault(rate: float, packet: int, how: str) -> None:
    taken, arrived = first_seconds(rate, packet=packet)
    stamps = {
        "exact": taken,
        "on arrival": arrived + np.arange(len(taken)) % packet * 1e-5,
        "one stamp a packet": arrived,
        "jittered": taken + np.random.default_rng(1).uniform(-0.02, 0.02, len(taken)),
        "two seconds late": taken - 2.0,
    }[how]
    found = judged(stamps, arrived, rate)
    assert (found.fault, found.kind) == ("", "")


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (lambda t: t + DAY, "clock", "seconds of the time of day"),
        (lambda t: t + DAY + 7200, "clock", "the time of day"),
        (lambda t: t * 1e3, "unit", "milliseconds"),
        (lambda t: t * 1e6, "unit", "microseconds"),
        (lambda t: t * 1e9, "unit", "nanoseconds"),
        (lambda t: (t + DAY) * 1e3, "unit", "milliseconds of the time of day"),
        (lambda t: (t + DAY) * 1e9, "unit", "nanoseconds of the time of day"),
        (lambda t: t - 50, "clock", "another clock came: 50 s behind ours"),
        (lambda t: t + 500, "clock", "500 s ahead of ours"),
        (lambda t: t * 0 + 50, "alike", "all have the same stamp"),
        (lambda t: np.where(np.arange(len(t)) == 7, np.nan, t), "not a number", "1 of the first 480"),
        (lambda t: np.full(len(t), np.inf), "not a number", "480 of the first 480"),
        (lambda t: 50 + 1.25 * (t - 50), "clock", "by their stamps they are 128 a second"),
    ],
)
def test_another_clock_or_unit_is_named(spoil, kind: str, words: str) -> None:
    taken, arrived = first_seconds()
    found = judged(spoil(taken), arrived)
    assert found.kind == kind
    assert words in found.fault


@pytest.mark.parametrize("true", [80.0, 125.0, 320.0])
@pytest.mark.parametrize("packet", [1, 16])
@pytest.mark.parametrize("counted", [False, True])
def test_another_rate_than_stated_is_named(true: float, packet: int, counted: bool) -> None:
    taken, arrived = first_seconds(true, packet=packet)
    stamps = 50 + np.arange(len(taken)) / 160 if counted else taken  # counted: stamped by the stated rate
    found = judged(stamps, arrived)
    assert found.kind == "rate"
    assert found.fault.startswith("160 samples a second were expected")
    said = float(found.fault.split(" came" if not counted else " a second were received")[0].split()[-1])
    assert said == pytest.approx(true, rel=0.05)


def test_an_octave_shows_in_the_first_second() -> None:
    taken, arrived = first_seconds(80.0, seconds=0.75)
    assert judged(taken, arrived).kind == "rate"


def test_a_rate_that_is_a_little_off_is_a_note() -> None:
    taken, arrived = first_seconds(149.0)
    found = judged(taken, arrived)
    assert found.fault == ""
    assert "149 samples a second by the stamps" in found.note


def test_a_hole_in_the_first_seconds_is_no_other_rate() -> None:
    taken, arrived = first_seconds()
    kept = np.delete(np.arange(len(taken)), slice(200, 290))
    assert judged(taken[kept], arrived[kept]) == Stamping()


def test_too_few_samples_say_nothing() -> None:
    for n in (0, 1, 2):
        assert judged(np.arange(n, dtype=float), np.arange(n, dtype=float)) == Stamping()

"""Lost samples are found where the jitter allows it, samples that are only late are not taken for lost."""

from pathlib import Path

import numpy as np
import pytest
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.io.lsl.stamps import Stamps
from bci.signal.types import MarkKind

Times = NDArray[np.float64]
RNG = np.random.default_rng(11)


def run(
    stamps: Times, rate: float, size: int = 8, sizes: list[int] | None = None
) -> tuple[Times, list[tuple]]:
    """Feed stamps in chunks, as acquisition does; return the times, and every irregularity with its own place."""
    judge, times, found, done, end, turn = Stamps(rate), np.empty(len(stamps)), [], 0, 0, 0
    judge.shift(0.0)
    while end < len(stamps):
        end = min(len(stamps), end + (sizes[turn % len(sizes)] if sizes else size))
        turn += 1
        if judge.expect(times[done:end]) and judge.regular(stamps[done:end]):
            judge.take(stamps[done:end])
            done = end
            continue
        events, decided = judge(stamps[done:end], times[done:end], last=end == len(stamps))
        found += [(event.kind, done + event.index, event.count) for event in events]
        done += decided
    assert done == len(stamps)
    return times, found


def without(n: int, *holes: tuple[int, int]) -> NDArray[np.int64]:
    """Return the numbers of n samples, less those of holes (first, how many)."""
    lost = np.zeros(n, bool)
    for first, count in holes:
        lost[first : first + count] = True
    return np.flatnonzero(~lost)


def packets(rate: float, size: int, n: int, latest: float, seed: int = 0) -> tuple[Times, Times]:
    """Return when samples were taken, and the arrival of their packets, up to `latest` seconds after the last one."""
    number = np.arange(n // size * size)
    true = 100 + number / rate
    late = np.random.default_rng(seed).uniform(0, latest, n // size)
    arrived = np.maximum.accumulate(true[size - 1 :: size] + late)
    return true, np.repeat(arrived, size) + number % size * 2e-5


@pytest.mark.parametrize(("rate", "lost"), [(160, 12), (256, 12), (256, 24), (500, 40), (250, 1), (1000, 1)])
def test_a_lost_packet_out_of_exact_stamps_is_counted_and_times_are_right_on_both_sides(
    rate: int, lost: int
) -> None:
    numbers = without(rate * 60, (rate * 30, lost))
    true = 100 + numbers / rate
    times, found = run(true, rate)
    assert found == [(MarkKind.GAP, rate * 30, lost)]
    assert np.abs(times - true).max() < 1e-6


@pytest.mark.parametrize(("jitter", "lost"), [(0.0002, 1), (0.005, 3), (0.005, 9), (0.02, 12)])
def test_jittered_stamps_show_losses_that_are_longer_than_the_jitter(jitter: float, lost: int) -> None:
    rate = 250
    holes = [(rate * second, lost) for second in range(10, 170, 8)]
    numbers = without(rate * 180, *holes)
    true = 100 + numbers / rate
    times, found = run(true + RNG.uniform(-jitter, jitter, len(true)), rate)
    gaps = np.array([(place, count) for kind, place, count in found if kind is MarkKind.GAP])
    assert gaps[:, 1].sum() == pytest.approx(len(holes) * lost, rel=0.05)
    planted = np.flatnonzero(np.diff(numbers) > 1) + 1
    assert np.abs(gaps[:, 0][:, None] - planted).min(axis=0).max() <= 3  # every one, and where it is
    assert np.percentile(np.abs(times - true), 99) < max(jitter, 1e-4)


@pytest.mark.parametrize("shape", ["uniform", "normal"])
def test_how_many_are_lost_in_wide_jitter_is_told_to_the_sample(shape: str) -> None:
    """Evenly spread over ten periods, or normal: a hole every 1.6 s, longer than the jitter."""
    rate, random = 250, np.random.default_rng(2)
    lengths = random.integers(11, 40, 100)
    numbers = without(rate * 180, *((2500 + 400 * turn, int(lost)) for turn, lost in enumerate(lengths)))
    true = 100 + numbers / rate
    off = random.uniform(-0.02, 0.02, len(true)) if shape == "uniform" else random.normal(0, 0.004, len(true))
    times, found = run(true + off, rate)
    gaps = np.array([(place, count) for kind, place, count in found if kind is MarkKind.GAP])
    planted = np.flatnonzero(np.diff(numbers) > 1) + 1
    counts = [gaps[np.abs(gaps[:, 0] - place) < 125, 1].sum() for place in planted]
    assert np.mean(counts == lengths) >= 0.9
    assert np.abs(counts - lengths).sum() <= 0.01 * lengths.sum()
    assert np.percentile(np.abs(times - true), 99) < 0.005


@pytest.mark.parametrize(
    ("rate", "every", "lost"), [(100, 100, 5), (100, 100, 1), (250, 250, 12), (1000, 300, 30)]
)
def test_a_stream_that_loses_samples_from_its_beginning_is_learnt_rightly(
    rate: int, every: int, lost: int
) -> None:
    numbers = np.flatnonzero(np.arange(rate * 60) % every < every - lost)
    true = 100 + numbers / rate
    times, found = run(true, rate, 16)
    assert sum(count for _, _, count in found) == np.ptp(numbers) + 1 - len(numbers)
    assert np.abs(times - true)[4 * rate :].max() < 1e-4


def test_one_percent_of_bluetooth_packets_lost_is_one_percent_said() -> None:
    rate, size, n = 256, 12, 256 * 300
    true, stamps = packets(rate, size, n, 0.01)
    kept = np.repeat(RNG.random(len(true) // size) > 0.01, size)
    kept[: 5 * rate] = True
    kept[-size:] = True  # behind the last packet that came, none can be missed
    times, found = run(stamps[kept], rate, 12)
    assert {kind for kind, *_ in found} == {MarkKind.GAP}
    assert sum(count for *_, count in found) == np.count_nonzero(~kept)
    planted = np.flatnonzero(np.diff(np.flatnonzero(kept)) > 1) + 1
    assert [place for _, place, _ in found] == planted.tolist()
    error = (times - true[kept])[3 * rate :]
    assert np.percentile(np.abs(error), 99) < 5e-3


@pytest.mark.parametrize(("rate", "size"), [(160, 32), (256, 32), (250, 8), (250, 64), (128, 64), (500, 12)])
@pytest.mark.parametrize("alike", [False, True])
def test_packets_stamped_on_arrival_lose_nothing(rate: int, size: int, alike: bool) -> None:
    true, stamps = packets(rate, size, rate * 40, 0.01)
    if alike:  # one stamp for all of a packet
        stamps = np.repeat(stamps[size - 1 :: size], size)
    for begin in (0, size // 3):  # also where the first packet is not whole
        times, found = run(stamps[begin:], rate, size)
        assert found == []
        error = (times - true[begin:])[2 * rate :]
        assert -5e-3 < error.min() < error.max() < 0.015


@pytest.mark.parametrize("late", [0.02, 0.08, 0.3, 1.0])
def test_samples_that_come_late_in_a_burst_are_not_lost(late: float) -> None:
    """The driver was busy: what waited meanwhile comes at once, a hundredth of a millisecond apart."""
    rate = 250
    true = 100 + np.arange(rate * 30) / rate
    stamps = true + RNG.uniform(0, 2e-4, len(true))
    for begin in (8.0, 13.3, 21.0):
        at = int(begin * rate)
        stamps[at:] = np.maximum(stamps[at:], true[at] + late + np.arange(len(true) - at) * 1e-5)
    times, found = run(np.maximum.accumulate(stamps), rate)
    assert found == []
    assert np.abs(times - true)[rate:].max() < 1e-3


@pytest.mark.parametrize("pause", [0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
def test_a_chunk_whose_stamps_are_spread_over_a_pause_is_late_not_behind_a_loss(pause: float) -> None:
    """A sender that stamps the samples of a chunk evenly since its last push, and is held up once."""
    rate, chunk = 1000, 10
    pushed = 100 + np.arange(1, 3001) * chunk / rate
    pushed = np.maximum(
        pushed, np.where(np.arange(3000) >= 2000, pushed[2000] + pause, 0) + np.arange(3000) * 1e-6
    )
    before = np.r_[100.0, pushed[:-1]]
    share = np.arange(1, chunk + 1) / chunk
    _, found = run((before[:, None] + (pushed - before)[:, None] * share).ravel(), rate, chunk)
    assert found == []


def sender(rate: int, chunk: int, style: str, noise: float, pauses: int, seed: int) -> Times:
    """Return 40 s of stamps of a sender that loses nothing: late by `noise` s on average, held up some times.

    What waited then comes at once. "spread" stamps the samples of a chunk evenly since the last push, "nominal" the
    last one on the push and those before it a period apart, as liblsl does, "equal" all on the push.
    """
    random, n = np.random.default_rng(seed), 40 * rate // chunk
    push = 100 + np.arange(1, n + 1) * chunk / rate + random.exponential(max(noise, 1e-12), n)
    for _ in range(pauses):
        at, lasts = random.integers(5 * rate // chunk, n), random.exponential(0.05) + 0.002
        push[at:] = np.maximum(
            push[at:], push[at] + lasts + np.arange(n - at) * random.choice([1e-6, 2e-5, 1e-4])
        )
    push = np.maximum.accumulate(push)
    before = np.r_[100.0, push[:-1]]
    place = np.arange(1, chunk + 1)
    if style == "spread":
        return (before[:, None] + (push - before)[:, None] * place / chunk).ravel()
    if style == "nominal":
        return (push[:, None] - (chunk - place) / rate).ravel()
    return np.repeat(push, chunk)


@pytest.mark.parametrize("style", ["spread", "nominal", "equal"])
@pytest.mark.parametrize(("rate", "chunk"), [(1000, 10), (250, 1), (2500, 25), (160, 8), (256, 32), (500, 5)])
def test_a_sender_on_a_busy_machine_loses_nothing(style: str, rate: int, chunk: int) -> None:
    for noise in (0.0, 2e-4, 1e-3):
        for pauses in (0, 10):
            stamps = sender(rate, chunk, style, noise, pauses, seed=1)
            _, found = run(stamps, rate, chunk)
            gaps = [event for event in found if event[0] is MarkKind.GAP]
            assert gaps == [], (noise, pauses)


def test_a_packet_that_is_late_and_one_that_is_lost_are_told_apart() -> None:
    rate, size = 256, 12
    true, stamps = packets(rate, size, rate * 40, 0.005)
    late = slice(2400, 2412)
    stamps[late] += 0.06
    stamps = np.maximum.accumulate(stamps)
    kept = without(len(true), (6000, size))
    _, found = run(stamps[kept], rate, size)
    assert found == [(MarkKind.GAP, 6000, size)]


HOLED = without(3000, (900, 3), (1400, 1), (2200, 30), (2210, 1), (2300, 60))
JITTERED = 100 + HOLED / 250 + np.random.default_rng(5).uniform(0, 3e-3, len(HOLED))
_TRUE, _STAMPS = packets(250, 16, 3200, 0.01)
PACKETS = _STAMPS[without(len(_STAMPS), (1600, 16), (2400, 48))]
WIDE = 100 + HOLED / 250 + np.random.default_rng(6).uniform(-0.02, 0.02, len(HOLED))


@pytest.mark.parametrize("stamps", [JITTERED, WIDE, PACKETS], ids=["jittered", "wide", "packets"])
@settings(deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_neither_times_nor_gaps_depend_on_chunking(stamps: Times, sizes: list[int]) -> None:
    whole, gaps = run(stamps, 250, len(stamps))
    times, found = run(stamps, 250, sizes=sizes)
    assert gaps != []
    assert found == gaps
    assert np.array_equal(times, whole)


def test_times_never_run_backwards_in_what_is_lost_late_and_jittered() -> None:
    stamps = JITTERED + RNG.exponential(0.004, len(JITTERED))
    times, _ = run(stamps, 250)
    assert np.diff(times).min() >= 0


def test_a_rate_off_by_a_hundred_ppm_is_no_loss_in_an_hour() -> None:
    rate = 250
    true = 100 + np.arange(rate * 3600) / rate * 1.0001
    times, found = run(true + RNG.uniform(0, 1e-3, len(true)), rate, 5000)
    assert found == []
    assert np.abs(times - true)[rate:].max() < 1e-3


@pytest.mark.parametrize("file", ["switch_example", "ssvep_example"])
def test_real_recordings_that_lost_nothing_show_no_gap(data: Path, file: str) -> None:
    """The second comes from a wireless headset: nine samples a packet, one stamp each, up to 0.2 s late."""
    streams, _ = pyxdf.load_xdf(
        data / "lsl_eeg_markers" / f"{file}.xdf", synchronize_clocks=False, dejitter_timestamps=False
    )
    (eeg,) = (
        s for s in streams if s["info"]["type"] == ["EEG"] and s["info"]["channel_format"] != ["string"]
    )
    rate, stamps = float(eeg["info"]["nominal_srate"][0]), eeg["time_stamps"]
    assert len(stamps) == pytest.approx(rate * np.ptp(stamps), rel=1e-3)  # nothing is missing
    times, found = run(stamps, rate, 37)
    assert found == []
    known = slice(round(2 * rate), None)
    assert np.diff(times[known]) == pytest.approx(1 / rate, rel=0.1)
    assert (stamps - times)[known].min() > -0.03

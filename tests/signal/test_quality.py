"""What is planted in a channel is what the survey finds in it, however the samples are cut into blocks."""

import math
from itertools import pairwise

import numpy as np
import pytest

from bci.errors import ConfigError
from bci.signal.quality.channels import ChannelFigures, Survey
from bci.signal.quality.pace import RunningPace
from bci.signal.quality.verdicts import Level, judge_channels, judge_time, still_limit
from bci.signal.types import Signal

RATE, SECONDS = 500.0, 60
N = int(RATE * SECONDS)
NAMES = ("clean", "line", "flat", "rail", "drift", "nan", "offset", "pops", "quiet", "steps")
CLEAN, LINE, FLAT, RAIL, DRIFT, NAN, OFFSET, POPS, QUIET, STEPS = range(len(NAMES))
SIGNAL = Signal("amp", RATE, (len(NAMES),), NAMES, "uV")

LINE_UV, HARMONIC_UV, DRIFT_UV, OFFSET_UV, RAIL_UV = 25.0, 6.0, 300.0, -4000.0, 12.0


def planted(mains: float = 50.0) -> np.ndarray:
    """Pink-ish noise of about 10 µV on every channel, and one fault on each but the first."""
    random = np.random.default_rng(5)
    white = np.fft.rfft(random.normal(size=(N, len(NAMES))), axis=0)
    noise = np.fft.irfft(white / np.maximum(np.fft.rfftfreq(N, 1 / RATE), 1)[:, None] ** 0.5, N, axis=0)
    x = 10 * noise / noise.std(axis=0)
    t = np.arange(N) / RATE
    # Off any bin's centre, as a grid is.
    x[:, LINE] += LINE_UV * np.sin(2 * np.pi * (mains + 0.07) * t)
    x[:, LINE] += HARMONIC_UV * np.sin(2 * np.pi * (3 * mains + 0.21) * t)
    x[:, FLAT] = -3.25
    x[:, RAIL] = np.clip(x[:, RAIL], -np.inf, RAIL_UV)
    x[:, DRIFT] += DRIFT_UV * t / 60
    x[random.choice(N, N // 200, replace=False), NAN] = np.nan
    x[100:300, NAN] = np.inf
    x[:, OFFSET] += OFFSET_UV
    x[: 2 * int(RATE), POPS] *= 1e4
    x[:, QUIET] /= 30
    # A slow wave in coarse steps holds its peaks for many samples: that is no rail.
    x[:, STEPS] = np.rint(60 * np.sin(2 * np.pi * 0.31 * t))
    return x.astype(np.float32)


def survey(samples: np.ndarray, size: int = 997, fresh: tuple[int, ...] = ()) -> ChannelFigures:
    """Survey a signal given in blocks of `size`, with gaps before the samples `fresh`."""
    running = Survey(SIGNAL)
    cuts = sorted({*range(0, len(samples), size), *fresh, len(samples)})
    for at, to in pairwise(cuts):
        running.add(samples[at:to], fresh=at in fresh)
    return running.figures(still_limit(SIGNAL))


@pytest.fixture(scope="module")
def found() -> ChannelFigures:
    return survey(planted())


def test_line_noise_is_found_with_its_amplitude_and_its_multiples(found: ChannelFigures) -> None:
    line = found.line
    assert (line.mains, line.searched) == (50.0, True)
    assert line.harmonics == (50.0, 100.0, 150.0, 200.0)
    assert line.amplitudes[0, LINE] == pytest.approx(LINE_UV, rel=0.02)
    assert line.amplitudes[2, LINE] == pytest.approx(HARMONIC_UV, rel=0.05)
    assert line.amplitudes[[1, 3], LINE].tolist() == [0, 0]
    assert line.amplitudes[:, [CLEAN, DRIFT, RAIL, OFFSET, STEPS]].max() == 0
    # The sines' power over theirs and the noise's; the noise has 100 µV², a little of it slower than 1 Hz.
    power = (LINE_UV**2 + HARMONIC_UV**2) / 2
    assert line.share[LINE] == pytest.approx(power / (power + 97), abs=0.03)


def test_the_mains_of_the_other_half_of_the_world_are_found_too() -> None:
    line = survey(planted(mains=60.0)).line
    assert line.mains == 60.0
    assert line.harmonics == (60.0, 120.0, 180.0, 240.0)
    assert line.amplitudes[0, LINE] == pytest.approx(LINE_UV, rel=0.02)


def test_where_there_are_no_mains_none_are_found() -> None:
    clean = planted()
    clean[:, LINE] = clean[:, CLEAN]
    line = survey(clean).line
    assert math.isnan(line.mains)
    assert line.searched
    assert survey(clean[: int(1.5 * RATE)]).line.searched is False


def test_each_fault_is_measured_where_it_was_planted(found: ChannelFigures) -> None:
    assert found.samples == N
    assert found.still_share[:, 1].tolist() == [float(name == "flat") for name in NAMES]
    assert found.nan_share[NAN] == pytest.approx((200 + N // 200) / N, rel=0.02)
    assert np.count_nonzero(found.nan_share) == 1
    # A Gaussian of 10 µV lies beyond 12 µV for 11.5 % of the time.
    assert found.rail_share[RAIL] == pytest.approx(0.115, abs=0.02)
    assert np.count_nonzero(found.rail_share) == 1
    assert found.high[RAIL] == RAIL_UV
    assert found.drift[DRIFT] == pytest.approx(DRIFT_UV, rel=0.02)
    assert abs(found.drift[[CLEAN, LINE, OFFSET, POPS]]).max() < 3
    assert found.offset[OFFSET] == pytest.approx(OFFSET_UV, rel=0.001)
    assert found.mean[OFFSET] == pytest.approx(OFFSET_UV, rel=0.001)
    assert (found.wild_share[POPS], found.wild_until[POPS]) == (2 / SECONDS, 2.0)
    assert np.count_nonzero(found.wild_share) == 1
    assert found.peak_to_peak[QUIET] == pytest.approx(found.peak_to_peak[CLEAN] / 30, rel=0.2)


def test_every_channel_gets_the_verdict_it_deserves(found: ChannelFigures) -> None:
    verdicts = judge_channels(found)
    words = {name: verdict.level.word for name, verdict in zip(NAMES, verdicts, strict=True)}
    assert words == {
        "clean": "good", "line": "bad", "flat": "bad", "rail": "bad", "drift": "poor", "nan": "bad", "offset": "poor",
        "pops": "poor", "quiet": "bad", "steps": "good",
    }  # fmt: skip
    assert "50 Hz" in verdicts[LINE].reasons[0]
    assert "flat" in verdicts[FLAT].reasons[0]
    assert "rail" in verdicts[RAIL].reasons[0]
    assert "the first 2 s" in verdicts[POPS].reasons[0]


def test_the_figures_do_not_depend_on_the_blocks() -> None:
    samples = planted()
    whole, pieces = survey(samples, N), survey(samples, 13)
    for name in ("nan_share", "low", "high", "rail_share", "peak_to_peak", "offset", "drift", "still_share"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name), equal_nan=True), name
    assert np.array_equal(whole.line.amplitudes, pieces.line.amplitudes)
    np.testing.assert_allclose(whole.mean, pieces.mean, rtol=1e-9)


def test_no_second_and_no_spectrum_spans_a_gap() -> None:
    samples = planted()[:, : len(NAMES)]
    # A jump of 500 µV every two seconds and a half, each behind a gap.
    gaps = tuple(range(int(2.5 * RATE), N, int(2.5 * RATE)))
    jumping = samples.copy()
    for k, at in enumerate(gaps):
        jumping[at:, CLEAN] += 500 * (-1) ** k
    with_gaps = survey(jumping, fresh=gaps)
    assert with_gaps.samples == N
    assert with_gaps.peak_to_peak[CLEAN] == pytest.approx(survey(samples).peak_to_peak[CLEAN], rel=0.1)
    assert with_gaps.line.amplitudes[0, LINE] == pytest.approx(LINE_UV, rel=0.05)


def test_an_hour_costs_no_more_memory_than_its_seconds() -> None:
    signal = Signal("amp", 150.0, (1,), ("a",), "uV")
    running = Survey(signal)
    minute = np.random.default_rng(1).normal(size=(150 * 60, 1)).astype(np.float32)
    for _ in range(60):
        running.add(minute)
    assert running.samples == 150 * 3600
    held = sum(row.nbytes for rows in (running._means, running._ranges) for row in rows)
    assert held == 2 * 3600 * 8  # two figures a second
    assert len(running._spectrum._groups) < 32
    assert running.figures().line.searched


def test_what_is_no_row_of_channels_is_refused() -> None:
    with pytest.raises(ConfigError, match="row of channels"):
        Survey(Signal("volumes", 0.5, (4, 3, 2)))
    with pytest.raises(ConfigError, match="regular rate"):
        Survey(Signal("keys", 0.0, (1,)))


def test_stamps_tell_the_rate_the_jitter_and_the_breaks() -> None:
    random = np.random.default_rng(2)
    true_rate, jitter = 99.5, 0.004
    first = np.arange(4000) / true_rate + random.normal(0, jitter, 4000)
    second = 3600 * 5 + np.arange(6000) / true_rate + random.normal(0, jitter, 6000)
    running = RunningPace(100.0)
    for at in range(0, 4000, 7):
        running.add(first[at : at + 7])
    running.add(second, fresh=True)
    pace = running.pace()
    assert pace.measured == pytest.approx(true_rate, rel=1e-5)
    assert pace.jitter == pytest.approx(jitter, rel=0.05)
    assert (pace.runs, pace.largest_step < 0.1) == (2, True)
    assert judge_time(pace, 10000).level is Level.POOR
    assert judge_time(pace, 10000, lost=200).level is Level.BAD


@pytest.mark.parametrize(("rate", "level"), [(100.0, "good"), (98.5, "poor"), (92.0, "bad")])
def test_a_rate_that_is_not_the_stated_one_is_no_good_time(rate: float, level: str) -> None:
    running = RunningPace(100.0)
    running.add(np.arange(1000) / rate)
    verdict = judge_time(running.pace(), 1000)
    assert verdict.level.word == level
    assert verdict.reasons == (
        () if level == "good" else (f"{rate:g} Hz by its stamps, 100 Hz by its own account",)
    )


def test_stamps_that_stand_still_tell_no_rate() -> None:
    """Packets with one stamp each, every one behind a gap, and a stream whose samples all have the same stamp."""
    for packets in (True, False):
        pace = RunningPace(128.0)
        for packet in range(16):
            pace.add(np.full(32, 5.0 + packet * (0.25 if packets else 0.0)), fresh=packets or not packet)
        assert np.isnan(pace.pace().measured)

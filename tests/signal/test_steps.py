"""Each step does what its name says, on planted signals, and refuses what it cannot do in words."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal as dsp

from bci.errors import ConfigError
from bci.signal.labels import label_key
from bci.signal.pipeline import Pipeline
from bci.signal.step import TOLERANCE, Step
from bci.signal.steps.features import BandCovariance, BandPower, Covariance
from bci.signal.steps.filters import BandPass, Decimate, HighPass, LowPass, Notch
from bci.signal.steps.masking import Artefact, Flat, Saturation
from bci.signal.steps.montage import Bipolar, Pick, Scale
from bci.signal.steps.remembering import Memory
from bci.signal.types import Signal, Window

RATE = 250.0
SIGNAL = Signal("planted", RATE, (2,), ("O1", "O2"), "uV")


def run(step: Step | Pipeline, samples: NDArray[np.float64], signal: Signal = SIGNAL) -> Window:
    """Pass all samples through at once."""
    pipeline = step if isinstance(step, Pipeline) else Pipeline([step])
    chunk = Window(
        signal,
        0,
        samples.astype("f4"),
        np.arange(len(samples)) / signal.rate,
        np.zeros((len(samples), signal.shape[0]), bool),
        len(samples) - 1,
        reset="start",
    )
    return pipeline.start(signal)(chunk)


def sines(*hertz: float, seconds: float = 8.0) -> NDArray[np.float64]:
    """One channel a frequency, amplitude 10."""
    t = np.arange(int(seconds * RATE)) / RATE
    return np.stack([10 * np.sin(2 * np.pi * f * t) for f in hertz], axis=1)


def amplitude(window: Window) -> NDArray[np.float64]:
    """Amplitude of each channel's last two seconds."""
    return np.sqrt(2 * np.square(window.samples[-int(2 * window.signal.rate) :].astype("f8")).mean(axis=0))


@pytest.mark.parametrize(
    ("step", "kept", "stopped"),
    [
        (BandPass(8, 13), 10.5, 30.0),
        (HighPass(5), 20.0, 0.5),
        (LowPass(20), 5.0, 60.0),
        (Notch(50), 20.0, 50.0),
        (Decimate(5), 5.0, 60.0),
    ],
)
def test_a_filter_keeps_its_band_and_stops_the_rest(step: Step, kept: float, stopped: float) -> None:
    high, low = amplitude(run(step, sines(kept, stopped)))
    assert high == pytest.approx(10, rel=0.05)
    assert low < 0.1


def test_a_filter_equals_scipy_on_the_whole_recording() -> None:
    samples = np.random.default_rng(0).normal(0, 20, (1000, 2)).astype("f4")
    sos = dsp.butter(4, (8, 13), "bandpass", fs=RATE, output="sos")
    expected = dsp.sosfilt(sos, samples.astype("f8"), axis=0).astype("f4")
    assert np.array_equal(run(BandPass(8, 13), samples).samples, expected)


@pytest.mark.parametrize(
    "step",
    [
        HighPass(1),
        HighPass(0.5, 1),
        LowPass(20),
        BandPass(8, 13),
        BandPass(0.7, 20, 2),
        Notch(50),
        Decimate(5),
    ],
    ids=repr,
)
def test_a_thousandth_of_an_offset_and_of_the_worst_disturbance_is_left_when_the_filter_says_so(
    step: HighPass | LowPass | BandPass | Notch | Decimate,
) -> None:
    size = 4000.0
    settle = step.start(SIGNAL).settle
    end = 4 * settle
    response = dsp.sosfilt(step.sections(SIGNAL), np.eye(1, end + settle)[0])
    disturbance = np.zeros((end + 2 * settle, 2))
    disturbance[:end, 0] = size
    # Every sample has the sign that adds to what is left one sample too early.
    early = end - 1 + settle - 1
    disturbance[:end, 1] = size * np.sign(response[early - np.arange(end)])
    out = run(step, disturbance)
    at = np.round(out.times * RATE)
    assert np.abs(out.samples[at > end - 1 + settle]).max() <= TOLERANCE * size
    assert np.abs(dsp.sosfilt(step.sections(SIGNAL), disturbance[:, 1])[early]) > TOLERANCE * size


def test_decimation_keeps_the_last_of_each_group_with_its_time() -> None:
    out = run(Decimate(5), sines(5.0, 5.0))
    assert out.signal.rate == 50
    assert np.allclose(out.times[:3], np.array([4, 9, 14]) / RATE)


def test_band_power_is_the_mean_square_of_each_block() -> None:
    out = run(BandPower(((8, 13), (20, 30)), 50), sines(10.5, 25.0))
    assert out.samples.shape[1:] == (2, 2)
    assert out.signal.rate == 5
    assert out.signal.unit == "uV^2"
    last = out.samples[-5:].mean(axis=0)
    assert last[0, 0] == pytest.approx(50, rel=0.05)  # amplitude 10: mean square 50
    assert last[1, 1] == pytest.approx(50, rel=0.05)
    assert max(last[0, 1], last[1, 0]) < 0.5


def test_log_power_is_its_logarithm_and_never_infinite() -> None:
    plain = run(BandPower(((8, 13),), 50), sines(10.5, 10.0)).samples
    assert np.allclose(
        run(BandPower(((8, 13),), 50, log=True), sines(10.5, 10.0)).samples, np.log(plain), atol=1e-5
    )
    assert np.isfinite(run(BandPower(((8, 13),), 50, log=True), np.zeros((500, 2))).samples).all()


def test_covariance_equals_numpy_block_by_block() -> None:
    samples = np.random.default_rng(1).normal(0, 5, (120, 2)).astype("f4")
    out = run(Covariance(40), samples).samples
    expected = [np.cov(samples[k * 40 : (k + 1) * 40].astype("f8").T) for k in range(3)]
    assert np.allclose(out, expected, rtol=1e-5)


def test_band_covariance_has_the_power_of_each_channel_and_what_two_have_in_common() -> None:
    samples = sines(10.5, 10.5) + np.random.default_rng(3).normal(0, 3, (len(sines(1, 1)), 2))
    bands = ((8, 13), (20, 30))
    out, power = run(BandCovariance(bands, 50), samples), run(BandPower(bands, 50), samples).samples
    covariance = out.samples.reshape(len(out.samples), 2, 2, 2)
    assert out.signal.unit == "uV^2"
    assert np.allclose(np.diagonal(covariance, axis1=1, axis2=3), np.swapaxes(power, 1, 2), rtol=1e-6)
    assert np.array_equal(covariance[:, 0, :, 1], covariance[:, 1, :, 0])
    common = covariance[-5:].mean(axis=0)[0, :, 1]
    assert common[0] == pytest.approx(50, rel=0.1)  # amplitude 10 in both channels
    assert abs(common[1]) < 1  # noise of two channels has nothing in common


def test_channels_are_found_by_label_however_it_is_spelt() -> None:
    out = run(Pick(("o2", "EEG O1-REF")), np.array([[1.0, 2.0]]))
    assert out.samples.tolist() == [[2.0, 1.0]]
    assert run(Bipolar((("O1", "O2"),)), np.array([[1.0, 5.0]])).samples.tolist() == [[-4.0]]
    assert run(Scale((1.0, 2.0), (2.0, 4.0)), np.array([[5.0, 10.0]])).samples.tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize(("a", "b"), [("Fc5.", "FC5"), ("EEG Cz-REF", "cz"), ("O1..", "o1"), (" T7 ", "T7")])
def test_spellings_of_one_channel_have_one_key(a: str, b: str) -> None:
    assert label_key(a) == label_key(b)


def test_masks_mark_what_they_name_and_alter_nothing() -> None:
    samples = np.random.default_rng(2).normal(0, 10, (500, 2)).astype("f4")
    samples[100:103, 0] = 400.0
    samples[200:260, 1] = samples[199, 1]
    for step, channel, expected in (
        (Saturation(400.0), 0, set(range(100, 103))),
        (Artefact(300.0, 0.02), 0, set(range(100, 108))),  # 0.02 s are 5 samples
        (Flat(0.04), 1, set(range(208, 260))),  # 0.04 s are 10 samples, the first of them number 199
    ):
        out = run(step, samples)
        assert set(np.flatnonzero(out.bad[:, channel])) == expected, step
        assert not out.bad[:, 1 - channel].any()
        assert np.array_equal(out.samples, samples)


def test_memory_marks_exactly_the_settling_time_across_calls() -> None:
    memory = Memory((1,), 5)
    flags = np.zeros((20, 1), bool)
    flags[3] = True
    whole = Memory((1,), 5)(flags, 20)
    assert whole is not None
    assert np.flatnonzero(whole[:, 0]).tolist() == [3, 4, 5, 6, 7, 8]
    parts = [memory(flags[:4], 4), memory(None, 3), memory(None, 13)]
    joined = np.concatenate(
        [np.zeros((n, 1), bool) if p is None else p for p, n in zip(parts, (4, 3, 13), strict=True)]
    )
    assert np.array_equal(joined, whole)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (BandPass(8, 200), ["200 Hz", "250 Hz", "125 Hz"]),
        (BandPass(13, 8), ["below the upper", "13", "8"]),
        (BandPass(-1, 8), ["low", "above 0"]),
        (Notch(130), ["130 Hz", "250 Hz"]),
        (Decimate(1), ["factor", "2"]),
        (Pick(("Pz",)), ["'Pz'", "O1, O2"]),
        (Scale((1.0,), (1.0,)), ["1 means", "2 channels"]),
        (BandPower(((8, 130),), 10), ["130 Hz"]),
        (Covariance(1), ["block"]),
        (Saturation(0), ["limit", "above 0"]),
        (Notch(50, 1e12), ["remembers", "quality"]),
    ],
)
def test_what_a_step_cannot_do_is_refused_in_words(step: Step, words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        Pipeline([step]).start(SIGNAL)
    for word in words:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"step": "band_stop", "low": 1}, ["band_stop", "band_pass"]),
        ({"step": "band_pass", "low": 1, "hihg": 2}, ["hihg", "high"]),
        ({"low": 1}, ["None"]),
    ],
)
def test_an_unknown_step_or_setting_is_named(settings: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        Pipeline.from_json([{"step": "common_average"}, settings])
    for word in [*words, "step 2"]:
        assert word in str(raised.value)

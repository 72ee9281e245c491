"""What a heart and breathing leave in slices, planted at each slice's own time, is taken out; and nothing else."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.volumes.physiology import Physiology, breath_volume, cardiac_phase, peaks_s, respiratory_phase
from bci.signal.volumes.slice_glms import SliceGlms

RATE, TR, N = 50.0, 1.5, 120
TIMES = (0.0, 0.5, 1.0)
SECONDS = np.arange(0, N * TR + 8.0, 1 / RATE)
START = 4.0


def phase(seconds: NDArray[np.float64], hz: float, wander: float) -> NDArray[np.float64]:
    """Return the phase of a rhythm whose rate wanders."""
    return 2 * np.pi * hz * seconds + wander * np.sin(2 * np.pi * 0.02 * seconds)


def trace(hz: float, wander: float) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    return np.asarray(np.cos(phase(SECONDS, hz, wander)) + rng.normal(0, 0.05, len(SECONDS)))


BODY = Physiology(RATE, START, trace(1.1, 3.0), trace(0.27, 2.0))


def test_phases_are_those_of_the_rhythms() -> None:
    at = np.linspace(20, 150, 400)
    pulse, breath = trace(1.1, 3.0), trace(0.27, 2.0)
    found = cardiac_phase(peaks_s("pulse", pulse, RATE), at)
    wrong = np.angle(np.exp(1j * (found - phase(at, 1.1, 3.0))))
    assert np.percentile(np.abs(wrong), 95) < 0.3
    depth = respiratory_phase(breath, RATE, at)
    # Breathing in goes from 0 to pi, out from -pi to 0; the histogram bends it in between.
    rising = -np.sin(phase(at, 0.27, 2.0))
    clear = np.abs(rising) > 0.3
    assert (np.sign(depth) == np.sign(rising))[clear].mean() > 0.97


def test_breath_volume_grows_with_depth_and_with_pace() -> None:
    seconds = np.arange(0, 120, 1 / RATE)
    deep = np.where(seconds < 60, 1.0, 2.0) * np.cos(2 * np.pi * 0.25 * seconds)
    fast = np.cos(2 * np.pi * np.where(seconds < 60, 0.2 * seconds, 0.4 * (seconds - 60)))
    for breathing in (deep, fast):
        early, late = breath_volume(breathing, RATE, np.array([30.0, 90.0]))
        assert late / early == pytest.approx(2.0, rel=0.15)


def test_planted_noise_of_heart_and_breath_is_taken_out_slice_by_slice() -> None:
    slices = np.repeat([0, 1, 2], 20)
    at = START + np.arange(N)[:, None] * TR + np.array(TIMES)[None]
    noise = 3.0 * np.cos(phase(at, 1.1, 3.0) + 0.7) + 3.0 * np.sin(phase(at, 0.27, 2.0))
    values = 500.0 + noise[:, slices] + np.random.default_rng(0).normal(0, 1.0, (N, 60))
    models = {"none": None, "own": BODY.columns(N, TR, TIMES)}
    left = {}
    for name, columns in models.items():
        glms = SliceGlms(1, slices, columns)
        for volume in range(N):
            glms.add(volume, np.ones(1), values[volume])
        left[name] = np.sqrt(glms.residual_variance())
    assert np.median(left["none"]) > 2.5
    assert np.median(left["own"]) < 1.35
    assert BODY.columns(N, TR, TIMES).shape == (N, 3, 4 + 4 + 5)


def test_a_slice_whose_columns_are_all_the_same_is_the_one_model_of_before() -> None:
    rng = np.random.default_rng(3)
    values, rows = rng.normal(0, 1, (40, 12)), np.column_stack([np.ones(40), rng.normal(0, 1, 40)])
    slices = np.repeat([0, 1], 6)
    extra = np.repeat(rng.normal(0, 1, (40, 1, 1)), 2, axis=1)
    glms = SliceGlms(2, slices, extra)
    for volume in range(40):
        glms.add(volume, rows[volume], values[volume])
    design = np.column_stack([rows, extra[:, 0]])
    fitted, residual, *_ = np.linalg.lstsq(design, values, rcond=None)
    effect, _ = glms.contrast(np.array([0.0, 1.0]))
    assert np.allclose(effect, fitted[1])
    assert np.allclose(glms.residual_variance(), residual / 37)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Physiology(RATE, 0.0), "came neither"),
        (lambda: Physiology(RATE, 0.0, pulse=np.zeros(2000)), "three beats or breaths"),
        (lambda: Physiology(RATE, 0.0, breath=trace(0.27, 0.0)[:200]), "ten seconds or more"),
        (lambda: BODY.columns(400, TR, TIMES), "over the whole run"),
    ],
)
def test_traces_that_tell_nothing_are_refused(made: object, words: str) -> None:
    assert callable(made)
    with pytest.raises(ConfigError, match=words):
        made()

"""Distances between samples agree with closed forms, and refuse samples that are too small for them."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from bci.errors import DataError
from models.metrics.distributions import (
    class_divergence,
    frechet_distance,
    frechet_of_moments,
    kernel_distance,
    log_power,
    signal_frechet,
)


def rng():
    return np.random.default_rng(5)


def test_the_frechet_distance_of_gaussians_is_the_closed_form():
    assert frechet_of_moments(
        np.array([3.0]), np.array([[4.0]]), np.array([0.0]), np.array([[1.0]])
    ) == pytest.approx(9 + (2 - 1) ** 2)
    a, b = (source @ source.T for source in rng().standard_normal((2, 6, 6)))
    wanted = np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_of_moments(np.zeros(6), a, np.zeros(6), b) == pytest.approx(wanted)


def test_the_frechet_distance_of_samples_comes_near_it():
    x, y = rng().standard_normal((20_000, 4)), np.random.default_rng(6).standard_normal((20_000, 4))
    assert frechet_distance(x, 2 * y + [1, 0, 0, 0]) == pytest.approx(1 + 4, rel=0.05)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_no_more_items_than_features_are_refused():
    x = rng().standard_normal((64, 64))
    with pytest.raises(DataError, match="64 items of 64 features in the first sample"):
        frechet_distance(x, rng().standard_normal((100, 64)))
    with pytest.raises(DataError, match="came 64 and 63"):
        frechet_distance(x, x[:, 1:])
    with pytest.raises(DataError, match=r"more items than classes .* 10 items of 10 classes"):
        class_divergence(np.eye(10), splits=1)


def test_the_kernel_distance_is_unbiased_and_has_its_closed_form():
    source = rng()
    # In one dimension E k(x, y) of points 0 and 1 can be counted by hand.
    zeros, ones = np.zeros((4, 1)), np.ones((5, 1))
    assert kernel_distance(zeros, ones, rng=source).mean == pytest.approx(1 + 8 - 2)
    same = [
        kernel_distance(source.standard_normal((60, 3)), source.standard_normal((60, 3)), rng=source).mean
        for _ in range(200)
    ]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(200)
    drawn = kernel_distance(np.zeros((300, 1)), np.ones((300, 1)), rng=source, subsets=5, size=20)
    assert (drawn.mean, drawn.error) == (pytest.approx(7), pytest.approx(0))


def test_the_divergence_of_classes_lies_between_one_and_the_number_of_classes():
    certain = np.eye(5)[np.arange(500) % 5]
    assert class_divergence(certain) == (pytest.approx(5), pytest.approx(0))
    assert class_divergence(np.full((500, 5), 0.2)) == (pytest.approx(1), pytest.approx(0))
    with pytest.raises(DataError, match="sum to 1"):
        class_divergence(certain * 2)


def noise(seed, n=300, tilt=0.0):
    """White noise of 3 channels, or with slow power added."""
    source = np.random.default_rng(seed)
    white = source.standard_normal((n, 128, 3))
    return white + tilt * source.standard_normal((n, 1, 3)) * np.sin(np.arange(128) * 0.3)[None, :, None]


def test_signals_of_another_spectrum_lie_farther_than_those_of_the_same():
    real = noise(1)
    for rate in (None, 500.0):
        same = signal_frechet(real, noise(2), rate_hz=rate, components=20)
        other = signal_frechet(real, noise(3, tilt=1.0), rate_hz=rate, components=20)
        assert other > 2 * same
    assert log_power(real, 500.0).shape[1] % 3 == 0
    with pytest.raises(DataError, match="one length and montage"):
        signal_frechet(real, real[:, 1:])

"""The noise has the law that it is said to have."""

import numpy as np
import pytest
import scipy.signal

from bci.sim.noise import SpectralNoise, VoxelNoise, coefficients


def factors(voxels: int, n: int) -> np.ndarray:
    f = np.random.default_rng(0).standard_normal((voxels, n)).astype(np.float32)
    return f / np.linalg.norm(f, axis=1, keepdims=True)


@pytest.mark.parametrize(("rho", "share"), [(0.3, 0.5), (0.0, 0.0), (0.6, 0.8)])
def test_voxel_noise_has_the_planted_autocorrelation_and_shared_part(rho: float, share: float) -> None:
    f = factors(150, 12)
    noise = VoxelNoise(f, 3, 1, rho=rho, share=share, drift=0.0)
    x = np.array([noise.next() for _ in range(4000)], float)
    assert (x**2).mean() == pytest.approx(1, abs=0.03)
    assert (x[1:] * x[:-1]).mean() == pytest.approx(rho, abs=0.02)
    assert (x[2:] * x[:-2]).mean() == pytest.approx(rho**2, abs=0.02)
    found = x.T @ x / len(x)
    off = ~np.eye(len(f), dtype=bool)
    # The part of the covariance between voxels that goes along with F Fᵀ is the share.
    planted = (f @ f.T)[off]
    assert (found[off] @ planted) / (planted @ planted) == pytest.approx(share, abs=0.03)


def test_drift_is_slow_and_as_large_as_planted() -> None:
    f = factors(200, 12)
    with_drift, without = (VoxelNoise(f, 3, 1, drift=d) for d in (2.0, 0.0))
    slow = np.array([with_drift.next() - without.next() for _ in range(2000)])
    assert slow.std() == pytest.approx(2.0, rel=0.15)
    f_hz, density = scipy.signal.periodogram(slow, 1 / 1.5, axis=0)
    assert density[f_hz > 1 / 128].sum() < 0.02 * density.sum()


def test_noise_begins_again() -> None:
    noise = VoxelNoise(factors(20, 4), 3, 1)
    first = [noise.next() for _ in range(5)]
    noise.reset()
    assert np.array_equal(first, [noise.next() for _ in range(5)])


@pytest.mark.parametrize("slope", [0.7, 1.0, 1.8])
def test_the_background_falls_with_the_planted_slope(slope: float) -> None:
    size, rate = 2000, 250.0
    f = np.fft.rfftfreq(2 * size, 1 / rate)
    density = np.maximum(f, 0.5) ** -slope
    noise = SpectralNoise(np.repeat(coefficients(density, rate, 2 * size)[None], 6, axis=0), 2, 7)
    x = noise.read(0, 30 * size)
    at, found = scipy.signal.welch(x, rate, nperseg=1000, axis=0)
    band = (at >= 2) & (at <= 60)
    fitted = np.polyfit(np.log(at[band]), np.log(found[band].mean(axis=1)), 1)
    assert fitted[0] == pytest.approx(-slope, abs=0.06)
    assert np.exp(fitted[1]) == pytest.approx(1, rel=0.2)


def test_the_background_s_covariance_is_known_also_across_a_seam() -> None:
    size, rate = 64, 100.0
    spectra = coefficients(1 / np.maximum(np.fft.rfftfreq(2 * size, 1 / rate), 2.0), rate, 2 * size)
    many = SpectralNoise(np.repeat(spectra[None], 20_000, axis=0), 5, 9)
    for first in (10, size - 8):
        x = many.read(first, first + 16)
        planted = many.covariance(0, first, 16)
        assert np.allclose(x @ x.T / x.shape[1], planted, atol=0.04 * planted[0, 0])


def test_any_part_can_be_read_at_any_time() -> None:
    noise = SpectralNoise(np.ones((3, 33)), 1, 1)
    whole = noise.read(0, 200)
    assert np.array_equal(SpectralNoise(np.ones((3, 33)), 1, 1).read(150, 190), whole[150:190])
    assert np.array_equal(np.concatenate([noise.read(a, a + 1) for a in range(40, 60)]), whole[40:60])

"""Noise of known distribution: of voxels (shared factors, AR(1), drift) and of electrodes (any spectrum).

Both are Gaussian and separable, covariance in time ⊗ covariance in space, so that an oracle can whiten them.
"""

import math
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from bci.sim.seeds import numbered

Array = NDArray[np.float64]

#: Drift is a few slow waves of these periods, seconds.
_DRIFT_PERIODS = (160.0, 230.0, 340.0, 520.0)


class VoxelNoise:
    """A VoxelNoise generates noise of unit variance per voxel, volume after volume, and drift added to it.

    ``x_t = ρ x_{t-1} + √(1-ρ²) e_t``, where ``e_t = √share · F f_t + √(1-share) · u_t`` with `f_t` and `u_t` white and
    the rows of `F` of length 1. Drift are cosines whose amplitudes have the same covariance between voxels.

    Parameters
    ----------
    factors : (voxels, factors) float32
        `F`; rows of length 1.
    seed, kind : int
        Numbers that fix the noise (see `bci.sim.seeds.numbered`).
    rho : float
        Correlation of successive volumes, 0 to below 1.
    share : float
        Part of the variance that is in the factors.
    drift : float
        Standard deviation of the drift, in that of the noise.
    tr : float
        Seconds from volume to volume.
    """

    def __init__(
        self,
        factors: NDArray[np.float32],
        seed: int,
        kind: int,
        *,
        rho: float = 0.3,
        share: float = 0.5,
        drift: float = 1.0,
        tr: float = 1.5,
    ) -> None:
        if not 0 <= rho < 1 or not 0 <= share <= 1 or drift < 0:
            raise ValueError(
                f"noise needs 0 ≤ rho < 1, a share of 0 to 1 and drift ≥ 0, got {rho}, {share}, {drift}"
            )
        self._factors = factors
        self._seed, self._kind = seed, kind
        self.rho, self.share, self.drift, self.tr = rho, share, drift, tr
        self.reset()

    def reset(self) -> None:
        """Begin again with volume 0."""
        self._volume = 0
        self._state = self._draw(0)
        rng = numbered(self._seed, self._kind, 0)
        waves = [self._spread(rng) for _ in range(2 * len(_DRIFT_PERIODS))]
        self._waves = np.stack(waves) * np.float32(self.drift / math.sqrt(len(_DRIFT_PERIODS)))

    def next(self) -> NDArray[np.float32]:
        """Return the next volume's noise: (voxels,)."""
        if self._volume:
            keep, renew = np.float32(self.rho), np.float32(math.sqrt(1 - self.rho**2))
            self._state = keep * self._state + renew * self._draw(self._volume)
        angles = 2 * math.pi * self._volume * self.tr / np.array(_DRIFT_PERIODS)
        slow = np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)
        self._volume += 1
        noise: NDArray[np.float32] = self._state + np.einsum("w,wv->v", slow, self._waves)
        return noise

    def variance_of(self, weights: Array) -> float:
        """Return the variance of a weighted sum of the volumes from 0 on (volumes,), in one voxel."""
        # Σ_s ρ^|t-s| w_s by one pass in each direction.
        forward = scipy.signal.lfilter([1], [1, -self.rho], weights)
        backward = scipy.signal.lfilter([1], [1, -self.rho], weights[::-1])[::-1]
        turns = np.arange(len(weights)) * self.tr / np.array(_DRIFT_PERIODS)[:, np.newaxis]
        waves = np.abs(np.exp(2j * math.pi * turns) @ weights) ** 2
        return float(weights @ (forward + backward - weights) + self.drift**2 * waves.mean())

    def _draw(self, volume: int) -> NDArray[np.float32]:
        return self._spread(numbered(self._seed, self._kind, volume + 1))

    def _spread(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return one draw with the covariance between voxels: (voxels,)."""
        voxels, factors = self._factors.shape
        common = rng.standard_normal(factors, np.float32)
        single = rng.standard_normal(voxels, np.float32)
        shared = np.float32(math.sqrt(self.share)) * np.einsum("vf,f->v", self._factors, common)
        return np.asarray(np.float32(math.sqrt(1 - self.share)) * single + shared)


class SpectralNoise:
    """A SpectralNoise generates independent, endless, stationary sources of any spectrum; any slot can be read at once.

    Blocks of two slots are drawn in the frequency domain, fade in and out, and overlap by half: sin² + cos² = 1, so
    that their sum has the power of one.

    Parameters
    ----------
    spectra : (sources, bins) float64
        Standard deviation of each Fourier coefficient (of its real and of its imaginary part) of a block of
        ``2 (bins - 1)`` samples; see `coefficients`.
    seed, kind : int
        Numbers that fix the noise (see `bci.sim.seeds.numbered`).
    """

    def __init__(self, spectra: Array, seed: int, kind: int) -> None:
        self.size = spectra.shape[1] - 1
        self._spectra = spectra
        self._seed, self._kind = seed, kind
        # Four blocks: enough to read on while another reader re-reads the slot before.
        self._block = lru_cache(4)(self._make_block)

    def slot(self, slot: int) -> Array:
        """Return slot `slot`: (size, sources). Block k spans slots k and k + 1."""
        return np.asarray(self._block(slot)[: self.size] + self._block(slot - 1)[self.size :])

    def read(self, first: int, end: int) -> Array:
        """Return samples `first` to `end`: (end - first, sources)."""
        out = np.empty((end - first, len(self._spectra)))
        at = first
        while at < end:
            slot, offset = divmod(at, self.size)
            stop = min(end, (slot + 1) * self.size)
            out[at - first : stop - first] = self.slot(slot)[offset : offset + stop - at]
            at = stop
        return out

    def covariance(self, source: int, first: int, n: int) -> Array:
        """Return the covariance in time (n, n) of one source's samples from `first` on, exactly."""
        length = 2 * self.size
        power = 2 * self._spectra[source] ** 2
        power[[0, -1]] = self._spectra[source][[0, -1]] ** 2
        lags = np.fft.irfft(power, length) / length
        at = np.arange(first, first + n)
        slots = at // self.size
        fades = np.zeros((n, slots[-1] - slots[0] + 2))
        angle = np.pi * (at % self.size + 0.5) / length
        # A sample lies in the first half of its own slot's block and in the second half of the one before.
        fades[np.arange(n), slots - slots[0] + 1] = np.sin(angle)
        fades[np.arange(n), slots - slots[0]] = np.cos(angle)
        return np.asarray(lags[np.abs(at[:, None] - at[None, :])] * (fades @ fades.T))

    def _make_block(self, block: int) -> Array:
        """Return the independent sources of one block, faded in and out: (2 size, sources)."""
        # Each block has a number, so any block can be drawn at once. Blocks count from -1, numbers from 0.
        rng = numbered(self._seed, self._kind, block + 1)
        white = rng.standard_normal((2, *self._spectra.shape))
        sources = np.fft.irfft((white[0] + 1j * white[1]) * self._spectra, 2 * self.size, axis=1)
        fade = np.sin(np.pi * (np.arange(2 * self.size) + 0.5) / (2 * self.size))
        return np.ascontiguousarray((sources * fade).T)


def coefficients(density: Array, rate: float, length: int) -> Array:
    """Return the standard deviations for `SpectralNoise` of one-sided densities (…, bins) in unit²/Hz.

    A density S gives Fourier coefficients of variance ``S · rate · length / 2``, half of it in each part.
    """
    return np.asarray(np.sqrt(density * rate * length / 4))

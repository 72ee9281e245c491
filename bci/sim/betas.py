"""Trial betas: response amplitudes, one per trial and voxel, fitted to a run by least squares, one trial at a time.

For each trial in turn, ``y = β h_i + γ Σ_{j≠i} h_j + drift``, with the canonical response (Mumford, Turner, Ashby &
Poldrack 2012, NeuroImage 59:2636: least squares, separate) and cosines for the drift. Every beta is a fixed weighted
sum of the volumes, so its noise follows from theirs.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bci.sim.hrf import CANONICAL, SPAN, StepTable
from bci.sim.noise import VoxelNoise

Array = NDArray[np.float64]

#: Drift slower than this period is taken out, seconds.
HIGH_PASS = 128.0


class TrialBetas:
    """TrialBetas fits a run's betas while its volumes arrive: it holds the design and running sums over the volumes.

    Parameters
    ----------
    onsets, ends : (n,) float64
        When each trial's picture appeared and disappeared, seconds; volume k is at ``k · tr``.
    tr : float
        Seconds from volume to volume.
    volumes : int
        Number of volumes in the run.
    voxels : int
        Values per volume.
    """

    def __init__(self, onsets: Array, ends: Array, tr: float, volumes: int, voxels: int) -> None:
        self.tr, self.volumes = tr, volumes
        table = StepTable(CANONICAL)
        last = np.minimum(volumes, np.ceil((ends + SPAN) / tr).astype(int) + 1)
        self.first = np.ceil(onsets / tr).astype(int)
        #: Each trial's expected response at the volumes from `first` on.
        self.expected = [
            np.array([table.boxcar(k * tr - on, k * tr - off)[0] for k in range(low, high)], np.float64)
            for low, high, on, off in zip(self.first, last, onsets, ends, strict=True)
        ]
        self._total = np.zeros(volumes)
        for low, values in zip(self.first, self.expected, strict=True):
            self._total[low : low + len(values)] += values
        self._slow = _cosines(volumes, tr)
        self._trial_sums = np.zeros((len(onsets), voxels))
        self._slow_sums = np.zeros((self._slow.shape[1], voxels))
        self._total_sum = np.zeros(voxels)
        self._solve()

    def add(self, first: int, values: NDArray[np.float32]) -> None:
        """Add volumes from number `first` on: (n, voxels)."""
        volumes = values.astype(np.float64)
        end = first + len(volumes)
        for i, (low, expected) in enumerate(zip(self.first, self.expected, strict=True)):
            a, b = max(low, first), min(low + len(expected), end)
            if a < b:
                self._trial_sums[i] += expected[a - low : b - low] @ volumes[a - first : b - first]
        self._slow_sums += self._slow[first:end].T @ volumes
        self._total_sum += self._total[first:end] @ volumes

    def solve(self) -> Array:
        """Return the betas of all volumes added so far: (trials, voxels)."""
        own_trials = self._trial_sums - self._trial_slow @ self._slow_sums
        all_trials = self._total_sum - self._total_slow @ self._slow_sums
        return np.asarray(self._a[:, None] * own_trials + self._b[:, None] * all_trials)

    def weights(self, trial: int) -> Array:
        """Return the weight of each volume in a trial's beta: (volumes,)."""
        weights = -self._slow @ self._trial_slow[trial]
        low, values = self.first[trial], self.expected[trial]
        weights[low : low + len(values)] += values
        return np.asarray(
            self._a[trial] * weights + self._b[trial] * (self._total - self._slow @ self._total_slow)
        )

    def noise_variance(self, noise: VoxelNoise) -> Array:
        """Return the variance of each beta (trials,) when a voxel has this noise, drift included."""
        return np.array([noise.variance_of(self.weights(i)) for i in range(len(self.first))])

    def _solve(self) -> None:
        """Write each trial's beta as ``a · (own regressor) + b · (sum of all regressors)``, drift taken out of both."""
        slow = self._slow
        self._total_slow = slow.T @ self._total
        self._trial_slow = np.empty((len(self.first), slow.shape[1]))
        own_own, own_total = np.empty(len(self.first)), np.empty(len(self.first))
        for i, (low, values) in enumerate(zip(self.first, self.expected, strict=True)):
            place = slice(low, low + len(values))
            self._trial_slow[i] = values @ slow[place]
            own_own[i] = values @ values - self._trial_slow[i] @ self._trial_slow[i]
            own_total[i] = values @ self._total[place] - self._trial_slow[i] @ self._total_slow
        total_total = self._total @ self._total - self._total_slow @ self._total_slow
        # Regressors a = own, b = total - own: the first row of (XᵀX)⁻¹ Xᵀ.
        ab, bb = own_total - own_own, total_total - 2 * own_total + own_own
        if len(self.first) == 1:
            ab, bb = np.zeros(1), np.ones(1)
        determinant = own_own * bb - ab**2
        if np.any(determinant <= 1e-9 * own_own * bb):
            worst = int(np.argmin(determinant / (own_own * bb)))
            raise ValueError(
                f"trial {worst} cannot be told from the others: give it an onset of its own, and volumes after it"
            )
        self._a, self._b = (bb + ab) / determinant, -ab / determinant


def _cosines(volumes: int, tr: float) -> Array:
    """Return orthonormal cosines slower than `HIGH_PASS`, the constant among them: (volumes, n)."""
    n = 1 + math.floor(2 * volumes * tr / HIGH_PASS)
    k = np.arange(volumes)[:, np.newaxis]
    waves = np.cos(np.pi * np.arange(n) * (k + 0.5) / volumes)
    return np.asarray(waves / np.linalg.norm(waves, axis=0))

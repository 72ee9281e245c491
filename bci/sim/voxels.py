"""A VoxelParticipant simulates a person in a scanner, whose BOLD signal answers what the screen shows.

A voxel's value is ``100 + s · (drive * response) + n · (noise + drift)`` percent. Every voxel has its own noise `n` and
response; `s` sets its single-trial signal-to-noise ratio: the variance over reference pictures of the beta of a trial
that stands alone in a run of ten minutes, by that beta's noise variance. The ratios are lognormal, so that most voxels
carry next to no information and few carry much.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Signal
from bci.sim.betas import TrialBetas
from bci.sim.cortex.gaze import Pictures
from bci.sim.hrf import DEAD, SPAN, StepTable, varied
from bci.sim.noise import VoxelNoise
from bci.sim.observer import Observer
from bci.sim.seeds import numbered

Drives = NDArray[np.float32]

_ANATOMY, _NOISE = 41, 42

#: Spread of the logarithm of the voxels' signal-to-noise ratios.
RELIABILITY_SPREAD = 1.2
FACTORS = 30

#: The trial that stands alone: seconds that its picture is shown, in the middle of a run of so many seconds.
_ALONE, _RUN = 1.5, 600.0


@dataclass(slots=True, eq=False)
class _Shown:
    drive: Drives
    began: float
    ended: float = math.inf


class VoxelParticipant:
    """A VoxelParticipant answers pictures with BOLD, in percent of each voxel's mean, one sample a volume.

    Parameters
    ----------
    observer : Observer
        The participant's eye, cortex, attention and memory; a voxel for each unit of its cortex.
    subject : int
        Number of the participant, which fixes the voxels' responses and noise.
    snr : float
        Median over voxels of the single-trial signal-to-noise ratio, a ratio of variances; 0 for a null run.
    tr : float
        Seconds from volume to volume.
    rho, share, drift
        As `bci.sim.noise.VoxelNoise` takes them.

    Attributes
    ----------
    signal : Signal
        Rate, voxels and unit of the samples that `read` returns.
    simulated : bool
        Always True.
    snrs : (voxels,) float64
        Each voxel's signal-to-noise ratio.
    late : int
        Changes of the screen that arrived after volumes that should have held their answer.
    """

    simulated = True
    kind = "fMRI"
    dead_time = DEAD

    def __init__(
        self,
        observer: Observer,
        subject: int,
        *,
        snr: float = 0.05,
        tr: float = 1.5,
        rho: float = 0.3,
        share: float = 0.5,
        drift: float = 1.0,
    ) -> None:
        if not 0 <= snr < math.inf or not 0.2 <= tr <= 10:
            raise ValueError(f"a scan needs snr ≥ 0 and a TR of 0.2 to 10 s, got {snr} and {tr}")
        self.observer, self.subject, self.snr, self.tr = observer, subject, snr, tr
        voxels = len(observer.population)
        self.signal = Signal("SimulatedBOLD", 1 / tr, (voxels,), (), "percent")
        rng = numbered(subject, _ANATOMY, 0)
        self.shapes = varied(voxels, rng)
        self.snrs = snr * rng.lognormal(0.0, RELIABILITY_SPREAD, voxels)
        self.noise_percent = rng.lognormal(math.log(0.8), 0.3, voxels).astype(np.float32)
        factors = rng.standard_normal((voxels, FACTORS), np.float32)
        self.factors = factors / np.linalg.norm(factors, axis=1, keepdims=True)
        self._table = StepTable(self.shapes)
        session = observer.session
        self._noise = VoxelNoise(self.factors, session, _NOISE, rho=rho, share=share, drift=drift, tr=tr)
        self.scale = self._scaled()
        self.reset()

    def reset(self) -> None:
        """Begin the session again at volume 0."""
        self.observer.reset()
        self._noise.reset()
        self._shown: list[_Shown] = []
        self._next = 0
        self.late = 0

    def see(self, picture: Pictures, time: float) -> None:
        """Take a change of the screen: (h, w, 3) uint8, flipped `time` seconds after volume 0."""
        look = self.observer.see(picture, time)
        if look is not None:
            self.change(look[1], time)

    def change(self, drive: Drives, time: float) -> None:
        """Change the voxels' drive to `drive` (voxels,) from `time` on."""
        self.late += self._next > 0 and time + DEAD < (self._next - 1) * self.tr
        if self._shown:
            self._shown[-1].ended = min(self._shown[-1].ended, time)
        if drive.any():
            self._shown.append(_Shown(drive, time))

    def read(self, n: int) -> NDArray[np.float32]:
        """Return the next `n` volumes (n, voxels) float32, percent: noise and the answers to all looks so far."""
        out = np.empty((n, len(self.scale)), np.float32)
        for k in range(n):
            noise = self.noise_percent * self._noise.next()
            out[k] = 100 + self.evoked(self._next * self.tr) + noise
            self._next += 1
        return out

    def evoked(self, time: float) -> Drives:
        """Return the answer to the pictures at `time`, without noise: (voxels,), percent."""
        self._shown = [shown for shown in self._shown if time - shown.ended < SPAN]
        total = np.zeros(len(self.scale), np.float32)
        for shown in self._shown:
            total += shown.drive * self.response(time - shown.began, time - shown.ended)
        return total * self.scale

    def response(self, since: float, after: float) -> Drives:
        """Return each voxel's response to a unit drive that began `since` and ended `after` seconds ago: (voxels,)."""
        return self._table.boxcar(since, after)

    @property
    def noise(self) -> VoxelNoise:
        """The noise, volume by volume; a volume drawn here is skipped by `read`."""
        return self._noise

    def _scaled(self) -> Drives:
        """Return the percent that a unit drive is worth, from each voxel's signal-to-noise ratio."""
        volumes = math.ceil(_RUN / self.tr)
        onset = volumes // 2 * self.tr
        alone = TrialBetas(np.array([onset]), np.array([onset + _ALONE]), self.tr, volumes, 1)
        weights = alone.weights(0)
        answered = range(alone.first[0], alone.first[0] + len(alone.expected[0]))
        passed = sum(
            weights[k] * self.response(k * self.tr - onset, k * self.tr - onset - _ALONE) for k in answered
        )
        sound = np.sqrt(self.snrs * alone.noise_variance(self._noise)[0]) * self.noise_percent
        return np.asarray(sound / passed, np.float32)

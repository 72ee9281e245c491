"""ComparableTrials are what a comparison of readouts needs of a training file: trials in runs, and their oracle."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.datasets.trials import Trials
from models.readouts.settings import VoxelSettings


@dataclass(frozen=True, slots=True, eq=False)
class ComparableTrials:
    """Training trials of one system.

    Attributes
    ----------
    trials : Trials
        In runs, each stimulus shown once.
    snr : float, or None
        Signal-to-noise ratio of single trials, where it is known: of a simulated participant.
    voxels : VoxelSettings, or None
        Which voxels a readout takes unless the comparison says otherwise; None for all.
    likelihoods : callable, or None
        Takes the number of a stimulus, and numbers of candidates (k,); returns the log likelihood of each candidate
        in the trial of that stimulus, (k,). None where no oracle knows the participant.
    """

    trials: Trials
    snr: float | None = None
    voxels: VoxelSettings | None = None
    likelihoods: Callable[[int, NDArray[np.integer]], NDArray[np.float64]] | None = None

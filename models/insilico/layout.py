"""A Layout says when pictures are shown in the runs of a simulated scanner."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.insilico.settings import InSilico


@dataclass(frozen=True, eq=False)
class Layout:
    """A Layout says when pictures are shown in consecutive runs of one length.

    Attributes
    ----------
    volumes : int
        Volumes of each run.
    tr : float
        Seconds from one to the next.
    runs : (trials,) int64
        Run of each trial.
    onsets : (trials,) float64
        Seconds from its run's first volume.
    """

    volumes: int
    tr: float
    runs: NDArray[np.int64]
    onsets: NDArray[np.float64]

    @property
    def since_beginning(self) -> NDArray[np.float64]:
        """Seconds from the session's first volume: (trials,)."""
        return np.asarray(self.onsets + self.runs * self.volumes * self.tr)


def layout_of(setup: InSilico, trials: int) -> Layout:
    """Return how so many trials are divided into runs."""
    timing, each = setup.trials, setup.trials.of_run
    places = np.arange(trials)
    seconds = timing.lead_in_s + timing.every * (1 + min(each, trials)) + max(setup.epoch.stop, 0.0)
    volumes = math.ceil(seconds / setup.participant.tr) + 1
    onsets = timing.lead_in_s + timing.every * (1 + places % each)
    return Layout(volumes, setup.participant.tr, places // each, np.asarray(onsets, np.float64))

"""A Layout says when pictures are shown in the runs of a simulated scanner."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.insilico.settings import InSilico


@dataclass(frozen=True, eq=False)
class Layout:
    """A Layout says when pictures are shown in consecutive runs.

    Attributes
    ----------
    volumes : (runs,) int64
        Volumes of each run.
    tr : float
        Seconds from one to the next.
    runs : (trials,) int64
        Run of each trial.
    onsets : (trials,) float64
        Seconds from its run's first volume.
    """

    volumes: NDArray[np.int64]
    tr: float
    runs: NDArray[np.int64]
    onsets: NDArray[np.float64]

    @property
    def since_beginning(self) -> NDArray[np.float64]:
        """Seconds from the session's first volume: (trials,)."""
        begins = np.concatenate([[0], np.cumsum(self.volumes[:-1])])
        return np.asarray(self.onsets + begins[self.runs] * self.tr)


def layout_of(setup: InSilico, trials: int) -> Layout:
    """Return how so many trials are divided into runs."""
    timing, each = setup.trials, setup.trials.of_run
    places = np.arange(trials)
    runs = places // each
    every = np.array([timing.every_of(run) for run in range(int(runs[-1]) + 1)])
    seconds = timing.lead_in_s + every * (1 + min(each, trials)) + max(setup.epoch.stop, 0.0)
    volumes = np.ceil(seconds / setup.participant.tr).astype(np.int64) + 1
    onsets = timing.lead_in_s + every[runs] * (1 + places % each)
    return Layout(volumes, setup.participant.tr, runs, np.asarray(onsets, np.float64))

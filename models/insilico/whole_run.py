"""A WholeRun estimates the betas of a run's trials once all of its volumes are there: what offline analyses have.

The model is that of the pipeline's own `SingleTrialBetas` (least squares, separate; the same responses, drift and
motion), fitted to all volumes, not to those that have come by the trial's wait. `benchmarks.fmri_glm` compares such
betas with nilearn's.
"""

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.types import Signal, Window
from bci.signal.volumes.motion import motion_regressors
from bci.signal.volumes.single_trials import BetaKind, SingleTrials
from bci.signal.volumes.trial_betas import SingleTrialBetas
from bci.signal.volumes.trial_scores import TrialsBefore

#: Betas of runs, (trials, voxels) each, in order.
Betas = list[NDArray[np.float32]]


class WholeRun:
    """A WholeRun takes the volumes of one run and gives the betas of its trials at the end.

    Parameters
    ----------
    pipeline : Pipeline
        Of the session, motion correction first and single-trial betas last.
    signal : Signal
        Of the volumes.
    onsets : (trials,) float64
        Seconds from the first volume.

    Raises
    ------
    ConfigError
        If the pipeline is another.
    """

    def __init__(self, pipeline: Pipeline, signal: Signal, onsets: NDArray[np.float64]) -> None:
        *before, last = pipeline.steps
        if not isinstance(last, SingleTrialBetas):
            raise ConfigError("expected a pipeline whose last step is single_trial_betas, came another")
        self._settings, self._rows = last, Pipeline(before).start(signal)
        grid = last.grid(self._rows.output)
        self._steady = last.steady(grid)
        columns = self._steady.shape[1] + 6 * last.motion
        self._fit = SingleTrials(grid, columns, self._rows.output.shape[0])
        self._trials = [self._fit.begin(float(onset), last.duration_s) for onset in onsets]

    def add(self, chunk: Window) -> None:
        """Take the next volumes."""
        out = self._rows(chunk)
        sides = {side.signal.name: side.samples for side in self._rows.take_sides(chunk)}
        motion = (
            motion_regressors(sides["motion"]) if self._settings.motion else np.zeros((len(out.samples), 0))
        )
        for place, row in enumerate(out.samples):
            volume = out.first + place
            if volume < self._settings.volumes:
                self._fit.add(volume, np.concatenate([self._steady[volume], motion[place]]), row)

    def betas(self) -> NDArray[np.float32]:
        """Return the betas of all trials: (trials, voxels), NaN where a response cannot be told apart."""
        kind: BetaKind = self._settings.kind  # type: ignore[assignment]  # checked by the step
        found = [self._fit.estimate(trial, kind) for trial in self._trials]
        nothing = np.full(self._rows.output.shape, np.nan)
        betas = np.array([nothing if beta is None else beta for beta in found], np.float32)
        before = self._settings.before
        return betas if before is None else whole_scores(betas, before)


def whole_scores(betas: NDArray[np.float32], before: TrialsBefore) -> NDArray[np.float32]:
    """Return betas of a whole run (trials, voxels) as z-scores over all of its trials, behind those of training."""
    moments = before.moments()
    for beta in betas:
        moments.add(beta, ~np.isfinite(beta))
    return np.array([np.where(np.isfinite(beta), moments.z(beta)[0], np.nan) for beta in betas], np.float32)

"""Training trials whose betas are z-scores behind those of training: scored once all have come.

`bci.signal.volumes.trial_betas.SingleTrialBetas` holds mean and spread of training's betas, which its training file
leaves out. So the training session is run with betas as they are, mean and spread are taken of these, and each run's
are then scored in order, by the code that scores them live.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.types import Window
from bci.signal.volumes.running import RunningMoments
from bci.signal.volumes.trial_betas import SingleTrialBetas
from bci.sim.participant import Participant
from models.insilico.layout import layout_of
from models.insilico.settings import InSilico
from models.insilico.trials import Floats, Pictures, Set, answers, epochs, set_of
from models.insilico.whole_run import Betas, whole_scores


class Model(InSilico, Protocol):
    """A Model is settings that can be copied with others in their place, as pydantic's can."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some settings replaced."""
        ...


Setup = TypeVar("Setup", bound=Model)


def learned(
    setup: Setup,
    participant: Participant,
    pictures: Pictures,
    latents: Floats,
    whole: Betas | None = None,
    positions: Sequence[Sequence[float]] = (),
) -> tuple[Setup, Set]:
    """Return the settings with what training fills in, and the trials; the rest is as of `answers`.

    Settings that leave nothing to be filled in are returned as they are.
    """
    last = Pipeline.from_json([dict(step) for step in setup.pipeline]).steps[-1:]
    if not (last and isinstance(last[0], SingleTrialBetas) and last[0].trained and not last[0].mean):
        return setup, answers(setup, participant, pictures, latents, whole, positions)
    windows = epochs(_with_last(setup, trained=0), participant, pictures, whole, positions)
    mean, spread = moments_of(windows)
    filled = _with_last(setup, mean=mean, spread=spread)
    step = replace(last[0], mean=tuple(mean), spread=tuple(spread))
    if whole is not None and step.before is not None:
        whole[:] = [whole_scores(betas, step.before) for betas in whole]
    runs = layout_of(setup, len(windows)).runs
    return filled, set_of(filled, scored(windows, runs, step), latents, whole)


def moments_of(windows: Sequence[Window]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each voxel over betas that may be trusted, as float32 holds them.

    Raises
    ------
    ConfigError
        If a voxel has fewer than two.
    """
    moments = RunningMoments(windows[0].samples.shape[1])
    for window in windows:
        moments.add(window.samples[0], window.bad[0])
    few = int(np.count_nonzero(moments.counts < 2))
    if few:
        raise ConfigError(
            f"expected two trials or more of each voxel that can be trusted, came fewer of {few} of "
            f"{len(moments.counts)} voxels. Take these out of the mask."
        )
    mean, spread = (np.asarray(values, np.float32).tolist() for values in (moments.mean, moments.spread()))
    return mean, spread


def scored(windows: Sequence[Window], runs: NDArray[np.int64], step: SingleTrialBetas) -> list[Window]:
    """Return epochs of one beta each as the step scores them, each run from its own beginning."""
    out: list[Window] = []
    scores = step.scores(windows[0].samples.shape[1])
    for place, window in enumerate(windows):
        if place and runs[place] != runs[place - 1]:
            scores = step.scores(window.samples.shape[1])
        values, bad = scores(window.samples[0], window.bad[0])
        out.append(replace(window, samples=values[None], bad=bad[None]))
    return out


def _with_last(setup: Setup, **settings: Any) -> Setup:
    """Return settings whose pipeline's last step has others."""
    *before, last = setup.pipeline
    return setup.model_copy(update={"pipeline": (*before, {**last, **settings})})

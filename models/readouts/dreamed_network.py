"""A readout that learns a network in dreams: the posterior mean of a latent, where a linear readout has a line.

The network reads white answers (`models.encoding.white`) of dreamed trials whose noise is fresh at every update, and is
then tuned on real trials. How long it learns of either, and whether the network, the linear dreamed readout or ridge is
taken, is decided by the mean cosine on runs held out of the training data. The same held-out predictions give its gain,
and correct the variance that its second head states of each trial, or put one for all in its place where that tells of
them as much (`models.readouts.stated`). It is exported as the affine map to white answers and the layers
behind it.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from models.encoding.features import BANKS
from models.generators.package import GeneratorPackage
from models.readouts.dream_schedule import DreamSchedule
from models.readouts.dream_trials import DreamedTrials
from models.readouts.dreamed import Dreamed
from models.readouts.maps import Map

Floats = NDArray[np.float64]


class DreamedNetwork(Dreamed):
    """A DreamedNetwork is a network fitted to dreamed trials, or a linear readout where that reads better.

    Its further options are those of `models.readouts.dream_schedule.DreamSchedule`.

    Parameters
    ----------
    generator, dreams, components, axes, banks, seed, always
        As of `Dreamed`.
    folds : int
        How many fifths of the runs are held out in turn, with a network of its own each.

    Raises
    ------
    ConfigError
        If an option is impossible.
    """

    def __init__(
        self,
        generator: GeneratorPackage,
        dreams: int = 20_000,
        components: int = 150,
        axes: int = 60,
        banks: tuple[str, ...] | list[str] | Literal["chosen"] = tuple(BANKS),
        seed: int = 0,
        folds: int = 3,
        *,
        always: bool = False,
        **schedule: Any,
    ) -> None:
        super().__init__(generator, dreams, components, axes, banks, seed, always=always)
        self.folds, self.schedule = folds, DreamSchedule(**schedule)
        given = {field.name: getattr(self.schedule, field.name) for field in fields(DreamSchedule)}
        wrong = [f"{name} = {given[name]}" for name in ("hidden", "steps", "checks") if given[name] < 1]
        wrong += [
            f"{name} = {given[name]}" for name in ("learning_rate", "temperature") if not given[name] > 0
        ]
        wrong += [f"tuning = {self.schedule.tuning}"] if self.schedule.tuning < 0 else []
        wrong += [f"batch = {self.schedule.batch}"] if self.schedule.batch < 2 else []
        wrong += [f"folds = {folds}"] if not 1 <= folds <= 5 else []
        if wrong:
            raise ConfigError(
                "expected hidden, steps and checks of at least 1, learning_rate and temperature above 0, a batch of at "
                f"least 2, tuning of at least 0 and 1 to 5 folds, came {', '.join(wrong)}"
            )

    def _folds(self) -> int:
        return self.folds

    def _readings(
        self,
        trials: DreamedTrials,
        x: Floats,
        y: Floats,
        runs: NDArray[np.intp],
        only: str | None = None,
    ) -> Iterator[tuple[str, Map]]:
        """Yield what `Dreamed` yields, and the network at every check."""
        from models.readouts.dream_training import networks

        yield from super()._readings(trials, x, y, runs, only)
        if only is None or only.startswith("network"):
            latents = (y - trials.mean).astype(np.float32)
            for name, *found in networks(trials, trials.real(x), latents, self.schedule, self.seed, only):
                yield name, trials.network(*found)

"""The choice of a readout is made inside the training data, by what each reads of parts that it did not see."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from models.metrics.ranks import class_area
from models.systems.events.folds import apart_from
from models.systems.events.readout import Fittable, fit
from models.systems.events.settings import ChosenSettings
from models.systems.events.trials import EventTrials


@dataclass(frozen=True, slots=True)
class Choice:
    """A Choice is a readout to fit, and what it was chosen by.

    Attributes
    ----------
    readout : settings of a readout
    areas : mapping of str to float
        Mean area under the curve over the parts held out, of each readout that was tried; empty where there was one.
    """

    readout: Fittable
    areas: Mapping[str, float]


def settle(readout: Fittable | ChosenSettings, trials: EventTrials, rows: NDArray[np.intp]) -> Choice:
    """Choose the readout of these rows of trials.

    Each contiguous part of the rows is held out once; rows that share a sample with it are not fitted on.

    Raises
    ------
    RecordingError
        If a part leaves too few trials of a class.
    """
    if not isinstance(readout, ChosenSettings):
        return Choice(readout, {})
    k = len(trials.labels)
    areas: list[list[float]] = [[] for _ in readout.among]
    for part in np.array_split(rows, readout.parts):
        kept = np.intersect1d(rows, apart_from(trials, part), assume_unique=True)
        few = [one for one in range(k) if np.count_nonzero(trials.classes[kept] == one) < 2]
        if few:
            raise RecordingError(
                f"expected at least 2 trials of each class beside each of {readout.parts} parts of {len(rows)} "
                "training trials, came fewer. Set readout.parts lower, or record more."
            )
        if len(np.unique(trials.classes[part])) < k:
            continue
        for place, settings in enumerate(readout.among):
            fitted = fit(trials, kept, settings)
            areas[place].append(class_area(fitted.scores(trials.epochs[part]), trials.classes[part]))
    if not areas[0]:
        raise RecordingError(
            f"expected a part of the {len(rows)} training trials with trials of every class, came none of "
            f"{readout.parts}. Set readout.parts lower."
        )
    means = [float(np.mean(found)) for found in areas]
    names = {describe(settings): mean for settings, mean in zip(readout.among, means, strict=True)}
    return Choice(readout.among[int(np.argmax(means))], names)


def describe(readout: Fittable) -> str:
    """Return the name of a readout with its options: ``block_means block=6``."""
    options = readout.model_dump(exclude={"name"})
    return " ".join([readout.name, *(f"{key}={value}" for key, value in options.items())])

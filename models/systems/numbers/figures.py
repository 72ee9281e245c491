"""Figures of a number: its course, beside what is read of it."""

import numpy as np
from numpy.typing import NDArray

from models.reports.charts import GREY, TEAL, Line, chart
from models.systems.numbers.settings import NumbersConfig
from models.systems.numbers.trials import NumberTrials


def called(config: NumbersConfig) -> str:
    """Return the name of the number with its unit."""
    return config.target.name + (f" ({config.target.unit})" if config.target.unit else "")


def course(config: NumbersConfig, trials: NumberTrials, predicted: NDArray[np.float64] | None = None) -> str:
    """Draw the number over the windows of the first recording, and what was read of each, (n,), where it is given."""
    own = trials.run == trials.run[0]
    rate = trials.signal.rate
    places = (trials.end[own] / rate if rate else np.arange(1, own.sum() + 1)).tolist()
    lines = [Line("true", places, trials.values[own].tolist(), GREY, dots=False)]
    if predicted is not None:
        lines.append(Line("read, without its fold", places, predicted[own].tolist(), TEAL, dots=False))
    name = called(config)
    return chart(
        lines,
        title=name,
        x_label="seconds of the recording" if rate else "trials",
        y_label=name,
        size=(760, 300),
    )

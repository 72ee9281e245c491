"""Figures of events: the mean response of each class."""

from collections.abc import Sequence

import numpy as np

from bci.io.files.page import escape
from models.reports.charts import GREY, OCHRE, PLUM, TEAL, Line, chart
from models.systems.events.settings import EventsConfig
from models.systems.events.trials import EventTrials

_COLOURS = (TEAL, OCHRE, PLUM, "#5b8c3e", "#3e5b8c", GREY)


def mean_responses(config: EventsConfig, trials: EventTrials) -> str:
    """Return the mean response of each class at the place where two of them differ most for their spread."""
    rows = trials.epochs.reshape(len(trials), trials.epochs.shape[1], -1).astype(np.float64)
    means = np.stack([rows[trials.classes == one].mean(axis=0) for one in range(len(config.labels))])
    spread = np.sqrt(np.mean([rows[trials.classes == one].var(axis=0) for one in range(len(means))], axis=0))
    apart = (means.max(axis=0) - means.min(axis=0)) / np.maximum(spread, 1e-12)
    _, column = np.unravel_index(int(apart.argmax()), apart.shape)
    seconds = np.linspace(config.epoch.start, config.epoch.stop, rows.shape[1], endpoint=False).tolist()
    counts = np.bincount(trials.classes)
    lines = []
    for one, label in enumerate(config.labels):
        own = means[one, :, column]
        error = rows[trials.classes == one][:, :, column].std(axis=0) / np.sqrt(counts[one])
        colour = _COLOURS[one % len(_COLOURS)]
        low, high = (own - error).tolist(), (own + error).tolist()
        lines.append(Line(label, seconds, own.tolist(), colour, low, high, dots=False))
    features = _names(trials, rows.shape[2])
    return (
        f"<h2>Mean responses</h2><p>At {escape(features[int(column)])}, where they differ most for their spread; "
        "± one standard error, after the pipeline.</p>"
        + chart(
            lines, title="Mean response", x_label="seconds from the event", y_label=trials.signal.unit,
            size=(760, 300),
        )
    )  # fmt: skip


def _names(trials: EventTrials, n: int) -> Sequence[str]:
    channels = trials.signal.channels
    return channels if len(channels) == n else [f"feature {place}" for place in range(n)]

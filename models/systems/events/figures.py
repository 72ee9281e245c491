"""Figures of events: the mean response of each class."""

from collections.abc import Sequence

import numpy as np

from bci.io.files.page import escape, table
from models.reports.charts import GREY, OCHRE, PLUM, TEAL, Line, chart
from models.systems.events.settings import EventsConfig
from models.systems.events.trials import EventTrials

#: Rows of the table of features.
_MOST_FEATURES = 10
_COLOURS = (TEAL, OCHRE, PLUM, "#5b8c3e", "#3e5b8c", GREY)


def mean_responses(config: EventsConfig, trials: EventTrials) -> str:
    """Return the mean response of each class at the place where two of them differ most for their spread."""
    if trials.epochs.shape[1] == 1:
        return _mean_features(config, trials)
    rows = trials.epochs.reshape(len(trials), trials.epochs.shape[1], -1).astype(np.float64)
    means = np.stack([rows[trials.classes == one].mean(axis=0) for one in range(len(config.labels))])
    spread = np.sqrt(np.mean([rows[trials.classes == one].var(axis=0) for one in range(len(means))], axis=0))
    apart = (means.max(axis=0) - means.min(axis=0)) / np.maximum(spread, 1e-12)
    _, column = np.unravel_index(int(apart.argmax()), apart.shape)
    length = rows.shape[1]
    seconds = np.linspace(config.epoch.start, config.epoch.stop, length, endpoint=False)
    places = (seconds if trials.rate else np.arange(length)).tolist()
    counts = np.bincount(trials.classes)
    lines = []
    for one, label in enumerate(config.labels):
        own = means[one, :, column]
        error = rows[trials.classes == one][:, :, column].std(axis=0) / np.sqrt(counts[one])
        colour = _COLOURS[one % len(_COLOURS)]
        low, high = (own - error).tolist(), (own + error).tolist()
        lines.append(Line(label, places, own.tolist(), colour, low, high, dots=False))
    features, along = _names(trials, rows.shape[2]), "seconds from the event" if trials.rate else "samples"
    return (
        f"<h2>Mean responses</h2><p>At {escape(features[int(column)])}, where they differ most for their spread; "
        "± one standard error, after the pipeline.</p>"
        + chart(
            lines, title="Mean response", x_label=along, y_label=trials.signal.unit, size=(760, 300),
        )
    )  # fmt: skip


def _mean_features(config: EventsConfig, trials: EventTrials) -> str:
    """Return a table of the features in which the classes' means differ most for their spread."""
    rows = trials.epochs.reshape(len(trials), -1).astype(np.float64)
    groups = [rows[trials.classes == one] for one in range(len(config.labels))]
    means = np.stack([group.mean(axis=0) for group in groups])
    spread = np.sqrt(np.mean([group.var(axis=0) for group in groups], axis=0))
    apart = (means.max(axis=0) - means.min(axis=0)) / np.maximum(spread, 1e-12)
    first = np.argsort(apart)[::-1][:_MOST_FEATURES]
    shown = [
        (f"feature {place}", *(f"{value:.3g}" for value in means[:, place]), f"{apart[place]:.2f}")
        for place in first
    ]
    head = ("", *config.labels, "difference ÷ spread")
    return "<h2>Mean features</h2><p>Those in which the classes differ most for their spread.</p>" + table(
        head, shown, range(1, len(head))
    )


def _names(trials: EventTrials, n: int) -> Sequence[str]:
    channels = trials.signal.channels
    return channels if len(channels) == n else [f"feature {place}" for place in range(n)]

"""What the recordings of a training file of events hold: trials by class and recording, what is left out, and why."""

from pathlib import Path

import numpy as np

from models.systems.events.figures import mean_responses
from models.systems.events.folds import folds_of
from models.systems.events.own_data import open_events
from models.systems.events.settings import EventsConfig
from models.systems.events.trials import cut_trials
from models.systems.system import FoundData, repeats_of


def find_events(path: Path, data_root: Path | None) -> FoundData:
    """Cut the epochs of every recording, and count them.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    RecordingError
        If a recording cannot be used, or there are too few trials.
    """
    config, root = open_events(path, data_root)
    trials = cut_trials(config, root)
    folds_of(config, trials)
    k = len(trials.labels)
    counts = [np.bincount(trials.classes[trials.run == run], minlength=k) for run in range(len(trials.runs))]
    rows = [
        (name, *map(int, count), int(count.sum())) for name, count in zip(trials.runs, counts, strict=True)
    ]
    if len(rows) > 1:
        whole = np.sum(counts, axis=0)
        rows.append(("all", *map(int, whole), int(whole.sum())))
    return FoundData(
        columns=(_called(config), *trials.labels, "trials"),
        rows=tuple(rows),
        left_out=dict(trials.left_out),
        defects=trials.defects,
        figure=mean_responses(config, trials),
        # Markers that say no more than the class do not tell stimuli apart.
        repeats=repeats_of(trials.shown) if trials.shown.max() >= k else "",
    )


def _called(config: EventsConfig) -> str:
    if config.data is None:
        return "recording"
    return "session" if config.arrays is None else "run"

"""What the recordings of a training file of a number hold: windows, the range of the number, what is left out."""

from pathlib import Path

import numpy as np

from models.systems.numbers.figures import called, course
from models.systems.numbers.own_data import open_numbers
from models.systems.numbers.trials import cut_windows
from models.systems.system import FoundData


def find_numbers(path: Path, data_root: Path | None) -> FoundData:
    """Cut the windows of every recording, and count them.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    RecordingError
        If a recording cannot be used, or there are too few windows.
    """
    config, root = open_numbers(path, data_root)
    trials = cut_windows(config, root)
    rows = []
    for run, name in enumerate(trials.runs):
        values = trials.values[trials.run == run]
        low, middle, high = (
            (f"{value:.3g}" for value in np.quantile(values, [0, 0.5, 1])) if len(values) else ("",) * 3
        )
        rows.append((name, len(values), low, middle, high))
    return FoundData(
        columns=(
            "recording" if config.data is None else "session" if config.arrays is None else "run",
            "windows",
            f"{called(config)}, least",
            "median",
            "largest",
        ),
        rows=tuple(rows),
        left_out=dict(trials.left_out),
        defects=trials.defects,
        figure=course(config, trials),
    )

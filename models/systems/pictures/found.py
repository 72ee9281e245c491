"""What the sessions of a training file of pictures hold: trials and pictures by session, what is left out, and why."""

from pathlib import Path

import numpy as np

from bci.io.files.page import table
from models.generators.package import GeneratorPackage
from models.settings import find_data_root
from models.systems.pictures.settings import load_pictures_file
from models.systems.pictures.trials import cut_pictures, written_out
from models.systems.system import FoundData, repeats_of


def find_pictures(path: Path, data_root: Path | None) -> FoundData:
    """Cut the epochs of every session, and count them.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    RecordingError
        If a session cannot be used, or there are too few pictures.
    BundleError
        If the generator's package is not whole.
    """
    root = find_data_root(data_root, needed=data_root is not None)
    config = written_out(load_pictures_file(path), root)
    trials = cut_pictures(config, root, GeneratorPackage.load(config.generator).spec.latent)
    rows = [
        (name, int((trials.run == run).sum()), len(np.unique(trials.which[trials.run == run])))
        for run, name in enumerate(trials.runs)
    ]
    if len(rows) > 1:
        rows.append(("all", len(trials), len(trials.names)))
    counts = np.bincount(trials.which)
    repeats = [(str(n), str(int((counts == n).sum()))) for n in np.unique(counts)]
    return FoundData(
        columns=("session" if config.data.arrays is None else "run", "trials", "pictures"),
        rows=tuple(rows),
        left_out=dict(trials.left_out),
        defects=(*trials.defects, *trials.few),
        figure="<h2>Repeats</h2>" + table(("times shown", "pictures"), repeats, (0, 1)),
        repeats=repeats_of(trials.which),
    )

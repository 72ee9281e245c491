"""What HYPER's release holds for one subject: trials, voxels, presentations, and what it does not say."""

from pathlib import Path

import numpy as np

from bci.io.files.page import table
from models.datasets.hyper import load_hyper
from models.datasets.trials import Trials
from models.settings import find_data_root
from models.systems.hyper_release.settings import load_release
from models.systems.system import FoundData


def find_release(path: Path, data_root: Path | None) -> FoundData:
    """Open the release that a training file names, and count.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    DataError
        If the release cannot be read.
    """
    config = load_release(path)
    train, test = load_hyper(find_data_root(data_root) / config.data, config.subject)
    seen = {row.tobytes() for row in train.stimuli.latents}
    both = sum(row.tobytes() in seen for row in test.stimuli.latents)
    said = ["no runs are stated: trials are held out in contiguous blocks"]
    if test.stimuli.images is None:
        said.append("no pictures beside it (stimuli/): the generator's stand for what was shown")
    if both:
        said.append(f"{both} test faces are training faces too: what they score is no test")
    sets = {"training": train, "test": test}
    return FoundData(
        columns=("set", "trials", "faces", "voxels", "presentations of each"),
        rows=tuple(
            (name, len(one), len(np.unique(one.shown)), one.brain.shape[1], int(one.repeats.min()))
            for name, one in sets.items()
        ),
        left_out={},
        defects=tuple(said),
        figure="<h2>Values</h2>"
        + table(
            ("", "mean", "deviation", "largest"),
            [_values(name, one) for name, one in sets.items()],
            (1, 2, 3),
        ),
    )


def _values(name: str, trials: Trials) -> tuple[str, str, str, str]:
    brain = trials.brain
    return name, f"{brain.mean():.3g}", f"{brain.std():.3g}", f"{np.abs(brain).max():.3g}"

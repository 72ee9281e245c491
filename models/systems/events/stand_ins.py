"""Two pictures that stand for two classes, so that readers of pictures can be compared on a real recording.

What was shown is not in such a recording. Two pictures of the shipped generator of faces stand for the classes; a
reader that draws pictures then reads the class by the one that its picture is more like.
"""

from pathlib import Path

import numpy as np

from bci.errors import RecordingError
from bci.io.shipped import SHIPPED
from models.datasets.reader_trials import ReaderTrials
from models.datasets.trials import Stimuli, Trials
from models.generators.package import GeneratorPackage
from models.settings import find_data_root
from models.systems.events.own_data import written_out
from models.systems.events.settings import load_events
from models.systems.events.trials import cut_trials

#: Of the two latents; how long the means over an epoch's samples are; what is resampled; the share of runs held out.
_SEED, _STEP_S, _BLOCK_S, _HELD_OUT = 12, 0.02, 10.0, 1 / 3


def shown_trials(path: Path, data_root: Path | None) -> ReaderTrials:
    """Cut the epochs of a training file of two classes; the last third of its runs is read, the rest learned from.

    Raises
    ------
    RecordingError
        If a recording cannot be used, or there are not two classes, or fewer than three recordings.
    """
    root = find_data_root(data_root)
    config = written_out(load_events(path), root)
    trials = cut_trials(config, root)
    count = len(trials.runs)
    if len(trials.labels) != 2 or count < 3:
        raise RecordingError(
            f"{path}: expected two classes, and three recordings or more of which some are held out, came "
            f"{len(trials.labels)} and {count}. Name another file."
        )
    package = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    latents = np.random.default_rng(_SEED).standard_normal((2, package.spec.latent), np.float32)
    stimuli = Stimuli(trials.labels, latents, package.draw(latents), package.spec.name)
    step = max(1, round(_STEP_S * trials.rate))
    n, length = trials.epochs.shape[:2]
    kept = length // step * step
    means = trials.epochs[:, :kept].reshape(n, kept // step, step, -1).mean(2).reshape(n, -1)
    held = trials.run >= count - max(1, round(_HELD_OUT * count))
    block = trials.run * 100_000 + (trials.start / (trials.signal.rate or 1.0) / _BLOCK_S).astype(np.int64)
    learn, test = (
        Trials(
            means[rows],
            trials.classes[rows],
            stimuli,
            path.stem,
            runs=trials.run[rows],
            simulated=trials.simulated,
        )
        for rows in (~held, held)
    )
    return ReaderTrials(
        learn,
        test,
        package.folder,
        f"recorded epochs of {' and '.join(trials.labels)}, {count} runs; two drawn faces stand for what was shown",
        "unknown: what was shown is not in the recording",
        block=block[held],
    )

"""Trials of pictures of known latents, from sessions: an epoch each, the picture, its latent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.session.trials import stimulus_of
from bci.signal.pipeline import Pick, Pipeline
from bci.signal.types import Signal
from models.datasets.epochs import usable_epochs
from models.datasets.recordings import defects_of, require_alike
from models.datasets.sessions import STIMULUS, find_sessions, open_sessions
from models.sessions.latents import latents_shown
from models.systems.pictures.settings import PicturesConfig

#: With fewer pictures nothing tells whether others would be read.
FEWEST_PICTURES = 8


@dataclass(frozen=True, slots=True, eq=False)
class PictureTrials:
    """PictureTrials hold what was answered to each picture.

    Attributes
    ----------
    brain : (n, features) float32
        An epoch a row, or its mean, as the readout gets it.
    which : (n,) int64
        The picture of each, by its place among `names`.
    run : (n,) int64
        Which session.
    names : tuple of str
        The pictures.
    latents : (k, d) float32
        Of each picture.
    signal : Signal
        What the bundle will expect.
    data : mapping of str to str
        SHA-256 of every session, by its path.
    left_out : mapping of str to int
        Trials that are not used, by reason.
    defects : tuple of str
        What the sessions say of themselves.
    simulated : bool
        Whether no brain was measured.
    """

    brain: NDArray[np.float32]
    which: NDArray[np.int64]
    run: NDArray[np.int64]
    names: tuple[str, ...]
    latents: NDArray[np.float32]
    signal: Signal
    data: Mapping[str, str]
    left_out: Mapping[str, int]
    defects: tuple[str, ...]
    simulated: bool

    def __len__(self) -> int:
        return len(self.which)


def written_out(config: PicturesConfig, root: Path) -> PicturesConfig:
    """Return a training file whose sessions are named one by one."""
    data = config.data.model_copy(
        update={
            "sessions": tuple(find_sessions(config.data, root)),
            "kinds": config.data.kinds or (STIMULUS,),
        }
    )
    return config.model_copy(update={"data": data})


def cut_pictures(config: PicturesConfig, root: Path, latent: int) -> PictureTrials:
    """Cut the epochs of every session of a training file, as `written_out` gives it.

    Parameters
    ----------
    config : PicturesConfig
    root : Path
        The data root.
    latent : int
        How many values the generator's latents have.

    Raises
    ------
    RecordingError
        If a session cannot be used, a picture's latent is not known or of another size, or there are too few pictures.
    """
    sessions = open_sessions(config.data, root)
    paths = [one.path for one in sessions]
    opened, rate = require_alike([(one.recording, one.digest) for one in sessions], paths, config.signal.unit)
    known = latents_shown(config.data, root, latent, config.generator.name)
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    picked = Pipeline((Pick(config.signal.channels), *pipeline.steps))
    left_out: Counter[str] = Counter()
    rows, shown, runs = [], [], []
    for run, one in enumerate(sessions):
        left_out.update(one.left_out)
        cut = usable_epochs(
            one.recording,
            picked,
            one.recording.markers,
            left_out,
            start=config.epoch.start,
            stop=config.epoch.stop,
        )
        for epoch in cut:
            samples = epoch.window.samples.astype(np.float32)
            rows.append(samples.mean(axis=0).ravel() if config.epoch.mean else samples.ravel())
            shown.append((stimulus_of(epoch.event.text) or (-1, ""))[1])
            runs.append(run)
    names = tuple(sorted(set(shown)))
    if len(names) < FEWEST_PICTURES or len(names) < 2 * config.folds:
        raise RecordingError(
            f"expected trials of at least {max(FEWEST_PICTURES, 2 * config.folds)} pictures for {config.folds} folds, "
            f"came {len(shown)} trials of {len(names)}; left out: {dict(left_out) or 'none'}. Show more pictures."
        )
    place = {name: at for at, name in enumerate(names)}
    return PictureTrials(
        brain=np.stack(rows),
        which=np.array([place[name] for name in shown], np.int64),
        run=np.array(runs, np.int64),
        names=names,
        latents=np.stack([known[name] for name in names]),
        signal=config.expected(rate),
        data=dict(zip(paths, (digest for _, digest in opened), strict=True)),
        left_out=dict(left_out),
        defects=defects_of(opened),
        simulated=any(recording.simulated for recording, _ in opened),
    )


def picture_folds(trials: PictureTrials, folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return the trials that each fold holds out, (n,) bool: those of a part of the pictures."""
    order = np.random.default_rng(seed).permutation(len(trials.names))
    return [np.isin(trials.which, part) for part in np.array_split(order, folds)]

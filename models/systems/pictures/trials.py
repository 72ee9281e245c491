"""Trials of pictures of known latents, from sessions: an epoch each, the picture, its latent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.decoder.spec import WindowSpec
from bci.errors import RecordingError, counted
from bci.session.trials import stimulus_of
from bci.signal.pipeline import Pick, Pipeline
from bci.signal.types import Signal
from models.datasets.array_signal import signal_of_arrays
from models.datasets.arrays import open_arrays
from models.datasets.epochs import usable_epochs
from models.datasets.recordings import defects_of, require_alike
from models.datasets.session_settings import ArraySettings
from models.datasets.sessions import STIMULUS, find_sessions, open_sessions
from models.sessions.latents import latents_shown
from models.systems.pictures.settings import PicturesConfig

#: With fewer pictures nothing tells whether others would be read.
FEWEST_PICTURES = 8

#: With fewer different pictures a readout of latents may well stay at chance, and that is said (docs/own-data.md).
TELLING_PICTURES = 200


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
    window : WindowSpec or None
        How many samples are read at once, where no stream can feed a decoder of them.
    named_runs : tuple of str
        What runs are called, where they are not sessions.
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
    window: WindowSpec | None = None
    named_runs: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.which)

    @property
    def runs(self) -> tuple[str, ...]:
        """What each run is called."""
        return self.named_runs or tuple(self.data)

    @property
    def few(self) -> tuple[str, ...]:
        """What is to be said of so few different pictures: a sentence, or none."""
        if len(self.names) >= TELLING_PICTURES:
            return ()
        return (
            f"{len(self.names)} different pictures are few for latents of {self.latents.shape[1]} numbers, and a "
            f"readout may stay at chance. Of a simulated participant at SNR 1, who saw each once, {TELLING_PICTURES} "
            "were told from chance and 60 hardly. Show more pictures, rather than the same again",
        )


def written_out(config: PicturesConfig, root: Path) -> PicturesConfig:
    """Return a training file whose sessions are named one by one; arrays are."""
    if config.data.arrays is not None:
        return config
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
    if config.data.arrays is not None:
        return _pictures_of_arrays(config, config.data.arrays, root, latent)
    sessions = open_sessions(config.data, root)
    paths = [one.path for one in sessions]
    opened, rate = require_alike([(one.recording, one.digest) for one in sessions], paths, config.signal)
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
            rows.append(_row(config, epoch.window.samples.astype(np.float32)))
            shown.append((stimulus_of(epoch.event.text) or (-1, ""))[1])
            runs.append(run)
    names = tuple(sorted(set(shown)))
    _require_enough(config, len(names), len(shown), left_out)
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


def _row(config: PicturesConfig, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one epoch, (length, *shape), as the readout gets it: (features,)."""
    return samples.mean(axis=0).ravel() if config.epoch.mean else samples.ravel()


def _require_enough(config: PicturesConfig, pictures: int, trials: int, left_out: Mapping[str, int]) -> None:
    fewest = max(FEWEST_PICTURES, 2 * config.folds)
    if pictures < fewest:
        raise RecordingError(
            f"expected trials of at least {fewest} pictures for {config.folds} folds, came {trials} trials of "
            f"{pictures}; left out: {counted(left_out)}. Show more pictures."
        )


def _pictures_of_arrays(
    config: PicturesConfig, arrays: ArraySettings, root: Path, latent: int
) -> PictureTrials:
    """Return the trials of arrays, each with the latent that its ``y`` is; equal latents are one picture."""
    given = open_arrays(arrays, root)
    if given.what.ndim != 2 or given.what.shape[1] != latent or given.what.dtype.kind == "U":
        raise RecordingError(
            f"[data.arrays] {arrays.y}: expected the latents of generator {config.generator.name!r}, "
            f"(trials, {latent}), came {given.what.dtype} of shape {given.what.shape}. Name the generator that drew "
            "the pictures."
        )
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    start, stop = config.epoch.start, config.epoch.stop
    signal, said = signal_of_arrays(
        given, arrays, "EEG", config.signal, pipeline, lambda rate: round((stop - start) * rate)
    )
    latents, which = np.unique(given.what.astype(np.float32), axis=0, return_inverse=True)
    _require_enough(config, len(latents), len(given), given.left_out)
    length = given.samples.shape[1]
    return PictureTrials(
        brain=np.stack([_row(config, samples) for samples in given.samples]),
        which=which.astype(np.int64),
        run=given.run,
        names=tuple(f"{place:03d}" for place in range(len(latents))),
        latents=latents,
        signal=signal,
        data=given.data,
        left_out=given.left_out,
        defects=(*given.defects, *said),
        simulated=False,
        window=None if signal.rate else WindowSpec(length=length, hop=length),
        named_runs=given.runs,
    )


def picture_folds(trials: PictureTrials, folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return the trials that each fold holds out, (n,) bool: those of a part of the pictures."""
    order = np.random.default_rng(seed).permutation(len(trials.names))
    return [np.isin(trials.which, part) for part in np.array_split(order, folds)]

"""A recording played through the whole line with a bundle that never saw it, and what the live decoder wrote of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bci.config.session import parse_session
from bci.control.session_plan import supervise
from bci.decoder.bundle import Bundle, save_bundle
from bci.session.frames import RecordedFrame
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce
from models.settings import RecordedFile
from models.systems.events.choice import settle
from models.systems.events.drawing import ClassDrawing
from models.systems.events.folds import Fold
from models.systems.events.readout import ClassReadout, fit, fit_novelty
from models.systems.events.settings import EventsConfig
from models.systems.events.train import bundle_of
from models.systems.events.trials import EventTrials
from models.systems.numbers import readout as numbers_readout
from models.systems.numbers import train as numbers_train
from models.systems.numbers.settings import NumbersConfig
from models.systems.numbers.trials import Fold as NumberFold
from models.systems.numbers.trials import NumberTrials, contiguous_folds


@dataclass(frozen=True, slots=True)
class Played:
    """A Played is what a session wrote.

    Attributes
    ----------
    frames : sequence of RecordedFrame
        In order.
    lost : int
        Events without an epoch.
    reproduced : bool
        Whether every frame, decoded again, is equal to the bit.
    samples_lost : int
    status : str
    """

    frames: Sequence[RecordedFrame]
    lost: int
    reproduced: bool
    samples_lost: int
    status: str


def play(bundle: Bundle, recording: RecordedFile, root: Path, work: Path, speed: float) -> Played:
    """Play a recording through source, Lab Streaming Layer, acquisition, decoder, display and recorder."""
    source: dict[str, Any] = {"kind": "replay", "file": str(root / recording.path), "speed": speed}
    if recording.rate is not None:
        source["rate"] = recording.rate
    if recording.unit is not None:
        source["unit"] = recording.unit
    if recording.channels is not None:
        source["channels"] = list(recording.channels)
    values = {
        "name": bundle.name, "network": "machine", "source": source, "decoder": {"bundle": str(bundle.folder)},
        "display": {"kind": "headless", "max_png": 0, "contact_sheet": 0},
    }  # fmt: skip
    summary: Mapping[str, Any] = supervise(parse_session(values, work, "benchmarks"), work / "sessions").run()
    folder = Path(summary["session"])
    recorded = RecordedSession.read(folder)
    frames, again = list(recorded.frames), reproduce(folder)
    return Played(
        frames,
        len(recorded.decoding().lost),
        bool(again["reproduced"]) and again["equal"] == again["frames"] == len(frames),
        summary["samples_lost"],
        summary["status"],
    )


def bundle_without(
    fold: Fold, config: EventsConfig, trials: EventTrials, drawing: ClassDrawing, folder: Path
) -> tuple[ClassReadout, Bundle]:
    """Fit a readout on the trials beside a fold, and write it as a bundle into a folder that is not there yet."""
    readout = fit(trials, fold.fit, settle(config.readout, trials, fold.fit).readout)
    novelty = fit_novelty(readout, trials.epochs[fold.fit], inner_folds(fold, trials.run))
    return readout, save_bundle(folder, *bundle_of(config, trials, readout, novelty, {}, drawing))


def refused(played: Played, ends: np.ndarray[Any, Any]) -> float:
    """Return the share of invalid frames among those of windows that end at `ends`; what was passed over has none."""
    scored = set(ends.tolist())
    valid = [frame.valid for frame in played.frames if frame.last_sample + 1 in scored]
    return 1 - sum(valid) / len(valid) if valid else float("nan")


def number_bundle_without(
    fold: NumberFold, config: NumbersConfig, trials: NumberTrials, folder: Path
) -> tuple[numbers_readout.NumberReadout, Bundle]:
    """Fit a readout of a number on the windows beside a fold, and write it as a bundle, as `bundle_without`."""
    readout = numbers_readout.fit(trials, fold.fit, config.readout)
    own = trials.of(fold.fit)
    novelty = numbers_train.fit_novelty(readout, own, contiguous_folds(own, np.arange(len(own)), 4))
    return readout, save_bundle(folder, *numbers_train.bundle_of(config, trials, readout, novelty, {}, None))


def inner_folds(fold: Fold, run: np.ndarray[Any, Any], n: int = 5) -> list[Fold]:
    """Return folds within the trials that a fold is fitted on, by their places there; of several runs, whole ones.

    So `bci train` draws limits where `folds = "recordings"`: between runs more changes than within one.
    """
    rows, own = np.arange(len(fold.fit)), run[fold.fit]
    runs = np.unique(own)
    parts = [rows[own == one] for one in runs] if len(runs) > 1 else np.array_split(rows, n)
    return [Fold(np.setdiff1d(rows, part), part) for part in parts]


def scored_live(
    played: Played, trials: EventTrials, rows: np.ndarray[Any, Any], readout: ClassReadout
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pair the frames of one recording with its trials.

    Returns
    -------
    rows : (m,) int
        Trials of the recording whose frame is valid.
    live : (m, k)
        Log-probabilities that the live decoder wrote.
    offline : (m, k)
        Of the same readout, offline.
    """
    by_index = {int(trials.end[row]): int(row) for row in rows}
    pairs = [
        (by_index[frame.last_sample + 1], frame.latent)
        for frame in played.frames
        if frame.valid and frame.last_sample + 1 in by_index
    ]
    places = np.array([place for place, _ in pairs], int)
    live = np.log(np.maximum(np.array([latent for _, latent in pairs], np.float64), 1e-30))
    offline = readout.scores(trials.epochs[places])
    return places, live, offline - np.log(np.exp(offline).sum(axis=1, keepdims=True))


def windows_read(
    played: Played, trials: NumberTrials, fold: NumberFold
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pair the frames of one recording with the windows that a fold scores: rows (m,) int, and latents (m, k)."""
    at = {int(trials.end[row]): int(row) for row in fold.score}
    pairs = [
        (at[frame.last_sample + 1], frame.latent)
        for frame in played.frames
        if frame.last_sample + 1 in at and np.isfinite(frame.latent).all()
    ]
    return np.array([row for row, _ in pairs], int), np.array([latent for _, latent in pairs], np.float64)

"""Readings: what was read of each stimulus of a session whose stimuli have known latents, and what that is worth.

Arrays alone, so that a machine without the extra ``train`` scores the session that it has just run.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.regular import read_json
from bci.session.recorded import RecordedSession
from bci.session.trials import RecordedTrial
from bci.signal.markers import stimulus_of
from models.metrics.identification import headline, identify

#: Beside the pictures of a folder: the latent of each, by its name.
LATENTS = "latents.json"


@dataclass(frozen=True, eq=False)
class Reading:
    """One trial of a session.

    Attributes
    ----------
    name : str
        Of the stimulus.
    latent : (d,) float32
        What was read.
    confidence : float
        NaN for none.
    repeats : int
        Of how many trials of the stimulus the mean was read: where the session averages repeats as they come.
    """

    name: str
    latent: NDArray[np.float32]
    confidence: float
    repeats: int = 1


def read_trials(folder: Path) -> list[Reading]:
    """Return what was read of each stimulus of a session, in order of time, by the decoder that was shown.

    Left out are trials that were aborted, and those without a valid reconstruction (see `count_left_out`).

    Raises
    ------
    RecordingError
        If a table of the session is missing or not whole.
    """
    session = RecordedSession.read(folder)
    return readings_of(session.trials(session.driver))


def readings_of(trials: Sequence[RecordedTrial]) -> list[Reading]:
    """Return what was read in each trial that says something about the decoder."""
    return [
        Reading(trial.picture, trial.latent, trial.confidence, trial.frame.repeats if trial.frame else 1)
        for trial in trials
        if trial.latent is not None and not trial.left_out
    ]


def read_of(readings: Sequence[Reading]) -> str:
    """Return what was read, in words: single trials, or means of those so far."""
    most = max((reading.repeats for reading in readings), default=1)
    return "single trials" if most <= 1 else f"running means of 1 to {most} trials"


def by_repeats(
    readings: Sequence[Reading], latents: Mapping[str, NDArray[np.float32]], seed: int = 0
) -> list[dict[str, Any]]:
    """Score readings by the number of trials that each is the mean of.

    Returns
    -------
    list of dict
        For each number, rising: ``repeats``, ``trials`` and what `models.metrics.identification.identify` returns,
        among all pictures that were seen. Empty where nothing was averaged.
    """
    counts = sorted({reading.repeats for reading in readings})
    if counts in ([], [1]):
        return []
    names = sorted({reading.name for reading in readings})
    candidates = np.stack([latents[name] for name in names])
    rows = []
    for count in counts:
        of = [reading for reading in readings if reading.repeats == count]
        which = np.array([names.index(reading.name) for reading in of])
        predicted = np.stack([reading.latent for reading in of])
        scores = identify(predicted, candidates, which, np.random.default_rng(seed))
        rows.append({"repeats": count, "trials": len(of), **scores})
    return rows


def count_left_out(trials: Sequence[RecordedTrial]) -> dict[str, int]:
    """Return how many trials say nothing about the decoder, by reason (see `RecordedTrial.left_out`)."""
    return dict(Counter(trial.left_out for trial in trials if trial.left_out))


def stimulus_name(marker: str) -> str:
    """Return the name of the stimulus that a marker speaks of; nothing for other markers.

    >>> stimulus_name("stimulus 3 face-3"), stimulus_name("frame 3")
    ('face-3', '')
    """
    return (stimulus_of(marker) or (-1, ""))[1]


def known_latents(stimuli: Path) -> dict[str, NDArray[np.float32]]:
    """Return the latent of each picture of a folder, by its name.

    Raises
    ------
    RecordingError
        If the folder does not say.
    """
    try:
        rows = read_json(stimuli / LATENTS, RecordingError)
        return {name: np.array(row, np.float32) for name, row in rows.items()}
    except (RecordingError, ValueError, TypeError, AttributeError) as error:
        raise RecordingError(
            f"{stimuli}: expected the pictures' latents in {LATENTS}, came {error}. Without them it is unknown what "
            "should have been read."
        ) from None


def drawn_latents(session: RecordedSession, size: int | None = None) -> dict[str, NDArray[np.float32]]:
    """Return the latent of each picture that a generator drew while the session ran, by its name, as trials.csv says.

    Parameters
    ----------
    session : RecordedSession
    size : int, optional
        How many values they must have to be compared with what was read.

    Raises
    ------
    RecordingError
        If the table is missing or not whole, or the latents are of another size.
    """
    latents = {
        row["name"]: np.array(json.loads(row["stimulus_latent"]), np.float32)
        for row in session.table("trials")
        if row.get("stimulus_latent")
    }
    came = sorted({len(latent) for latent in latents.values()})
    if size is not None and came not in ([], [size]):
        raise RecordingError(
            f"{session.folder}: expected pictures of {size} latents, as was read, came those of {came[0]}: they cannot "
            "be compared. Name a session whose pictures the bundle's own generator drew."
        )
    return latents


def score(
    readings: Sequence[Reading], latents: Mapping[str, NDArray[np.float32]], seed: int = 0
) -> dict[str, Any]:
    """Score single trials: how surely what was read tells which picture was seen.

    Parameters
    ----------
    readings : sequence of Reading
        Of at least two pictures.
    latents : mapping of str to (d,) float32
        Of every picture, by its name.
    seed : int
        Of the pairings of chance.

    Returns
    -------
    dict
        ``headline``, in words; ``informed``, whether the two-way score lies above its chance interval; ``trials``; what
        `models.metrics.identification.identify` returns; ``by_repeats``, as `by_repeats` returns it, where repeats were
        averaged as they came.

    Raises
    ------
    RecordingError
        If a picture is not known, or fewer than two were seen.
    """
    names = sorted({reading.name for reading in readings})
    unknown = [name for name in names if name not in latents]
    if unknown:
        raise RecordingError(
            f"expected trials of pictures with known latents, came {', '.join(unknown)}. Name the pictures' own folder."
        )
    if len(names) < 2:
        raise RecordingError(
            f"expected trials of at least 2 pictures, came {len(names)}: one alone cannot be told from others. "
            "Show more."
        )
    predicted = np.stack([reading.latent for reading in readings])
    candidates = np.stack([latents[name] for name in names])
    which = np.array([names.index(reading.name) for reading in readings])
    scores = identify(predicted, candidates, which, np.random.default_rng(seed))
    averaged = by_repeats(readings, latents, seed)
    return {
        **headline(scores, read_of(readings)),
        "trials": len(readings),
        **scores,
        **({"by_repeats": averaged} if averaged else {}),
    }

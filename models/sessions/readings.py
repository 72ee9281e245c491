"""Readings: what was read of each stimulus of a session whose stimuli have known latents, and what that is worth.

Arrays alone, so that a machine without the extra ``train`` scores the session that it has just run.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from models.metrics.identification import headline, identify

#: The display's marker of a stimulus: its number in the set, and its name.
_STIMULUS = re.compile(r"stimulus \d+ (.*)")

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
    """

    name: str
    latent: NDArray[np.float32]
    confidence: float


def read_trials(folder: Path) -> list[Reading]:
    """Return what was read of each stimulus of a session, in order, from the tables that its recorder wrote.

    Trials without a valid reconstruction are left out.

    Raises
    ------
    RecordingError
        If epochs and reconstructions do not fit each other.
    """
    marks = [row for row in _rows(folder, "marks") if row["kind"] == "epoch"]
    frames = list(_rows(folder, "frames"))
    if len(marks) != len(frames):
        raise RecordingError(
            f"{folder}: {len(marks)} epochs and {len(frames)} reconstructions; was the session cut off?"
        )
    return [
        Reading(name, np.array(json.loads(frame["latent"]), np.float32), float(frame["confidence"]))
        for mark, frame in zip(marks, frames, strict=True)
        if (name := stimulus_name(mark["detail"])) and frame["valid"] == "1"
    ]


def stimulus_name(marker: str) -> str:
    """Return the name of the stimulus that a marker speaks of; nothing for other markers.

    >>> stimulus_name("stimulus 3 face-3"), stimulus_name("frame 3")
    ('face-3', '')
    """
    found = _STIMULUS.fullmatch(marker)
    return found[1] if found else ""


def known_latents(stimuli: Path) -> dict[str, NDArray[np.float32]]:
    """Return the latent of each picture of a folder, by its name.

    Raises
    ------
    RecordingError
        If the folder does not say.
    """
    try:
        rows = json.loads((stimuli / LATENTS).read_text(encoding="utf-8"))
        return {name: np.array(row, np.float32) for name, row in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RecordingError(
            f"{stimuli}: expected the pictures' latents in {LATENTS}, came {error}. Without them nobody knows what "
            "should have been read."
        ) from None


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
        `models.metrics.identification.identify` returns.

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
    found = identify(predicted, candidates, which, np.random.default_rng(seed))
    return {**headline(found), "trials": len(readings), **found}


def _rows(folder: Path, table: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a table over all parts that the session's recorders wrote."""
    for path in sorted(folder.glob(f"{table}*.csv"), key=lambda p: (len(p.name), p.name)):
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)

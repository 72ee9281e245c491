"""A session whose stimuli follow what was read is asked for again, from its tables: the same stimuli must come."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.io.files.regular import read_json
from stimuli.part_table import read_parts
from stimuli.protocols import open_protocol
from stimuli.protocols.evolution import SECOND
from stimuli.trial_table import Past, read_past
from stimuli.trials import Ending, Latent, Palette

#: Protocols that propose the next stimulus by what was read of those before.
PROPOSING = ("evolution", "expected_information")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A Replayed says how many stimuli a session showed, and how many were proposed again, latents to the bit."""

    shown: int
    equal: int


def propose_again(folder: Path, experiment: Mapping[str, Any]) -> Replayed:
    """Tell the protocol what the tables of a session say was read, and compare what it then asks for.

    Parameters
    ----------
    folder : Path
        The session's.
    experiment : mapping
        Its ``[experiment]``, as `bci.config.experiment.EvolutionSettings` or
        `bci.config.adaptive.ExpectedInformationSettings`.

    Raises
    ------
    RecordingError
        If nothing of such an experiment is recorded there.
    ConfigError
        If the protocol cannot be used.
    BundleError
        If the bundle that the experiment began with is not there any more, or is another.
    """
    past, rows = read_past(folder), list(read_parts(folder, "trials"))
    latents = [np.array(json.loads(row["stimulus_latent"] or "[]"), np.float32) for row in rows]
    reading = _reading(past)
    if experiment.get("protocol") not in PROPOSING or not rows or not reading:
        raise RecordingError(
            f"{folder}: expected a session in which stimuli followed what was read ({', '.join(PROPOSING)}) and "
            "something was read, came another. Name one."
        )
    # Which space a latent is of, its name says.
    spaces = [f"{SECOND}-" in row["name"] for row in rows]
    first, second = (
        max((len(latent) for latent, other in zip(latents, spaces, strict=True) if other is which), default=0)
        for which in (False, True)
    )
    protocol = open_protocol(_as_begun(folder, experiment), Palette((1, 1), first, reading, second))
    trial, equal = next(protocol, None), 0
    for row, latent in zip(past.rows, latents, strict=True):
        if trial is None:
            break
        same = (trial.number, trial.name) == (row.stimulus, row.name)
        asked = trial.stimulus.latent if isinstance(trial.stimulus, Latent) else latent
        equal += same and np.array_equal(asked, latent)
        if row.outcome.ending is not Ending.PAUSED:
            try:
                trial = protocol.send(row.outcome)
            except StopIteration:
                trial = None
    return Replayed(len(rows), equal)


def _reading(past: Past) -> int:
    """Return how many values a reading has; 0 where nothing was read."""
    late: Sequence[Any] = [reading for row in past.rows for reading in row.outcome.late]
    read = [*late, *(row.outcome for row in past.rows)]
    return max((len(one.latent) for one in read if one.latent is not None), default=0)


def _as_begun(folder: Path, experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the experiment with the hash of the bundle whose encoding model it began with."""
    if experiment.get("encoding") is None:
        return dict(experiment)
    environment = read_json(folder / "environment.json", RecordingError)
    try:
        return {**experiment, "encoding_hash": environment["encoding"]["hash"]}
    except (KeyError, TypeError):
        raise RecordingError(
            f"{folder / 'environment.json'}: expected the hash of the bundle that the experiment began with, came "
            "none. Get the session again from where it was recorded."
        ) from None

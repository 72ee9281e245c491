"""A session of evolving pictures is proposed again, from what its tables say was read: the same latents must come."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import RecordingError
from stimuli.part_table import read_parts
from stimuli.protocols import open_protocol
from stimuli.protocols.evolution import SECOND
from stimuli.trial_table import read_past
from stimuli.trials import Ending, Latent, Palette


@dataclass(frozen=True, slots=True)
class Replayed:
    """A Replayed says how many latents a session showed, and how many of them were proposed again, to the bit."""

    shown: int
    equal: int


def propose_again(folder: Path, experiment: Mapping[str, Any]) -> Replayed:
    """Tell the optimisers what the tables of a session say was read, and compare what they then propose.

    Parameters
    ----------
    folder : Path
        The session's.
    experiment : mapping
        Its ``[experiment]``, as `bci.config.experiment.EvolutionSettings`.

    Raises
    ------
    RecordingError
        If nothing of an evolution is recorded there.
    ConfigError
        If the protocol cannot be used.
    """
    past, rows = read_past(folder), list(read_parts(folder, "trials"))
    latents = [np.array(json.loads(row["stimulus_latent"] or "[]"), np.float32) for row in rows]
    readings = [reading for row in past.rows for reading in row.outcome.late] + [
        row.outcome for row in past.rows if row.outcome.latent is not None
    ]
    if experiment.get("protocol") != "evolution" or not rows or not readings:
        raise RecordingError(
            f"{folder}: expected a session in which pictures evolved and something was read, came another. Name one."
        )
    # Which space a latent is of, its name says.
    spaces = [f"{SECOND}-" in row["name"] for row in rows]
    first, second = (
        max((len(latent) for latent, other in zip(latents, spaces, strict=True) if other is which), default=0)
        for which in (False, True)
    )
    reading = max(len(one.latent) for one in readings if one.latent is not None)
    protocol = open_protocol(experiment, Palette((1, 1), first, reading, second))
    trial, equal = next(protocol, None), 0
    for row, latent in zip(past.rows, latents, strict=True):
        if trial is None or not isinstance(trial.stimulus, Latent):
            break
        same = (trial.number, trial.name) == (row.stimulus, row.name)
        equal += same and np.array_equal(trial.stimulus.latent, latent)
        if row.outcome.ending is not Ending.PAUSED:
            try:
                trial = protocol.send(row.outcome)
            except StopIteration:
                trial = None
    return Replayed(len(rows), equal)

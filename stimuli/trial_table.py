"""The tables of an experiment: what became of every trial, and what was read of it after it was over.

They hold everything that a protocol was told, so that a restarted engine can tell it again: ``trials.csv`` a row a
trial, ``readings.csv`` a row for each reading that came after its trial, with the trial whose outcome brought it. A
restarted engine writes ``trials-2.csv``, ``readings-2.csv`` and so on; a row is on the disk when it has been written.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stimuli.part_table import PartTable, read_parts
from stimuli.trials import Answer, Ending, Latent, Outcome, Reading, Trial

#: Columns of ``trials.csv``. `frames`: how many reconstructions had been looked at when the outcome was made, of each
#: decoder that feeds the display. `type`: what sort of trial it is. `answers`: a JSON list of key and session seconds.
FIELDS = (
    "trial", "stimulus", "name", "ending", "planned", "onset", "until", "confidence", "latent", "stimulus_latent",
    "frames", "phase", "type", "file", "answers",
)  # fmt: skip

#: Columns of ``readings.csv``. `outcome`: the trial whose outcome brought it; empty after the last trial.
READING_FIELDS = ("trial", "outcome", "confidence", "latent")


class TrialTable:
    """The tables that one engine writes.

    Parameters
    ----------
    folder : Path
        The session's.
    """

    def __init__(self, folder: Path) -> None:
        self._trials = PartTable(folder, "trials", FIELDS)
        self._readings = PartTable(folder, "readings", READING_FIELDS)

    def write(
        self,
        number: int,
        trial: Trial,
        outcome: Outcome,
        planned: float = math.nan,
        frames: Sequence[int] = (),
    ) -> None:
        """Append what came of one trial.

        Parameters
        ----------
        number : int
            Which, counted from 0.
        trial : Trial
            What was asked for.
        outcome : Outcome
            What became of it.
        planned : float
            When its stimulus was due, session seconds; NaN when it was never asked for.
        frames : sequence of int
            Reconstructions that had been looked at, of each decoder that feeds the display.
        """
        # The trial's own row comes last: with it the outcome counts as told.
        self.write_late(outcome.late, number)
        row = (
            number,
            trial.number,
            trial.name,
            outcome.ending.value,
            *(float(value) for value in (planned, outcome.onset, planned + trial.stimulus_s)),
            float(outcome.confidence),
            "" if outcome.latent is None else _list(outcome.latent),
            _list(trial.stimulus.latent) if isinstance(trial.stimulus, Latent) else "",
            " ".join(map(str, frames)),
            trial.phase,
            trial.kind,
            trial.file,
            json.dumps([[answer.key, answer.time] for answer in outcome.answers]) if outcome.answers else "",
        )
        self._trials.append([row])

    def write_late(self, readings: Iterable[Reading], outcome: int | None = None) -> None:
        """Append readings of trials that were over; `outcome` is the trial whose outcome brings them, if any does."""
        brought_by = "" if outcome is None else outcome
        rows = [(r.trial, brought_by, float(r.confidence), _list(r.latent)) for r in readings]
        if rows:
            self._readings.append(rows)

    def __enter__(self) -> "TrialTable":
        return self

    def __exit__(self, *exception: object) -> None:
        self._trials.close()
        self._readings.close()


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One row of ``trials.csv``: the stimulus' number and name, what became of the trial, and its phase."""

    stimulus: int
    name: str
    outcome: Outcome
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """A Past holds the records of the engines before this one.

    Attributes
    ----------
    rows : sequence of TrialRow
        Every trial that was over, in order.
    frames : tuple of int
        Reconstructions that had been looked at by then, of each decoder that feeds the display.
    pending : mapping of int to tuple of Reading
        Late readings by the trial whose outcome was to bring them, where that outcome was not recorded any more.
    after : frozenset of int
        Trials of which a reading was recorded after the last trial.
    """

    rows: Sequence[TrialRow]
    frames: tuple[int, ...]
    pending: Mapping[int, tuple[Reading, ...]]
    after: frozenset[int]


def read_past(folder: Path) -> Past:
    """Read the tables of the engines before, over all their parts; empty where there was none.

    Numbers come back to the bit, so that a protocol that is told these outcomes goes on as one that heard them live.
    """
    late: defaultdict[int, dict[int, Reading]] = defaultdict(dict)
    after = set()
    for row in read_parts(folder, "readings"):
        reading = Reading(int(row["trial"]), _latent(row["latent"]), float(row["confidence"]))
        if row["outcome"]:
            late[int(row["outcome"])][reading.trial] = reading
        else:
            after.add(reading.trial)
    rows: list[TrialRow] = []
    frames: tuple[int, ...] = ()
    for row in read_parts(folder, "trials"):
        number, frames = int(row["trial"]), tuple(map(int, row["frames"].split()))
        outcome = Outcome(
            number,
            Ending(row["ending"]),
            float(row["onset"]),
            _latent(row["latent"]) if row["latent"] else None,
            float(row["confidence"]),
            _in_order(late.pop(number, {})),
            tuple(Answer(key, time) for key, time in json.loads(row["answers"] or "[]")),
        )
        rows.append(TrialRow(int(row["stimulus"]), row["name"], outcome, row["phase"]))
    return Past(
        rows, frames, {number: _in_order(readings) for number, readings in late.items()}, frozenset(after)
    )


def _in_order(readings: Mapping[int, Reading]) -> tuple[Reading, ...]:
    return tuple(readings[trial] for trial in sorted(readings))


def _list(latent: NDArray[np.float32]) -> str:
    """Return a latent as a JSON list that gives its float32 back exactly."""
    return json.dumps([float(value) for value in latent])


def _latent(text: str) -> NDArray[np.float32]:
    return np.array(json.loads(text), np.float32)

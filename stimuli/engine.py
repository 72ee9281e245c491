"""The engine runs an experiment's protocol: it asks the display for stimuli ahead of time, and says what came of them.

::

    blank ──> stimulus ──> feedback ──> blank ──> …       what the display is asked for
      └── aborted: the stimulus never came, or the screen went neutral in its time

Nothing here is timed by this program: parts of trials carry the session times at which the display is to show them.
``trials.csv`` gets a row per trial, on the disk before the next one begins.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import Overrun
from bci.io.files.disk import AppendFile
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase, write_part
from bci.signal.types import STAGES, Shown
from stimuli.protocols import open_protocol
from stimuli.trials import Ending, Outcome, Reading, Trial

#: From asking for a stimulus to its onset, at least: a display looks once in a flip.
LEAD_S = 0.1

FIELDS = ("trial", "stimulus", "name", "ending", "planned", "onset", "until", "confidence", "latent")

_SLICE = 0.02
_ARRIVED = STAGES.index("arrived")


def main(program: Program) -> None:
    """Run the protocol to its end, then report ``finished``.

    Opens the rings of roles ``stimuli`` (written), ``shown`` and ``frames`` (read). Started in the place of one that
    died, it calls the trial that was under way aborted and goes on with the next.

    Spec: ``[experiment]`` of the session file; ``size``, (height, width) of the pictures; ``tail_s``, how long to wait
    after the last trial for what is decoded of it.

    Report: ``trials``, ``aborted``, ``finished``.

    Raises
    ------
    ConfigError
        If the protocol cannot be used.
    """
    spec = program.spec
    stimuli, shown, frames = (program.ring(role) for role in ("stimuli", "shown", "frames"))
    protocol = open_protocol(spec, tuple(spec["size"]))
    begun, done = (program.inherited[counter] for counter in ("windows", "reconstructions"))
    aborted = program.inherited["invalid"]
    row = program.row
    with TrialTable(program.folder) as table:
        trial, number = next(protocol, None), 0
        while number < begun and trial is not None:
            # The predecessor's trials; what came of them is in its rows, the one under way is lost with it.
            if number >= done:
                table.write(number, trial, Outcome(number, Ending.ABORTED, math.nan))
                aborted += 1
            trial, number = (
                _next(protocol, Outcome(number, Ending.ABORTED, math.nan)),
                number + 1,
            )
        row["reconstructions"], row["invalid"] = number, aborted
        program.ready()
        free_from = program.clock.now() + LEAD_S + spec["lead_in_s"]
        watch = Watch(shown, frames)
        while trial is not None and program.tick():
            row["windows"] = number + 1
            start = max(program.clock.now() + LEAD_S, free_from + trial.blank_s)
            free_from = ask(stimuli, number, trial, start)
            if not _sleep_until(program, free_from, watch):
                table.write(number, trial, watch.outcome(number, start, trial, cut_short=True), start)
                break
            outcome = watch.outcome(number, start, trial)
            table.write(number, trial, outcome, start)
            aborted += outcome.ending is Ending.ABORTED
            number += 1
            row["reconstructions"], row["invalid"] = number, aborted
            trial = _next(protocol, outcome)
    going = _sleep_until(program, program.clock.now() + spec["tail_s"], watch)
    program.report(trials=number, aborted=aborted, finished=going and trial is None)
    while program.tick():
        program.clock.sleep_until(program.clock.now() + _SLICE)


def ask(stimuli: Ring, number: int, trial: Trial, start: float) -> float:
    """Ask the display for the parts of a trial; return when the last of them is over."""
    stop = start + trial.stimulus_s
    common: dict[str, Any] = {
        "trial": number,
        "stimulus": trial.stimulus,
        "since": start,
        "name": trial.name,
    }
    write_part(stimuli, Phase.STIMULUS, **common, start=start, stop=stop, image=trial.image)
    if trial.feedback_s:
        write_part(stimuli, Phase.FEEDBACK, **common, start=stop, stop=stop + trial.feedback_s)
    return stop + trial.feedback_s


def _next(protocol: Any, outcome: Outcome) -> Trial | None:
    try:
        trial: Trial = protocol.send(outcome)
    except StopIteration:
        return None
    return trial


def _sleep_until(program: Program, when: float, watch: "Watch") -> bool:
    """Look at the screen until `when`; False when told to stop."""
    while program.clock.now() < when:
        if not program.tick():
            return False
        program.clock.sleep_until(min(when, program.clock.now() + _SLICE))
        watch.look()
    return True


class Watch:
    """Sees what was flipped and what was decoded.

    Parameters
    ----------
    shown, frames : Ring
        The display's changes of picture, and the decoder's reconstructions.
    """

    def __init__(self, shown: Ring, frames: Ring) -> None:
        self._shown, self._frames = shown, frames
        self._at, self._frame = shown.count, frames.count
        self._changes: list[tuple[Shown, int, float]] = []

    def look(self) -> None:
        """Take in the changes of picture since the last look."""
        while self._at < self._shown.count:
            try:
                record = self._shown.read(self._at, self._at + 1)["shown"][0]
            except Overrun as overrun:
                self._at = overrun.first + overrun.lost
                continue
            self._changes.append((Shown(int(record["kind"])), int(record["frame"]), float(record["flip"])))
            self._at += 1

    def outcome(self, number: int, start: float, trial: Trial, *, cut_short: bool = False) -> Outcome:
        """Say what came of the trial that began at `start` and is now over."""
        self.look()
        # A flip can come up to half a refresh before the time it was asked for.
        changes = [change for change in self._changes if change[2] >= start - LEAD_S / 2]
        self._changes = []
        onset, broken = math.nan, cut_short
        for kind, frame, flip in changes:
            if kind is Shown.STIMULUS and frame == trial.stimulus and math.isnan(onset):
                onset = flip
            elif kind is Shown.NEUTRAL and flip < start + trial.stimulus_s:
                broken = True
        ending = Ending.ABORTED if broken or math.isnan(onset) else Ending.SHOWN
        readings = self._readings()
        own = readings.pop(number, None) or self._newest_window(onset)
        late = tuple(readings[trial] for trial in sorted(readings))
        if own is None:
            return Outcome(number, ending, onset, late=late)
        return Outcome(number, ending, onset, own.latent, own.confidence, late)

    def _readings(self) -> dict[int, Reading]:
        """Return the newest valid reconstruction of every trial that one has come of since the last call."""
        readings: dict[int, Reading] = {}
        while self._frame < self._frames.count:
            try:
                frame = self._frames.read(self._frame, self._frame + 1)
            except Overrun as overrun:
                self._frame = overrun.first + overrun.lost
                continue
            self._frame += 1
            info = frame["info"][0]
            trial = int(info["event"]["trial"])
            if info["valid"] and trial >= 0:
                readings[trial] = Reading(trial, frame["latent"][0].copy(), float(info["confidence"]))
        return readings

    def _newest_window(self, onset: float) -> Reading | None:
        """Return the newest valid reconstruction of a sliding window whose data arrived after the onset."""
        for at in range(self._frames.count - 1, max(-1, self._frames.oldest - 1), -1):
            try:
                frame = self._frames.read(at, at + 1)
            except Overrun:
                break
            info = frame["info"][0]
            if info["event"]["length"] >= 0 or not info["stamps"][_ARRIVED] > onset:
                break
            if info["valid"]:
                return Reading(-1, frame["latent"][0].copy(), float(info["confidence"]))
        return None


class TrialTable:
    """``trials.csv``, or ``trials-2.csv`` and so on for a successor; a row is on the disk when `write` returns."""

    def __init__(self, folder: Path) -> None:
        number = 1
        while (path := folder / f"trials{f'-{number}' if number > 1 else ''}.csv").exists():
            number += 1
        self._file = AppendFile(path)
        self._write(FIELDS)

    def write(self, number: int, trial: Trial, outcome: Outcome, planned: float = math.nan) -> None:
        """Append what came of one trial; times are session seconds."""
        until = planned + trial.stimulus_s
        latent = "" if outcome.latent is None else np.asarray(outcome.latent).tolist()
        self._write(
            (
                number,
                trial.stimulus,
                trial.name,
                outcome.ending.value,
                *(f"{value:.6f}" for value in (planned, outcome.onset, until)),
                f"{outcome.confidence:.6g}",
                latent,
            )
        )

    def _write(self, row: Sequence[Any]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerow(row)
        self._file.append(text.getvalue().encode())
        self._file.sync()

    def __enter__(self) -> "TrialTable":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

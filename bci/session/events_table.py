"""The table of a session's events as BIDS has it: ``events.tsv``, with ``events.json`` that says what its columns are.

A row for each trial that was on the screen, for each key of the participant's, for each change of the fixation target,
for each order to the experiment, and for each marker of another program that was received. Onsets are seconds from the
first sample of the session's first stream, by the session's clock: the column ``recorded_time`` of ``bci export``. They
are flips, not the times that were asked for; of a marker from another computer a column says by how much its onset may
be wrong.
"""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bci.io.files.cells import write_rows
from bci.io.files.folder import write_json, write_whole
from bci.session.detection import Detection, detect
from bci.session.recorded import RecordedSession
from bci.session.rows import experiment_rows
from bci.session.sample_times import SampleTimes, sample_times

#: What each column says.
COLUMNS: Mapping[str, str] = {
    "onset": "Seconds from the first sample of the session's first stream to the flip that brought the stimulus, by "
    "the session's clock; of a key, to the look that found it pressed.",
    "duration": "Seconds until the screen showed something else than this trial's stimulus; 0 of what has no duration.",
    "trial_type": "What sort of event: stimulus, cue, rest … as the protocol says, fixation_change, response, an "
    "order to the experiment (start, pause, resume, abort), or marker: one that another program sent.",
    "stim_file": "The file that the stimulus came from.",
    "response_time": "Seconds from the onset to the participant's first answer, before the next trial.",
    "value": "The number of the stimulus in its set.",
    "sample": "The first sample of the session's first stream at or after the onset, counted from 0.",
    "name": "What the stimulus is called, the key, who gave the order, or the marker's text.",
    "trial": "The trial's number, counted from 0.",
    "ending": "shown, aborted (the stimulus left the screen before its time), or paused (a pause cut the trial short, "
    "and its stimulus was shown again later).",
    "phase": "The phase of the experiment.",
    "read": "What the decoder read of the trial: its first value.",
    "confidence": "How sure the decoder was of it, 0 to 1.",
    "uncertainty": "The most that the onset of a marker may be wrong by, because the clock of the computer that sent "
    "it is known no better; 0 where it reads the clock of the session.",
    "status": "uncertain where that is more than the session file's marker_uncertainty_limit_s: such an event is left "
    "out of evaluation and calibration.",
}

NAME, DESCRIPTION = "events.tsv", "events.json"

_NOTHING = "n/a"


@dataclass(slots=True)
class _Event:
    """One row, its onset and duration in session seconds."""

    onset: float
    duration: float
    trial_type: str
    cells: dict[str, Any] = field(default_factory=dict)


def write_events(folder: Path) -> dict[str, Any]:
    """Write both files of a session with an experiment, or with markers; return what the summary says of its events.

    Raises
    ------
    RecordingError
        If a table is missing or not whole.
    DiskError
        If the disk does not take them.
    """
    session = RecordedSession.read(folder)
    settings: Mapping[str, Any] = session.config.get("experiment") or {}
    clock = sample_times(session)
    responses = [(float(row["time"]), row["event"]) for row in experiment_rows(folder, "responses")]
    trials = list(_trials(session))
    changes = _changes(responses)
    answers = [
        (time, text.removeprefix("key "))
        for time, text in responses
        if text.removeprefix("key ") in (settings.get("keys") or {}).get("answers", ())
    ]
    scores = _scores(settings, trials, changes, [time for time, _ in answers])
    keys = [_Event(time, 0.0, "response", {"name": key}) for time, key in answers]
    orders = [
        _Event(float(row["time"]), 0.0, row["order"], {"name": row["by"], "trial": row["trial"]})
        for row in experiment_rows(folder, "controls")
    ]
    events = sorted([*trials, *changes, *keys, *orders, *_markers(session)], key=lambda event: event.onset)
    text = io.StringIO(newline="")
    write_rows(text, [tuple(COLUMNS), *(_cells(event, clock) for event in events)], tabs=True)
    write_whole(folder / NAME, text.getvalue().encode())
    described: dict[str, Any] = {name: {"Description": words} for name, words in COLUMNS.items()}
    for name in ("onset", "duration", "response_time", "uncertainty"):
        described[name]["Units"] = "s"
    write_json(folder / DESCRIPTION, described | {"Experiment": dict(settings), "Scores": scores})
    return {"events": len(events), **scores}


def _trials(session: RecordedSession) -> Iterator[_Event]:
    """Yield the trials that were on the screen."""
    shown = session.table("shown")
    flips = [float(row["flip"]) for row in shown]
    ends: dict[int, tuple[float, float]] = {}
    for row, begin, end in zip(shown, flips, [*flips[1:], math.nan][: len(flips)], strict=True):
        trial = int(row["trial"] or -1)
        if row["kind"] in ("stimulus", "update") and trial >= 0:
            ends[trial] = ends.get(trial, (begin, end))[0], end
    late = {int(row["trial"]): row for row in experiment_rows(session.folder, "readings")}
    for row in session.table("trials"):
        number = int(row["trial"])
        if number not in ends:
            continue
        onset, end = ends[number]
        answers = [float(time) for _, time in json.loads(row.get("answers") or "[]")]
        times = [time - onset for time in answers if time >= onset]
        reading = late.get(number, row) if not row["latent"] else row
        latent = json.loads(reading["latent"] or "[]")
        yield _Event(
            onset,
            end - onset,
            row.get("type") or "stimulus",
            {
                "stim_file": row.get("file") or _NOTHING,
                "response_time": min(times, default=math.nan),
                "value": int(row["stimulus"]),
                "name": " ".join(row["name"].split()),
                "trial": number,
                "ending": row["ending"],
                "phase": row.get("phase") or _NOTHING,
                "read": latent[0] if latent else math.nan,
                "confidence": float(reading["confidence"]),
            },
        )


def _markers(session: RecordedSession) -> Iterator[_Event]:
    """Yield the markers that other programs sent; those of the session's own display are its trials, and its keys."""
    own = {flip.time for flip in session.flips}
    for row in session.table("markers"):
        time = float(row["time"])
        if row["source"] == "responses" or float(row["raw"]) in own:
            continue
        cells = {"name": " ".join(row["text"].split()), "value": int(row["code"]) or _NOTHING}
        known = {
            "uncertainty": float(row["uncertainty"]),
            "status": "uncertain" if time in session.uncertain else _NOTHING,
        }
        yield _Event(time, 0.0, "marker", cells | known)


def _changes(responses: Sequence[tuple[float, str]]) -> list[_Event]:
    """Return the changes of the fixation target, each until it was as before."""
    changes: list[_Event] = []
    for time, text in responses:
        if text == "fixation changed":
            changes.append(_Event(time, math.nan, "fixation_change"))
        elif text == "fixation back" and changes and math.isnan(changes[-1].duration):
            changes[-1].duration = time - changes[-1].onset
    return changes


def _scores(
    settings: Mapping[str, Any], trials: Sequence[_Event], changes: Sequence[_Event], answers: Sequence[float]
) -> dict[str, Any]:
    """Score the answers to catch trials and to changes of the fixation target; one to neither is a false alarm."""
    task = settings.get("fixation_task")
    catches = [event for event in trials if event.trial_type == "catch"]
    scores: dict[str, Any] = {}
    left = list(answers)
    for name, targets, within in (
        ("catch", catches, settings.get("answer_within_s")),
        ("fixation_task", changes, (task or {}).get("answer_within_s")),
    ):
        if not targets or within is None:
            continue
        detection = detect([event.onset for event in targets], left, float(within))
        for event, time in zip(targets, detection.response_times, strict=True):
            event.cells["response_time"] = math.nan if time is None else time
        left = [answer for place, answer in enumerate(left) if place not in detection.answered]
        scores[name] = _score(detection)
    return scores | ({"false_alarms": len(left)} if scores else {})


def _score(detection: Detection) -> dict[str, Any]:
    return {
        "hits": detection.hits,
        "misses": detection.misses,
        "median_response_s": detection.median_response_s,
    }


def _cells(event: _Event, clock: SampleTimes | None) -> list[str | float]:
    placed: dict[str, Any] = {"onset": math.nan, "sample": _NOTHING}
    if clock is not None:
        placed = {"onset": round(event.onset - clock.first, 6), "sample": clock.sample_at(event.onset)}
    cells = event.cells | placed | {"duration": event.duration, "trial_type": event.trial_type}
    return [_cell(cells.get(name, _NOTHING)) for name in COLUMNS]


def _cell(value: Any) -> str | float:
    """Return a number rounded to microseconds, or a text; what is not known is ``n/a``."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return _NOTHING
        rounded = round(value, 6)
        return int(rounded) if rounded.is_integer() else rounded
    return value if isinstance(value, int) else str(value).replace("\t", " ") or _NOTHING

"""A PageMoment is a session as its page shows it at one time, all but the curves: live and recorded ones alike."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bci.control.line import kind_of
from bci.control.snapshot import SessionSnapshot, SessionState
from bci.memory.alarms import SHOWN_HELD, SHOWN_PICTURES, Alarm, lasted
from bci.memory.trial_parts import Stage

#: A snapshot older than this says that the supervisor does not answer, seconds.
STALE_S = 3.0


class Tone(StrEnum):
    """A Tone is how a thing stands, which decides its colour."""

    GOOD = "good"
    NOTE = "note"
    """The operator should know it; nothing is lost."""
    URGENT = "urgent"
    """Something is lost, or the participant sees the neutral picture."""
    IDLE = "idle"
    """Neither good nor bad: not begun, or over."""


@dataclass(frozen=True)
class Banner:
    """A Banner says in one line how the session is, and below it why."""

    level: Tone
    title: str
    sentence: str = ""


@dataclass(frozen=True)
class Node:
    """A Node is one program: its name, how far it is in a few words, and how that is."""

    name: str
    words: str
    level: Tone


@dataclass(frozen=True)
class Counter:
    """A Counter is one number of the session, and how that is."""

    label: str
    value: str
    level: Tone = Tone.IDLE


@dataclass(frozen=True)
class Progress:
    """A Progress is how far an experiment is: trials over, of them aborted, planned in all, and what it does now.

    `stage` is that of an experiment that runs, which decides what may be ordered.
    """

    done: int
    aborted: int
    planned: int
    words: str
    stage: Stage | None = None


@dataclass(frozen=True, eq=False)
class PagePicture:
    """A picture as the page shows it.

    Attributes
    ----------
    title : str
        What it is.
    image : (height, width, 3) uint8 or None
        Its pixels; None where there are none.
    words : str
        What is said of it.
    level : Tone
        ``NOTE`` where it is not valid.
    """

    title: str
    image: NDArray[np.uint8] | None
    words: str
    level: Tone = Tone.IDLE


@dataclass(frozen=True, eq=False)
class PageMoment:
    """What a page shows, all but the curves.

    Attributes
    ----------
    name : str
        The session's.
    elapsed, lasts : float
        Seconds that it has run, and that it is to run; NaN where that is not known.
    banner : Banner
        How it is.
    alarms : sequence of Alarm
        What is wrong, most urgent first; in the same words as in the terminal.
    nodes : sequence of Node
        Its programs.
    counters : sequence of Counter
        Its numbers.
    progress : Progress or None
        How far its experiment is; None where it has none.
    pictures : sequence of PagePicture
        What is on the participant's screen, and what each decoder read last.
    log : sequence of str
        The newest lines of its log, oldest first.
    no_commands : str
        Why it cannot be commanded; empty where it can.
    """

    name: str
    elapsed: float
    lasts: float
    banner: Banner
    alarms: Sequence[Alarm] = ()
    nodes: Sequence[Node] = ()
    counters: Sequence[Counter] = ()
    progress: Progress | None = None
    pictures: Sequence[PagePicture] = ()
    log: Sequence[str] = ()
    no_commands: str = ""


_PLAIN = {
    SessionState.PREPARING: "Preparing",
    SessionState.READY: "Ready",
    SessionState.RUNNING: "Running",
    SessionState.LATCHED: "Latched safe",
    SessionState.STOPPING: "Ending",
    SessionState.DONE: "Ended",
}

_STAGES = {
    Stage.RUNNING: "running",
    Stage.WAITING: "waits for the order to start",
    Stage.PAUSED: "paused",
    Stage.ABORTED: "aborted",
    Stage.OVER: "over",
}


def banner_of(snapshot: SessionSnapshot | None, now: float) -> Banner:
    """Return how a session is, from its newest snapshot at a time in session seconds."""
    if snapshot is None:
        return Banner(Tone.IDLE, "Preparing", "The session's programs are being started.")
    age = now - snapshot.at
    live = snapshot.state in (SessionState.RUNNING, SessionState.LATCHED)
    if live and age > STALE_S:
        return Banner(
            Tone.URGENT,
            "The supervisor does not answer",
            f"The session was last heard of {lasted(age)} ago. What is below is as old where its age is not said.",
        )
    urgent = [alarm for alarm in snapshot.alarms if alarm.urgent]
    if snapshot.latched:
        return Banner(Tone.URGENT, _PLAIN[SessionState.LATCHED], f"{snapshot.latched}.")
    if not live:
        return Banner(Tone.IDLE, _PLAIN[snapshot.state], snapshot.ended_by)
    if snapshot.alarms:
        first = snapshot.alarms[0]
        more = len(snapshot.alarms) - 1
        title = first.line + (f" · and {more} more" if more else "")
        return Banner(Tone.URGENT if urgent else Tone.NOTE, title, f"{first.what} {first.do}")
    shows = snapshot.programs["display"].counters.get("neutral") if "display" in snapshot.programs else None
    return Banner(Tone.GOOD, "All is well", _SEES.get(shows, "") if shows is not None else "")


_SEES = {
    SHOWN_PICTURES: "The participant sees pictures.",
    SHOWN_HELD: "The participant sees the neutral picture.",
}


def nodes_of(snapshot: SessionSnapshot) -> list[Node]:
    """Return the programs of a session."""
    nodes = []
    for name, program in snapshot.programs.items():
        level = Tone.GOOD if program.state == "running" else Tone.IDLE
        words = program.state
        if program.failure:
            level, words = Tone.URGENT, f"given up: {program.failure}"
        elif program.state == "failed":
            level = Tone.URGENT
        elif program.state in ("ready", "running") and program.heart_age > 1.0:
            level, words = Tone.URGENT, f"silent {lasted(program.heart_age)}"
        elif program.restarts:
            level, words = Tone.NOTE, f"{program.state}, restart {program.restarts}"
        nodes.append(Node(name, words, level))
    return nodes


def counters_of(snapshot: SessionSnapshot) -> list[Counter]:
    """Return the numbers of a session that an operator watches."""

    def total(kind: str, counter: str) -> int | None:
        values = [
            program.counters[counter]
            for name, program in snapshot.programs.items()
            if kind_of(name) == kind and counter in program.counters
        ]
        return sum(values) if values else None

    lost = sum(total(kind, "lost") or 0 for kind in ("acquire", "decode"))
    numbers = (
        ("samples", total("acquire", "samples"), Tone.IDLE),
        ("samples lost", lost, Tone.URGENT),
        ("not recorded", total("record", "lost"), Tone.URGENT),
        ("reconstructions", total("decode", "reconstructions"), Tone.IDLE),
        ("windows skipped", total("decode", "skipped"), Tone.NOTE),
        ("invalid", total("decode", "invalid"), Tone.IDLE),
        ("channels masked", total("decode", "masked"), Tone.NOTE),
        ("heads lost", total("decode", "heads_lost") or None, Tone.URGENT),
        ("flips", total("display", "flips"), Tone.IDLE),
        ("flips dropped", total("display", "dropped"), Tone.NOTE),
        ("orders refused", sum(program.refused for program in snapshot.programs.values()), Tone.NOTE),
        ("restarts", sum(snapshot.restarts.values()), Tone.NOTE),
    )
    return [counter(label, value, level) for label, value, level in numbers if value is not None]


def counter(label: str, value: int, level: Tone) -> Counter:
    """Return a counter that is of a level where it is not zero."""
    return Counter(label, f"{value:,}".replace(",", "\u2009"), level if value else Tone.IDLE)


def progress_of(snapshot: SessionSnapshot) -> Progress | None:
    """Return how far the experiment of a session is; None where it has none."""
    engine = snapshot.programs.get("engine")
    if engine is None or "done" not in engine.counters:
        return None
    counts, runs = engine.counters, engine.state == "running"
    stage = Stage(counts["stage"])
    return Progress(
        counts["done"],
        counts["aborted"],
        counts.get("planned", 0),
        _STAGES[stage] if runs else engine.state,
        stage if runs else None,
    )


def repeats_words(repeats: int) -> str:
    """Return of how many trials of a stimulus something was read, in words; nothing of one alone.

    >>> repeats_words(3), repeats_words(1)
    ('mean of 3 trials', '')
    """
    return f"mean of {repeats} trials" if repeats > 1 else ""


def confidence_words(confidence: float) -> str:
    """Return a confidence in words.

    >>> confidence_words(0.731), confidence_words(float("nan"))
    ('confidence 0.73', 'no confidence claimed')
    """
    return "no confidence claimed" if math.isnan(confidence) else f"confidence {confidence:.2f}"


def newest_lines(text: str, count: int) -> list[str]:
    """Return the last lines of a text, the first of them whole."""
    return text.split("\n")[1:][-count - 1 :] if text.count("\n") > count else text.split("\n")


def worst(levels: Iterable[Tone]) -> Tone:
    """Return the level that most wants to be seen.

    >>> worst([Tone.GOOD, Tone.NOTE]), worst([])
    (<Tone.NOTE: 'note'>, <Tone.GOOD: 'good'>)
    """
    order = (Tone.URGENT, Tone.NOTE, Tone.IDLE, Tone.GOOD)
    given = set(levels)
    return next((level for level in order if level in given), Tone.GOOD)

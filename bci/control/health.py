"""A Measure is one number about a running session; health messages and Prometheus show the same, under one name.

`measures` is the one table of them: names, values and meanings, made of a `SessionSnapshot` and of nothing else. A
counter that a program gains appears in it by itself.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bci.control.line import kind_of
from bci.control.posts import GAUGES
from bci.control.snapshot import ProgramSnapshot, SessionSnapshot, SessionState

#: The node that stands for the session as a whole; every other node is a program of the line.
SESSION_NODE = "session"

_STATES = tuple(SessionState)
_RUNS = frozenset({"ready", "running"})


@dataclass(frozen=True, slots=True)
class Measure:
    """A Measure is one number about one node of a session.

    Attributes
    ----------
    name : str
        As Prometheus writes it: ``bci_decode_windows_total``; a counter's name ends in ``_total``.
    node : str
        The program whose number it is, as it is called in the line; `SESSION_NODE` where it is the whole session's.
    value : float
        NaN where there is none yet.
    kind : str
        A ``"counter"`` only grows; a ``"gauge"`` says what is so now.
    meaning : str
        What is measured, and in which unit.
    """

    name: str
    node: str
    value: float
    kind: Literal["counter", "gauge"]
    meaning: str


def measures(snapshot: SessionSnapshot) -> list[Measure]:
    """Return every number that a session shows of itself, its own first, then program by program."""
    return [*_of_session(snapshot), *_of_programs(snapshot)]


def health(snapshot: SessionSnapshot) -> dict[str, dict[str, float]]:
    """Return the same numbers by node and name: what each node's health message holds."""
    nodes: dict[str, dict[str, float]] = {name: {} for name in (SESSION_NODE, *snapshot.programs)}
    for measure in measures(snapshot):
        nodes[measure.node][measure.name] = measure.value
    return nodes


def _of_session(snapshot: SessionSnapshot) -> Iterator[Measure]:
    states = ", ".join(f"{place} {state}" for place, state in enumerate(_STATES))
    for name, value, meaning in (
        ("state", _STATES.index(snapshot.state), f"How far the session is: {states}."),
        ("elapsed_seconds", snapshot.elapsed, "Seconds that the session has run."),
        ("latched", bool(snapshot.latched), "Whether the neutral picture is held for good."),
        ("alarms", len(snapshot.alarms), "How many things are wrong now."),
        ("urgent_alarms", sum(alarm.urgent for alarm in snapshot.alarms), "How many of them are urgent."),
    ):
        yield Measure(f"bci_session_{name}", SESSION_NODE, float(value), "gauge", meaning)


def _of_programs(snapshot: SessionSnapshot) -> Iterator[Measure]:
    for node, program in snapshot.programs.items():
        yield from _of_program(node, program)
        if (silence := snapshot.silences.get(node)) is not None:
            name, meaning = "bci_acquire_silent_seconds_total", "Seconds in which its stream sent nothing."
            yield Measure(name, node, silence.seconds, "counter", meaning)
        newest = snapshot.newest.get(node)
        if newest is not None:
            for name, value, meaning in (
                ("valid", float(newest.valid), "Whether the newest reconstruction may be shown."),
                ("confidence", newest.confidence, "The newest reconstruction's confidence, 0 to 1."),
                ("age_seconds", snapshot.at - newest.arrived, "Age of the newest sample behind it."),
            ):
                yield Measure(f"bci_reconstruction_{name}", node, value, "gauge", meaning)


def _of_program(node: str, program: ProgramSnapshot) -> Iterator[Measure]:
    yield Measure(
        "bci_program_up", node, float(program.state in _RUNS), "gauge", "Whether it is ready or runs."
    )
    heart = math.nan if program.state in ("absent", "stopped") else program.heart_age
    yield Measure("bci_program_heart_age_seconds", node, heart, "gauge", "Seconds since its heart beat.")
    yield Measure(
        "bci_program_given_up", node, float(bool(program.failure)), "gauge", "Whether it was given up."
    )
    for name, value, meaning in (
        ("restarts", program.restarts, "How often it was started again."),
        ("orders_refused", program.refused, "Orders that it refused."),
    ):
        yield Measure(f"bci_program_{name}_total", node, float(value), "counter", meaning)
    yield from _counted(node, program.counters)


def _counted(node: str, counters: Mapping[str, int]) -> Iterator[Measure]:
    """Yield what a program counts on the board, under the names that its post gives."""
    kind = kind_of(node)
    for counter, value in counters.items():
        if counter in GAUGES:
            meaning = f"{kind}: {counter} now; see docs/control.md."
            yield Measure(f"bci_{kind}_{counter}", node, float(value), "gauge", meaning)
        else:
            meaning = f"{kind}: {counter} so far."
            yield Measure(f"bci_{kind}_{counter}_total", node, float(value), "counter", meaning)

"""A Plan is what a supervisor is given: a line, how its shared memory is made, and what of a session is its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from bci.config.control import ControlSettings
from bci.control.line import Line, Post
from bci.control.snapshot import SessionSnapshot
from bci.io.lsl.metadata import StreamInfo
from bci.memory.ring import Ring
from bci.memory.stream import Stream

#: What each program has told, by its name.
Facts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Rules:
    """Rules decide what happens when a program dies or hangs; see `bci.config.session.SupervisionSettings`."""

    restarts: int
    hung_after_s: float
    when_latched: Literal["hold", "end"] = "end"


@dataclass(frozen=True)
class SessionOutcome:
    """A SessionOutcome holds the end of a session, for its summary.

    Attributes
    ----------
    folder : Path
        The session's.
    snapshot : SessionSnapshot
        How it stood when every program had stopped.
    facts : mapping
        What each program, or its last successor, has reported.
    failures : list of str
        One sentence for each program that was given up or would not stop.
    at_end : SessionSnapshot
        How it stood when it was decided to end it, and everything still ran.
    """

    folder: Path
    snapshot: SessionSnapshot
    facts: Facts
    failures: list[str]
    at_end: SessionSnapshot


class Plan(Protocol):
    """A Plan describes the programs and resources that a supervisor runs."""

    @property
    def name(self) -> str:
        """What the session's folder is called after."""
        ...

    @property
    def key(self) -> str:
        """What the names of its shared memory begin with, unique on this host."""
        ...

    @property
    def line(self) -> Line:
        """Its programs."""
        ...

    @property
    def rules(self) -> Rules:
        """When a program is started again, and what happens when it is given up."""
        ...

    @property
    def control(self) -> ControlSettings:
        """How far the session can be commanded from outside."""
        ...

    @property
    def streams(self) -> Mapping[str, StreamInfo]:
        """What each stream in shared memory says of itself, as far as that is known."""
        ...

    def make(self, name: str, segment: str, readers: int) -> Ring | Stream:
        """Make a ring or a stream of the line, when the first program that opens it is started.

        Parameters
        ----------
        name : str
            Its name in the line.
        segment : str
            What it must be called in shared memory.
        readers : int
            How many programs wait on it.
        """
        ...

    def begin(self, folder: Path) -> None:
        """Keep in the session's folder what programs look for there, before the first of them is started."""
        ...

    def ready(self, stage: Sequence[Post], told: Facts, folder: Path) -> None:
        """Take in what programs told when they were ready, before the next ones are started."""
        ...

    def ended(self, facts: Facts, elapsed: float) -> str:
        """Return what has ended the session, given what programs have reported; empty while it goes on."""
        ...

    def summarise(self, outcome: SessionOutcome) -> dict[str, Any]:
        """Return the session's summary."""
        ...

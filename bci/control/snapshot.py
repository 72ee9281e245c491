"""A SessionSnapshot is how a session stands at one moment: what the terminal, the summary, a page or MQTT may show."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bci.control.silences import Silence
from bci.io.files.folder import plain
from bci.memory.alarms import Alarm


class SessionState(StrEnum):
    """A SessionState is a stage of a session, from preparing to done.

    ::

        preparing ──> ready ──> running ──> stopping ──> done
                                   └──> latched ──┘
    """

    PREPARING = "preparing"
    READY = "ready"
    RUNNING = "running"
    LATCHED = "latched"
    STOPPING = "stopping"
    DONE = "done"


#: What may follow what; a start that fails goes straight to stopping.
FOLLOWING: Mapping[SessionState, frozenset[SessionState]] = {
    SessionState.PREPARING: frozenset({SessionState.READY, SessionState.STOPPING}),
    SessionState.READY: frozenset({SessionState.RUNNING, SessionState.STOPPING}),
    SessionState.RUNNING: frozenset({SessionState.LATCHED, SessionState.STOPPING}),
    SessionState.LATCHED: frozenset({SessionState.STOPPING}),
    SessionState.STOPPING: frozenset({SessionState.DONE}),
    SessionState.DONE: frozenset(),
}


@dataclass(frozen=True)
class ProgramSnapshot:
    """One program.

    Attributes
    ----------
    state : str
        How far it is, in lower case: see `bci.memory.board.State`.
    pid : int
        Its process id; 0 before it is started.
    heart_age : float
        Seconds since its heart beat; NaN before the first beat.
    counters : mapping of str to int
        What it counts, by its own names.
    refused : int
        Orders that it refused.
    restarts : int
        How often it was started again.
    failure : str
        Why it was given up; empty while it was not.
    """

    state: str
    pid: int
    heart_age: float
    counters: Mapping[str, int]
    refused: int
    restarts: int
    failure: str


@dataclass(frozen=True)
class StreamSnapshot:
    """One stream of samples: its source id, its signal's rate and shape, and how many samples have arrived."""

    source_id: str
    rate: float
    shape: tuple[int, ...]
    samples: int


@dataclass(frozen=True)
class ReconstructionSnapshot:
    """A decoder's newest reconstruction, all but its pixels; times are session seconds."""

    frame: int
    valid: bool
    reason: str
    confidence: float
    latent: tuple[float, ...]
    last_sample: int
    arrived: float
    published: float


@dataclass(frozen=True)
class SessionSnapshot:
    """A session at one moment.

    Attributes
    ----------
    name : str
        The session's.
    state : SessionState
        How far it is.
    since : float
        When it came to that state, session seconds.
    at : float
        When this was taken, session seconds.
    elapsed : float
        Seconds that it has run; NaN before everything was ready.
    programs : mapping of str to ProgramSnapshot
        Every program, by name.
    streams : mapping of str to StreamSnapshot
        Every stream of samples, by its name in the line.
    newest : mapping of str to ReconstructionSnapshot
        Every decoder's newest reconstruction, by the decoder's program; absent before its first.
    latched : str
        Why the neutral picture is held for good; empty while it is not.
    ended_by : str
        What ended the session; empty while it runs.
    alarms : tuple of Alarm
        What is wrong now, most urgent first.
    silences : mapping of str to Silence
        For how long each stream sent nothing, by its acquire program.
    """

    name: str
    state: SessionState
    since: float
    at: float
    elapsed: float
    programs: Mapping[str, ProgramSnapshot]
    streams: Mapping[str, StreamSnapshot] = field(default_factory=dict)
    newest: Mapping[str, ReconstructionSnapshot] = field(default_factory=dict)
    latched: str = ""
    ended_by: str = ""
    alarms: tuple[Alarm, ...] = ()
    silences: Mapping[str, Silence] = field(default_factory=dict)

    @property
    def restarts(self) -> dict[str, int]:
        """How often each program was started again; those that never were are left out."""
        return {name: program.restarts for name, program in self.programs.items() if program.restarts}

    @property
    def failures(self) -> dict[str, str]:
        """Why programs were given up."""
        return {name: program.failure for name, program in self.programs.items() if program.failure}

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, fit to be published."""
        values: dict[str, Any] = plain(dataclasses.asdict(self))
        return values

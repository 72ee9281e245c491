"""A Breaker kills and freezes programs of a running session, one after the other, each after the rig has recovered.

::

    waiting ── pictures shown, all hearts beating, for a while ──> kill or freeze the next program ──> through
       ^                                                                  │                               ^
       └── its successor runs and a newer picture is valid ───────────────┤                               │
                                                                          └── latched safe; or patience ──┘

It is what the supervisor calls ten times a second; what it did goes into a journal, a JSON object a line.
"""

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bci.control.line import kind_of
from bci.control.snapshot import SessionSnapshot
from bci.io.files.folder import plain
from bci.signal.clock import Clock

if TYPE_CHECKING:
    from bci.control.supervisor import Supervisor

#: The state of a program that works; see `bci.memory.board.State`.
_RUNNING = "running"

#: How long everything must have been well before the next program is broken, seconds.
STEADY_S = 2.5

#: How long a recovery may take before it counts as none, seconds.
PATIENCE_S = 45.0

#: How long a latched session is watched, seconds: nothing may be shown any more.
LATCHED_S = 5.0

#: A picture older than this is none of a rig that is well, hops; and no heart beats slower, seconds.
_OLD_HOPS = 5
_BEAT_S = 1.0


@dataclass(frozen=True)
class Fault:
    """One thing to do to a program: ``how`` is ``"killed"`` or ``"frozen"``."""

    program: str
    how: str


class Journal:
    """A Journal writes events to disk at once, a JSON object a line; another process reads along."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, **facts: Any) -> None:
        """Append one line."""
        self._file.write(json.dumps(plain({"event": event, **facts})) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return what has happened so far; a line that is being written is left for the next time."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


class Breaker:
    """Breaks programs of a session, in order.

    Parameters
    ----------
    faults : sequence of Fault
        What to do.
    journal : Journal
        Where it is written down.
    hop_seconds : float
        Between two reconstructions.
    exhaust : str, optional
        Then kill this program again and again, until the session latches safe.
    hold : bool
        Leave the session running when all is done, instead of stopping it.
    steady_s, patience_s : float
        See `STEADY_S` and `PATIENCE_S`.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        journal: Journal,
        hop_seconds: float,
        *,
        exhaust: str | None = None,
        hold: bool = False,
        steady_s: float = STEADY_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._left = list(faults)
        self._journal = journal
        self._old_s = max(_BEAT_S, _OLD_HOPS * hop_seconds)
        self._exhaust = exhaust
        self._hold = hold
        self._steady_s, self._patience_s = steady_s, patience_s
        self._well_since: float | None = None
        self._broken: Fault | None = None
        self._at = self._said = -1.0
        self._pid = 0
        self._latched: float | None = None
        self._done = False

    def __call__(self, supervisor: "Supervisor") -> None:
        """Look at the session and do what is next."""
        session = supervisor.snapshot()
        now = session.at
        if now - self._said >= 1.0:
            self._said = now
            self._journal.write("time", elapsed=session.elapsed)
        if self._done:
            return
        well = self._well(session)
        self._well_since = (now if self._well_since is None else self._well_since) if well else None
        if self._broken is not None:
            if session.latched:
                self._close("latched", now)
                self._left.clear()
                self._latched = now
            elif well:
                self._close("recovered", now)
            elif now - self._at > self._patience_s:
                self._close("given up", now)
                self._left.clear()
                self._exhaust = None
        elif self._latched is not None:
            if now - self._latched > LATCHED_S:
                self._end()
        elif self._well_since is not None and now - self._well_since >= self._steady_s:
            self._next(session, supervisor.clock)
        elif self._well_since is None and min(session.elapsed, now - self._at) > self._patience_s:
            self._journal.write("never well", at=now)
            self._end()

    def _well(self, session: SessionSnapshot) -> bool:
        """Whether everything runs, and of every decoder a picture newer than the last fault is valid."""
        if self._broken is not None and session.programs[self._broken.program].pid == self._pid:
            return False
        for program in session.programs.values():
            if program.state != _RUNNING or not program.heart_age < _BEAT_S:
                return False
        decoders = [name for name in session.programs if kind_of(name) == "decode"]
        return all(self._decodes(session, name) for name in decoders)

    def _decodes(self, session: SessionSnapshot, decoder: str) -> bool:
        newest = session.newest.get(decoder)
        if newest is None or not newest.valid:
            return False
        return newest.published > self._at and session.at - newest.published < self._old_s

    def _next(self, session: SessionSnapshot, clock: Clock) -> None:
        if self._left:
            self._break(session, clock, self._left.pop(0))
        elif self._exhaust is not None:
            self._break(session, clock, Fault(self._exhaust, "killed"), exhausting=True)
        else:
            self._journal.write("through", at=session.at)
            self._end()

    def _break(self, session: SessionSnapshot, clock: Clock, fault: Fault, **facts: Any) -> None:
        self._broken, self._well_since = fault, None
        self._pid = session.programs[fault.program].pid
        process = psutil.Process(self._pid)
        self._at = clock.now()
        (process.kill if fault.how == "killed" else process.suspend)()
        self._journal.write("broken", **asdict(fault), at=self._at, wall=time.time(), pid=self._pid, **facts)

    def _close(self, event: str, now: float) -> None:
        assert self._broken is not None
        self._journal.write(event, **asdict(self._broken), at=now)
        self._broken = None

    def _end(self) -> None:
        self._done = True
        if not self._hold:
            # The supervisor turns it into an ordered stop.
            signal.raise_signal(signal.SIGINT)

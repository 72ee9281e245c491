"""A Script kills the source and decode in turn while a session runs, and notes each Kill."""

import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bci.control.supervisor import Supervisor
from bci.errors import ProgramError
from benchmarks.measurement import Stage
from benchmarks.report import progress

AMPLIFIER = "benchmarks.amplifier"

#: How long valid pictures come before the next kill, seconds, and by how much that differs from kill to kill.
STEADY_S, JITTER_S = 0.8, 0.4

_PATIENCE_S = 60.0


@dataclass
class Kill:
    """A Kill holds the times of one kill and of the program's return.

    Attributes
    ----------
    victim : str
        ``"source"`` or ``"decode"``.
    killed : float
        Time of the kill, session seconds.
    back : float
        When its successor was ready: the outlet on the network, or the imports done.
    """

    victim: str
    killed: float
    back: float = float("nan")


class Script:
    """A Script kills the two programs in turn; the supervisor calls it.

    Parameters
    ----------
    stage : Stage
        Where the amplifier's program runs, as ``source``.
    kills : int
        How often each of the two is killed.
    silence : float
        Seconds until a new amplifier's program is started.

    Attributes
    ----------
    kills : list of Kill
        The kills so far.
    """

    def __init__(self, stage: Stage, kills: int, silence: float) -> None:
        self.kills: list[Kill] = []
        self._stage = stage
        self._n, self._silence = kills, silence
        self._random = random.Random(0)
        self._steps: Iterator[None] | None = None

    def __call__(self, supervisor: Supervisor) -> None:
        """Take the next step."""
        self._steps = self._steps or self._play(supervisor)
        next(self._steps, None)

    def _play(self, line: Supervisor) -> Iterator[None]:
        for _ in range(self._n):
            yield from self._steady(line)
            yield from self._kill_source(line)
        for _ in range(self._n):
            yield from self._steady(line)
            yield from self._kill_decode(line)
        yield from self._steady(line)
        # As an operator ends a session.
        signal.raise_signal(signal.SIGINT)

    def _kill_source(self, line: Supervisor) -> Iterator[None]:
        kill = self._note(Kill("source", line.clock.now()))
        self._stage.children["source"].kill()
        until = kill.killed + self._silence
        yield from self._until(line, lambda: line.clock.now() >= until, "time to pass")
        child = self._stage.begin("source")
        yield from self._until(line, lambda: child.listen() or child.ready is not None, "the new source")
        kill.back = (child.ready or {})["back"]

    def _kill_decode(self, line: Supervisor) -> Iterator[None]:
        kill = self._note(Kill("decode", line.clock.now()))
        before = line.children["decode"]
        before.kill()
        yield from self._until(
            line,
            lambda: line.children["decode"] is not before and line.children["decode"].ready is not None,
            "the new decode",
        )
        kill.back = (line.children["decode"].ready or {})["imported"]

    def _note(self, kill: Kill) -> Kill:
        self.kills.append(kill)
        progress(f"kill {len(self.kills)} of {2 * self._n}: {kill.victim}")
        return kill

    def _steady(self, line: Supervisor) -> Iterator[None]:
        """Wait until valid pictures of data younger than the last kill have come for a while."""
        after = self.kills[-1].back if self.kills else line.started
        yield from self._until(line, lambda: _newest(line) > after, "a valid reconstruction")
        until = line.clock.now() + STEADY_S + self._random.uniform(0, JITTER_S)
        yield from self._until(line, lambda: line.clock.now() >= until, "time to pass")

    def _until(self, line: Supervisor, condition: Callable[[], bool | None], what: str) -> Iterator[None]:
        deadline = line.clock.now() + _PATIENCE_S
        while not condition():
            if line.clock.now() > deadline or line.latched:
                raise ProgramError(
                    f"waited in vain for {what}: {line.latched or 'too long'}; {self.kills[-1:]}"
                )
            yield


def _newest(line: Supervisor) -> float:
    """Return when the newest sample of the newest frame had arrived, if that frame is valid."""
    newest = line.snapshot().newest.get("decode")
    return newest.arrived if newest is not None and newest.valid else float("-inf")

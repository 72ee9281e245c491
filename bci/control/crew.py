"""The Crew is the programs of one session: started, listened to, started again when they die, stopped in order.

::

    launched ──> loading ──> running ── dies, or its heart stops ──> started again, at most `restarts` times
                    │                                                        │
                    └── never ready ─────────────────────────────────────────┴──> given up
"""

import dataclasses
import logging
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from bci.control.spawn import Child
from bci.errors import ProgramError
from bci.memory.board import Board, State
from bci.memory.program import Launch
from bci.signal.clock import Clock

#: How long a program may load before it counts as hung, seconds.
LOADING_LIMIT = 120.0

#: How long a program may take to end when told to, seconds; one that has to finish a file, while its heart beats.
STOP_LIMIT = 5.0
FINISH_LIMIT = 120.0

_POLL = 0.1

log = logging.getLogger("bci.supervisor")


@dataclass
class _Post:
    """One program's place in the crew."""

    launch: Launch
    child: Child
    since: float
    found_dead: float | None = None
    given_up: bool = False


class Crew:
    """The programs of one session.

    Parameters
    ----------
    board : Board
        Where their hearts beat.
    clock : Clock
        The session clock.
    restarts : int
        How often each program is started again before it is given up.
    hung_after : float
        Seconds without a heartbeat after which a program that was ready counts as hung, and is killed.
    spawn : callable, optional
        Starts the process of a launch.

    Attributes
    ----------
    restarts : dict of str to int
        How often each program was started again.
    failures : dict of str to str
        The programs that were given up or would not stop, and why.
    """

    def __init__(
        self,
        board: Board,
        clock: Clock,
        *,
        restarts: int,
        hung_after: float,
        spawn: Callable[[Launch], Child] = Child,
    ) -> None:
        self.restarts: dict[str, int] = {}
        self.failures: dict[str, str] = {}
        self._board, self._clock = board, clock
        self._limit, self._hung_after = restarts, hung_after
        self._spawn = spawn
        self._posts: dict[str, _Post] = {}

    @property
    def children(self) -> dict[str, Child]:
        """The processes that hold the posts now."""
        return {name: post.child for name, post in self._posts.items()}

    def launch(self, launch: Launch) -> None:
        """Start a program."""
        child = self._spawn(launch)
        self._posts[launch.name] = _Post(launch, child, self._clock.now())
        log.info("%s started as process %d", launch.name, child.process.pid)

    def listen(self) -> None:
        """Take in what the programs say; returns within a tenth of a second."""
        children = [post.child for post in self._posts.values()]
        wait([w for child in children if child.alive for w in child.waitables], _POLL)
        for child in children:
            child.listen()

    def await_ready(
        self, names: Collection[str], stopped: Callable[[], bool], limit: float = LOADING_LIMIT
    ) -> None:
        """Listen until these programs are ready.

        Raises
        ------
        BciError
            What a program failed with; or a `ProgramError` when one is not ready within `limit` seconds, or
            `stopped` says that nobody wants them any more.
        """
        deadline = self._clock.now() + limit
        while waiting := [name for name in names if self._posts[name].child.ready is None]:
            self.listen()
            for post in self._posts.values():
                if post.child.failure:
                    raise post.child.as_error()
            if stopped():
                raise ProgramError("stopped before everything was ready")
            if self._clock.now() > deadline:
                folder = self._posts[waiting[0]].launch.folder
                raise ProgramError(
                    f"{', '.join(waiting)} not ready within {limit:.0f} s; see log.txt in {folder}"
                )

    # -- while the session runs --------------------------------------------------------------------------

    def look_after(
        self, on_restart: Callable[[str, int, str], None] = lambda name, n, why: None
    ) -> list[str]:
        """Start again whoever has died or hangs; return the names of those given up just now.

        Parameters
        ----------
        on_restart : callable
            Told (name, how many times by now, why) of every restart.
        """
        given_up = []
        now = self._clock.now()
        for name, post in self._posts.items():
            if post.given_up:
                continue
            trouble = self._trouble(name, post, now)
            if not trouble:
                if post.found_dead is not None and post.child.ready is not None:
                    log.warning("%s works again after %.1f s", name, now - post.found_dead)
                    post.found_dead = None
                continue
            if post.child.alive:
                post.child.kill()
            so_far = self.restarts.get(name, 0)
            if so_far < self._limit:
                self._start_again(name, post, so_far + 1, trouble)
                on_restart(name, so_far + 1, trouble)
            else:
                post.given_up = True
                used = f", after {so_far} restart{'s' * (so_far != 1)}" if so_far else ""
                self.failures[name] = f"{trouble}{used}"
                log.critical("%s is given up: %s", name, self.failures[name])
                given_up.append(name)
        return given_up

    def _trouble(self, name: str, post: _Post, now: float) -> str:
        """Say what is wrong with a program; nothing when it is well."""
        child, row = post.child, self._board.row(name)
        if child.failure or not child.alive:
            child.listen()  # it may have died since: its last words, or its exit status
            return child.failure or "ended by itself"
        if row["state"] in (State.READY, State.RUNNING):
            silent = now - float(row["beat"])
            if silent > self._hung_after:
                return f"hung: no heartbeat for {silent:.1f} s"
        elif now - post.since > LOADING_LIMIT:
            return f"hung: not ready within {LOADING_LIMIT:.0f} s"
        return ""

    def _start_again(self, name: str, post: _Post, n: int, trouble: str) -> None:
        log.error("%s %s: restart %d of %d", name, trouble, n, self._limit)
        self.restarts[name] = n
        # The dead one's row must not speak for its successor.
        self._board.row(name)["state"] = State.ABSENT
        now = self._clock.now()
        launch = dataclasses.replace(post.launch, restart=n)
        found = post.found_dead if post.found_dead is not None else now
        self._posts[name] = _Post(launch, self._spawn(launch), now, found)
        log.info("%s started as process %d", name, self._posts[name].child.process.pid)

    # -- at the end --------------------------------------------------------------------------------------

    def stop(self, name: str, *, finishes: bool = False) -> None:
        """Stop a program if it is there; one that does not follow is killed, and counts as a failure.

        Parameters
        ----------
        name : str
            Which.
        finishes : bool
            It may have to wait for a disk: it gets `FINISH_LIMIT` as long as its heart beats.
        """
        post = self._posts.get(name)
        if post is None:
            return
        child, row = post.child, self._board.row(name)
        child.ask_to_stop()
        asked = self._clock.now()
        ended = child.join(STOP_LIMIT)
        while not ended and finishes and self._clock.now() - asked < FINISH_LIMIT:
            if self._clock.now() - float(row["beat"]) > self._hung_after:
                break
            ended = child.join(1.0)
        if not ended:
            log.error("%s did not stop within %.0f s and was killed", name, self._clock.now() - asked)
            self.failures.setdefault(name, "did not stop when told to")
            child.kill()
        elif child.failure and not post.given_up:
            self.failures.setdefault(name, child.failure)

    def describe_failures(self) -> list[str]:
        """Return one sentence for each failure."""
        return [f"{name} {why}" for name, why in self.failures.items()]

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return what each program, or its last successor, has reported."""
        return {name: post.child.facts for name, post in self._posts.items()}


@contextmanager
def on_signals(
    stop: Callable[[], None], numbers: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
) -> Iterator[None]:
    """Call `stop` on SIGINT and SIGTERM instead of being ended by them."""

    def heard(number: int, frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

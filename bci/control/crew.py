"""The Crew is the programs of one session: started, listened to, started again when they die, stopped in order.

::

    launched ──> loading ──> running ── dies, or its heart stops ──> started again, at most `restarts` times
                    │                                                        │
                    └── never ready ─────────────────────────────────────────┴──> given up
"""

import dataclasses
import logging
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from bci.control.orders import OrderDesk
from bci.control.spawn import Child
from bci.errors import ProgramError
from bci.memory.board import Board, State
from bci.memory.ending import ENDING
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch
from bci.signal.clock import Clock

#: How long a program may load before it counts as hung, seconds.
LOADING_LIMIT = 120.0

#: How long a program may take to end when told to, seconds; one that has to finish a file, while its heart beats.
STOP_LIMIT = 5.0
FINISH_LIMIT = 120.0

#: The same for a program that is still loading.
LOADING_STOP_LIMIT = 0.3

_POLL = 0.1

log = logging.getLogger("bci.supervisor")


def wait_for_news(children: Sequence[Child], seconds: float) -> None:
    """Return when one of these programs has something to say or has ended, and after so many seconds in any case."""
    wait([waitable for child in children for waitable in child.waitables], seconds)


@dataclass
class _Place:
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
    wait : callable, optional
        Returns when one of these programs has news, and within so many seconds.

    Attributes
    ----------
    restarts : dict of str to int
        How often each program was started again.
    failures : dict of str to str
        The programs that were given up or would not stop, and why.
    troubles : dict of str to str
        Why each program that was started again last was.
    """

    def __init__(
        self,
        board: Board,
        clock: Clock,
        *,
        restarts: int,
        hung_after: float,
        spawn: Callable[[Launch], Child] = Child,
        wait: Callable[[Sequence[Child], float], object] = wait_for_news,
    ) -> None:
        self.restarts: dict[str, int] = {}
        self.failures: dict[str, str] = {}
        self.troubles: dict[str, str] = {}
        self._board, self._clock = board, clock
        self._limit, self._hung_after = restarts, hung_after
        self._spawn, self._wait = spawn, wait
        self.desk = OrderDesk(clock)
        self._places: dict[str, _Place] = {}

    @property
    def children(self) -> dict[str, Child]:
        """The processes that hold the posts now."""
        return {name: place.child for name, place in self._places.items()}

    def launch(self, launch: Launch) -> None:
        """Start a program."""
        child = self._spawn(launch)
        self._places[launch.name] = _Place(launch, child, self._clock.now())
        log.info("%s started as process %d", launch.name, child.process.pid)

    def listen(self) -> None:
        """Take in what the programs say; returns within a tenth of a second."""
        children = [place.child for place in self._places.values()]
        self._wait([child for child in children if child.alive], _POLL)
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
            `stopped` says that the session is to end.
        """
        deadline = self._clock.now() + limit
        while waiting := [name for name in names if self._places[name].child.ready is None]:
            self.listen()
            for place in self._places.values():
                if place.child.failure:
                    raise place.child.as_error()
            if stopped():
                raise ProgramError("stopped before everything was ready")
            if self._clock.now() > deadline:
                folder = self._places[waiting[0]].launch.folder
                raise ProgramError(
                    f"{', '.join(waiting)} not ready within {limit:.0f} s; see log.txt in {folder}"
                )

    # -- while the session runs --------------------------------------------------------------------------

    def look_after(
        self, on_restart: Callable[[str, int, str], None] = lambda name, n, why: None
    ) -> list[str]:
        """Start again every program that has died or hangs; return the names of those given up just now.

        Parameters
        ----------
        on_restart : callable
            Told (name, how many times by now, why) of every restart.
        """
        given_up = []
        now = self._clock.now()
        for name, place in self._places.items():
            if place.given_up:
                continue
            trouble = self._trouble(name, place, now)
            if not trouble:
                if place.found_dead is not None and place.child.ready is not None:
                    log.warning("%s works again after %.1f s", name, now - place.found_dead)
                    place.found_dead = None
                continue
            if place.child.alive:
                place.child.kill()
            so_far = self.restarts.get(name, 0)
            if so_far < self._limit and not place.child.hopeless:
                self._start_again(name, place, so_far + 1, trouble)
                on_restart(name, so_far + 1, trouble)
            else:
                place.given_up = True
                used = f", after {so_far} restart{'s' * (so_far != 1)}" if so_far else ""
                self.failures[name] = f"{trouble.rstrip('.')}{used}" if used else trouble
                log.critical("%s is given up: %s", name, self.failures[name])
                given_up.append(name)
        return given_up

    def _trouble(self, name: str, place: _Place, now: float) -> str:
        """Say what is wrong with a program; nothing when it is well."""
        child, row = place.child, self._board.row(name)
        if child.failure or not child.alive:
            child.listen()  # it may have died since: its last words, or its exit status
            return child.failure or "ended by itself"
        if row["state"] in (State.READY, State.RUNNING):
            silent = now - float(row["beat"])
            if silent > self._hung_after:
                return f"hung: no heartbeat for {silent:.1f} s"
        elif now - place.since > LOADING_LIMIT:
            return f"hung: not ready within {LOADING_LIMIT:.0f} s"
        return ""

    def _start_again(self, name: str, place: _Place, n: int, trouble: str) -> None:
        log.error("%s %s: restart %d of %d", name, trouble, n, self._limit)
        self.restarts[name], self.troubles[name] = n, trouble
        # The dead one's row must not speak for its successor.
        row = self._board.row(name)
        row["state"], row["restarts"] = State.ABSENT, n
        now = self._clock.now()
        launch = dataclasses.replace(place.launch, restart=n)
        noticed = place.found_dead if place.found_dead is not None else now
        self._places[name] = _Place(launch, self._spawn(launch), now, noticed)
        log.info("%s started as process %d", name, self._places[name].child.process.pid)

    def order(
        self, name: str, kind: str, payload: Mapping[str, Any] | None = None, *, within: float | None = None
    ) -> Order:
        """Send an order to a program; `within` so many seconds it must be carried out, or it is refused."""
        return self.desk.send(self._places[name].child, kind, payload, within=within)

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
        place = self._places.get(name)
        if place is None:
            return
        child, row = place.child, self._board.row(name)
        self.desk.send(child, STOP)
        asked = self._clock.now()
        # What is still loading looks at no orders, and has nothing to finish.
        child.listen()
        loading = child.ready is None
        ended = child.join(LOADING_STOP_LIMIT if loading else STOP_LIMIT)
        while not ended and finishes and not loading and self._clock.now() - asked < FINISH_LIMIT:
            if self._clock.now() - float(row["beat"]) > self._hung_after:
                break
            ended = child.join(1.0)
        if not ended and loading:
            log.info("%s was still loading: ended", name)
            child.kill()
        elif not ended:
            log.error("%s did not stop within %.0f s and was killed", name, self._clock.now() - asked)
            self.failures.setdefault(name, "did not stop when told to")
            child.kill()
        elif child.failure and not place.given_up:
            self.failures.setdefault(name, child.failure)

    def describe_failures(self) -> list[str]:
        """Return one sentence for each failure."""
        return [f"{name} {why}" for name, why in self.failures.items()]

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return what each program, or its last successor, has reported."""
        return {name: place.child.facts for name, place in self._places.items()}


@contextmanager
def on_signals(stop: Callable[[], None], numbers: Sequence[signal.Signals] = ENDING) -> Iterator[None]:
    """Call `stop` on Ctrl-C, SIGTERM and when the terminal is closed, instead of being ended by them."""

    def heard(number: int, frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""A Program is one process of the line as seen from inside: its rings, its heartbeat, its orders.

The supervisor spawns `run_program` with a `Launch`; the module named there must define
``main(program: Program) -> None``, which opens what it needs, calls `Program.ready`, then works until
`Program.tick` says stop.
"""

import gc
import importlib
import logging
import math
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bci.errors import BciError, DiskError
from bci.memory.board import Board, State
from bci.memory.ending import ENDING
from bci.memory.heap import keep_freed_memory
from bci.memory.lsl_clock import LslClock
from bci.memory.orders import HOLD, STOP, Acknowledgement, Handler, Inbox, Order
from bci.memory.ring import Ring, RingHandle
from bci.memory.stream import Stream, StreamHandle
from bci.signal.clock import Clock
from bci.signal.foreign import visible

_BEAT_EVERY = 0.02

#: Seconds between two looks for orders, each a call of the system: most of a hop's programs have none to hurry for.
_LOOK_EVERY = 0.02

#: The same for programs that a person waits for: a display then obeys at its next flip, not at the one after.
PROMPTLY = 0.005

#: Seconds that a program goes on after a SIGTERM, until the supervisor has ended those before it.
ORDER_WITHIN = 10.0


@dataclass(frozen=True)
class Launch:
    """A Launch holds all that a program receives at its start.

    Attributes
    ----------
    name : str
        The program's row on the board.
    module : str
        Dotted name of the module whose ``main`` runs.
    spec : mapping
        The program's own settings.
    folder : str
        The session's folder.
    board : str
        Name of the board's segment.
    streams, rings : mapping
        What it may open, by role.
    slots : mapping
        This program's place among the readers of each stream or ring it waits on.
    restart : int
        How many predecessors of this program have died in this session.
    """

    name: str
    module: str
    spec: Mapping[str, Any]
    folder: str
    board: str
    streams: Mapping[str, StreamHandle] = field(default_factory=dict)
    rings: Mapping[str, RingHandle] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)
    restart: int = 0


class Program:
    """A Program is the argument of a program's ``main``: its clock, rings, board and orders.

    Attributes
    ----------
    name, spec, folder
        As in `Launch`; `folder` is a Path.
    clock : Clock
        The session clock.
    board : Board
        Everybody's rows.
    row : record
        This program's own row; its counters are written in place.
    restart : int
        How many predecessors of this program have died in this session.
    inherited : mapping of str to int
        What the counters of `row` stood at when this program was started: they go on from there.
    imported : float
        When its module and all that this needs had been imported, session seconds; told with the ready facts.
    held : bool
        Whether the supervisor has ordered to hold what is safe; see `holds`.
    looks_every : float
        Seconds between two looks for orders; `PROMPTLY` for programs that a person waits for.
    orphaned : bool
        Whether the supervisor is gone: an order to stop that everybody gets at once.
    log : logging.Logger
        Writes to the session's log.
    """

    def __init__(self, launch: Launch, pipe: Connection | None, board: Board, clock: Clock) -> None:
        self.name = launch.name
        self.spec = launch.spec
        self.folder = Path(launch.folder)
        self.clock = clock
        self.board = board
        self.row = board.row(launch.name)
        self.restart = launch.restart
        self.inherited = self.row.counts()
        self.imported = clock.now()
        self.held = self.orphaned = False
        self.log = logging.getLogger(f"bci.{launch.name}")
        self._launch = launch
        self._pipe = pipe
        self._opened: list[Stream | Ring] = []
        self._stopping = False
        self._inbox = Inbox()
        self._early: list[Order] = []
        self._loading = True
        self._refused = int(self.row["refused"])
        self.obeys(STOP, lambda payload: self._stop())
        self._next_beat = self._next_look = -1.0
        self.looks_every = _LOOK_EVERY
        self._ends_alone = math.inf
        self._has_news = _listener(pipe) if pipe is not None else None

    def stream(self, role: str) -> Stream:
        """Open the stream that plays `role`; it is closed when the program ends."""
        stream = Stream.attach(self._launch.streams[role])
        self._opened.append(stream)
        return stream

    def ring(self, role: str) -> Ring:
        """Open the ring that plays `role`; it is closed when the program ends."""
        ring = Ring.attach(self._launch.rings[role])
        self._opened.append(ring)
        return ring

    def has(self, role: str) -> bool:
        """Whether a stream or ring of that role was handed over."""
        return role in self._launch.streams or role in self._launch.rings

    def roles(self, kind: str) -> list[str]:
        """Return the roles, ``frames``, ``frames-2`` …, of all streams or rings of one kind that were handed over."""
        return [role for role in (kind, *(f"{kind}-{i}" for i in range(2, 100))) if self.has(role)]

    def slot(self, role: str) -> int:
        """Return this program's place among the readers of `role`."""
        return self._launch.slots[role]

    def obeys(self, kind: str, handler: Handler) -> None:
        """Carry out orders of a kind by calling `handler` with their payload, inside of `tick`."""
        self._inbox.obey(kind, handler)

    def holds(self) -> None:
        """Obey the order to hold what is safe: `held` is then true for good."""
        self.obeys(HOLD, lambda payload: self._hold())

    def ready(self, **facts: Any) -> None:
        """Tell the supervisor that everything is loaded and warm, with facts it should know."""
        self._loading = False
        while self._early:
            self._take(self._early.pop(0), self.clock.now())
        # Loading may take longer than a program that is ready may be silent: the last beat must not count as one.
        self.row["beat"] = self.clock.now()
        self.row["state"] = State.READY
        self._send("ready", facts | {"imported": self.imported})
        # What was allocated so far stays for the whole run: collect once, then never look at it again.
        gc.collect()
        gc.freeze()
        keep_freed_memory()
        self.row["state"] = State.RUNNING

    def report(self, **facts: Any) -> None:
        """Tell the supervisor facts for the session's summary; the last word on each key counts."""
        self._send("report", facts)

    def request(self, **facts: Any) -> None:
        """Ask something of the supervisor; what becomes of it comes as an order."""
        self._send("request", facts)

    def tick(self) -> bool:
        """Beat the heart and look for orders; False when it is time to stop.

        To be called at least every 0.1 s. A closed pipe means that the supervisor died: that is a stop too.
        """
        now = self.clock.now()
        if now >= self._next_beat:
            self.row["beat"] = now
            self._next_beat = now + _BEAT_EVERY
        if now >= self._next_look:
            self._next_look = now + self.looks_every
            self._obey(now)
            for answer in self._inbox.settle(now):
                self._acknowledge(answer)
            if now >= self._ends_alone and not self._stopping:
                self.log.warning("told to end by SIGTERM, and no order came: ending")
                self._stopping = True
        return not self._stopping

    def await_order(self) -> None:
        """Go on after a SIGTERM until the supervisor orders the end, for `ORDER_WITHIN` seconds at most.

        A machine that shuts down sends it to all processes at once. Were each to end by itself, the recording would
        miss what was on its way; the supervisor, which hears it too, ends them one after the other.
        """
        self._ends_alone = min(self._ends_alone, self.clock.now() + ORDER_WITHIN)

    def _obey(self, now: float) -> None:
        if self._pipe is None or self._has_news is None:
            return
        try:
            while self._has_news():
                self._take(self._pipe.recv(), now)
        except (EOFError, OSError):
            self._lose_the_supervisor()

    def _take(self, order: Order, now: float) -> None:
        """Carry out one order, or refuse it; say which. What comes before the program is ready may have to wait."""
        if self._loading and not self._inbox.obeys(order.kind):
            self._early.append(order)
            return
        answer = self._inbox.take(order, now)
        if answer is not None:
            self._acknowledge(answer)
        elif not self._inbox.waits_for(order.id):
            self.row["refused"] = self._refused + self._inbox.refused
            self.log.warning("order %s to %s came twice: refused", order.id, order.kind)

    def _acknowledge(self, answer: Acknowledgement) -> None:
        self.row["refused"] = self._refused + self._inbox.refused
        if answer.detail:
            self.log.warning("order to %s refused (%s): %s", answer.kind, answer.verdict, answer.detail)
        self._send("acknowledged", {"acknowledgement": answer})

    def _stop(self) -> None:
        self._stopping = True

    def _hold(self) -> None:
        self.held = True

    def _lose_the_supervisor(self) -> None:
        if not self.orphaned and not self._stopping:
            self.log.warning("the supervisor is gone: ending")
        self._stopping = self.orphaned = True

    def _send(self, kind: str, facts: Mapping[str, Any]) -> None:
        if self._pipe is not None:
            try:
                self._pipe.send((kind, dict(facts)))
            except (BrokenPipeError, OSError):
                self._lose_the_supervisor()

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            self._opened.pop().close()


def _listener(pipe: Connection) -> Callable[[], bool]:
    """Return what tells whether the pipe has news; `Connection.poll` makes a selector at every look."""
    if os.name == "nt":
        return pipe.poll
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLIN)
    return lambda: bool(poller.poll(0))


class _LogFile(logging.FileHandler):
    """A log on a disk that may be full: what it does not take is dropped, where logging would print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Drop the line."""


class _Lines(logging.Formatter):
    """A _Lines formatter writes a record so that nothing in it commands a terminal, or begins a line like a record."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record)).replace("\n", "\n  ")


def log_to(path: Path, name: str) -> None:
    """Send this process's log to a file, a line each: time, program, level, text."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(_Lines(f"%(asctime)s {name} %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def run_program(launch: Launch, pipe: Connection) -> None:
    """Run one program in its own process: the target that the supervisor spawns.

    Exit status 0 after an ordered stop, 2 after an expected failure, 1 after anything else.
    """
    # The supervisor alone turns Ctrl-C, and the closing of the terminal, into an ordered stop.
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _send_foreign_lines_to(Path(launch.folder) / "log.txt")
    log_to(Path(launch.folder) / "log.txt", launch.name)
    board = Board.attach(launch.board)
    clock = LslClock()
    program = Program(launch, pipe, board, clock)
    signal.signal(signal.SIGTERM, lambda number, frame: program.await_order())
    if hasattr(signal, "pthread_sigmask"):
        # Held back since before this process was spawned, lest it died of them while it was loading.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    program.row["restarts"] = launch.restart
    program.row["state"] = State.LOADING
    program.tick()
    status = 0
    try:
        module = importlib.import_module(launch.module)
        program.imported = clock.now()
        module.main(program)
        program.row["state"] = State.STOPPED
    except BaseException as error:
        program.row["state"] = State.FAILED
        status = _fail(program, pipe, error)
    _tell(pipe, "ended", {"status": status})
    logging.shutdown()
    sys.stdout.flush()
    # Straight out: rings may still be in use by a view on the traceback's stack, and the owner unlinks them.
    os._exit(status)


def _send_foreign_lines_to(path: Path) -> None:
    """Let what libraries print themselves, liblsl above all, stand in the log: the terminal is the supervisor's."""
    try:
        log_file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    except OSError:
        return
    for descriptor in (1, 2):
        os.dup2(log_file, descriptor)
    os.close(log_file)


def _fail(program: Program, pipe: Connection, error: BaseException) -> int:
    """Log what ended the program, tell the supervisor, and return the exit status."""
    if isinstance(error, OSError) and error.errno in DiskError.NUMBERS:
        error = DiskError.of(error.filename or f"a file in {program.folder}", error)
    expected = isinstance(error, BciError)
    if expected:
        program.log.error("%s: %s", type(error).__name__, error)
    else:
        program.log.critical("%s", "".join(traceback.format_exception(error)))
    message = str(error) if expected else f"{error} (traceback in log.txt)"
    _tell(pipe, "failed", {"error": type(error).__name__, "message": message, "expected": expected})
    return 2 if expected else 1


def _tell(pipe: Connection, kind: str, facts: dict[str, Any]) -> None:
    try:
        pipe.send((kind, facts))
    except OSError:
        logging.getLogger("bci").warning("the supervisor is gone; not told: %s", facts)

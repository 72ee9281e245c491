"""A Child is one program of the line as seen from the supervisor: its process, its pipe, its last words."""

import contextlib
import os
import signal
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

from bci import errors
from bci.control import nursery
from bci.errors import BciError
from bci.memory.orders import STOP, Acknowledgement, Order
from bci.memory.program import Launch, run_program

#: What is told for the exit status of a process when what it was forked from has died.
_UNKNOWN = 255

#: Seconds within which it is told how a process ended that has.
_REAPED = 1.0


@contextlib.contextmanager
def _bare_main() -> Iterator[None]:
    """Keep a spawned child from importing our main script again: it needs nothing of it, and starts sooner."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def run(launch: Launch, pipe: "Connection[Any, Any]", environment: Mapping[str, str] | None) -> None:
    """Run a program in the process that was started for it."""
    nursery.take_on(environment)
    run_program(launch, pipe)


class _Life:
    """Whether a process lives.

    What forks a program tells how it ended, and would be believed dead with all its programs if it died itself; then
    a second program would write a ring that has one writer. So the system is asked about the process itself, where it
    can be (Linux).
    """

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self._file = -1
        if hasattr(os, "pidfd_open") and process.pid is not None:
            with contextlib.suppress(OSError):  # it is gone already, or the system is older than Linux 5.3
                self._file = os.pidfd_open(process.pid)
                weakref.finalize(self, os.close, self._file)
        self.sentinel = process.sentinel if self._file < 0 else self._file

    def lasts(self, seconds: float = 0.0) -> bool:
        """Return whether it still runs after so many seconds, or when it has ended."""
        if self._file < 0:
            self._process.join(seconds)
            return self._process.is_alive()
        if not wait([self._file], seconds):
            return True
        self._process.join(_REAPED)  # how it ended is known a moment later
        return False

    def end(self) -> None:
        """Kill it, and wait for its end."""
        if self._file < 0:
            self._process.kill()
            self._process.join()
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._file, signal.SIGKILL)
        wait([self._file])
        self._process.join(_REAPED)


class Child:
    """A program in a process of its own.

    Attributes
    ----------
    name : str
        Its row on the board.
    ready : dict or None
        What it said when it was ready; None until then.
    facts : dict
        What it reported for the summary.
    failure : str
        What it said when it failed, or what its exit status says; empty while all is well.
    answers : dict of str to Acknowledgement
        What became of the orders it was sent, by their ids.
    requests : deque of mapping
        What it asks of the supervisor, not yet taken up; see `bci.memory.program.Program.request`.
    """

    def __init__(self, launch: Launch) -> None:
        self.name = launch.name
        self.ready: dict[str, Any] | None = None
        self.facts: dict[str, Any] = {}
        self.failure = ""
        self.answers: dict[str, Acknowledgement] = {}
        self.requests: deque[Mapping[str, Any]] = deque()
        self._status: int | None = None
        self.expected = False
        """Whether the failure is one of `bci.errors`: its message is for the experimenter."""
        context = nursery.context()
        self.pipe, far_end = context.Pipe()
        # Of the kinds of contexts, which share no interface, each has processes of the same.
        self.process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=run,
            args=(launch, far_end, nursery.surroundings()),
            name=f"bci-{launch.name}",
            daemon=True,
        )
        with _bare_main(), nursery.signals_held_back():
            try:
                self.process.start()
            except (ConnectionError, EOFError):  # of a nursery that is dying, and not yet gone for the system
                nursery.await_end()
                self.process.start()
        far_end.close()
        self._life = _Life(self.process)

    @property
    def waitables(self) -> "tuple[Connection[Any, Any], int]":
        """What `multiprocessing.connection.wait` can wait on for news of this child."""
        return self.pipe, self._life.sentinel

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._life.lasts()

    def listen(self) -> None:
        """Take in what the program has said, and how it ended."""
        with contextlib.suppress(EOFError, OSError):
            while self.pipe.poll():
                kind, facts = self.pipe.recv()
                if kind == "ready":
                    self.ready = facts
                elif kind == "report":
                    self.facts |= facts
                elif kind == "acknowledged":
                    answer: Acknowledgement = facts["acknowledgement"]
                    self.answers[answer.order] = answer
                elif kind == "request":
                    self.requests.append(facts)
                elif kind == "ended":
                    self._status = facts["status"]
                else:
                    self.failure = f"{facts['error']}: {facts['message']}"
                    self.expected = bool(facts["expected"])
        if not self.failure and not self.alive and (status := self._exit_status()):
            self.failure = f"died with exit status {status}"

    def _exit_status(self) -> int | None:
        """Return how it ended: by its own words where those that it was forked from are not there to tell."""
        told = self.process.exitcode
        return told if told != _UNKNOWN or self._status is None else self._status

    @property
    def hopeless(self) -> bool:
        """Whether it failed with an error that a restart does not mend."""
        error = getattr(errors, self.failure.partition(": ")[0], None) if self.expected else None
        return error is not None and not error.restart_helps

    def as_error(self) -> BciError:
        """Return what the program failed with, at its start, as the exception it was."""
        kind, _, message = self.failure.partition(": ")
        error = getattr(errors, kind, None) if self.expected else None
        # An Overrun carries counts beside its message, and none is expected before a program is ready.
        if error is None or issubclass(error, errors.Overrun):
            return errors.ProgramError(f"{self.name} did not start: {self.failure}")
        return cast("BciError", error(message))

    def ask_to_stop(self) -> None:
        """Order an end; the program sees it within 0.1 s."""
        self.send(Order(STOP))

    def send(self, order: Order) -> None:
        """Send an order; the program sees it within 0.1 s, if it lives, and its answer comes into `answers`."""
        with contextlib.suppress(OSError):
            self.pipe.send(order)

    def join(self, timeout: float) -> bool:
        """Wait for the end, at most `timeout` seconds; return whether it came."""
        ended = not self._life.lasts(timeout)
        self.listen()
        return ended or not self.alive

    def kill(self) -> None:
        """End the process now."""
        self._life.end()

"""A Child is one program of the line as seen from the supervisor: its process, its pipe, its last words."""

import contextlib
import multiprocessing
import signal
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any, cast

from bci import errors
from bci.errors import BciError
from bci.memory.orders import STOP, Acknowledgement, Order
from bci.memory.program import HELD_BACK, Launch, run_program


@contextlib.contextmanager
def _bare_main() -> Iterator[None]:
    """Keep a spawned child from importing our main script again: it needs nothing of it, and starts sooner."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Spawn a child that no signal to end reaches before it knows what to do with it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Child:
    """A spawned program.

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
        self.expected = False
        """Whether the failure is one of `bci.errors`: its message is for the experimenter."""
        context = multiprocessing.get_context("spawn")
        self.pipe, far_end = context.Pipe()
        self.process = context.Process(
            target=run_program, args=(launch, far_end), name=f"bci-{launch.name}", daemon=True
        )
        with _bare_main(), _signals_held_back():
            self.process.start()
        far_end.close()

    @property
    def waitables(self) -> "tuple[Connection[Any, Any], int]":
        """What `multiprocessing.connection.wait` can wait on for news of this child."""
        return self.pipe, self.process.sentinel

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.is_alive()

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
                else:
                    self.failure = f"{facts['error']}: {facts['message']}"
                    self.expected = bool(facts["expected"])
        if not self.failure and not self.alive and self.process.exitcode:
            self.failure = f"died with exit status {self.process.exitcode}"

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
        self.process.join(timeout)
        self.listen()
        return not self.alive

    def kill(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.join()

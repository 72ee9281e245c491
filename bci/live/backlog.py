"""A Backlog holds work that waits for the disk: a thread does it in order, and its memory is bounded.

Adding work never waits. Work that a full disk refuses is tried again every half second, until it succeeds or the
backlog is given up; `trouble` holds the disk's error meanwhile.
"""

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bci.errors import DiskError
from bci.signal.clock import Clock

#: Time between two tries of work that the disk refused, seconds.
_RETRY_EVERY = 0.5


class Backlog:
    """A Backlog does work for the disk in a thread, begun by `start`; it is a context manager.

    Parameters
    ----------
    clock : Clock
        The session clock.
    memory : int
        Bytes that may wait before the backlog calls itself full.

    Attributes
    ----------
    waiting, most : int
        Bytes that wait now, and the most that ever did.
    longest : float
        The longest that one piece of work has taken, seconds.
    trouble : str
        The disk's error while it refuses; empty otherwise.
    trouble_since : float
        Time of the first refusal, session seconds.
    error : BaseException or None
        Exception that stopped the thread, if it was not the disk's.
    """

    def __init__(self, clock: Clock, memory: int) -> None:
        self.waiting = self.most = 0
        self.longest = 0.0
        self.trouble = ""
        self.trouble_since = 0.0
        self.error: BaseException | None = None
        self._clock = clock
        self._memory = memory
        self._work: deque[tuple[int, Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._begun: float | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Start the thread, if it has not started; until then work waits."""
        if self._thread.ident is None:
            self._thread.start()

    def put(self, nbytes: int, work: Callable[[], None]) -> None:
        """Add work that holds `nbytes` of memory; it raises `DiskError` or `OSError` to be tried again."""
        with self._changed:
            self._work.append((nbytes, work))
            self.waiting += nbytes
            self.most = max(self.most, self.waiting)
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether no more work should be added now."""
        return self.waiting >= self._memory

    @property
    def idle(self) -> bool:
        """Whether all work is done."""
        return not self._work

    @property
    def busy_for(self) -> float:
        """How long the disk has been at one piece of work, seconds."""
        begun = self._begun
        return 0.0 if begun is None else self._clock.now() - begun

    @property
    def ended(self) -> bool:
        """Whether its thread has ended; before that it may still write."""
        return not self._thread.is_alive()

    def give_up(self) -> None:
        """Stop: work that waits stays undone."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has nothing to do any more, at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.idle or not self._thread.is_alive(), timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()
        if self._thread.ident is not None:
            # A disk that hangs must not hang its program: the thread ends with the process.
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            while self._do_next():
                pass
        except BaseException as error:
            self.error = error
        finally:
            with self._changed:
                self._changed.notify_all()

    def _do_next(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._work) or self._given_up)
            if self._given_up:
                return False
            nbytes, work = self._work[0]
        self._begun = self._clock.now()
        while True:
            try:
                work()
                break
            except (DiskError, OSError) as error:
                if not self.trouble:
                    self.trouble_since = self._clock.now()
                self.trouble = str(error)
            with self._changed:
                if self._changed.wait_for(lambda: self._given_up, _RETRY_EVERY):
                    return False
        self.longest = max(self.longest, self._clock.now() - self._begun)
        self._begun, self.trouble = None, ""
        with self._changed:
            self._work.popleft()
            self.waiting -= nbytes
            self._changed.notify_all()
        return True

"""A Wakeup ends one reader's wait in another process; this module alone depends on the platform's semaphore.

On Linux and Windows it is a counting semaphore. macOS has no timed semaphore wait (CPython polls there, up
to 20 ms apart), so a pipe takes its place. It is never used as a lock, so that a process that dies blocks no other.
Both kinds can be pickled only while a child is being spawned, which is when readers receive theirs.
"""

import multiprocessing
import sys
from typing import Protocol


class Wakeup(Protocol):
    """A Wakeup is waited on by one reader and released by one writer."""

    @property
    def name(self) -> str:
        """What the system calls it; empty where it has no name, and goes with its last process."""
        ...

    @property
    def handle(self) -> int:
        """Where compiled code finds it in this process; 0 where it cannot use it."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a release; return whether one came."""
        ...

    def release(self) -> None:
        """End the wait under way, or the next one."""
        ...


class SemaphoreWakeup:
    """A SemaphoreWakeup is a counting semaphore."""

    def __init__(self) -> None:
        self._semaphore = multiprocessing.get_context("spawn").Semaphore(0)

    @property
    def name(self) -> str:
        """What the system calls it."""
        return str(getattr(getattr(self._semaphore, "_semlock", None), "name", None) or "")

    @property
    def handle(self) -> int:
        """The address of its ``sem_t`` in this process."""
        return int(getattr(getattr(self._semaphore, "_semlock", None), "handle", 0))

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a release; return whether one came."""
        return self._semaphore.acquire(timeout=timeout)

    def release(self) -> None:
        """End the wait under way, or the next one."""
        self._semaphore.release()


class PipeWakeup:
    """A PipeWakeup is a byte in a pipe."""

    def __init__(self) -> None:
        self._reader, self._writer = multiprocessing.get_context("spawn").Pipe(duplex=False)

    @property
    def name(self) -> str:
        """A pipe has no name."""
        return ""

    @property
    def handle(self) -> int:
        """Compiled code uses no pipes."""
        return 0

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a release; return whether one came."""
        if not self._reader.poll(timeout):
            return False
        self._reader.recv_bytes()
        return True

    def release(self) -> None:
        """End the wait under way, or the next one."""
        self._writer.send_bytes(b"\0")


def new_wakeup() -> Wakeup:
    """Return the kind of wake-up that is fast on this platform."""
    return PipeWakeup() if sys.platform == "darwin" else SemaphoreWakeup()

"""SharedMemory is every ring of one session: made when the first program opens it, unlinked when the session ends."""

import math
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from bci.config.stream import StreamSettings
from bci.control.line import Line, Post
from bci.memory.program import Launch
from bci.memory.ring import Ring
from bci.memory.segment import free_bytes
from bci.memory.stream import Capacity, Stream, plan_capacity
from bci.signal.types import Signal

#: A sample ring grows to this for a stream that plays faster than real time, bytes.
_RING_BYTES = 256e6

#: What a run is kept for in memory takes at most this part of the shared memory that is free.
_FREE_PART = 0.25

#: Makes a ring or stream of the line, given its name, its segment and how many programs wait on it.
Make = Callable[[str, str, int], Ring | Stream]


def plan_buffer(
    signal: Signal, speed: float, settings: StreamSettings, held: int, recalled: int = 0
) -> Capacity:
    """Return how much of a session's stream is held in shared memory.

    A stream played faster fills its ring faster: the ring holds the same real time, within reason.

    Parameters
    ----------
    signal : Signal
        What the stream carries.
    speed : float
        How many times faster than real time it plays.
    settings : StreamSettings
        The session's ``[stream]``.
    held : int
        The most samples that a decoder of it reads in one piece: held whatever they take.
    recalled : int
        Samples of a run that a decoder learns, for one that takes the place of a dead one: held as far as `settings`
        and the free memory allow.
    """
    seconds = settings.buffer_s
    bytes_per_s = signal.rate * math.prod(signal.shape) * np.dtype(signal.dtype).itemsize
    if speed > 1 and bytes_per_s:
        seconds = min(seconds * speed, max(seconds, _RING_BYTES / bytes_per_s))
    usual = plan_capacity(signal, seconds, settings.buffer_mb, held)
    if not signal.rate or recalled <= usual.samples:
        return usual
    megabytes = min(settings.buffer_mb, _FREE_PART * free_bytes() / 1e6)
    whole_run = plan_capacity(signal, recalled / signal.rate, megabytes, held)
    return whole_run if whole_run.samples > usual.samples else usual


class SharedMemory:
    """The rings of a session, by their names in its line.

    Parameters
    ----------
    key : str
        What the names of their segments begin with, unique on this host.
    line : Line
        Who opens what.
    make : callable
        Makes one of them.
    opened : ExitStack
        Closes them.

    Attributes
    ----------
    streams, rings : dict
        What there is so far.
    """

    def __init__(self, key: str, line: Line, make: Make, opened: ExitStack) -> None:
        self.key = key
        self.streams: dict[str, Stream] = {}
        self.rings: dict[str, Ring] = {}
        self._line, self._make, self._opened = line, make, opened

    def launch(self, post: Post, folder: str, board: str) -> Launch:
        """Return all that a program is told at its start; what it opens is there then."""
        for name in post.roles.values():
            self.require(name)
        return Launch(
            name=post.name,
            module=post.module,
            spec=post.specify(),
            folder=folder,
            board=board,
            streams={role: self.streams[name].handle for role, name in post.streams.items()},
            rings={role: self.rings[name].handle for role, name in post.rings.items()},
            slots=self._line.slots(post),
        )

    def require(self, name: str) -> None:
        """Make a ring or a stream of the line, if it is not there yet."""
        if name in self.streams or name in self.rings:
            return
        made = self._make(name, segment_of(self.key, self._line, name), self._line.readers(name))
        self._opened.enter_context(made)
        if isinstance(made, Stream):
            self.streams[name] = made
        else:
            self.rings[name] = made

    def finish(self, name: str) -> None:
        """Say of a ring or a stream that nothing more comes: its writer has stopped."""
        if name in self.streams:
            self.streams[name].samples.finish()
        elif name in self.rings:
            self.rings[name].finish()


def segment_of(key: str, line: Line, name: str) -> str:
    """Return what a ring or a stream of a line is called in shared memory."""
    names = sorted({name for post in line for name in post.roles.values()} | line.outside)
    return f"{key}{names.index(name)}"

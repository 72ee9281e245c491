"""SharedMemory is every ring of one session: made here before the programs that use it, unlinked when it ends."""

import math
from contextlib import ExitStack

import numpy as np

from bci.config.session import StreamSettings
from bci.decoder.bundle import Bundle
from bci.io.lsl.metadata import StreamInfo
from bci.memory.events import create_events
from bci.memory.frames import frame_columns, frames_capacity, shown_columns
from bci.memory.marks import create_marks
from bci.memory.ring import Ring
from bci.memory.stream import Capacity, Stream, plan_capacity
from bci.memory.trial_parts import create_stimuli
from bci.signal.types import Signal

#: A sample ring grows to this for a stream that plays faster than real time, bytes.
_RING_BYTES = 256e6


def plan_buffer(signal: Signal, speed: float, settings: StreamSettings, bundle: Bundle) -> Capacity:
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
    bundle : Bundle
        What decodes it; what its cut reads in one piece is held whatever it takes.
    """
    seconds = settings.buffer_s
    bytes_per_s = signal.rate * math.prod(signal.shape) * np.dtype(signal.dtype).itemsize
    if speed > 1:
        seconds = min(seconds * speed, max(seconds, _RING_BYTES / bytes_per_s))
    return plan_capacity(signal, seconds, settings.buffer_mb, bundle.cut.held)


class SharedMemory:
    """The rings of a session, by role.

    Parameters
    ----------
    key : str
        What their names begin with, unique on this host.
    opened : ExitStack
        Closes them.

    Attributes
    ----------
    streams, rings : dict
        What there is so far.
    """

    def __init__(self, key: str, opened: ExitStack) -> None:
        self.key = key
        self.streams: dict[str, Stream] = {}
        self.rings: dict[str, Ring] = {}
        self._opened = opened

    def make_pictures(self, bundle: Bundle, frames_hz: float, refresh_hz: float, *, stimuli: bool) -> None:
        """Make what pictures travel in: ``frames``, ``shown``, and ``stimuli`` where there is an experiment."""
        height, width = bundle.image_size
        frames = frame_columns(height, width, bundle.latent_size)
        shown = shown_columns(height, width, bundle.latent_size)
        for role, suffix, columns, hz in (
            ("frames", "f", frames, frames_hz),
            ("shown", "w", shown, refresh_hz),
        ):
            capacity = frames_capacity(columns, hz)
            self._keep(role, Ring.create(self.key + suffix, columns, capacity, max(1, capacity // 4)))
        if stimuli:
            self._keep("stimuli", create_stimuli(self.key + "t", height, width))

    def make_stream(self, info: StreamInfo, settings: StreamSettings, bundle: Bundle) -> Capacity:
        """Make what samples and marks travel in; return how much of the stream is held."""
        capacity = plan_buffer(info.signal, info.speed, settings, bundle)
        stream = Stream.create(self.key + "s", info.signal, capacity=capacity)
        self.streams["stream"] = self._opened.enter_context(stream)
        self._keep("decode_marks", create_marks(self.key + "d", readers=1))
        self._keep("rig_marks", create_marks(self.key + "r", readers=1))
        return capacity

    def make_markers(self) -> None:
        """Make what markers travel in."""
        self._keep("markers", create_events(self.key + "k", readers=2))

    def _keep(self, role: str, ring: Ring) -> None:
        self.rings[role] = self._opened.enter_context(ring)

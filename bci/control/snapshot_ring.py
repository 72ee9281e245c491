"""A ring of snapshots shows other programs how the session stands: the supervisor writes it and waits for none of them.

A snapshot is JSON of a `SessionSnapshot` without latents. Programs that show or publish it read the newest.
"""

import dataclasses
import json
import logging
from collections.abc import Callable
from functools import cache

from pydantic import TypeAdapter

from bci.control.snapshot import SessionSnapshot, SessionState
from bci.errors import Overrun
from bci.memory.ring import Column, Ring

#: Its name in a line that has it.
SNAPSHOTS = "snapshots"

#: Bytes of the longest snapshot: some two hundred programs.
_ROOM = 1 << 16

#: Seconds from one to the next, while the session's state stays the same.
SNAPSHOT_EVERY = 0.2

_log = logging.getLogger("bci.supervisor")


def create_snapshots(segment: str, readers: int) -> Ring:
    """Create a ring of snapshots in shared memory."""
    return Ring.create(segment, [Column.of("text", f"S{_ROOM}")], 4, 1, readers)


class SnapshotWriter:
    """A SnapshotWriter keeps the ring up to date.

    Parameters
    ----------
    ring : Ring
        Of `create_snapshots`.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._due = -float("inf")
        self._state: SessionState | None = None
        self._too_long = False

    def offer(self, now: float, state: SessionState, take: Callable[[], SessionSnapshot]) -> None:
        """Write a snapshot, made by `take`, if the newest is old or of another state.

        Parameters
        ----------
        now : float
            Session seconds.
        state : SessionState
            How far the session is.
        take : callable
            Returns the snapshot.
        """
        if now < self._due and state is self._state:
            return
        self._due, self._state = now + SNAPSHOT_EVERY, state
        text = _as_text(take())
        if len(text) <= _ROOM:
            self._ring.write(text=[text])
        elif not self._too_long:
            self._too_long = True
            _log.error(
                "a snapshot of %d bytes does not fit into %d: pages and MQTT stand still", len(text), _ROOM
            )


def newest_snapshot(ring: Ring) -> SessionSnapshot | None:
    """Return the newest snapshot; None before the first, and where it is overwritten just now."""
    count = ring.count
    if not count:
        return None
    try:
        text = bytes(ring.read(count - 1, count)["text"][0])
    except Overrun:
        return None
    return _reader().validate_python(json.loads(text))


def _as_text(snapshot: SessionSnapshot) -> bytes:
    newest = {name: dataclasses.replace(one, latent=()) for name, one in snapshot.newest.items()}
    values = dataclasses.asdict(dataclasses.replace(snapshot, newest=newest))
    return json.dumps(values, separators=(",", ":")).encode()


@cache
def _reader() -> TypeAdapter[SessionSnapshot]:
    return TypeAdapter(SessionSnapshot)

"""A ring of events holds the markers of one stream in shared memory, a record of fixed size each."""

from bci.memory.ring import Column, Ring
from bci.signal.types import EVENT_DTYPE

#: Markers that stay readable in a ring, and the longest text, in bytes of UTF-8.
CAPACITY = 4096
LONGEST_TEXT = EVENT_DTYPE["text"].itemsize

#: Where a session states no limit, events are marked uncertain whose time may be wrong by more, seconds.
MARKER_UNCERTAINTY_LIMIT_S = 0.005


def event_columns() -> tuple[Column, ...]:
    """Return the columns of a ring of events."""
    return (Column.of("event", EVENT_DTYPE),)


def create_events(name: str, readers: int) -> Ring:
    """Create a ring of events in shared memory."""
    return Ring.create(name, event_columns(), CAPACITY, CAPACITY // 4, readers)

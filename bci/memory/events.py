"""A ring of events holds the markers of one stream in shared memory, one fixed record each."""

from bci.memory.ring import Column, Ring
from bci.signal.types import MARKER_DTYPE

#: Markers that stay readable in a ring, and the longest text, in bytes of UTF-8.
CAPACITY = 4096
LONGEST_TEXT = MARKER_DTYPE["text"].itemsize


def marker_columns() -> tuple[Column, ...]:
    """Return the columns of a ring of markers."""
    return (Column.of("marker", MARKER_DTYPE),)


def create_markers(name: str, readers: int) -> Ring:
    """Create a ring of markers in shared memory."""
    return Ring.create(name, marker_columns(), CAPACITY, CAPACITY // 4, readers)

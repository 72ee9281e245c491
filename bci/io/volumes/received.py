"""ReceivedImages pass images from the threads that receive them to the node that places them, within bounds."""

import threading
from collections import deque
from collections.abc import Iterator

from bci.io.volumes.volume import SliceImage, Volume

#: Bytes of images that wait at most; a sender waits when there are more.
MOST_BYTES = 512e6


class ReceivedImages:
    """ReceivedImages are an image source that threads put images into.

    Attributes
    ----------
    closed : bool
        Whether it takes no more.
    """

    def __init__(self) -> None:
        self._items: deque[tuple[Volume | SliceImage | str, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self.closed = False

    def put(self, piece: Volume | SliceImage | str) -> bool:
        """Add an image, or words about one that cannot be read; wait while it is full. False when it is closed."""
        nbytes = 0 if isinstance(piece, str) else piece.data.nbytes
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._bytes <= MOST_BYTES)
            if self.closed:
                return False
            self._items.append((piece, nbytes))
            self._bytes += nbytes
            self._changed.notify_all()
        return True

    def poll(self) -> Iterator[Volume | SliceImage | str]:
        """Yield what has come since the last time."""
        while True:
            with self._changed:
                if not self._items:
                    return
                piece, nbytes = self._items.popleft()
                self._bytes -= nbytes
                self._changed.notify_all()
            yield piece

    def wait(self, seconds: float) -> None:
        """Wait at most so many real seconds for more."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or bool(self._items), seconds)

    def shut(self) -> None:
        """Take no more, and let every thread that waits go."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

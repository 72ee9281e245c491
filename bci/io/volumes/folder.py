"""A WatchedFolder finds the images that are written into a folder, and reads each once it is whole.

Notifications of the operating system make it fast; a look at the folder every tenth of a second makes it sure: network
shares and the volumes of containers notify no one. A file is read when its writer has closed it, or when its size and
its time have not changed between two looks; it is taken when it then holds a whole image. One that stays incomplete is
given as it is after `give_up` seconds without a change.
"""

import logging
import math
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci.errors import ConfigError, RecordingError
from bci.io.volumes.files import Pieces, may_be_image, read_image
from bci.io.volumes.volume import SliceImage, Volume, tail_of
from bci.memory.closing import Closing
from bci.signal.clock import Clock

log = logging.getLogger("bci.volumes")

#: Seconds between two looks at the folder, and between two looks at a file that is being written.
LOOK_S, SETTLE_S = 0.1, 0.02


@dataclass(slots=True)
class _Growing:
    """A file that was seen and is not taken yet."""

    size: int = -1
    written: int = 0
    since: float = -math.inf
    closed: bool = False
    tried: tuple[int, int] | None = None
    words: str = ""


class WatchedFolder(Closing):
    """A folder into which a scanner writes, and the folders in it.

    Parameters
    ----------
    folder : Path
        Where images appear.
    clock : Clock
        The session clock.
    notify : bool
        Whether to ask the operating system for notifications as well.
    existing : bool
        Whether files that are there already are read; else they count as seen.
    give_up : float
        Seconds without a change after which an incomplete file is given as it is.

    Attributes
    ----------
    give_up : float
        As given; it may be changed when the TR is known.

    Raises
    ------
    ConfigError
        If there is no such folder.
    """

    def __init__(
        self, folder: Path, clock: Clock, *, notify: bool = True, existing: bool = False, give_up: float = 1.0
    ) -> None:
        if not folder.is_dir():
            raise ConfigError(
                f"a folder into which volumes are written was expected, {folder} is none. Make it first."
            )
        self.folder = folder
        self.give_up = give_up
        self._clock = clock
        self._growing: dict[Path, _Growing] = {}
        self._seen: set[Path] = set()
        self._given_up: dict[Path, int] = {}
        self._looked, self._look_every = -math.inf, LOOK_S
        self._news: queue.SimpleQueue[tuple[Path, bool]] = queue.SimpleQueue()
        self._awake = threading.Event()
        self._observer = self._observe() if notify else None
        if not existing:
            self._seen = self._names()

    @property
    def notified(self) -> bool:
        """Whether the operating system notifies."""
        return self._observer is not None

    def poll(self) -> Iterator[Volume | SliceImage | str]:
        """Yield the images that have become whole, and in words what was given up."""
        now = self._clock.now()
        self._awake.clear()
        self._hear()
        if now - self._looked >= self._look_every:
            for path in self._names() - self._seen:
                self._growing.setdefault(path, _Growing())
            # A file that was given up and grows after all is looked at again.
            for path, size in self._given_up.items():
                if self._size(path) not in (size, -1):
                    self._growing.setdefault(path, _Growing())
            self._looked = self._clock.now()
            # Of a folder of many thousand files a look takes its time, and shall take a tenth of all.
            self._look_every = max(LOOK_S, 9 * (self._looked - now))
        for path in sorted(self._growing):
            yield from self._try(path, self._growing[path], now)

    def wait(self, seconds: float) -> None:
        """Wait at most so many real seconds for a notification; shorter while a file is being written."""
        self._awake.wait(min(seconds, SETTLE_S) if self._growing else seconds)

    def close(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(2.0)
            self._observer = None

    # -- its parts ---------------------------------------------------------------------------------------

    def _try(self, path: Path, file: _Growing, now: float) -> Iterator[Volume | SliceImage | str]:
        try:
            found = path.stat()
        except OSError:
            del self._growing[path]
            return
        state = (found.st_size, found.st_mtime_ns)
        if state != (file.size, file.written):
            file.size, file.written, file.since = *state, now
            if not file.closed:
                return
        settled = file.closed or now - file.since >= SETTLE_S
        if not settled:
            return
        waited = now - file.since >= self.give_up
        if file.tried != state or waited:
            file.tried, file.closed = state, False
            pieces, file.words = self._read(path)
            if pieces and (waited or all(piece.whole for piece in pieces)):
                self._take(path)
                if not all(piece.whole for piece in pieces):
                    self._given_up[path] = file.size
                yield from pieces
                return
        if waited:
            self._take(path)
            self._given_up[path] = file.size
            yield file.words or f"{tail_of(path)} holds no image"

    def _take(self, path: Path) -> None:
        del self._growing[path]
        self._seen.add(path)
        self._given_up.pop(path, None)

    def _read(self, path: Path) -> tuple[Pieces, str]:
        try:
            return read_image(path), ""
        except RecordingError as error:
            return [], str(error)

    def _hear(self) -> None:
        """Take the notifications."""
        while not self._news.empty():
            path, closed = self._news.get()
            if may_be_image(path) and (path not in self._seen or closed):
                file = self._growing.get(path)
                if file is None and path in self._seen:
                    continue  # a reader closed it, or its writer touched it again
                self._growing.setdefault(path, _Growing()).closed |= closed

    def _names(self) -> set[Path]:
        places = os.walk(self.folder)
        found = (Path(place, name) for place, _, names in places for name in names)
        return {path for path in found if may_be_image(path)}

    @staticmethod
    def _size(path: Path) -> int:
        try:
            return path.stat().st_size
        except OSError:
            return -1

    def _observe(self) -> Any:
        try:
            from watchdog.events import FileSystemEventHandler
            from watchdog.observers import Observer
        except ModuleNotFoundError:
            log.info("watchdog is not installed: %s is looked at every %g s instead", self.folder, LOOK_S)
            return None
        news, awake = self._news, self._awake

        class Handler(FileSystemEventHandler):
            def on_created(self, event: Any) -> None:
                self._tell(event, event.src_path, closed=False)

            def on_closed(self, event: Any) -> None:
                self._tell(event, event.src_path, closed=True)

            def on_moved(self, event: Any) -> None:
                self._tell(event, event.dest_path, closed=True)

            def _tell(self, event: Any, path: str | bytes, *, closed: bool) -> None:
                if not event.is_directory:
                    news.put((Path(os.fsdecode(path)), closed))
                    awake.set()

        observer = Observer()
        try:
            observer.schedule(Handler(), str(self.folder), recursive=True)
            observer.start()
        except OSError as error:
            log.warning(
                "no notifications for %s (%s): it is looked at every %g s", self.folder, error, LOOK_S
            )
            return None
        return observer

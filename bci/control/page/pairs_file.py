"""A PairsFile is the operator's preview as a page shows it: stimuli above what was read of them, and fitness below."""

from pathlib import Path

from bci.errors import RecordingError
from bci.io.files.regular import require_regular

#: Where `stimuli.operator.preview` keeps it, whole at any time.
_FILE = "preview.png"

#: Bytes of the largest that is sent to a browser; 24 trials have some tenths of a megabyte.
_LARGEST = 8 << 20

#: What a PNG begins with (RFC 2083, 3.1).
_PNG = b"\x89PNG\r\n\x1a\n"


class PairsFile:
    """The preview of one session, read again only when it is another.

    Parameters
    ----------
    folder : Path
        The session's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._read: tuple[int, int] | None = None
        self._png = b""

    def png(self) -> bytes:
        """Return the picture as it is written; empty where there is none, or what is there cannot be shown."""
        try:
            require_regular(self._path, RecordingError, largest=_LARGEST)
            status = self._path.stat()
            # Each time it is written it is another file, which takes the place of the one before.
            newest = (status.st_mtime_ns, status.st_ino)
            if newest != self._read:
                made = self._path.read_bytes()
                self._png, self._read = made if made.startswith(_PNG) else b"", newest
        except (RecordingError, OSError):
            self._png, self._read = b"", None
        return self._png

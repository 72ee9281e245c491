"""A PairsFile is the operator's preview as a page shows it: stimuli above what was read of them, and fitness below."""

import io
from pathlib import Path

from PIL import Image

from bci.errors import RecordingError
from bci.io.files.regular import require_regular

#: Where `stimuli.operator.preview` keeps it, whole at any time.
_FILE = "preview.png"

#: Bytes and pixels of the largest that is shown; 24 trials have two thirds of a megabyte and of a million.
_LARGEST, _MOST_PIXELS = 8 << 20, 16_000_000

#: The longest side that a browser is sent, pixels, and how well (Pillow's scale, to 95).
_LONGEST, _QUALITY = 1600, 88


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
        self._jpeg = b""

    def jpeg(self) -> bytes:
        """Return the picture, a fifth as large as it is written; empty where there is none, or none can be shown."""
        try:
            require_regular(self._path, RecordingError, largest=_LARGEST)
            status = self._path.stat()
        except (RecordingError, OSError):
            self._jpeg, self._read = b"", None
            return self._jpeg
        # Each time it is written it is another file, which takes the place of the one before.
        newest = (status.st_mtime_ns, status.st_ino)
        if newest != self._read:
            self._jpeg, self._read = _as_jpeg(self._path), newest
        return self._jpeg


def _as_jpeg(path: Path) -> bytes:
    """Return a PNG file as JPEG; empty where it is none, or too large."""
    written = io.BytesIO()
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                return b""
            image.thumbnail((_LONGEST, _LONGEST))
            image.convert("RGB").save(written, "JPEG", quality=_QUALITY, subsampling=0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    return written.getvalue()

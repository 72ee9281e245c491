"""The event list of a FIF file (``-eve.fif``): tag after tag, of which one holds sample, value before, and value.

FIFF (Elekta Neuromag): each tag is kind, type, size and place of the next, four big-endian integers, and its data.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.regular import require_regular

_HEAD = struct.Struct(">4i")
_FILE_ID, _EVENT_LIST, _INT = 100, 3561, 3
#: A file of events with more is none.
_MOST = 1_000_000
_LARGEST = 64 << 20


def read_event_list(path: Path) -> NDArray[np.int64]:
    """Return a file's events: (n, 3) int64, sample, value before, and value.

    Samples count as the recording's file counts them, from where its acquisition began.

    Raises
    ------
    RecordingError
        If it is no FIF file, is damaged, or holds no event list.
    """
    require_regular(path, RecordingError, largest=_LARGEST)
    content = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(content):
        kind, form, size, following = _HEAD.unpack_from(content, at)
        data = at + _HEAD.size
        if (at == 0 and kind != _FILE_ID) or size < 0 or data + size > len(content):
            break
        if kind == _EVENT_LIST and form == _INT and size % 12 == 0 and size <= 12 * _MOST:
            values = np.frombuffer(content, ">i4", size // 4, data)
            return values.reshape(-1, 3).astype(np.int64)
        # The next tag follows, or stands further on; one that leads back would never end.
        if following != 0 and following <= at:
            break
        at = data + size if following == 0 else following
    raise RecordingError(
        f"{path.name} holds no event list that can be read: it is damaged, or no file of events"
    )

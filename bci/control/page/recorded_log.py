"""A RecordedLog is a session's ``log.txt``: a page shows what had been said of it by the time at which it stands."""

import contextlib
import math
from datetime import datetime
from pathlib import Path

import numpy as np

from bci.control.page.live import LOG_LINES

#: How a line begins: the wall clock, to the millisecond.
_STAMP, _STAMP_LENGTH = "%Y-%m-%d %H:%M:%S,%f", 23


class RecordedLog:
    """The lines of a finished session.

    Parameters
    ----------
    path : Path
        Its log; one that is gone has no lines.
    """

    def __init__(self, path: Path) -> None:
        try:
            text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
        except OSError:
            text = ""
        self._lines = [line for line in text.split("\n") if line]
        times, last = [], math.nan
        for line in self._lines:
            with contextlib.suppress(ValueError):
                last = datetime.strptime(line[:_STAMP_LENGTH], _STAMP).timestamp()
            times.append(last)
        self._times = np.array(times)

    def until(self, before_end: float) -> list[str]:
        """Return the newest lines until so many seconds before the session's end.

        The log has the wall's clock, and the tables have the session's; both know the end.
        """
        lines, times = self._lines, self._times
        if before_end <= 0 or not np.isfinite(times).any():
            return lines[-LOG_LINES:]
        ended = [at for line, at in zip(lines, times, strict=True) if "INFO ending: " in line]
        end = int(np.searchsorted(times, (ended or [times[-1]])[0] - before_end, "right"))
        return lines[max(0, end - LOG_LINES) : end]

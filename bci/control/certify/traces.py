"""Traces are what a session left behind, read for certification: pictures, reconstructions, marks, log, samples.

A recorder that was restarted leaves several parts of each table and of the recording; they are read as one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.session.ran import sections
from bci.session.recorded import RecordedSession
from bci.session.samples import Coverage

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) ([\w:]+) (\w+) (.*)")


@dataclass(frozen=True)
class Said:
    """One line of the log: when (Unix seconds), which program, how loud, what."""

    wall: float
    program: str
    level: str
    text: str


class Traces:
    """A session's folder, read.

    Parameters
    ----------
    folder : Path
        The session's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._session = RecordedSession.read(folder)

    @cached_property
    def shown(self) -> list[dict[str, str]]:
        """Every change of picture, in order."""
        return self._session.table("shown")

    @cached_property
    def frames(self) -> list[dict[str, str]]:
        """Every reconstruction of the decoder that the screen showed, in order."""
        return self.frames_of(self._session.driver)

    def frames_of(self, decoder: str | None) -> list[dict[str, str]]:
        """Return every reconstruction of a decoder, in order; of the first when none is named."""
        return self._session.table("frames", decoder)

    @property
    def _says_what_ran(self) -> bool:
        return (self.folder / "config.json").is_file()

    @cached_property
    def marks(self) -> list[dict[str, str]]:
        """Every mark, as recorded."""
        return self._session.table("marks")

    @cached_property
    def log(self) -> list[Said]:
        """What every program had to say; lines that belong to the one before are left out."""
        text = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        return [said for line in text.splitlines() if (said := read_line(line)) is not None]

    @property
    def parts(self) -> list[Path]:
        """Files of the recording, finished or not, in order."""
        return self._session.recordings

    @cached_property
    def coverage(self) -> Coverage:
        """Which samples the recording holds, of all its streams together.

        Raises
        ------
        RecordingError
            If there is no recording with checksums.
        """
        further = sections(self._session.config, "stream")[1:] if self._says_what_ran else []
        roles = [None, *(str(stream["name"]) for stream in further)]
        parts = [self._session.stream(role).coverage() for role in roles]
        return Coverage(sum(part.samples for part in parts), tuple(h for part in parts for h in part.holes))

    @cached_property
    def offsets(self) -> NDArray[np.float64]:
        """Return the clock offsets of the first stream's sender: (n, 2) session seconds and seconds."""
        kinds = [m for m in self.marks if m["kind"] == "clock_offset" and m["source"] == "stream"]
        rows = [(float(m["time"]), float(m["value"])) for m in kinds]
        return np.array(rows, np.float64).reshape(-1, 2)


def read_line(line: str) -> Said | None:
    """Return what a line of the log says; None where it only continues the one before.

    >>> read_line("2026-01-02 03:04:05,678 decode ERROR no luck").text
    'no luck'
    """
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    when = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").timestamp()
    return Said(when, match[2], match[3], match[4])


def number(row: Mapping[str, Any], name: str) -> float:
    """Return a field of a table's row as a number; NaN where it is empty."""
    text = row[name]
    return float(text) if text else float("nan")

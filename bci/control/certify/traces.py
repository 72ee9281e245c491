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

from bci.errors import RecordingError
from bci.io.files.checksums import ChunkSum, read_sums, sums_path
from bci.session.recorded import read_table, recordings

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (\w+) (\w+) (.*)")


@dataclass(frozen=True)
class Said:
    """One line of the log: when (Unix seconds), which program, how loud, what."""

    wall: float
    program: str
    level: str
    text: str


@dataclass(frozen=True)
class Coverage:
    """Which samples the recording's parts hold, by the rig's own count.

    Attributes
    ----------
    samples : int
        How many.
    holes : tuple of (int, int)
        First and end of what is missing in between.
    """

    samples: int
    holes: tuple[tuple[int, int], ...]

    @property
    def missing(self) -> int:
        """Samples that were in the rig's hands and are in no part."""
        return sum(end - first for first, end in self.holes)


class Traces:
    """A session's folder, read.

    Parameters
    ----------
    folder : Path
        The session's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def shown(self) -> list[dict[str, str]]:
        """Every change of picture, in order."""
        return read_table(self.folder, "shown")

    @cached_property
    def frames(self) -> list[dict[str, str]]:
        """Every reconstruction, in order."""
        return read_table(self.folder, "frames")

    @cached_property
    def marks(self) -> list[dict[str, str]]:
        """Every mark, as recorded; a recorder that was restarted finds some in their ring again."""
        rows = {tuple(row.values()): row for row in read_table(self.folder, "marks")}
        return list(rows.values())

    @cached_property
    def log(self) -> list[Said]:
        """What every program had to say; lines that belong to the one before are left out."""
        text = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        return [said for line in text.splitlines() if (said := read_line(line)) is not None]

    @property
    def parts(self) -> list[Path]:
        """Files of the recording, finished or not, in order."""
        return recordings(self.folder)

    @cached_property
    def coverage(self) -> Coverage:
        """Which samples the recording holds.

        Raises
        ------
        RecordingError
            If there is no recording with checksums.
        """
        spans: list[tuple[int, int]] = []
        for part in self.parts:
            path = sums_path(part)
            chunks = [line for line in read_sums(path) if isinstance(line, ChunkSum)] if path.exists() else []
            # The samples' stream is the first that a recorder begins.
            stream = min((chunk.stream for chunk in chunks if chunk.stream), default=0)
            spans += [(c.first, c.first + c.samples) for c in chunks if c.stream == stream and c.samples]
        if not spans:
            raise RecordingError(f"{self.folder} holds no recording of samples with checksums beside it")
        return cover(spans)

    @cached_property
    def offsets(self) -> NDArray[np.float64]:
        """Return the sender's clock offsets: (n, 2) session seconds and seconds."""
        rows = [(float(m["time"]), float(m["value"])) for m in self.marks if m["kind"] == "clock_offset"]
        return np.array(rows, np.float64).reshape(-1, 2)


def read_line(line: str) -> Said | None:
    """Return what a line of the log says; None where it only continues the one before.

    >>> read_line("2026-01-02 03:04:05,678 decode ERROR no luck").text
    'no luck'
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    when = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S,%f").timestamp()
    return Said(when, found[2], found[3], found[4])


def cover(spans: list[tuple[int, int]]) -> Coverage:
    """Return what spans of samples, (first, end) each, cover together.

    >>> cover([(0, 10), (12, 20), (5, 11)])
    Coverage(samples=19, holes=((11, 12),))
    """
    samples, at = 0, 0
    holes: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if first > at:
            holes.append((at, first))
            at = first
        samples += max(0, end - at)
        at = max(at, end)
    return Coverage(samples, tuple(holes))


def number(row: Mapping[str, Any], name: str) -> float:
    """Return a field of a table's row as a number; NaN where it is empty."""
    text = row[name]
    return float(text) if text else float("nan")

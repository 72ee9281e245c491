"""A session's folder whose history is known: what the screen showed, what was decoded, marked and said, and when."""

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from bci.live.tables import image_digest
from bci.session.tables import FRAME_FIELDS, MARK_FIELDS, SHOWN_FIELDS

#: Unix seconds at session second 0, as the log tells the time.
EPOCH = datetime(2026, 1, 2, 12, 0, 0).timestamp()

GREY = image_digest(np.full((8, 8, 3), 128, np.uint8))


class PlantedSession:
    """Collects events, and writes them as a session does.

    Parameters
    ----------
    folder : Path
        Where; made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._shown: list[dict[str, Any]] = []
        self._frames: list[dict[str, Any]] = []
        self._marks: list[dict[str, Any]] = []
        self._log: list[tuple[float, str]] = []

    def picture(self, flip: float) -> None:
        """Decode a picture and show it, 5 ms later, at `flip`."""
        frame = len(self._frames)
        self.decoded(flip - 0.005)
        self._shown.append({"kind": "frame", "frame": frame, "flip": flip, "digest": f"picture {frame}"})

    def decoded(self, published: float, *, valid: bool = True) -> None:
        """Publish a reconstruction that is not shown."""
        frame = len(self._frames)
        self._frames.append(
            {"frame": frame, "valid": int(valid), "published": published, "digest": f"picture {frame}"}
        )

    def neutral(self, flip: float, reason: str = "no fresh frame", digest: str = GREY) -> None:
        """Show the neutral picture."""
        self._shown.append({"kind": "neutral", "frame": -1, "flip": flip, "reason": reason, "digest": digest})

    def mark(self, time: float, source: str, kind: str, count: int = 0) -> None:
        """Record a mark."""
        self._marks.append({"source": source, "kind": kind, "count": count, "time": time, "first": 0})

    def say(self, time: float, line: str) -> None:
        """Log a line: program, level, text."""
        self._log.append((time, line))

    def write(self) -> Path:
        """Write the folder; return it."""
        _table(
            self.folder / "shown.csv",
            SHOWN_FIELDS,
            [{"change": change, **row} for change, row in enumerate(self._shown)],
        )
        _table(self.folder / "frames.csv", FRAME_FIELDS, self._frames)
        _table(self.folder / "marks.csv", MARK_FIELDS, self._marks)
        lines = []
        for time, line in sorted(self._log):
            stamp = datetime.fromtimestamp(EPOCH + time)
            lines.append(f"{stamp:%Y-%m-%d %H:%M:%S},{stamp.microsecond // 1000:03d} {line}\n")
        (self.folder / "log.txt").write_text("".join(lines), encoding="utf-8")
        return self.folder


def _table(path: Path, fields: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields, restval="")
        writer.writeheader()
        writer.writerows(rows)

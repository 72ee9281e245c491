"""The tables of a session: one row an event, in CSV files that any tool opens (`bci.io.files.cells`).

``frames.csv`` holds every reconstruction with its latent, confidence, provenance, stage stamps and the digest of
its pixels, ``shown.csv`` every change of picture on the screen with its flip stamp, ``marks.csv`` gaps, resets,
skips and losses, ``markers.csv`` every marker as it was received, with what its time may be wrong by.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bci.io.files.cells import write_rows
from bci.io.files.disk import AppendFile, DiskFile
from bci.live.ring_reader import RingReader, Take
from bci.memory.closing import Closing
from bci.memory.frames import image_digest
from bci.memory.ring import Columns, Ring
from bci.signal.types import Event, MarkKind, Shown, event_of

#: Turns a copy of a ring's columns, from a given count on, into rows of a table.
Rows = Callable[[Columns, int], Iterator[Sequence[Any]]]


class Table(Closing):
    """A CSV file with a header; rows wait in memory until they are saved, and are safe after `sync`.

    Parameters
    ----------
    path : Path
        Where; there must be nothing yet.
    fields : sequence of str
        Names of the columns.
    open_file : callable, optional
        Opens a file to append to.

    Attributes
    ----------
    path : Path
        As given.
    """

    def __init__(
        self, path: Path, fields: Sequence[str], open_file: Callable[[Path], DiskFile] = AppendFile
    ) -> None:
        self.path = path
        self._file = open_file(path)
        self._text = io.StringIO(newline="")
        self.write(fields)

    def write(self, row: Sequence[Any]) -> None:
        """Append one row, in memory."""
        write_rows(self._text, (row,))

    def take(self) -> bytes:
        """Return the rows written since the last time, to be saved."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text.encode()

    def save(self, rows: bytes) -> None:
        """Append what `take` returned to the file."""
        if rows:
            self._file.append(rows)

    def sync(self) -> None:
        """Return when everything saved is on the disk."""
        self._file.sync()

    def close(self) -> None:
        """Save what is left and close the file."""
        try:
            self.save(self.take())
        finally:
            self._file.close()


class Drain(RingReader):
    """One ring on its way into one table, and by the way elsewhere.

    Parameters
    ----------
    name, ring
        As in `RingReader`.
    table : Table
        Where the rows go.
    to_rows : callable
        Makes rows of what was read.
    also : callable, optional
        Takes the same columns.
    first : int
        Count to begin at.
    """

    def __init__(
        self,
        name: str,
        ring: Ring,
        table: Table,
        to_rows: Rows,
        also: Take | None = None,
        first: int = 0,
    ) -> None:
        self.table = table

        def take(columns: Columns, at: int) -> None:
            for row in to_rows(columns, at):
                table.write(row)
            if also is not None:
                also(columns, at)

        super().__init__(name, ring, take, first=first)


def frame_rows(columns: Columns, first: int) -> Iterator[Sequence[Any]]:
    """Turn frames into rows of `FRAME_FIELDS`; a latent is a JSON list that gives its float32 back exactly."""
    for i, (image, latent, info) in enumerate(
        zip(columns["image"], columns["latent"], columns["info"], strict=True)
    ):
        window = info["digest"].tobytes()
        yield (
            first + i,
            int(info["first"]),
            int(info["last_sample"]),
            int(info["skipped"]),
            int(info["valid"]),
            bytes(info["reason"]).decode(),
            float(info["confidence"]),
            json.dumps([float(x) for x in latent]),
            image_digest(image),
            window.hex() if any(window) else "",
            *(float(t) for t in info["stamps"][:5]),
            *_event_fields(event_of(info["event"])),
            int(info["bundle"]),
            float(info["event"]["uncertainty"]) if info["event"]["length"] >= 0 else "",
            int(info["repeats"]),
        )


def _event_fields(event: Event | None) -> Sequence[Any]:
    if event is None:
        return ("", "", "", "", "")
    return (event.time, event.raw, event.code, event.text, event.trial)


def shown_rows(decoders: Sequence[str] = ("",)) -> Rows:
    """Return what turns changes of picture into rows of `SHOWN_FIELDS`.

    Parameters
    ----------
    decoders : sequence of str
        Names of the session's decoders, in order; the first one's is empty.
    """

    def rows(columns: Columns, first: int) -> Iterator[Sequence[Any]]:
        for i, (image, shown) in enumerate(zip(columns["image"], columns["shown"], strict=True)):
            yield (
                first + i,
                Shown(int(shown["kind"])).name.lower(),
                int(shown["frame"]),
                float(shown["flip"]),
                bytes(shown["reason"]).decode(),
                image_digest(image),
                *(float(t) for t in shown["info"]["stamps"]),
                int(shown["trial"]),
                decoders[int(shown["decoder"])],
                bytes(shown["mode"]).decode(),
            )

    return rows


def mark_rows(source: str) -> Rows:
    """Return what turns marks into rows of `MARK_FIELDS`."""

    def rows(columns: Columns, first: int) -> Iterator[Sequence[Any]]:
        for mark in columns["mark"]:
            yield (
                source,
                MarkKind(int(mark["kind"])).name.lower(),
                int(mark["first"]),
                int(mark["count"]),
                float(mark["time"]),
                float(mark["value"]),
                bytes(mark["detail"]).decode(),
            )

    return rows


def marker_rows(source: str) -> Rows:
    """Return what turns markers that were received into rows of `MARKER_FIELDS`."""

    def rows(columns: Columns, first: int) -> Iterator[Sequence[Any]]:
        for i, record in enumerate(columns["event"]):
            event = event_of(record)
            if event is not None:
                yield (source, first + i, event.time, event.raw, event.uncertainty, event.code, event.text)

    return rows

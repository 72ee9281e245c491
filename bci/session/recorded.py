"""A RecordedSession is what a session left of itself: its facts, its tables and its samples, over all their parts.

A recorder that was restarted has begun further files (see `bci.session.part`); here they are one session again. Samples
are read chunk by chunk, by the counts that stand beside the recording: what is damaged or was never recorded is
left out, and everything else is there, also of a recording whose recorder was killed.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.checksums import HeaderCopy, read_sums, sums_path
from bci.io.files.xdf.content import Header, read_values
from bci.io.files.xdf.framing import Tag
from bci.io.files.xdf.walk import Walk
from bci.io.lsl.metadata import parse_info
from bci.session.part import Part
from bci.signal.types import Event, Signal, code_of

#: Samples that are handed on at a time; a recorder's own chunks hold a twentieth of a second each.
_PIECE = 4096

#: The stream that was decoded is the first that its recorder begins.
_DECODED = 1

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame:
    """One row of ``frames.csv``: a reconstruction as it was made live, all but its pixels."""

    number: int
    last_sample: int
    valid: bool
    reason: str
    confidence: float
    latent: NDArray[np.float32]
    digest: str
    window_digest: str
    event: Event | None = None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row.

        Raises
        ------
        RecordingError
            If something of it is missing or no number.
        """
        try:
            return cls(
                number=int(row["frame"]),
                last_sample=int(row["last_sample"]),
                valid=bool(int(row["valid"])),
                reason=row["reason"],
                confidence=float(row["confidence"]),
                latent=np.array(json.loads(row["latent"]), np.float32),
                digest=row["digest"],
                window_digest=row["window_digest"],
                event=_frame_event(row),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingError(
                f"frames.csv: a whole row was expected, {dict(row)} came ({error}). Was the file edited?"
            ) from None


@dataclass(frozen=True)
class RecordedSession:
    """One session's folder, read.

    Attributes
    ----------
    folder : Path
        Where it is.
    config, environment : mapping
        As written when it ran.
    frames : sequence of RecordedFrame
        Every reconstruction.
    shown : mapping of int to (int, str)
        Change of picture that put a frame on the screen: the frame's number, and the digest of its pixels.
    resets : mapping of int to str
        Count of the sample that the live pipeline was reset at: why.
    epochs : sequence of int
        Output counts of the samples that events were put on, where epochs were decoded.
    events : sequence of Event
        The event of each of them.
    """

    folder: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    frames: Sequence[RecordedFrame]
    shown: Mapping[int, tuple[int, str]]
    resets: Mapping[int, str]
    epochs: Sequence[int] = ()
    events: Sequence[Event] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a session's folder.

        Raises
        ------
        RecordingError
            If something of it is missing.
        """
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
            frames = [RecordedFrame.of(row) for row in read_table(folder, "frames")]
            shown = {
                int(row["change"]): (int(row["frame"]), row["digest"])
                for row in read_table(folder, "shown")
                if row["kind"] == "frame"
            }
            marks = [mark for mark in read_table(folder, "marks") if mark["source"] == "decode"]
            resets = {
                int(mark["first"]): mark["detail"] for mark in marks if mark["kind"] == "pipeline_reset"
            }
            # An epoch whose decoder died before its frame was out is marked twice: it was cut again at the same sample.
            cut = {int(mark["first"]): mark for mark in marks if mark["kind"] == "epoch"}
            epochs = list(cut)
            trials = {frame.event.raw: frame.event.trial for frame in frames if frame.event is not None}
            events = [_event(mark, trials) for mark in cut.values()]
            if not (config["decoder"]["bundle"] and environment["bundle"]["hash"]):
                raise ValueError("it names no bundle")
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise RecordingError(
                f"{folder} is not a whole session: {said}. Expected the folder that `bci run` or `bci demo` printed."
            ) from None
        return cls(folder, config, environment, frames, shown, resets, epochs, events)

    def signal(self) -> Signal:
        """Return what the samples are.

        Raises
        ------
        RecordingError
            If there is no recording, or none that says so.
        """
        for path in recordings(self.folder):
            header = _header(path)
            if header is not None:
                return parse_info(header.xml).signal
        raise RecordingError(f"{self.folder} holds no recording of a stream (recording.xdf)")

    def pieces(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the samples in order: (count of the first, samples (n, channels)).

        Counts are the rig's own; where a piece does not begin at the end of the one before, samples were not recorded
        or are damaged.

        Raises
        ------
        RecordingError
            If a recording has no checksums beside it, which hold the counts.
        """
        gathered: list[NDArray[Any]] = []
        first = end = 0
        for at, samples in self._chunks():
            held = end - first
            if gathered and (at != end or held + len(samples) > _PIECE):
                yield first, np.concatenate(gathered)
                gathered = []
            if not gathered:
                first = at
            gathered.append(samples)
            end = at + len(samples)
        if gathered:
            yield first, np.concatenate(gathered)

    def _chunks(self) -> Iterator[tuple[int, NDArray[Any]]]:
        end = 0
        for path in recordings(self.folder):
            header = _header(path)
            if header is None:
                continue
            with Walk(path) as walk:
                for piece in walk:
                    line = piece.line
                    if (
                        piece.trouble
                        or piece.tag != Tag.SAMPLES
                        or line is None
                        or line.stream != _DECODED
                        or not line.samples
                    ):
                        continue
                    try:
                        samples = read_values(header, walk.content(piece))
                    except ValueError as error:
                        raise RecordingError(
                            f"{path.name}, byte {piece.offset}: {error}. Run `bci verify`."
                        ) from None
                    # A sample that two parts hold is the same sample.
                    known = max(0, end - line.first)
                    if known < len(samples):
                        yield line.first + known, samples[known:]
                        end = line.first + len(samples)


def _frame_event(row: Row) -> Event | None:
    """Return the event of a row of ``frames.csv``; None for a sliding window, and where an old session has none."""
    if not row.get("event_time"):
        return None
    return Event(
        time=float(row["event_time"]),
        text=row["event"],
        code=int(row["event_code"]),
        raw=float(row["event_raw"]),
        trial=int(row["trial"]),
    )


def _event(mark: Row, trials: Mapping[float, int]) -> Event:
    """Return the event of an epoch's mark; `trials` holds, by the sender's stamp, what the frames say of it."""
    text, raw = mark["detail"], float(mark["value"])
    return Event(float(mark["time"]), text, code_of(text), raw, trials.get(raw, -1))


def recordings(folder: Path) -> list[Path]:
    """Return the files that hold a session's samples, in order; ``….partial`` where a recorder was killed."""
    found = []
    for part in _parts(folder):
        final = part.recording
        partial = final.with_name(final.name + ".partial")
        found += [path for path in (final, partial) if path.exists()][:1]
    return found


def read_table(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of one of a session's tables, ``"frames"``, ``"shown"`` or ``"marks"``, over all its parts.

    Raises
    ------
    FileNotFoundError
        If its first part is missing.
    """
    rows: list[dict[str, str]] = []
    for part in _parts(folder):
        path = part.path(f"{name}.csv")
        # A recorder that was killed while it started has left none.
        if part.number == 1 or path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                text = file.read()
            # The last row of a recorder that was killed may have been cut; its successor has written it again.
            rows += csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    return rows


def _parts(folder: Path) -> Iterator[Part]:
    """Yield the parts that a session's recorders have begun; the first one in any case."""
    part = Part(folder, 1)
    while part.begun or part.number == 1:
        yield part
        part = Part(folder, part.number + 1)


def _header(path: Path) -> Header | None:
    """Return the header of the stream that was decoded, from its copy in the checksums; None before it was begun."""
    sums = sums_path(path)
    if not sums.is_file():
        raise RecordingError(
            f"{sums.name} was expected beside {path.name} and is missing: the counts of the samples stand there. "
            "Put it back beside the recording."
        )
    for line in read_sums(sums):
        if isinstance(line, HeaderCopy) and line.stream == _DECODED:
            try:
                return Header.read(line.xml)
            except ValueError as error:
                raise RecordingError(f"{sums.name}: {error}. Run `bci verify` on {path.name}.") from None
    return None

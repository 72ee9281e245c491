"""A Report lists the damaged pieces of a recording, and the samples that can still be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Damage:
    """A Damage is one piece of the file that cannot be trusted.

    Attributes
    ----------
    offset, length : int
        Place of the piece in the file, bytes.
    what : str
        Kind of damage, in words.
    stream : int
        Number of the stream whose samples it held; 0 when unknown.
    samples : int
        Number of samples that it held; 0 when unknown.
    """

    offset: int
    length: int
    what: str
    stream: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A StreamReport counts the usable and the lost samples of one stream.

    Attributes
    ----------
    stream : int
        Its id in the file.
    name : str
        Its name.
    samples : int
        Usable samples.
    lost : int
        Samples in damaged chunks, as far as their number is known.
    gaps, missing : int
        Steps between stamps longer than a pause between two packets, and samples that never were recorded by the
        rig's own count.
    backwards : int
        Samples stamped earlier than the one before.
    footer : bool
        Whether it was closed properly.
    """

    stream: int
    name: str
    samples: int
    lost: int
    gaps: int
    missing: int
    backwards: int
    footer: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A Report is the result of verifying a recording.

    Attributes
    ----------
    path : Path
        The file.
    nbytes : int
        Its size.
    chunks, damaged : int
        Chunks found, and how many pieces are damaged.
    gaps, backwards, samples : int
        Over all streams.
    unchecked : int
        Chunks without a checksum.
    damage : tuple of Damage
        The damaged pieces, the first thousand.
    streams : tuple of StreamReport
        Usable samples of each stream.
    notes : tuple of str
        Problems other than damaged pieces, a sentence each.
    finished : bool
        Whether it was closed: footers, a manifest, and its own name.
    """

    path: Path
    nbytes: int
    chunks: int
    damaged: int
    gaps: int
    backwards: int
    samples: int
    unchecked: int
    damage: tuple[Damage, ...]
    streams: tuple[StreamReport, ...]
    notes: tuple[str, ...]
    finished: bool

    @property
    def sound(self) -> bool:
        """Whether the verification found no problem."""
        return not self.damaged and not self.notes

    def sentences(self) -> tuple[str, ...]:
        """Return the report in words, a sentence each: damaged pieces and usable samples."""
        lines = [
            f"stream {s.name!r}: {s.samples} samples can be used"
            + (f", {s.lost} are in damaged chunks" if s.lost else "")
            + (f"; {s.gaps} gaps" if s.gaps else "")
            + (f"; stamps run backwards {s.backwards} times" if s.backwards else "")
            for s in self.streams
        ]
        lines += [f"bytes {d.offset} to {d.offset + d.length}: {d.what}" for d in self.damage[:20]]
        if self.damaged > 20:
            lines.append(f"and {self.damaged - 20} more damaged pieces")
        if self.unchecked and self.unchecked == self.chunks:
            lines.append("there are no checksums beside it: a flipped byte within a sample cannot be seen")
        elif self.unchecked:
            lines.append(
                f"{self.unchecked} chunks have no checksum: they were written last, or its line is damaged"
            )
        return (*lines, *self.notes)

    def result(self) -> dict[str, Any]:
        """Return the report as JSON holds it: ``chunks``, ``damaged``, ``gaps``, ``samples`` and more."""
        return {
            "recording": str(self.path),
            "chunks": self.chunks,
            "damaged": self.damaged,
            "gaps": self.gaps,
            "samples": self.samples,
            "backwards": self.backwards,
            "unchecked": self.unchecked,
            "finished": self.finished,
            "sound": self.sound,
            "notes": list(self.notes),
            "streams": {
                f"{s.stream} {s.name}": {"samples": s.samples, "lost": s.lost, "missing": s.missing}
                for s in self.streams
            },
        }


def joined(reports: Sequence[Report]) -> dict[str, Any]:
    """Return what several parts of one recording say, as `Report.result` does of one; ``parts`` holds each.

    Parameters
    ----------
    reports : sequence of Report
        At least one.
    """
    results = [report.result() for report in reports]
    if len(results) == 1:
        return results[0]
    counted = ("chunks", "damaged", "gaps", "samples", "backwards", "unchecked")
    return {key: sum(part[key] for part in results) for key in counted} | {
        "recording": str(reports[0].path),
        "finished": all(part["finished"] for part in results),
        "sound": all(part["sound"] for part in results),
        "notes": [note for part in results for note in part["notes"]],
        "parts": results,
    }

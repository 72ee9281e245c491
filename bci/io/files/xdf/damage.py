"""A Report says what of a recording is damaged, and what can still be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Damage:
    """One piece of the file that cannot be trusted.

    Attributes
    ----------
    offset, length : int
        Where it is, bytes.
    what : str
        What is wrong with it.
    stream : int
        Whose samples it held, as far as that is known; 0 otherwise.
    samples : int
        How many it held, as far as that is known.
    """

    offset: int
    length: int
    what: str
    stream: int = 0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One stream, as far as it can be used.

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
    """What a recording is worth.

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
        What can be used.
    notes : tuple of str
        What is wrong beside the file, or not as it should be; a sentence each.
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
        """Whether nothing at all is wrong with what is there."""
        return not self.damaged and not self.notes

    def sentences(self) -> tuple[str, ...]:
        """Return for people what is damaged and what can be used, a sentence each."""
        said = [
            f"stream {s.name!r}: {s.samples} samples can be used"
            + (f", {s.lost} are in damaged chunks" if s.lost else "")
            + (f"; {s.gaps} gaps" if s.gaps else "")
            + (f"; stamps run backwards {s.backwards} times" if s.backwards else "")
            for s in self.streams
        ]
        said += [f"bytes {d.offset} to {d.offset + d.length}: {d.what}" for d in self.damage[:20]]
        if self.damaged > 20:
            said.append(f"and {self.damaged - 20} more damaged pieces")
        if self.unchecked and self.unchecked == self.chunks:
            said.append("there are no checksums beside it: a flipped byte within a sample cannot be seen")
        elif self.unchecked:
            said.append(
                f"{self.unchecked} chunks have no checksum: they were written last, or its line is damaged"
            )
        return (*said, *self.notes)

    def result(self) -> dict[str, Any]:
        """Return it for machines: ``chunks``, ``damaged``, ``gaps``, ``samples`` and more."""
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

"""`verify` reports the damaged pieces of a recording and the usable samples; `repair` copies what is usable.

With checksums beside the recording (see `bci.io.files.checksums`) every byte is checked. Without them, for example on
a recording of LabRecorder's, only contradictions are found: a flipped byte within a sample is not.
Memory stays bounded whatever a file claims.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.checksums import hash_of, manifest_path, read_manifest, sums_path
from bci.io.files.xdf.content import Content
from bci.io.files.xdf.damage import Damage, Report, StreamReport
from bci.io.files.xdf.framing import Tag
from bci.io.files.xdf.walk import Piece, Walk
from bci.io.files.xdf.writer import XdfWriter
from bci.memory.lsl_clock import LslClock

#: How much of the damage is listed piece by piece; all of it is counted.
_MOST_LISTED = 1000


@dataclass(slots=True)
class _Findings:
    """A _Findings holds the damage, counts and headers gathered by one walk over a file."""

    content: Content = field(default_factory=Content)
    chunks: int = 0
    damaged: int = 0
    unchecked: int = 0
    damage: list[Damage] = field(default_factory=list)
    lost: dict[int, int] = field(default_factory=dict)

    def look(self, piece: Piece, walk: Walk) -> tuple[int, NDArray[np.float64], bytes] | None:
        """Judge one piece; return its stream, stamps and content when it can be used, else None."""
        trouble = piece.trouble
        if not trouble:
            self.chunks += 1
            self.unchecked += piece.line is None
            try:
                content = walk.content(piece)
                return *self.content.take(piece.tag, content, piece.line, walk.headers), content
            except ValueError as error:
                trouble = str(error)
        self.damaged += 1
        line = piece.line
        stream, n = (line.stream, line.samples) if line else (0, 0)
        if len(self.damage) < _MOST_LISTED:
            self.damage.append(Damage(piece.offset, piece.length, trouble, stream, n))
        if line and n:
            self.lost[stream] = self.lost.get(stream, 0) + n
            if stream in self.content.streams:
                self.content.streams[stream].skip(line)
        return None


def verify(path: Path) -> Report:
    """Check a recording against its checksums, its manifest and itself.

    Raises
    ------
    RecordingError
        If there is no such file, or it is no XDF file at all.
    """
    findings = _Findings()
    with Walk(path) as walk:
        for piece in walk:
            findings.look(piece, walk)
    return _report(path, walk, findings)


def repair(path: Path, out: Path) -> Report:
    """Write a readable copy of the usable parts of a recording; return the report on the damaged one.

    Every sound chunk of samples is copied byte for byte; checksums, footers and a manifest are made anew. A stream
    whose header is damaged is saved by the copy of its header among the checksums.

    Raises
    ------
    RecordingError
        If it is no XDF file, or nothing of it can be read.
    DiskError
        If `out` is there already, or the disk does not take the copy.
    """
    if not any(stream.samples for stream in verify(path).streams):
        raise RecordingError(f"{path.name} holds no samples that can be read: there is nothing to repair")
    findings, begun = _Findings(), set[int]()
    with Walk(path) as walk, XdfWriter(out, LslClock()) as writer:
        for piece in walk:
            taken = findings.look(piece, walk)
            if taken is None:
                continue
            stream, stamps, content = taken
            if stream and stream not in begun:
                header = findings.content.streams[stream].header
                writer.copy_stream(stream, header.xml, header.name, header.source_id)
                begun.add(stream)
            if piece.tag == Tag.SAMPLES and len(stamps):
                first = piece.line.first if piece.line else None
                writer.copy_samples(stream, walk.bytes_of(piece), stamps, first)
            elif piece.tag == Tag.CLOCK_OFFSET:
                writer.copy_clock_offset(stream, *struct.unpack_from("<dd", content, 4))
            writer.tick()
    return _report(path, walk, findings)


def _report(path: Path, walk: Walk, findings: _Findings) -> Report:
    states = findings.content.streams
    streams = tuple(
        StreamReport(
            stream=stream,
            name=state.header.name,
            samples=state.samples,
            lost=findings.lost.get(stream, 0),
            gaps=state.gaps.count(),
            missing=state.missing,
            backwards=state.backwards,
            footer=state.footer,
        )
        for stream, state in sorted(states.items())
    )
    notes, closed = _beside(path, walk)
    if not streams:
        notes.append("it holds no stream: nothing was recorded in it, or its beginning is lost")
    whole = not findings.damaged
    for _, state in sorted(states.items()):
        name = repr(state.header.name)
        if state.missing:
            notes.append(f"stream {name}: {state.missing} samples were lost before they could be recorded")
        if state.footer_count not in (None, state.samples) and whole:
            notes.append(
                f"stream {name}: its footer counts {state.footer_count} samples, {state.samples} can be read"
            )
    if not closed:
        notes.append("it was not finished: its recorder was stopped, or the end has been cut off")
    return Report(
        path=path,
        nbytes=path.stat().st_size,
        chunks=findings.chunks,
        damaged=findings.damaged,
        gaps=sum(s.gaps for s in streams),
        backwards=sum(s.backwards for s in streams),
        samples=sum(s.samples for s in streams),
        unchecked=findings.unchecked,
        damage=tuple(findings.damage),
        streams=streams,
        notes=tuple(notes),
        finished=closed and all(s.footer for s in streams),
    )


def _beside(path: Path, walk: Walk) -> tuple[list[str], bool]:
    """Compare with checksums and manifest beside the file; return the differences, and whether it was closed."""
    sums, manifest = sums_path(path), manifest_path(path)
    notes = []
    if walk.bad_lines:
        notes.append(f"{walk.bad_lines} lines of its checksums, {sums.name}, are damaged")
    if not manifest.is_file():
        # Another recorder's file has neither, and is closed when its streams have footers.
        return notes, not walk.has_sums and path.suffix != ".partial"
    if not walk.has_sums:
        notes.append(f"its checksums, {sums.name}, are missing: only its structure was checked")
    manifest_facts = read_manifest(manifest)
    if manifest_facts is None:
        return [*notes, f"its manifest, {manifest.name}, is damaged"], True
    sums_told = manifest_facts.get("sums")
    facts: list[tuple[str, Any, Any]] = [("size in bytes", path.stat().st_size, manifest_facts.get("bytes"))]
    if walk.has_sums:
        facts.append(
            (
                "checksums' hash",
                hash_of(sums),
                sums_told.get("blake2b") if isinstance(sums_told, dict) else None,
            )
        )
    notes += [f"its {what} is {is_}, and was {was} by its manifest" for what, is_, was in facts if is_ != was]
    return notes, path.suffix != ".partial"

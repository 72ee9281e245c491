"""The chunks of an XDF file, checked before a reader believes their lengths: pyxdf takes each at its word.

A recorder that dies leaves an end that is no chunk, a footer cut short, or zeros that a file system put there. Such a
file is whole up to there, and is played so far. Damage with more of the recording behind it is not passed over: then a
repaired copy is to be made.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bci.errors import RecordingError
from bci.io.files import safe_xml
from bci.io.files.xdf.framing import BOUNDARY, MAGIC, OF_A_STREAM, ChunkHead, Tag, read_head, read_number
from bci.io.files.xdf.layout import Layout

#: A text costs Python some hundred bytes where the file may spend two.
_MOST_TEXTS = 1_000_000
#: pyxdf keeps some 200 bytes of each. Ten streams' footers hold half a million a day, with an offset every 5 s.
_MOST_ELEMENTS = 4_000_000
#: pyxdf takes a buffer of one sample even for a chunk of none; a picture of 1000 x 1000 in colour has fewer values.
MOST_CHANNELS = 1 << 22
#: pyxdf fits a line through them a thousand times over. A recorder writes one every 5 s: ten days.
_MOST_OFFSETS = 200_000
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckedChunks:
    """A CheckedChunks states how much of a file is sound.

    Attributes
    ----------
    sound : int
        Bytes up to the end of the last whole chunk.
    defects : tuple of str
        What is missing behind it.
    """

    sound: int
    defects: tuple[str, ...]


@dataclass(slots=True)
class _Sums:
    """A _Sums accumulates the counts of the chunks so far."""

    layouts: dict[int, Layout] = field(default_factory=dict)
    samples: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    texts: int = 0
    elements: int = 0

    def check_xml(self, where: str, text: bytes, encoding: str | None = None) -> None:
        """Refuse XML that a reader would pay for; the elements of a whole file count together."""
        try:
            self.elements += safe_xml.count(text, encoding)
        except safe_xml.Unreadable as error:
            raise _Damaged(str(error)) from None
        except ValueError as error:
            raise RecordingError(f"{where}: {error}; the file is damaged, or made to do harm") from None
        if self.elements > _MOST_ELEMENTS:
            raise RecordingError(
                f"{where}: the file's headers and footers have more than {_MOST_ELEMENTS} elements"
            )


def check_chunks(path: Path) -> CheckedChunks:
    """Walk over all chunks and check every size that a reader would believe.

    Memory stays within a few times the file's largest chunk, whatever the file claims.

    Raises
    ------
    RecordingError
        If this is no XDF file, a chunk claims what it cannot hold before the last boundary chunk or the first sample,
        or the file is made to do harm.
    """
    name, size = path.name, path.stat().st_size
    sums = _Sums()
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise RecordingError(f"{path.name} does not begin like an XDF file")
        at = len(MAGIC)
        while at < size:
            head = read_head(file, at, size)
            try:
                if head is None:
                    raise _Damaged("the file ends within a chunk")
                _check_chunk(f"{name}, byte {at}", file, head, sums)
            except _Damaged as damage:
                return _sound_to(path, file, at, size, sums, str(damage))
            if sums.texts > _MOST_TEXTS:
                raise RecordingError(f"{path.name} holds more than {_MOST_TEXTS} texts: refused")
            at = head.end
    return CheckedChunks(size, ())


class _Damaged(Exception):
    """A chunk is not what a recorder writes: the file is damaged from there on."""


def _sound_to(path: Path, file: IO[bytes], at: int, size: int, sums: _Sums, why: str) -> CheckedChunks:
    """Return that a file is sound up to byte `at`, unless more of the recording lies behind the damage.

    Raises
    ------
    RecordingError
        If it does, or nothing lies before.
    """
    mend = f"bci verify {path.name} --repair whole.xdf saves what can be read"
    if not sums.samples or _has_boundary(file, at + 1):
        raise RecordingError(f"{path.name}, byte {at}: {why}; the file is damaged. {mend}.")
    file.seek(at)
    if not any(any(block) for block in iter(lambda: file.read(_BLOCK), b"")):
        why = "the file ends in zeros"
    return CheckedChunks(at, (f"{why}; its last {size - at} bytes are not played. {mend}",))


def _has_boundary(file: IO[bytes], at: int) -> bool:
    """Return whether a boundary chunk stands behind byte `at`; recorders write one every ten seconds or so."""
    file.seek(at)
    tail = b""
    while block := file.read(_BLOCK):
        if BOUNDARY in tail + block:
            return True
        tail = block[-len(BOUNDARY) :]
    return False


def _check_chunk(where: str, file: IO[bytes], head: ChunkHead, sums: _Sums) -> None:
    """Check one chunk of the file."""
    tag = head.tag
    if not head.possible:
        raise _Damaged(f"no chunk of {max(0, head.size + 2)} bytes has tag {tag}")
    if tag not in OF_A_STREAM and tag != Tag.FILE_HEADER:
        return
    file.seek(head.offset + head.body)
    if tag == Tag.FILE_HEADER:
        sums.check_xml(where, file.read(head.size))
        return
    stream_id = int.from_bytes(file.read(4), "little")
    if tag == Tag.STREAM_HEADER:
        # Readers take this one for UTF-8 whatever it says of itself.
        text = file.read(head.size - 4).decode("utf-8", "replace").encode()
        sums.check_xml(where, text, "utf-8")
        sums.layouts[stream_id] = _layout(where, safe_xml.parse(text, "utf-8"))
        sums.offsets[stream_id] = 0
        return
    if stream_id not in sums.layouts:
        raise _Damaged(f"a chunk of a stream, {stream_id}, that has no header before")
    layout = sums.layouts[stream_id]
    if tag == Tag.SAMPLES:
        n = _check_samples(layout, file.read(head.size - 4))
        sums.samples += n
        sums.texts += n * layout.channels if layout.is_text else 0
    elif tag == Tag.STREAM_FOOTER:
        sums.check_xml(where, file.read(head.size - 4))
    else:
        sums.offsets[stream_id] += 1
        offsets = sums.offsets[stream_id]
        if head.size != 20 or offsets > _MOST_OFFSETS:
            raise RecordingError(
                f"{where}: clock offset {offsets} of stream {layout.name!r} has {head.size + 2} bytes; expected 22, "
                f"and at most {_MOST_OFFSETS} of them; the file is damaged"
            )


def _layout(where: str, header: safe_xml.Element) -> Layout:
    try:
        layout = Layout.read(header)
    except ValueError as error:
        raise RecordingError(f"{where}: {error}; the file is damaged") from None
    if layout.channels > MOST_CHANNELS:
        raise RecordingError(f"{where}: a stream of {layout.channels} channels cannot be played")
    return layout


def _check_samples(layout: Layout, content: bytes) -> int:
    """Return how many samples a chunk holds, after walking over every one of them."""
    n: int | None = None
    try:
        n, at = read_number(content, 0)
        # What claims more samples than bytes is refused before it is walked over.
        if n <= len(content) and (layout.all_stamped(content, at, n) or _fill(layout, content, at, n)):
            return n
    except ValueError:
        pass
    raise _Damaged(
        f"a chunk of stream {layout.name!r} claims {n} samples of {layout.channels} channels in "
        f"{len(content)} bytes, which do not hold them"
    )


def _fill(layout: Layout, content: bytes, at: int, n: int) -> bool:
    for _ in layout.runs(content, at, n):
        pass
    return True

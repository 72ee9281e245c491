"""Time-stamped annotation lists hold the annotations of an EDF+ or BDF+ file, and when each of its records began.

Kemp & Olivan 2003: an annotation signal holds in each record lists ``+onset[0x15 duration] 0x14 text 0x14 … 0x00``, in
seconds after the file's start. The first list of a record has an empty text, and its onset is the record's own.
"""

import math
from dataclasses import dataclass

from bci.errors import RecordingError
from bci.io.files.formats.edf import EdfHeader
from bci.io.files.formats.stretches import Break
from bci.io.files.formats.words import decoded

_ONSET, _TEXT = b"\x15", b"\x14"
#: Records whose annotation bytes are read together.
_TOGETHER = 1 << 12
#: No file has more annotations than that.
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations are what the annotation signals of a file say.

    Attributes
    ----------
    onsets : tuple of float
        Seconds after the start of the first record, by the file's own clock.
    texts : tuple of str
        One for each.
    encoding : str
        What the texts were read as where they are not UTF-8; empty when all are.
    starts : tuple of float
        Start of each record, seconds after that of the first; NaN where the file does not say.
    resolution : float
        The last digit with which record starts are written, seconds.
    """

    onsets: tuple[float, ...]
    texts: tuple[str, ...]
    encoding: str
    starts: tuple[float, ...]
    resolution: float


def read_annotations(header: EdfHeader) -> Annotations:
    """Read the annotation signals of a file.

    Raises
    ------
    RecordingError
        If it has more annotations than any file has.
    """
    signals = [signal for signal in header.signals if signal.is_annotations]
    starts: list[float] = []
    found: list[tuple[float, bytes]] = []
    digits = 0
    if signals:
        for first in range(0, header.records, _TOGETHER):
            content = header.read(first, min(first + _TOGETHER, header.records))
            lists = [content[:, s.at : s.at + s.samples] for s in signals]
            for record in range(len(content)):
                start = math.nan
                for place, signal in enumerate(lists):
                    pieces = signal[record].tobytes().split(b"\0")
                    for k, piece in enumerate(filter(None, pieces)):
                        head, *texts = piece.split(_TEXT)
                        number = head.split(_ONSET)[0]
                        onset = _seconds(number)
                        if place == 0 and k == 0 and not (texts and texts[0]):
                            start = onset
                            digits = max(digits, len(number.partition(b".")[2]))
                        found += [(onset, text) for text in texts if text]
                starts.append(start)
            if len(found) > _MOST:
                raise RecordingError(f"{header.path.name} has more than {_MOST} annotations: refused")
    zero = starts[0] if starts and not math.isnan(starts[0]) else 0.0
    found = [(onset, text) for onset, text in found if not math.isnan(onset)]
    texts, encoding = decoded([text for _, text in found])
    labels = {signal.label for signal in header.signals}
    once: list[tuple[float, str]] = []
    seen: set[tuple[float, str]] = set()
    for (onset, _), text in zip(found, texts, strict=True):
        # An annotation of single channels is repeated for each: "text@@label".
        words, _, label = text.rpartition("@@")
        if label in labels and words:
            if (onset, words) in seen:
                continue
            seen.add((onset, words))
            text = words
        once.append((onset - zero, text))
    return Annotations(
        onsets=tuple(onset for onset, _ in once),
        texts=tuple(text for _, text in once),
        encoding=encoding,
        starts=tuple(start - zero for start in starts),
        resolution=10.0**-digits,
    )


def breaks_in(header: EdfHeader, annotations: Annotations, samples: int) -> tuple[list[Break], list[str]]:
    """Return the pauses between records by their own starts, and sentences on what those cannot mean.

    A file that calls itself discontinuous (EDF+D) is taken at its word to half a sample. One that calls itself
    continuous may stamp its records by a clock that drifts: there a tenth of a record is a pause.

    Parameters
    ----------
    header, annotations
        Of the file.
    samples : int
        Played samples of a record.
    """
    breaks, backwards = [], 0
    half = header.duration / samples / 2
    tolerance = (
        half + annotations.resolution if header.kind.endswith("D") else max(half, header.duration / 10)
    )
    before = 0.0
    for record, start in enumerate(annotations.starts):
        if math.isnan(start):
            start = before
        gap = start - before
        if record and abs(gap) > tolerance:
            backwards += gap < 0
            breaks.append(Break(record * samples, gap if gap > 0 else None))
        before = start + header.duration
    words = f"{backwards} records begin before the one before them ended: their order in the file is kept"
    return breaks, [words] if backwards else []


def _seconds(text: bytes) -> float:
    try:
        value = float(text) if text[:1] in b"+-" and text else math.nan
    except ValueError:
        value = math.nan
    return value if math.isfinite(value) else math.nan

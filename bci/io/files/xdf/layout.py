"""The Layout of a stream's samples in an XDF file, as its header states it; and the walk over the samples of a chunk.

A sample is one byte, 0 or 8, then a stamp of so many bytes, and then its values. Only the standard library is
imported here, as in `bci.io.files.xdf.framing`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from bci.io.files import safe_xml
from bci.io.files.xdf.framing import read_number
from bci.signal.rates import is_plausible

#: NumPy's name of each numeric format.
FORMATS = {
    "float32": "<f4",
    "double64": "<f8",
    "int8": "|i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
}

#: Bytes of a sample beside its values: one that says that a stamp follows, and the stamp.
STAMP_BYTES = 9

#: Samples that are looked at together, at the least.
_LEAST_AHEAD = 64


@dataclass(frozen=True, slots=True)
class Layout:
    """A Layout describes the bytes of one sample of a stream in the file.

    Attributes
    ----------
    name : str
        The stream's name.
    channels : int
        Values per sample.
    kind : str
        Format of a value: a key of `FORMATS`, or ``"string"``.
    rate : float
        Samples per second, 0 when irregular.
    is_text : bool
        Whether its values are texts, each with a length of its own.
    value_bytes : int
        Bytes of a sample's values; 0 for text.
    """

    name: str
    channels: int
    kind: str
    rate: float
    is_text: bool = field(init=False)
    value_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        each = int(FORMATS[self.kind][-1]) if self.kind in FORMATS else 0
        object.__setattr__(self, "is_text", self.kind == "string")
        object.__setattr__(self, "value_bytes", each * self.channels)

    @classmethod
    def read(cls, header: safe_xml.Element) -> Self:
        """Read it from a stream's header.

        Raises
        ------
        ValueError
            If it describes no stream that there can be.
        """
        try:
            layout = cls(
                name=header.findtext("name") or "",
                channels=int(header.findtext("channel_count") or ""),
                kind=header.findtext("channel_format") or "",
                rate=float(header.findtext("nominal_srate") or ""),
            )
        except ValueError as error:
            raise ValueError(f"a stream's header has a number that is none: {error}") from None
        known = layout.kind in FORMATS or layout.is_text
        if not known or layout.channels < 1 or not is_plausible(layout.rate):
            raise ValueError(
                f"a stream's header claims {layout.channels} channels of {layout.kind!r} at {layout.rate} Hz"
            )
        return layout

    def all_stamped(self, content: bytes, at: int, n: int) -> bool:
        """Return whether `n` samples of numbers, each with its stamp, fill `content` from `at` on exactly."""
        each = STAMP_BYTES + self.value_bytes
        return not self.is_text and n * each == len(content) - at and content[at::each] == b"\x08" * n

    def runs(self, content: bytes, at: int, n: int) -> Iterator[tuple[int, int, int]]:
        """Go over the samples of a chunk, in runs of samples that lie alike.

        Parameters
        ----------
        content : bytes
            Of the chunk.
        at : int
            Where the first of them begins in it.
        n : int
            How many the chunk claims.

        Yields
        ------
        place, count, stamp : int
            Where a run begins, how many samples it has, and how many bytes each one's stamp takes: 0 or 8.

        Raises
        ------
        ValueError
            If they do not fill the content exactly; nothing beyond the content is ever read.
        """
        size, values = len(content), self.value_bytes
        texts = self.channels if self.is_text else 0
        done, ahead = 0, _LEAST_AHEAD
        while done < n:
            stamp = content[at] if at < size else -1
            each = 1 + stamp + values
            count = 1
            if not texts and stamp in (0, 8):
                # At most twice as far as the last run reached, so that no byte is looked at again and again.
                marks = content[at : at + each * min(ahead, n - done) : each]
                count = len(marks) - len(marks.lstrip(marks[:1]))
                ahead = max(_LEAST_AHEAD, 2 * count)
            if stamp not in (0, 8) or at + count * each > size:
                raise ValueError(f"its sample {done + count - 1} of {n} begins with no stamp")
            yield at, count, stamp
            at += count * each
            done += count
            for _ in range(texts):
                width, at = read_number(content, at)
                at += width
        if at != size:
            raise ValueError(f"it claims {n} samples, which do not fill it exactly")

"""A status channel carries trigger lines: its low 16 bits are lines, above them stand the amplifier's own flags."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bci.io.files.formats.file import changes_in
from bci.io.files.formats.stretches import Stretches
from bci.signal.types import Event

_LINES = 0xFFFF
_LOW, _HIGH = 0x00FF, 0xFF00
_BLOCK = 1 << 20

#: Reads samples of a status channel: (end - first,) integers.
Codes = Callable[[int, int], NDArray[np.generic]]


def events_of(codes: Codes, stretches: Stretches, n: int, name: str = "") -> list[Event]:
    """Return a marker wherever a trigger channel changes to something other than zero.

    Parameters
    ----------
    codes : callable
        ``codes(first, end)``, samples counted as in the file.
    stretches : Stretches
        When each sample was taken.
    n : int
        Samples in the file.
    name : str
        Put before the code in the marker's text, where several channels carry triggers.
    """
    markers: list[Event] = []
    previous = 0.0
    for first in range(0, n, _BLOCK):
        block = codes(first, min(first + _BLOCK, n))
        samples, values = changes_in(block, previous, first)
        previous = float(block[-1])
        for time, code in zip(stretches.seconds(samples).tolist(), values.tolist(), strict=True):
            markers.append(Event(time, f"{name}:{code}" if name else str(code), code))
    return markers


def lines_of(stored: Codes, n: int) -> tuple[Codes, str]:
    """Return the trigger lines of a BioSemi status channel, and a sentence on lines that are not connected.

    An open input reads high. Of the upper eight lines those that are high all the time carry nothing and are masked;
    the lower eight are masked only where all of them are.

    Examples
    --------
    >>> status = np.array([0xFF00, 0xFF01, 0xFF00, 0xFFCA])
    >>> lines, sentence = lines_of(lambda first, end: status[first:end], 4)
    >>> lines(0, 4).tolist(), sentence
    ([0, 1, 0, 202], 'trigger lines 9 to 16 are high all the time and taken for not connected')
    """
    always = _LINES
    for first in range(0, n, _BLOCK):
        always &= int(np.bitwise_and.reduce(stored(first, min(first + _BLOCK, n)).astype(np.int64)))
    open_ = always & _HIGH
    if always & _LOW == _LOW:
        open_ |= _LOW
    mask = _LINES & ~open_

    def lines(first: int, end: int) -> NDArray[np.int64]:
        return stored(first, end).astype(np.int64) & mask

    return lines, _sentence([line for line in range(16) if open_ >> line & 1])


def _sentence(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    whole = list(lines) == list(range(lines[0], lines[-1] + 1)) and len(lines) > 1
    names = f"{lines[0] + 1} to {lines[-1] + 1}" if whole else ", ".join(str(line + 1) for line in lines)
    verb, noun = ("are", "lines") if len(lines) > 1 else ("is", "line")
    return f"trigger {noun} {names} {verb} high all the time and taken for not connected"

"""A Pane is where the words of a command go: it outlives its reader, and writes what the encoding has letters for.

A terminal may be closed and a pipe's reader may end while a session runs; a session must not end of that. What Windows
calls cp1252 or cp437 has no arrow and no bar: such signs are written as the ASCII that stands for them.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import IO, TextIO

#: What stands for a sign that an encoding lacks; of any other letter a question mark does.
PLAINER = {
    "→": "->", "←": "<-", "×": "x", "÷": "/", "…": "...", "–": "-", "—": "-", "−": "-", "·": "*", "•": "*",
    "µ": "u", "μ": "u", "Ω": "Ohm", "°": " deg", "²": "2", "³": "3", "±": "+-", "≥": ">=", "≤": "<=", "≈": "~",
    "≠": "!=", "√": "sqrt", "─": "-", "━": "-", "│": "|", "┃": "|", "╸": "-", "╺": "-", "╭": "+", "╮": "+",
    "╰": "+", "╯": "+", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "“": '"', "”": '"', "’": "'",
}  # fmt: skip

#: Errors of a stream without a reader: a pipe's, on Windows also EINVAL, and a closed terminal's.
_GONE = (errno.EPIPE, errno.EINVAL, errno.EIO)

#: Name of the error handler that puts `PLAINER` in.
_HANDLER = "bci.plainer"


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAINER.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(_HANDLER, _plainer)


def write_plainer() -> None:
    """Let standard output and standard error put plainer signs where their encoding lacks one.

    Examples
    --------
    >>> "3 µV → 2×".encode("cp437", _HANDLER).decode("cp437"), "3 µV → 2×".encode("ascii", _HANDLER)
    ('3 µV -> 2x', b'3 uV -> 2x')
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


class Pane(io.TextIOBase):
    """A Pane is a standard stream that nothing fails for, once it cannot be written any more.

    Parameters
    ----------
    stream : file or None
        The stream, or None where the process has none.

    Attributes
    ----------
    trouble : str
        Why the stream could not be written; empty while it can. A reader that has gone away is no trouble.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.trouble = ""
        self._stream = stream

    # The base class has a plain attribute; here it is that of the stream behind.
    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Name of the stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        self._attempt(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write out what is held back."""
        self._attempt(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Whether a person reads it in a terminal."""
        stream = self._stream
        return stream is not None and not stream.closed and stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        stream = self._stream
        if stream is None:
            raise io.UnsupportedOperation("fileno")
        return stream.fileno()

    def _attempt(self, action: Callable[[IO[str]], object]) -> None:
        stream = self._stream
        if stream is None or stream.closed:
            return
        try:
            action(stream)
        except OSError as error:
            if error.errno not in _GONE:
                self.trouble = self.trouble or str(error)
            _discard(stream)


def _discard(stream: IO[str]) -> None:
    """Send what is held back, and all that follows, nowhere: otherwise it would fail again at the process' end."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)

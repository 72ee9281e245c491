r"""Cells of our CSV tables: text from the network or from a file is data there, to spreadsheets, terminals and readers.

A label that begins with ``=`` is a formula to a spreadsheet, an escape byte a command to a terminal, U+202E turns the
line around, and a line's end tears the row. Such a cell begins with ``'``, which spreadsheets take for *text follows*,
and its characters that cannot be seen are written as in Python::

    =1+1  →  '=1+1        a⏎b  →  'a\nb        'x  →  ''x        C:\new  →  C:\new

`text_of` undoes it exactly, so a marker comes back as it was sent and is paired by its text. Numbers stay numbers.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from bci.signal.foreign import is_seen

#: What spreadsheets take for the beginning of a formula, and what begins a cell whose text is escaped.
_FORMULA, _QUOTE = "=+-@＝＋－＠", "'"
_ESCAPED = re.compile(r"\\(\\|n|r|t|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_SHORT = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}

# A latent of 2^20 numbers is one cell of 25 MB; the csv module reads 128 kB of a cell unless told otherwise.
csv.field_size_limit(1 << 26)


def cell(text: str) -> str:
    r"""Return text as it stands in a cell.

    >>> cell("S  1"), cell("-1.5"), cell("\x1b[2J"), cell("'") + cell("\\n"), cell("a\u202eb")
    ('S  1', "'-1.5", "'\\x1b[2J", "''\\n", "'a\\u202eb")
    """
    start = text.lstrip()[:1]
    plain = (not start or start not in _FORMULA) and text[:1] != _QUOTE
    if plain and (text.isprintable() or all(map(is_seen, text))):
        return text
    return _QUOTE + "".join(_written(character) for character in text)


def text_of(cell: str) -> str:
    r"""Return the text that was written into a cell.

    >>> text_of("'=1+1"), text_of("''x"), text_of("'a\\nb\\\\"), text_of("C:\\new")
    ('=1+1', "'x", 'a\nb\\', 'C:\\new')
    """
    return _ESCAPED.sub(_read, cell[1:]) if cell[:1] == _QUOTE else cell


def write_rows(file: Any, rows: Iterable[Sequence[Any]], *, tabs: bool = False) -> None:
    """Append rows to a text file, with commas or `tabs`; texts become cells, numbers stay as they are."""
    between, end = ("\t", "\n") if tabs else (",", "\r\n")
    csv.writer(file, delimiter=between, lineterminator=end).writerows(
        [cell(value) if isinstance(value, str) else value for value in row] for row in rows
    )


def read_rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a table by column, every cell as the text that was written.

    Raises
    ------
    csv.Error
        If it is no table.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [
        {column: text_of(value) if isinstance(value, str) else value for column, value in row.items()}
        for row in rows
    ]


def _written(character: str) -> str:
    if character == "\\":
        return "\\\\"
    return character if is_seen(character) else character.encode("unicode_escape").decode()


def _read(escape: re.Match[str]) -> str:
    code = escape[1]
    return _SHORT[code] if code in _SHORT else chr(int(code[1:], 16))

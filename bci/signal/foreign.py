"""Foreign text comes from the network or a file; it is made visible before a terminal, a page or a log shows it.

Escape bytes are commands to a terminal, U+202E turns a line around, U+200B hides, and a line's end forges a line.
"""

import unicodedata

#: What stands for a character that is not seen.
_UNSEEN = "�"


def is_seen(character: str) -> bool:
    """Whether a character is seen where it stands, or is a space; none that turns, hides or commands."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def visible(text: str) -> str:
    r"""Return text without characters that are not seen; ends of lines stay.

    >>> visible("\x1b[2Jgone\n\u202eµV")
    '�[2Jgone\n�µV'
    """
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or is_seen(c) else _UNSEEN for c in text)


def on_one_line(text: str) -> str:
    r"""Return text that is seen, on one line.

    >>> on_one_line("S 1\r\nS 2\tend")
    'S 1 S 2 end'
    """
    if text.isprintable():
        return text
    return visible(" ".join(text.splitlines()).replace("\t", " "))

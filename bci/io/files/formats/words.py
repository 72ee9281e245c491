"""Texts of unknown encoding in a file are read here: a marker is never lost over its letters.

A text that is UTF-8 is UTF-8. The others of the same file are looked at together: Chinese and Japanese are recognised
by the characters that are frequent in them, which in a Latin text would be rows of capitals with accents; all else is
Windows' Latin code page.
"""

import math
from collections.abc import Sequence

#: The first bytes of the frequent characters of GB 2312 (level 1), its punctuation, and of full-width letters.
_FREQUENT_GB = frozenset({*range(0xB0, 0xD8), 0xA1, 0xA3})
#: First bytes of Shift-JIS's punctuation, kana and frequent kanji; in Latin-1 they are no letters.
_FREQUENT_JIS = frozenset(range(0x81, 0xA0))


def decoded(texts: Sequence[bytes]) -> tuple[list[str], str]:
    """Return texts of a file, and the encoding that was found for those that are not UTF-8; empty when all are.

    >>> decoded([b"tone", "Größe".encode("latin-1")])
    (['tone', 'Größe'], 'cp1252')
    >>> decoded(["睁眼".encode("gbk"), "闭眼".encode("utf-8")])
    (['睁眼', '闭眼'], 'gbk')
    """
    words: list[str | None] = []
    for text in texts:
        try:
            words.append(text.decode("utf-8"))
        except UnicodeDecodeError:
            words.append(None)
    foreign = [text for text, word in zip(texts, words, strict=True) if word is None]
    if not foreign:
        return [word or "" for word in words], ""
    encoding = _encoding_of(b" ".join(foreign))
    return [
        _as(text, encoding) if word is None else word for text, word in zip(texts, words, strict=True)
    ], encoding


def decode_text(text: bytes, code_page: str = "") -> tuple[str, str]:
    """Return a whole text file, and its encoding: the code page it names if it holds, UTF-8, else one found.

    >>> decode_text("Größe".encode("latin-1"), "UTF-8")
    ('Größe', 'cp1252')
    """
    for name in ({"ANSI": "cp1252"}.get(code_page.upper(), code_page), "utf-8-sig"):
        try:
            return text.decode(name or "utf-8-sig"), name or "utf-8"
        except (UnicodeDecodeError, LookupError):
            continue
    encoding = _encoding_of(text)
    return _as(text, encoding), encoding


def _as(text: bytes, encoding: str) -> str:
    try:
        return text.decode(encoding)
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _encoding_of(text: bytes) -> str:
    """Return the encoding of bytes that are not UTF-8."""
    for encoding, frequent in (("gbk", _FREQUENT_GB), ("shift_jis", _FREQUENT_JIS)):
        try:
            pairs = [c.encode(encoding) for c in text.decode(encoding) if not c.isascii()]
        except UnicodeDecodeError:
            continue
        # Letters within an ASCII word belong to it: "\x92t" is an apostrophe, no kanji.
        if pairs and all(len(pair) == 2 and pair[0] in frequent and pair[1] >= 0x80 for pair in pairs[:1000]):
            return encoding
        if encoding == "shift_jis" and any(pair[0] in (0x82, 0x83) and pair[1] >= 0x9F for pair in pairs):
            return encoding
    return "cp1252"


def number_in(text: str, *, comma: bool) -> float:
    """Return the number that a cell of text holds, with a decimal comma if asked for; NaN where it holds none.

    >>> number_in("1,5", comma=True), number_in("n/a", comma=False)
    (1.5, nan)
    """
    try:
        value = float(text.replace(",", ".") if comma else text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan

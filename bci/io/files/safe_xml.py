"""XML from files of unknown origin is parsed here by Expat; constructs by which a short text grows long are refused.

A document type is where entities are declared, and entities are how a kilobyte claims gigabytes or reaches for other
files. No recorder writes one, so its beginning is refused, in any encoding, before any entity is expanded. Size, depth
and number of elements are limited as well.
"""

from typing import NoReturn
from xml.etree.ElementTree import Element as Element
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

#: Limits, bytes and elements: enough for a hundred thousand channels or a week's clock offsets.
LONGEST = 16 << 20
MOST_ELEMENTS = 500_000
DEEPEST = 64


class Unreadable(ValueError):
    """A text is no XML, or ends within it; nothing in it reaches for more than it is."""


def parse(text: bytes, encoding: str | None = None) -> Element:
    """Return the root of a document.

    Parameters
    ----------
    text : bytes
        The document.
    encoding : str, optional
        Encoding; overrides the one that the document states.

    Raises
    ------
    ValueError
        If it is no XML, has a document type, or is larger or deeper than any recorder makes it.

    Examples
    --------
    >>> parse(b"<info><name>amp</name></info>").findtext("name")
    'amp'
    >>> parse(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")
    Traceback (most recent call last):
    ValueError: XML with a document type of its own, 'a': entities can be declared there
    """
    builder = TreeBuilder()
    _walk(text, encoding, builder)
    return builder.close()


def count(text: bytes, encoding: str | None = None) -> int:
    """Return the number of a document's elements, without keeping them; refuse the document as `parse` does."""
    return _walk(text, encoding, None)


def _walk(text: bytes, encoding: str | None, builder: TreeBuilder | None) -> int:
    if len(text) > LONGEST:
        raise ValueError(f"XML of {len(text)} bytes, more than {LONGEST}")
    depth = elements = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > DEEPEST:
            raise ValueError(f"XML that is nested more than {DEEPEST} deep")
        if elements > MOST_ELEMENTS:
            raise ValueError(f"XML of more than {MOST_ELEMENTS} elements")
        if builder is not None:
            builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        if builder is not None:
            builder.end(tag)

    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    if builder is not None:
        parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise Unreadable(f"XML that cannot be read: {error}") from None
    return elements


def _refuse(name: str, *rest: object) -> NoReturn:
    raise ValueError(f"XML with a document type of its own, {name!r}: entities can be declared there")

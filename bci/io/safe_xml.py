"""XML out of files that nobody knows: parsed by Expat, with everything refused by which a short text grows long.

A document type is where entities are declared, and entities are how a kilobyte claims gigabytes or reaches for other
files. No recorder writes one, so its very beginning is refused, in whatever encoding it comes, before anything is
expanded. Size, depth and number of elements are bounded besides.
"""

from typing import NoReturn
from xml.etree.ElementTree import Element as Element
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

#: A header of this many bytes, or elements, describes a hundred thousand channels.
LONGEST = 16 << 20
MOST_ELEMENTS = 500_000
DEEPEST = 64


def parse(text: bytes, *, encoding: str | None = None, most: int = MOST_ELEMENTS) -> Element:
    """Return the root of a document of at most `LONGEST` bytes.

    Parameters
    ----------
    text : bytes
        The document.
    encoding : str, optional
        What it is encoded in, whatever it says itself.
    most : int
        Elements that it may have.

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
    if len(text) > LONGEST:
        raise ValueError(f"XML of {len(text)} bytes, more than {LONGEST}")
    builder = TreeBuilder()
    depth = elements = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > DEEPEST:
            raise ValueError(f"XML that is nested more than {DEEPEST} deep")
        if elements > most:
            raise ValueError(f"XML of more than {most} elements")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(f"XML that cannot be read: {error}") from None
    return builder.close()


def _refuse(name: str, *rest: object) -> NoReturn:
    raise ValueError(f"XML with a document type of its own, {name!r}: entities can be declared there")

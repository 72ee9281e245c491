"""The CSA header is the private block in which Siemens scanners write what DICOM had no tag for.

Its layout is not published by its maker. It begins with ``SV10`` and four bytes, the number of tags and 77; each tag
has a name of 64 bytes, a multiplicity, a type of 4 bytes, a type number, the number of its items and a check word;
each item four lengths, of which the second is its own, and its text, filled up to a multiple of four bytes.
"""

import struct
from collections.abc import Mapping

from bci.errors import RecordingError

_TAG = struct.Struct("<64si4siii")
_ITEM = struct.Struct("<4i")
_MOST_TAGS, _MOST_ITEMS = 1024, 4096


def read_csa(block: bytes) -> Mapping[str, tuple[str, ...]]:
    """Return the tags of a CSA header that have values: their texts, by name.

    Raises
    ------
    RecordingError
        If the block is no CSA header of the second kind, or ends too early.
    """
    if block[:4] != b"SV10":
        raise RecordingError(f"a CSA header begins with SV10, and this one with {block[:4]!r}")
    try:
        return _read_tags(block)
    except struct.error:
        raise RecordingError(f"the CSA header ends too early, after {len(block)} bytes") from None


def _read_tags(block: bytes) -> Mapping[str, tuple[str, ...]]:
    (count,) = struct.unpack_from("<I", block, 8)
    if count > _MOST_TAGS:
        raise RecordingError(f"a CSA header has at most {_MOST_TAGS} tags, and this one says {count}")
    at, tags = 16, {}
    for _ in range(count):
        name, _, _, _, items, _ = _TAG.unpack_from(block, at)
        at += _TAG.size
        if not 0 <= items <= _MOST_ITEMS:
            raise RecordingError(
                f"a tag of a CSA header has at most {_MOST_ITEMS} items, and one says {items}"
            )
        values = []
        for _ in range(items):
            _, length, _, _ = _ITEM.unpack_from(block, at)
            at += _ITEM.size
            if length < 0 or at + length > len(block):
                raise RecordingError(f"the CSA header ends too early, after {len(block)} bytes")
            if text := _text(block[at : at + length]):
                values.append(text)
            at += -(-length // 4) * 4
        if values:
            tags[_text(name)] = tuple(values)
    return tags


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()

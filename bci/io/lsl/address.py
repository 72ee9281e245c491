"""An Address tells one stream of the network from the others: by source id, name, type or host, or by several of them.

A source id alone is enough where each stream has one of its own. Some devices give all their streams one, the serial
number; some give none; and one application on two hosts gives both streams the same: there the other words tell.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from bci.errors import ConfigError

if TYPE_CHECKING:
    from bci.io.lsl.metadata import StreamInfo

#: How each field of an address is written, and what it is called in XPath on a stream's description.
_WRITTEN = {"source_id": "source_id", "name": "name", "kind": "type", "host": "host"}
_IN_XML = {"source_id": "source_id", "name": "name", "kind": "type", "host": "hostname"}
_IN_WORDS = {"source_id": "source id", "name": "name", "kind": "type", "host": "host"}


@dataclass(frozen=True, slots=True)
class Address:
    """An Address states what a stream's description must say; an empty field says nothing.

    Attributes
    ----------
    source_id, name, kind, host : str
        As in `StreamInfo`: `kind` is LSL's type, `name` that of its signal.

    Raises
    ------
    ConfigError
        If no field is given, or one holds a character that discovery cannot carry.
    """

    source_id: str = ""
    name: str = ""
    kind: str = ""
    host: str = ""

    def __post_init__(self) -> None:
        if not any(self._given.values()):
            raise ConfigError(
                "a stream needs a source id, a name, a type or a host to be found by; none was given"
            )
        for field, text in self._given.items():
            if not text.isprintable():
                raise ConfigError(
                    f"the {_IN_WORDS[field]} of a stream is printable text, got {text!r}; find it by another of "
                    f"{', '.join(_WRITTEN.values())}"
                )

    @classmethod
    def of(cls, given: "str | Address") -> "Address":
        """Return an address; a text is a source id."""
        return given if isinstance(given, Address) else cls(source_id=given)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address as `str` writes it: ``name=Crown,type=EEG``; a text without such keys is a source id.

        Raises
        ------
        ConfigError
            If a key is given twice, or a part has none.

        Examples
        --------
        >>> Address.parse("type=EEG,host=lab-2").words, Address.parse("amp=1").words
        ("the type 'EEG' and the host 'lab-2'", "the source id 'amp=1'")
        """
        by_key = {key: field for field, key in _WRITTEN.items()}
        if text.partition("=")[0].strip() not in by_key:
            return cls(source_id=text)
        said: dict[str, str] = {}
        for part in text.split(","):
            key, equals, value = part.partition("=")
            field = by_key.get(key.strip(), "")
            if not equals or not field or field in said:
                raise ConfigError(
                    f"{text!r}: expected each of {', '.join(by_key)} at most once, as key=value with commas between "
                    f"them; came {part!r}"
                )
            said[field] = value.strip()
        return cls(**said)

    @classmethod
    def telling(cls, info: "StreamInfo", there: "Iterable[StreamInfo]") -> "Address":
        """Return the shortest address that tells a stream from all others that are there.

        Raises
        ------
        ConfigError
            If the stream says nothing of itself by which it could be found.
        """
        facts = {field: text for field, text in facts_of(info).items() if text and text.isprintable()}
        others = [facts_of(other) for other in there if other.uid != info.uid]
        said: dict[str, str] = {}
        for field, text in facts.items():
            if said and not others:
                break
            rest = [other for other in others if other[field] == text]
            # A word that tells nothing apart would only be one more that may change before the stream comes back.
            if not said or len(rest) < len(others):
                said[field], others = text, rest
        return cls(**said)

    @property
    def predicate(self) -> str:
        """What a description must fulfil, as XPath."""
        return " and ".join(f"{_IN_XML[field]}={_literal(text)}" for field, text in self._given.items())

    @property
    def words(self) -> str:
        """The address in a sentence: ``the source id 'amp-1' and the type 'EEG'``."""
        return " and ".join(f"the {_IN_WORDS[field]} {text!r}" for field, text in self._given.items())

    def matches(self, info: "StreamInfo") -> bool:
        """Whether a stream is meant."""
        facts = facts_of(info)
        return all(facts[field] == text for field, text in self._given.items())

    @property
    def _given(self) -> dict[str, str]:
        return {field.name: text for field in fields(self) if (text := getattr(self, field.name))}

    def __str__(self) -> str:
        given = self._given
        if list(given) == ["source_id"]:
            return self.source_id
        return ",".join(f"{_WRITTEN[field]}={text}" for field, text in given.items())


def choose(infos: "Sequence[StreamInfo]", address: Address) -> "list[StreamInfo]":
    """Return the streams that an address means; of a bare source id that no stream has, those of that name."""
    chosen = [info for info in infos if address.matches(info)]
    if not chosen and address == Address(source_id=address.source_id or "-"):
        chosen = [info for info in infos if info.signal.name == address.source_id]
    return chosen


def facts_of(info: "StreamInfo") -> dict[str, str]:
    """Return what a stream says of itself, by the fields of an address."""
    return {"source_id": info.source_id, "name": info.signal.name, "kind": info.kind, "host": info.host}


def _literal(text: str) -> str:
    """Return a text as XPath writes it, which knows no escapes.

    >>> print(_literal("amp"), _literal("it's"), _literal("'" + '"'))
    'amp' "it's" concat('', "'", '"')
    """
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text:
        return f'"{text}"'
    parts = ', "\'", '.join(f"'{part}'" for part in text.split("'"))
    return f"concat({parts})"

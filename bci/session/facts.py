"""The facts of a session are its JSON files; each is read here, and has the shape that its readers rely on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.io.files.regular import read_json

EXPECTED = "Expected the folder that `bci run` or `bci demo` printed."

#: What is a section of keys and values in each file, where it is there; and of what there may be a list.
_SECTIONS: Mapping[str, frozenset[str]] = {
    "config.json": frozenset(
        "source stream decoder publish display experiment preview run recording supervision limits".split()
    ),
    "environment.json": frozenset({"packages", "bundle", "decoder", "decoders"}),
}
_LISTED = frozenset({"source", "stream", "decoder", "publish"})


def read_facts(folder: Path, name: str) -> Mapping[str, Any]:
    """Return what a JSON file of a session says.

    Raises
    ------
    RecordingError
        If it is missing, no JSON, or not of the shape that a session's has.
    """

    def refuse(words: str) -> RecordingError:
        return RecordingError(f"{folder} is not a whole session: {words.rstrip('.')}. {EXPECTED}")

    facts = read_json(folder / name, refuse)
    if not isinstance(facts, dict):
        raise refuse(f"{name} holds no object")
    for key in sorted(_SECTIONS.get(name, frozenset()) & facts.keys()):
        given = facts[key]
        many = name == "config.json" and key in _LISTED and isinstance(given, list)
        if given is not None and not all(isinstance(one, dict) for one in (given if many else [given])):
            raise refuse(
                f"{name}: expected {key!r} as a section of keys and values, came {str(given)[:60]!r}"
            )
    return facts

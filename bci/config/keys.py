"""A Key is one key of a file of settings: what it may be, in which unit, its default and what it means, in words."""

import dataclasses
import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bci.config.described import described
from bci.config.faults import KINDS, models_in

#: Units by the end of a key's name.
_ENDINGS = {
    "_s": "s", "seconds": "s", "_ms": "ms", "_hz": "Hz", "_deg": "°", "_px": "px", "_cm": "cm", "_mb": "MB",
    "_uv": "µV", "_percent": "%", "_frames": "refreshes",
}  # fmt: skip

#: Units of keys whose names do not say them.
_UNITS = {
    "seconds": "s", "rate": "Hz", "fresh_for": "s", "data_age_limit": "s", "heartbeat_limit": "s", "tr": "s",
    "ReplaySettings.start": "s", "ReplaySettings.stop": "s", "Cut.start": "s", "Cut.stop": "s",
    "EpochSettings.start": "s", "EpochSettings.stop": "s", "EpochSpec.start": "s", "EpochSpec.stop": "s",
    "BandPass.low": "Hz", "BandPass.high": "Hz", "HighPass.low": "Hz", "LowPass.high": "Hz",
    "Notch.frequency": "Hz", "BandPower.bands": "Hz", "GameSettings.rate": "", "GeneratorSettings.rate": "",
    "WindowSettings.length": "samples", "WindowSettings.hop": "samples", "WindowSpec.length": "samples",
    "WindowSpec.hop": "samples", "BandPower.block": "samples", "Covariance.block": "samples",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """A Key is one row of the reference.

    Attributes
    ----------
    name, kind, unit, default, meaning : str
        As the columns say them.
    """

    name: str
    kind: str
    unit: str
    default: str
    meaning: str


def keys_of_model(model: type[BaseModel]) -> list[Key]:
    """Return the keys of one section of a file, in the model's order."""
    texts = described(model)
    return [
        Key(
            field.alias or name,
            kind_in_words(field.annotation, field.metadata),
            _unit(model.__name__, name),
            _default(field),
            texts.get(name, "") or _meaning(field, name),
        )
        for name, field in model.model_fields.items()
    ]


def _meaning(field: FieldInfo, name: str) -> str:
    """Return what a field without a description of its own is: the section of a model, or the word that tells kinds."""
    if name in KINDS:
        return "Which kind it is."
    models = list(models_in(field.annotation))
    if len(models) == 1:
        return (inspect.getdoc(models[0]) or "").partition("\n\n")[0].replace("\n", " ")
    return f"One of {len(models)} kinds, below." if models else ""


def keys_of_class(cls: type | Any, name: str = "") -> list[Key]:
    """Return the options of a dataclass, or of a class by its constructor; `name` is what units are known by."""
    texts = described(cls)
    owner = name or cls.__name__
    if dataclasses.is_dataclass(cls):
        missing = dataclasses.MISSING
        return [
            Key(
                f.name,
                kind_in_words(f.type),
                _unit(owner, f.name),
                _shown(f.default, missing),
                texts.get(f.name, ""),
            )
            for f in dataclasses.fields(cls)
        ]
    return [
        Key(
            one.name,
            kind_in_words(one.annotation),
            _unit(owner, one.name),
            _shown(one.default, one.empty),
            texts.get(one.name, ""),
        )
        for one in inspect.signature(cls).parameters.values()
    ]


def kind_in_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Return what a value may be.

    >>> kind_in_words(Annotated[int, annotated_types.Ge(1)]), kind_in_words(Literal["a", "b"] | None)
    ('whole number, at least 1', '"a" or "b"')
    """
    if get_origin(annotation) is Annotated:
        inner, *own = get_args(annotation)
        return kind_in_words(inner, [*_flat(own), *metadata])
    if get_origin(annotation) in (Union, types.UnionType):
        words = [kind_in_words(one) for one in get_args(annotation) if one is not type(None)]
        return " or ".join(dict.fromkeys(words)) + _limits(metadata)
    if get_origin(annotation) is Literal:
        return " or ".join(
            f'"{value}"' if isinstance(value, str) else str(value) for value in get_args(annotation)
        )
    if annotation is JsonValue:
        return "any value"
    if inspect.isclass(annotation) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            return "section"
        if issubclass(annotation, bool):
            return "true or false"
        for plain, word in _PLAIN.items():
            if issubclass(annotation, plain):
                return word + _limits(metadata)
    return _of_many(annotation) + _limits(metadata)


_PLAIN = {int: "whole number", float: "number", str: "text", Path: "path"}


def _of_many(annotation: Any) -> str:
    origin, args = get_origin(annotation), [a for a in get_args(annotation) if a is not ...]
    if origin in (tuple, list) or (inspect.isclass(origin) and issubclass(origin, Sequence)):
        many = Ellipsis in get_args(annotation) or origin is not tuple
        if not many:
            return "list of " + ", ".join(kind_in_words(arg) for arg in args)
        word = kind_in_words(args[0])
        return "section, or several" if word == "section" else f"list of {word}"
    if origin is dict or (inspect.isclass(origin) and issubclass(origin, Mapping)):
        return f"section of names: {kind_in_words(args[1])}"
    return "any value"


def _limits(metadata: Sequence[Any]) -> str:
    words = []
    for one in _flat(metadata):
        for name, text in (("gt", "more than"), ("ge", "at least"), ("lt", "less than"), ("le", "at most")):
            if isinstance(value := getattr(one, name, None), int | float):
                words.append(f"{text} {_number(value)}")
    return "".join(f", {word}" for word in dict.fromkeys(words))


def _number(value: float) -> str:
    """Return a limit: whole numbers in full, up to where a power says more.

    >>> _number(0.5), _number(100000), _number(2**31), _number(2**63)
    ('0.5', '100000', '2147483648', '2^63')
    """
    if value == 2**63:
        return "2^63"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:g}"


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from one.metadata
        elif isinstance(one, annotated_types.GroupedMetadata):
            yield from one
        else:
            yield one


def _unit(owner: str, name: str) -> str:
    if (unit := _UNITS.get(f"{owner}.{name}", _UNITS.get(name))) is not None:
        return unit
    return next((unit for ending, unit in _ENDINGS.items() if name.endswith(ending)), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return _shown(field.get_default(call_default_factory=True), PydanticUndefined)


def _shown(value: Any, missing: Any) -> str:
    """Return a default as TOML writes it."""
    if value is missing:
        return "required"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, tuple | list):
        if any(isinstance(item, BaseModel) for item in value):
            return "one, with its defaults"
        return f"[{', '.join(_shown(item, missing) for item in value)}]"
    if isinstance(value, dict):
        return "empty"
    return (
        f"{value:g}" if isinstance(value, float) else f'"{value}"' if isinstance(value, str) else str(value)
    )

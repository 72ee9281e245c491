"""A fault is one thing wrong with a settings file, in words: the key as written, what was expected, what came.

The validator's own sentences are not passed on: they speak of Python's types and of its own rules. A key that does not
exist is named with its nearest neighbour, or with the section that does have it.
"""

import datetime
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from bci.errors import nearest

#: Longest text of a value that came, characters.
_LONGEST = 80

_Context = Mapping[str, Any]

#: What was expected, by the validator's name for the fault. `None` is of no use to a union: another branch says it.
_EXPECTED: Mapping[str, Callable[[_Context], str]] = {
    "bool_parsing": lambda c: "true or false",
    "bool_type": lambda c: "true or false",
    "date_from_datetime_parsing": lambda c: "a date",
    "dict_type": lambda c: "a section of keys and values",
    "finite_number": lambda c: "a finite number",
    "float_parsing": lambda c: "a number",
    "float_type": lambda c: "a number",
    "greater_than": lambda c: f"a number greater than {c['gt']:g}",
    "greater_than_equal": lambda c: f"a number of at least {c['ge']:g}",
    "int_from_float": lambda c: "a whole number",
    "int_parsing": lambda c: "a whole number",
    "int_parsing_size": lambda c: "a whole number of fewer digits",
    "int_type": lambda c: "a whole number",
    "invalid-json-value": lambda c: "text, a number, true, false, a list or a section",
    "less_than": lambda c: f"a number less than {c['lt']:g}",
    "less_than_equal": lambda c: f"a number of at most {c['le']:g}",
    "list_type": lambda c: "a list",
    "literal_error": lambda c: str(c["expected"]),
    "mapping_type": lambda c: "a section of keys and values",
    "model_attributes_type": lambda c: "a section of keys and values",
    "model_type": lambda c: "a section of keys and values",
    "none_required": lambda c: "nothing",
    "path_type": lambda c: "a path, as text",
    "string_pattern_mismatch": lambda c: _described(c["pattern"]),
    "string_sub_type": lambda c: "text",
    "string_too_long": lambda c: f"text of at most {c['max_length']} characters",
    "string_too_short": lambda c: f"text of at least {_several(c['min_length'], 'character')}",
    "string_type": lambda c: "text",
    "string_unicode": lambda c: "text in UTF-8",
    "too_long": lambda c: f"a list of at most {c['max_length']}",
    "too_short": lambda c: f"a list of at least {c['min_length']}",
    "tuple_type": lambda c: "a list",
    "union_tag_invalid": lambda c: f"one of {c['expected_tags']}",
    "union_tag_not_found": lambda c: "to be said which kind it is",
}

#: Keys that say which kind a section is.
KINDS = ("kind", "protocol", "name", "source")

#: Patterns of names, in words.
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$": "up to 64 letters, digits, - and _, neither - nor _ first",
    r"^[a-z][a-z0-9_]{0,19}$": "up to 20 small letters, digits and _, a letter first",
    r"^[a-z0-9][a-z0-9 ]{0,19}$": "the name of a key in small letters: a, 1, space, return, left",
    r"^([^\x00-\x1f]+\.py|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+)$": "a Python file or a module, flicker.py or my_lab.flicker",
    r"^[A-Za-z]{0,3}[0-9]{1,5}$": "a code, up to three letters and one to five digits, as 01 or S07: no name, no date",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
}


def describe_errors(error: ValidationError, settings: type[BaseModel]) -> str:
    """Return one line for each thing wrong: the key, what was expected, what came.

    Parameters
    ----------
    error : ValidationError
        Of validating values.
    settings : type of BaseModel
        What they were validated as; its keys are what a misspelt one is compared with.
    """
    faults: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    items = error.errors(include_url=False)
    for item in items:
        if item["type"] == "too_short" and any(_lies_in(other["loc"], item["loc"]) for other in items):
            continue  # an item that is refused is not counted: that it is one is said already
        place = _Place(settings, item["loc"])
        key, ctx = ".".join(place.path) or "the file", item.get("ctx", {})
        match item["type"]:
            case "extra_forbidden":
                sentence = place.no_such_key(settings)
            case "missing":
                sentence = f"it is required, and missing{place.meaning()}"
            case "value_error" | "assertion_error":
                sentence = str(ctx.get("error") or item["msg"])
            case "json_invalid":
                sentence = f"expected JSON, came something else ({ctx.get('error', '')})"
            case "union_tag_invalid" | "union_tag_not_found" as kind:
                tag = place.tag_key()
                # Kinds that are told by a function of the section's own are listed by the error alone.
                tags = place.tags() or [
                    one.strip(" '") for one in str(ctx.get("expected_tags", "")).split(",")
                ]
                key = ".".join(filter(None, (*place.path, tag)))
                came = ctx.get("tag") if kind == "union_tag_invalid" else None
                sentence = f"expected {_either(map(repr, tags))}" + (
                    f", came {came!r}{nearest(str(came), tags)}"
                    if came is not None
                    else ", and it is missing"
                )
            case kind:
                # Branches of a union speak of one value: "a number or a list, came …".
                expected = _EXPECTED[kind](ctx) if kind in _EXPECTED else "another kind of value"
                values[key] = item["input"]
                faults.setdefault(key, [])
                if expected not in faults[key]:
                    faults[key].append(expected)
                continue
        faults.setdefault(key, []).append(f"={sentence}")
    return "\n".join(line for key, said in faults.items() for line in _lines(key, said, values.get(key)))


def _lies_in(loc: Sequence[int | str], whole: Sequence[int | str]) -> bool:
    return len(loc) > len(whole) and loc[: len(whole)] == whole


def _lines(key: str, said: Sequence[str], value: Any) -> Iterator[str]:
    for sentence in (one[1:] for one in said if one.startswith("=")):
        yield f"  {key}: {sentence}"
    if expected := [one for one in said if not one.startswith("=")]:
        words = [word.strip("'") for one in expected for word in one.replace(" or ", ", ").split(", ")]
        near = nearest(value, words) if isinstance(value, str) else ""
        yield f"  {key}: expected {' or '.join(expected)}, came {_shortened(value)}{near}"


class _Place:
    """A place in a settings model, by the validator's path to it; branches of unions are left out of `path`."""

    def __init__(self, settings: type[BaseModel], loc: Sequence[int | str]) -> None:
        self.path: list[str] = []
        #: The models that the last key may be one of, and the field that it is.
        self.models: list[type[BaseModel]] = [settings]
        self.field: FieldInfo | None = None
        kinds: list[Any] = [settings]
        branched = False  # whether the branch of the union that `kinds` are was named already
        for part in loc:
            models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
            fields = [field for model in models if (field := _field(model, part))]
            if fields:
                self.models, self.field = models, fields[0]
                kinds, branched = [member for field in fields for member in _members(field.annotation)], False
            elif isinstance(part, int) or (not models and any(_is_table(kind) for kind in kinds)):
                items = [member for kind in kinds for member in _items(kind)]
                self.field, kinds, branched = None, items or kinds, False
            elif (
                len(kinds) > 1 and not branched
            ):  # the branch of a union, under the validator's own name for it
                kinds, branched = [kind for kind in kinds if _is_branch(kind, part)] or kinds, True
                continue
            elif models:
                self.models, self.field = models, None
            else:
                continue
            self.path.append(str(part))
        self.kinds = kinds

    def no_such_key(self, root: type[BaseModel]) -> str:
        """Return what to do about a key that does not exist here."""
        name, section = self.path[-1], ".".join(part for part in self.path[:-1] if not part.isdigit())
        keys = [key for model in self.models for key in keys_of(model)]
        here, others = list[str](), dict[str, None]()
        for place, model in sections_of(root):
            if name in keys_of(model):
                if place == section:
                    here += [
                        repr(tag)
                        for key in KINDS
                        if key in model.model_fields
                        for tag in _tags(model.model_fields[key])
                    ]
                else:
                    others[place] = None
        if here:
            return f"there is no such key for this kind; {_either(here)} {'has' if len(here) == 1 else 'have'} it"
        if others:
            places = [f"in [{place}]" if place else "before the first [section]" for place in others]
            return f"there is no such key here; it belongs {_either(places[:3])}"
        return f"there is no such key{nearest(name, keys) or '; there are ' + ', '.join(dict.fromkeys(keys))}"

    def meaning(self) -> str:
        """Return the description of the field, where it has one: ``: Folder of the bundle``."""
        from bci.config.described import described

        for model in self.models:
            for name, field in model.model_fields.items():
                if field is self.field and (text := described(model).get(name)):
                    return f": {text.partition('. ')[0].rstrip('.')}"
        return ""

    def tag_key(self) -> str:
        """Return the key that tells the branches of a union apart."""
        return next((key for key in KINDS if any(_tags_of(kind, key) for kind in self._branches())), "")

    def tags(self) -> list[str]:
        """Return the values of that key."""
        key = self.tag_key()
        return [tag for kind in self._branches() if key for tag in _tags_of(kind, key)]

    def _branches(self) -> list[type[BaseModel]]:
        return [kind for kind in self.kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]


def keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys of a model as a file writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def sections_of(root: type[BaseModel], above: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every section of a settings model with its dotted name, the file itself first; kinds of one, one by one."""
    yield above, root
    for name, field in root.model_fields.items():
        for kind in models_in(field.annotation):
            yield from sections_of(kind, f"{above}.{field.alias or name}".lstrip("."))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the settings models that a field may hold, alone or in a list."""
    for member in _members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            yield member
        elif get_origin(member) in (tuple, list):
            for item in _items(member):
                if isinstance(item, type) and issubclass(item, BaseModel):
                    yield item


def _field(model: type[BaseModel], part: int | str) -> FieldInfo | None:
    return next((f for name, f in model.model_fields.items() if part in (f.alias or name, name)), None)


def _members(annotation: Any) -> list[Any]:
    """Return what a value may be: the members of a union, without None and without annotations."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for one in get_args(annotation) if one is not type(None) for member in _members(one)]
    return [annotation]


def _items(kind: Any) -> list[Any]:
    """Return what the items of a list or the values of a table may be."""
    args = [arg for arg in get_args(kind) if arg is not ...]
    if _is_table(kind):
        return _members(args[1])
    return [member for arg in args for member in _members(arg)] if get_origin(kind) in (tuple, list) else []


def _is_table(kind: Any) -> bool:
    """Whether a value is a section whose keys are names of the reader's own."""
    return get_origin(kind) in (dict, Mapping)


def _is_branch(kind: Any, label: int | str) -> bool:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        tags = {tag for key in KINDS for tag in _tags_of(kind, key)}
        return kind.__name__ == label or label in tags
    return str(label).startswith(getattr(kind, "__name__", str(kind)))


def _tags(field: FieldInfo) -> list[str]:
    """Return the words that a field may hold, where it lists them."""
    return list(map(str, get_args(field.annotation))) if get_origin(field.annotation) is Literal else []


def _tags_of(kind: type[BaseModel], key: str) -> list[str]:
    """Return the words that a key of a model may hold; none where it has no such key, or the key may be any text."""
    return _tags(kind.model_fields[key]) if key in kind.model_fields else []


def _described(pattern: str) -> str:
    words = _PATTERNS.get(pattern)
    return f"{words} (pattern {pattern})" if words else f"text of the pattern {pattern}"


def _several(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _either(words: Any) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _shortened(value: Any) -> str:
    text = value.isoformat() if isinstance(value, datetime.date | datetime.time) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

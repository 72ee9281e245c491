"""The description of a setting is the docstring beneath its field, or its entry in the class's list of them.

It is read from the source when a page or an error needs it, so that programs do not parse their own source at every
start.
"""

import ast
import functools
import inspect
import itertools
import re
import textwrap
from collections.abc import Mapping
from types import MappingProxyType

#: Lists of a numpy docstring whose entries describe fields.
_LISTS = ("Attributes", "Parameters")


@functools.cache
def described(cls: type) -> Mapping[str, str]:
    """Return the description of each field of a class, inherited ones included, each on one line."""
    texts: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if one.__module__ in ("builtins", "abc") or one.__module__.partition(".")[0] in (
            "pydantic",
            "typing",
        ):
            continue
        texts |= _listed(one) | _beneath(one)
    return MappingProxyType({name: " ".join(text.split()) for name, text in texts.items()})


def _beneath(cls: type) -> dict[str, str]:
    """Return the docstrings that stand beneath the fields of a class's own body."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    found = {}
    for node, after in itertools.pairwise(body):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def _listed(cls: type) -> dict[str, str]:
    """Return the entries of the list of fields in a class's own docstring; ``low, high : float`` are two."""
    lines = inspect.cleandoc(cls.__dict__.get("__doc__") or "").splitlines()
    found: dict[str, list[str]] = {}
    inside, names = False, list[str]()
    for line, after in zip(lines, [*lines[1:], ""], strict=False):
        if after and set(after) == {"-"}:
            inside, names = line in _LISTS, []
        elif inside and (entry := re.fullmatch(r"(\w+(?:, \w+)*)(?: : .*)?", line)):
            names = entry.group(1).split(", ")
        elif inside and line.startswith("    "):
            for name in names:
                found.setdefault(name, []).append(line)
    return {name: " ".join(text) for name, text in found.items()}

"""Proofs: where the tests are that a page's sentences rest on."""

import ast
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent


@cache
def _names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def is_there(place: str) -> bool:
    """Return whether a test is there, written as ``file::name`` below the folder of tests."""
    file, _, name = place.partition("::")
    return (TESTS / file).is_file() and name.startswith("test_") and name in _names_in(TESTS / file)

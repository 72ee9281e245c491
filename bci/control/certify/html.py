"""Pieces of a page: facts, tables, words about a check, as HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from bci.control.certify.checks import Check, Fact


def allowed(check: Check | Fact) -> str:
    """Return what a check allows, in brackets; nothing for a fact."""
    return f"(allowed: {check.limit_text})" if check.limit_text else ""


def sign(passed: bool) -> str:
    """Return the verdict on one row."""
    return '<span class="good">kept</span>' if passed else '<span class="bad">not kept</span>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and what they are, a line each."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    return f"<dl>{items}</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int]) -> str:
    """Return a table; cells are HTML, and those of the columns `numbers` stand right."""
    right = set(numbers)
    kinds = [' class="n"' if i in right else "" for i in range(len(head))]
    top = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"

"""Output prints a command's words and tables for people, and one JSON line for machines."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bci.errors import BciError
from bci.io.files.folder import plain


class Output:
    """An Output prints what a command reports.

    Parameters
    ----------
    as_json : bool
        Words go to standard error, and `result` prints its one line on standard output.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(stderr=as_json, highlight=False)

    def say(self, text: str) -> None:
        """Print a line for people; rich markup is allowed."""
        self.console.print(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table; every column but the first is right-aligned."""
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for i, column in enumerate(columns):
            table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
        for row in rows:
            table.add_row(*(foreign(show(cell)) for cell in row))
        self.console.print(table)

    def facts(self, title: str, values: Mapping[str, Any]) -> None:
        """Print nested values a line each, as ``group.name  value``; a long list only by its length."""
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.add_column("", no_wrap=True, style="cyan")
        table.add_column("", overflow="fold")
        for name, value in flatten(values):
            table.add_row(foreign(name), foreign(value))
        self.console.print(table)

    def result(self, values: Mapping[str, Any]) -> None:
        """Print the machine-readable last line, where it was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(plain(values)) + "\n")
            sys.stdout.flush()

    def fail(self, error: BciError) -> None:
        """Print an expected failure."""
        Console(stderr=True, highlight=False).print(f"[bold red]{type(error).__name__}[/]: ", end="")
        Console(stderr=True, highlight=False).print(foreign(str(error)))
        self.result({"error": type(error).__name__, "message": str(error)})


def foreign(text: str) -> str:
    r"""Return text from a file or a stream in a form that is safe to print: no markup, no control characters.

    >>> foreign("[bold]loud"), foreign("\x1b[2Jgone")
    ('\\[bold]loud', '�[2Jgone')
    """
    return escape("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def show(cell: Any) -> str:
    """Return a table cell as text: four significant digits, 'none' for NaN.

    >>> show(0.123456), show(float("nan")), show("x")
    ('0.1235', 'none', 'x')
    """
    if isinstance(cell, float):
        return "none" if cell != cell else f"{cell:.4g}"
    return str(cell)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested values as (dotted name, text).

    >>> list(flatten({"auc": {"value": 0.98765, "interval": [0.9, 1.0]}, "n": 3}))
    [('auc.value', '0.9877'), ('auc.interval', '0.9, 1'), ('n', '3')]
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            short = len(value) <= 12 and not any(isinstance(v, Mapping | list | tuple) for v in value)
            yield (
                prefix + key,
                ", ".join(show(v) for v in value) if short else f"{len(value)} rows (see --json)",
            )
        else:
            yield prefix + key, show(value)


_current = Output()


def use(as_json: bool) -> Output:
    """Make the output of the command that runs now; `main` says failures through the same one."""
    global _current
    _current = Output(as_json)
    return _current


def current() -> Output:
    """Return the output of the command that runs now."""
    return _current

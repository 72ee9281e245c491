"""Output prints a command's words and tables for people, and one JSON line for machines.

Text is printed as it is: a square bracket in a path or a label is a square bracket. What is to be seen in a colour is
handed over as `styled` text, so no text from a file or from the network is ever read as a style.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.status import Status
from rich.table import Table
from rich.text import Text

from bci.cli.pane import Pane
from bci.cli.words import words_in
from bci.errors import BciError
from bci.io.files.folder import plain
from bci.signal.foreign import on_one_line, visible


class Output:
    """An Output prints what a command reports.

    Parameters
    ----------
    as_json : bool
        Words go to standard error, and `result` prints its one line on standard output.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out, self._err = Pane(sys.stdout), Pane(sys.stderr)
        self.console = _console(self._err if as_json else self._out)
        self._errors = _console(self._err)
        self._explained: set[str] = set()

    @property
    def trouble(self) -> str:
        """Why what was to be printed was not; empty while it is, and where its reader has gone away."""
        return self._out.trouble or self._err.trouble

    def say(self, *parts: str | Text) -> None:
        """Print a line for people; `parts` stand one behind the other, and `styled` ones in their colour."""
        # Words are wrapped where a person reads them; a file and another program get the line whole.
        self.console.print(joined(*parts), soft_wrap=not self.console.is_terminal)

    def explain(self, text: str) -> None:
        """Print what the screen's own words in a text mean, half a line each, the first time that they come."""
        found = words_in(text, self._explained)
        self._explained |= set(found)
        for word, meaning in found.items():
            self.say(styled("dim", f"{word}: {meaning}"))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table; every column but the first is right-aligned."""
        table = _table(title)
        for i, column in enumerate(columns):
            table.add_column(
                joined(on_one_line(column)), justify="left" if i == 0 else "right", overflow="fold"
            )
        for row in rows:
            table.add_row(
                *(joined(cell if isinstance(cell, Text) else on_one_line(show(cell))) for cell in row)
            )
        self.console.print(table)

    def facts(self, title: str, values: Mapping[str, Any]) -> None:
        """Print nested values a line each, as ``group.name  value``; a long list only by its length."""
        table = _table(title)
        table.add_column("", no_wrap=True, style="cyan")
        table.add_column("", overflow="fold")
        for name, value in flatten(values):
            table.add_row(joined(on_one_line(name)), joined(on_one_line(value)))
        self.console.print(table)

    def progress(self, *columns: ProgressColumn) -> Progress:
        """Return a bar that goes away when it is done; without `columns`: words, bar, percentage and time left."""
        usual = (words(), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        return Progress(*(columns or usual), console=self.console, transient=True)

    def status(self, text: str) -> "Moving":
        """Return a line that changes while something is under way, and goes away then."""
        return Moving(self.console, text)

    def result(self, values: Mapping[str, Any]) -> None:
        """Print the machine-readable last line, where it was asked for."""
        if self.as_json:
            self._out.write(json.dumps(plain(values)) + "\n")
            self._out.flush()

    def fail(self, error: BciError) -> None:
        """Print an expected failure."""
        words = joined(styled("bold red", type(error).__name__), ": ", str(error))
        self._errors.print(words, soft_wrap=not self._errors.is_terminal)
        self.result({"error": type(error).__name__, "message": str(error)})


class Moving:
    """A Moving line is a status line, as a context manager; its words are printed as they are."""

    def __init__(self, console: Console, text: str) -> None:
        self._status = Status(joined(text), console=console)

    def update(self, *parts: str | Text) -> None:
        """Change its words."""
        self._status.update(joined(*parts))

    def __enter__(self) -> "Moving":
        self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._status.stop()


def words() -> TextColumn:
    """Return the column of a bar that holds the words of its task, as they are."""
    return TextColumn("{task.description}", markup=False)


def styled(style: str, text: object) -> Text:
    """Return text that is printed in a style: ``"bold red"``."""
    return Text(visible(str(text)), style=style)


def joined(*parts: str | Text) -> Text:
    """Return the parts as one text, each literally.

    >>> joined("[bold]", styled("red", "loud")).plain
    '[bold]loud'
    """
    return Text.assemble(*(part if isinstance(part, Text) else visible(part) for part in parts))


def _console(pane: Pane) -> Console:
    return Console(file=cast("IO[str]", pane), highlight=False)


def _table(title: str) -> Table:
    heading = styled("bold", title)
    return Table(title=heading, title_justify="left", title_style="bold", box=None, pad_edge=False)


def show(cell: Any) -> str:
    """Return a table cell as text: four significant digits, 'none' for NaN.

    >>> show(0.123456), show(float("nan")), show("x")
    ('0.1235', 'none', 'x')
    """
    if isinstance(cell, float):
        return "none" if cell != cell else f"{cell:.4g}"
    return str(cell)


def size_of(shape: Sequence[int]) -> str:
    """Write how large a sample of a signal is, from its shape.

    >>> size_of((64,)), size_of((64, 64, 18))
    ('64 channels', '64×64×18 voxels')
    """
    return f"{'×'.join(map(str, shape))} voxels" if len(shape) == 3 else f"{shape[0]} channels"


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

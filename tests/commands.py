"""Commands: how tests give `bci` its words in this very process, and what came of it.

Starting a process costs a second, so only what needs one of its own gets it (`tests/system/sessions.py`).
"""

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci.cli import main

#: Wide enough that no word that a test looks for is broken across two lines.
COLUMNS = {"COLUMNS": "160"}


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Attributes
    ----------
    status : int
        Its exit status.
    result : dict
        Its last line of output, where that is an object of JSON.
    words : str
        All that it printed, on either stream.
    """

    status: int
    result: dict[str, Any]
    words: str

    @classmethod
    def of(cls, status: int, out: str, err: str) -> "Done":
        """Read what was printed."""
        lines = out.strip().splitlines()
        result = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        return cls(status, result, out + err)

    @property
    def folder(self) -> Path:
        """The session's folder."""
        return Path(self.result["session"])

    def table(self, name: str) -> list[dict[str, str]]:
        """Read one of the session's tables."""
        with (self.folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def call(*words: object) -> Done:
    """Run `bci` with these words in this process, to its end; an unexpected exception goes through."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with _replaced(words), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            status = int(ended.code or 0)
    return Done.of(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _replaced(words: tuple[object, ...]) -> Iterator[None]:
    """Put the words where a program finds its own, and a wide terminal around it."""
    argv, columns = sys.argv, os.environ.get("COLUMNS")
    sys.argv = ["bci", *map(str, words)]
    os.environ.update(COLUMNS)
    try:
        yield
    finally:
        sys.argv = argv
        if columns is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = columns

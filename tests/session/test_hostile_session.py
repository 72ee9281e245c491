"""A session's folder from a stranger is read or refused in words, and nothing outside it is written or read."""

import csv
import io
import json
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from planted_session import Line, noise

from bci.errors import BciError, RecordingError
from bci.session.latency import latency_table
from bci.session.recorded import RecordedSession

VALUES = (None, -1, 10**30, "x", [], {}, [1, 2], True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "session"
    with ExitStack() as opened:
        line = Line(folder, opened)
        line.push(noise(300))
        line.stop()
    return folder


@pytest.fixture
def session(kept: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(kept, tmp_path / "session"))


def ask_all(folder: Path) -> None:
    """Ask a session for all that commands ask it for; only an expected failure may come."""
    read = RecordedSession.read(folder)
    for ask in (
        lambda: read.ran(),
        lambda: read.bundle(),
        lambda: read.driver,
        lambda: read.feeds,
        lambda: read.shown(),
        lambda: read.decoding(),
        lambda: read.experiment(),
        lambda: read.trials(None),
        lambda: read.run,
        lambda: read.simulated,
        lambda: latency_table(folder),
    ):
        with suppress(BciError):
            ask()


@pytest.mark.parametrize("name", ["config.json", "environment.json"])
def test_facts_of_another_shape_are_refused_in_words(session: Path, name: str) -> None:
    facts: dict[str, Any] = json.loads((session / name).read_text())
    for key in facts:
        for value in VALUES:
            (session / name).write_text(json.dumps({**facts, key: value}))
            ask_all(session)


@pytest.mark.parametrize("name", ["frames.csv", "shown.csv", "marks.csv"])
@pytest.mark.parametrize("value", ["", "x", "-1", "nan", "1e300", "[[1]]", "9" * 5000, "'"])
def test_a_cell_of_another_kind_is_refused_with_its_row(session: Path, name: str, value: str) -> None:
    path = session / name
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    refused = 0
    for column in range(len(rows[0])):
        changed = [list(row) for row in rows]
        changed[1][column] = value
        text = io.StringIO(newline="")
        csv.writer(text).writerows(changed)
        path.write_text(text.getvalue(), newline="")
        ask_all(session)
        with suppress(RecordingError):
            refused += 1
            RecordedSession.read(session).table(name.removesuffix(".csv"))
            refused -= 1
    changed = [*rows[:2], rows[1][:3], *rows[2:]]
    text = io.StringIO(newline="")
    csv.writer(text).writerows(changed)
    path.write_text(text.getvalue(), newline="")
    ask_all(session)
    assert value in ("", "nan", "-1", "'") or refused

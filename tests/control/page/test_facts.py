"""What a session's files say is read beside the page, which goes on meanwhile."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bci.control.page.facts import FactsReader, PageFacts
from bci.errors import DiskError


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., threading.Event]:
    """Let the reading of facts last until the event is set, and give or raise what is planted."""

    def plant(outcome: PageFacts | Exception) -> threading.Event:
        over = threading.Event()

        def read(folder: Path) -> PageFacts:
            assert folder == tmp_path
            assert over.wait(10)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(PageFacts, "of", read)
        return over

    return plant


def ask_until_read(facts: FactsReader) -> PageFacts | None:
    for thread in threading.enumerate():
        if thread.name == "page facts":
            thread.join(10)
    return facts()


def test_nothing_waits_for_facts_that_are_being_read(
    tmp_path: Path, reading: Callable[..., threading.Event]
) -> None:
    over = reading(PageFacts(lasts=60.0))
    facts = FactsReader(tmp_path)
    assert facts() is None, "the session does not say them yet"
    for name in ("config.json", "environment.json"):
        (tmp_path / name).write_text("{}")
    assert facts() is None
    assert facts() is None, "they are being read"
    over.set()
    read = ask_until_read(facts)
    assert read is not None
    assert read.lasts == 60.0
    assert facts() is read, "they are read once"


def test_what_goes_wrong_while_they_are_read_is_not_lost(
    tmp_path: Path, reading: Callable[..., threading.Event]
) -> None:
    for name in ("config.json", "environment.json"):
        (tmp_path / name).write_text("{}")
    over = reading(DiskError("planted"))
    facts = FactsReader(tmp_path)
    assert facts() is None
    over.set()
    with pytest.raises(DiskError, match="planted"):
        ask_until_read(facts)

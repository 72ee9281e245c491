"""control.csv: every command with its answer, and what a successor knows of it."""

import csv
from pathlib import Path

from bci.control.mqtt.commands import CommandAnswer, CommandVerdict, make_command
from bci.control.mqtt.gate import Judgement
from bci.control.mqtt.journal import JOURNAL_FIELDS, MOST_ROWS, CommandJournal

DONE = CommandAnswer(id="a1", kind="mark", verdict=CommandVerdict.DONE, at=12.5, acted=3.25)
BAD = CommandAnswer(id="", kind="=cmd", verdict=CommandVerdict.MALFORMED, detail="no\nJSON", at=12.0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_command_and_each_answer_is_a_row_and_a_successor_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "control.csv"
    journal = CommandJournal(path)
    command = make_command("mark", issued=12.0, text="a cough")
    journal.heard(3.0, Judgement("session", command, let_in=True), b"")
    journal.heard(3.1, Judgement("session", answer=BAD), b"\x00\xff=1+1")
    journal.answered(3.2, "session", DONE)
    journal.close()
    successor = CommandJournal(path)
    assert list(successor.answers()) == [DONE]
    successor.answered(4.0, "display", DONE)
    successor.close()
    table = rows(path)
    assert tuple(table[0]) == JOURNAL_FIELDS
    assert [row["verdict"] for row in table] == ["", "malformed", "done", "done"]
    assert table[0]["kind"] == "mark"
    assert "a cough" in table[0]["payload"]
    assert (table[1]["kind"], table[1]["detail"]) == ("'=cmd", "'no\\nJSON"), "no formula, one line"
    assert table[1]["payload"] == repr(b"\x00\xff=1+1")
    assert table[2]["acted"] == "3.250000"


def test_a_damaged_row_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "control.csv"
    path.write_text(",".join(JOURNAL_FIELDS) + "\n1,session,a1,mark,,perhaps,,,1,0\n1,session,a1\n", "utf-8")
    journal = CommandJournal(path)
    assert list(journal.answers()) == []
    journal.close()


def test_a_flood_fills_no_disk(tmp_path: Path) -> None:
    journal = CommandJournal(tmp_path / "control.csv")
    journal._rows = MOST_ROWS
    journal.heard(3.1, Judgement("session", answer=BAD), b"x")
    journal.heard(3.2, Judgement("session", make_command("stop", issued=1.0), let_in=True), b"")
    journal.close()
    assert [row["kind"] for row in rows(tmp_path / "control.csv")] == ["stop"]

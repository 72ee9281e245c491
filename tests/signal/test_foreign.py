"""Text from elsewhere is seen on a terminal, in a log and on a page, and commands none of them."""

import logging
import re
from pathlib import Path

import made_files as made
import planted_recordings as planted
import pytest
from tiny_bundle import tiny_bundle
from typer.testing import CliRunner

from bci.cli.app import app
from bci.cli.output import joined, styled
from bci.decoder.card import write_card
from bci.io.files.page import escape, facts
from bci.io.files.recording import open_recording
from bci.memory.program import log_to
from bci.signal.foreign import is_seen, on_one_line, visible

HOSTILE = "\x1b[2J\x1b]0;gone\x07<b>[red]\u202eleft\u2066\u200b\r\n2026-11-27 11:00:00,000 record INFO forged\x00\udcff"


def seen(text: str) -> bool:
    return all(character == "\n" or is_seen(character) for character in text)


def test_what_is_not_seen_is_replaced_and_what_is_seen_stays() -> None:
    assert seen(visible(HOSTILE))
    assert "\n" not in on_one_line(HOSTILE)
    for text in ("µV", "刺激\u3000一", "a\xa0b", "naïve – “quoted”", "😀", "[bold]"):
        assert visible(text) == on_one_line(text) == text


def test_a_terminal_gets_no_command() -> None:
    assert seen(joined("a stream called ", HOSTILE, styled("red", HOSTILE)).plain)


def test_a_page_gets_no_tag_and_no_command() -> None:
    page = escape(HOSTILE) + facts([(HOSTILE, HOSTILE)])
    assert seen(page)
    assert "<b>" not in page


def test_a_log_gets_no_command_and_no_forged_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    # Only the log may see these: what pytest keeps of a test cannot be sent to another process with \udcff in it.
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    log_to(tmp_path / "log.txt", "acquire")
    try:
        logging.getLogger("bci.acquire").warning("the stream calls itself %s", HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logging.getLogger("bci.acquire").exception("as it came")
    finally:
        for handler in root.handlers:
            handler.close()
        root.setLevel(level)
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert seen(text)
    records = [line for line in text.splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line)]
    assert len(records) == 2
    assert "forged" in text


def test_labels_of_a_file_are_names_that_can_be_written_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    labels = ("O1\nbci quality: good", "O\u202e2")
    described = "".join(f"<channel><label>{label}</label></channel>" for label in labels)
    head = made.header(1, "amp", 2, 100, desc=f"<channels>{described}</channels>")
    path.write_bytes(made.xdf(head, made.samples(1, planted.values(400, 2), planted.stamps(400))))
    recording = open_recording(path)
    assert all(label == on_one_line(label) for label in recording.signal.channels)
    assert recording.signal.channels[0] == "O1 bci quality: good"
    assert any("characters that are not seen" in defect for defect in recording.defects)
    done = CliRunner().invoke(app, ["quality", str(path)])
    assert "O1 bci" in done.output
    assert not any(line.startswith("bci quality: good") for line in done.output.splitlines())
    assert seen(re.sub(r"\x1b\[[0-9;]*m", "", done.output))


@pytest.mark.parametrize("name", ["csv", "html", "logging"])
def test_every_table_page_and_log_goes_through_the_one_function_of_its_kind(name: str) -> None:
    root = Path(__file__).resolve().parents[2]
    sink, homes = {
        "csv": (r"csv\.(writer|DictWriter)", {"bci/io/files/cells.py"}),
        "html": (r"from html import|html\.escape", {"bci/io/files/page.py"}),
        "logging": (r"logging\.Formatter", {"bci/memory/program.py"}),
    }[name]
    users = {
        str(path.relative_to(root))
        for package in ("bci", "models", "stimuli")
        for path in (root / package).rglob("*.py")
        if re.search(sink, path.read_text(encoding="utf-8"))
    }
    assert users == homes


def test_a_card_of_a_bundle_says_its_words_and_no_command(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b", title=HOSTILE.replace("\udcff", ""), name="a\u202eb\x1b[0m")
    assert seen(write_card(bundle.spec))

"""What a command prints arrives as it is: brackets, foreign letters, and when the reader has gone away."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call

from bci.cli.output import Output, styled
from bci.cli.pane import Pane, write_plainer
from bci.errors import ConfigError

BRACKETS = (
    "data [old]",
    "a[/b]c",
    "pip install -e '.[train]'",
    "[green]good[/]",
    "[/]",
    "[link=x]y",
    "\\[x]",
    "[@click]",
)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    done = capsys.readouterr()
    return " ".join((done.out + done.err).split())


@pytest.mark.parametrize("text", BRACKETS)
def test_brackets_are_brackets_wherever_they_are_printed(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    output = Output()
    output.say(f"1 {text}")
    output.say(styled("bold red", f"2 {text}"), f" 3 {text}")
    output.table(f"4 {text}", (f"5 {text}", "n"), [(f"6 {text}", 1)])
    output.facts("title", {f"7 {text}": f"8 {text}"})
    output.fail(ConfigError(f"9 {text}"))
    with output.status(f"looking for {text}") as status:
        status.update(f"still {text}")
    with output.progress() as progress:
        progress.add_task(f"listening to {text}", total=1.0)
    words = printed(capsys)
    for place in range(1, 10):
        assert f"{place} {text}" in words, place


def test_control_characters_of_foreign_text_are_not_sent_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output().say("a\x1b[2Jb", styled("red", "c\x1b]0;d\u202ee"))
    words = printed(capsys)
    assert "\x1b" not in words
    assert "\u202e" not in words


def test_a_colour_is_seen_in_a_terminal_and_its_name_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    paper = io.StringIO()
    monkeypatch.setattr(sys, "stdout", paper)
    Output().table("t", ("", "verdict"), [("Oz", styled("green", "good"))])
    assert "\x1b[32mgood" in paper.getvalue()
    assert "[green]" not in paper.getvalue()


def test_a_path_that_is_redirected_is_not_broken_into_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = "/data/" + "/".join(["folder with a long name"] * 8)
    Output().say(f"session: {path}")
    assert path in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "gbk", "ascii", "utf-8"])
def test_every_encoding_can_be_written(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    write_plainer()
    Output().say("→ 3 µV ± 2 · × … ≥ ✓ 脳 \udce4 ━━━")
    line = raw.getvalue().decode(encoding)
    assert "V" in line
    assert line.startswith("→" if encoding in ("utf-8", "gbk") else "->") or encoding == "cp437"


class Gone(io.StringIO):
    """A stream whose reader has gone away."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (BrokenPipeError(32, "Broken pipe"), False),
        (OSError(5, "EIO"), False),
        (OSError(28, "No space left"), True),
    ],
)
def test_words_that_cannot_be_printed_end_nothing(error: OSError, trouble: bool) -> None:
    pane = Pane(Gone(error))
    assert pane.write("words") == 5
    pane.flush()
    assert bool(pane.trouble) == trouble
    none = Pane(None)
    none.write("words")
    assert not none.isatty()


def bci(*words: str, **options: object) -> "subprocess.Popen[bytes]":
    root = Path(__file__).resolve().parents[2]
    env = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "bci", *words]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.system
@pytest.mark.skipif(os.name == "nt", reason="a pipe's end")
def test_a_pipe_that_is_closed_at_the_first_line_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with bci("doctor", stdout=writer) as process:
        os.close(writer)
        assert b"Traceback" not in process.stderr.read()  # type: ignore[union-attr]
    assert process.returncode in (0, 2)


@pytest.mark.system
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_output_that_a_full_disk_refuses_is_said_and_is_no_success() -> None:
    with Path("/dev/full").open("wb") as full, bci("info", "--help", stdout=full) as help_:
        help_.communicate()
    with Path("/dev/full").open("wb") as full, bci("doctor", "--json", stdout=full) as process:
        words = process.stderr.read()  # type: ignore[union-attr]
    assert process.returncode == 2
    assert b"No space left" in words
    assert b"Traceback" not in words


def test_a_missing_recording_with_brackets_is_named_as_it_is_written(tmp_path: Path) -> None:
    for name in ("x [old].xdf", "a[", "[bold]b[-].edf"):
        done = call("verify", tmp_path / name, "--json")
        assert name in done.words


@pytest.mark.system
@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="NOT TESTED: needs files in memory")
def test_a_command_that_writes_nothing_runs_where_no_temporary_file_has_room() -> None:
    """A bundle is looked at, in a capped child, while every folder for temporary files is on a full disk."""
    code = (
        "import sys, tempfile\n"
        "def full(*words, **named): raise OSError(28, 'No space left on device')\n"
        "for name in ('TemporaryFile', 'NamedTemporaryFile', 'TemporaryDirectory', 'mkdtemp', 'mkstemp'):\n"
        "    setattr(tempfile, name, full)\n"
        "sys.argv = ['bci', 'info', 'alpha', '--json']\n"
        "from bci.cli import main\n"
        "main()\n"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["name"]


def test_what_a_full_disk_refuses_anywhere_is_words_and_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(wait: float) -> list[object]:
        raise OSError(28, "No space left on device", "/data/x.bin")

    monkeypatch.setattr("bci.cli.new._seen", full)
    done = call("new", "session", "--wait", "0", "--json")
    assert done.status == 2
    assert done.result["error"] == "DiskError"
    assert "/data/x.bin cannot be written: No space left on device" in done.result["message"]


def test_a_file_without_permission_is_named_wherever_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise PermissionError(13, "Permission denied", "session/shown.csv")

    monkeypatch.setattr("bci.cli.app.app", refused)
    done = call("latency", "session")
    assert done.status == 2
    assert "session/shown.csv may not be read" in " ".join(done.words.split())
    assert "Change its permissions" in " ".join(done.words.split())

"""The live lines say what is wrong first, whole at 80 columns, and nothing old as if it were new."""

import dataclasses
import io
import sys
from pathlib import Path

import pytest
from terminals import Screen
from tiny_bundle import tiny_bundle

from bci.cli.output import Output
from bci.cli.watch import Watch
from bci.config.session import SessionConfig, parse_session
from bci.control.snapshot import ProgramSnapshot, ReconstructionSnapshot, SessionSnapshot, SessionState
from bci.memory.alarms import Alarm
from bci.memory.trial_parts import Stage

WHY = "acquire StreamMismatch: " + "expected 160 Hz, came 250 Hz; " * 5
NO_DATA = Alarm(
    "no data acquire",
    "NO DATA 12 s, neutral",
    "No data.",
    "Look at the amplifier.",
    age=12.0,
    over="data again",
)


class Paper(io.StringIO):
    """A terminal of 80 columns that keeps what was written."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Paper:
    """Make standard output a terminal, from within a test: between its phases pytest puts its own there."""
    paper = Paper()
    monkeypatch.setattr(sys, "stdout", paper)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    return paper


@pytest.fixture
def config(tmp_path: Path) -> SessionConfig:
    tiny_bundle(tmp_path / "bundle")
    return parse_session(
        {"name": "s", "seconds": 30, "stream": {"source_id": "amp-1"}, "decoder": {"bundle": "bundle"}},
        tmp_path,
        "s.toml",
    )


def session(at: float, *alarms: Alarm, published: float | None = None) -> SessionSnapshot:
    counters = {"decode": {"reconstructions": 57, "skipped": 0}}
    programs = {name: ProgramSnapshot("running", 1, 0.0, own, 0, 0, "") for name, own in counters.items()}
    newest = ReconstructionSnapshot(
        56, True, "", 1.0, (1.0,) * 3, 99, at, published if published is not None else at
    )
    return SessionSnapshot(
        "s", SessionState.RUNNING, 0.0, at, at, programs, newest={"decode": newest}, alarms=alarms
    )


def seen(paper: Paper) -> Screen:
    screen = Screen(80)
    screen.feed(paper.getvalue().replace("\n", "\r\n"))
    return screen


def test_an_unplugged_amplifier_is_the_first_thing_seen_and_its_last_picture_is_not(
    config: SessionConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = terminal(monkeypatch)
    with Watch(config, Output()) as watch:
        watch.show(session(7.0))
        watch._live.refresh()
        assert "confidence 1.00" in seen(paper).text
        watch.show(session(19.0, NO_DATA, published=7.0))
        watch._live.refresh()
        screen = seen(paper)
        lines = [line for line in screen.text.splitlines() if line.strip()]
        at = next(i for i, line in enumerate(lines) if line.startswith("NO DATA 12 s, neutral"))
        assert lines[at + 1].startswith("0:19 of 0:30")
        assert "nothing read for 12 s" in lines[at + 2]
        assert "confidence" not in "\n".join(lines[at:])
        assert "41" in screen.style_of("NO DATA 12 s").split(";"), "on red"
        # What happened and what to do stays above, once.
        assert screen.text.count("Look at the amplifier.") == 1
        watch.show(session(19.5, NO_DATA, published=7.0))
        watch._live.refresh()
        assert seen(paper).text.count("Look at the amplifier.") == 1
        watch.show(session(20.0))
    assert "data again, after 13 s" in seen(paper).text
    assert "NO DATA" not in seen(paper).text


def test_no_line_is_cut_at_80_columns(config: SessionConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = terminal(monkeypatch)
    alarms = [
        NO_DATA,
        Alarm(
            "held",
            "LATCHED SAFE: held neutral, end the session",
            WHY,
            "End it.",
        ),
        Alarm(
            "masked decode",
            "17 channels masked",
            "17 channels cannot be trusted.",
            "Mend them.",
            urgent=False,
        ),
    ]
    with Watch(config, Output()) as watch:
        watch.show(session(3.0, *alarms))
    text = " ".join(seen(paper).text.split())
    for alarm in alarms:
        assert alarm.line in text
        assert " ".join(alarm.what.split()) in text
    assert "…" not in text
    assert all(len(line) <= 80 for line in seen(paper).text.splitlines())


def test_the_screen_s_own_words_are_explained_once_where_they_first_appear(
    config: SessionConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    output = Output()
    with Watch(config, output) as watch:
        for second in (7.0, 8.0, 9.0):
            watch.show(session(second))
    output.say("")
    output.explain("3 flips, 2 skipped, confidence")
    lines = file.getvalue().splitlines()
    for word in ("latent", "confidence", "skipped", "flip"):
        (line,) = (line for line in lines if line.startswith(f"{word}: "))
        assert len(line) <= 80, line


def test_where_there_is_no_terminal_each_trouble_is_a_line(
    config: SessionConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    with Watch(config, Output()) as watch:
        watch.show(session(7.0))
        watch.show(session(19.0, NO_DATA, published=7.0))
        watch.show(session(20.0))
    assert file.getvalue().endswith("\n"), "an error would stand in the same line"
    lines = file.getvalue().splitlines()
    assert "0:19  No data. Look at the amplifier." in lines
    assert "0:20  data again, after 13 s" in lines


def test_an_experiment_that_waits_or_is_paused_says_so(
    config: SessionConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = parse_session(
        {"name": "s", "stream": {"source_id": "amp-1"}, "decoder": {"bundle": str(config.decoder.bundle)},
         "experiment": {"protocol": "text", "words": ["go"], "repeats": 9}}, Path("/lab"), "s.toml",
    )  # fmt: skip
    paper = terminal(monkeypatch)
    with Watch(words, Output()) as watch:
        for stage, line in (
            (Stage.WAITING, "trial 3 of 9, waits for the order to start"),
            (Stage.PAUSED, "trial 3 of 9, paused"),
            (Stage.RUNNING, "trial 3 of 9"),
        ):
            now = session(7.0)
            engine = ProgramSnapshot("running", 1, 0.0, {"done": 2, "stage": stage}, 0, 0, "")
            watch.show(dataclasses.replace(now, programs={**now.programs, "engine": engine}))
            watch._live.refresh()
            rows = [row.rstrip() for row in seen(paper).text.splitlines() if "trial 3" in row]
            assert rows[-1].endswith(line), rows

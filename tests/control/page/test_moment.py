"""What the page says of a session: its banner, counters and programs, and that foreign words stay words."""

import dataclasses
import math

import numpy as np
import pytest

from bci.control.page import markup
from bci.control.page.metrics import metrics_text
from bci.control.page.moment import (
    Banner,
    PageMoment,
    PagePicture,
    Progress,
    Tone,
    banner_of,
    counters_of,
    nodes_of,
    progress_of,
)
from bci.control.snapshot import ProgramSnapshot, SessionSnapshot, SessionState
from bci.memory.alarms import Alarm
from bci.memory.trial_parts import Stage


def program(state: str = "running", heart_age: float = 0.02, **counters: int) -> ProgramSnapshot:
    return ProgramSnapshot(state, 7, heart_age, counters, 0, 0, "")


PROGRAMS = {
    "acquire": program(samples=12_345, lost=2, markers=0),
    "decode": program(lost=1, reconstructions=10, skipped=3, invalid=1, masked=0),
    "display": program(flips=100, dropped=0, neutral=0),
    "engine": program(begun=3, done=2, aborted=1, stage=int(Stage.PAUSED), planned=8),
}
WELL = SessionSnapshot("demo", SessionState.RUNNING, 0.0, 100.0, 12.0, PROGRAMS)
NOTE = Alarm("masked", "2 channels masked", "Two are flat.", "Mend them.", urgent=False)
LOSS = Alarm("no data", "NO DATA 12 s, neutral", "Nothing comes.", "Look at the amplifier.")


@pytest.mark.parametrize(
    ("snapshot", "now", "level", "words"),
    [
        (None, 0.0, Tone.IDLE, "Preparing"),
        (WELL, 100.1, Tone.GOOD, "All is well"),
        (dataclasses.replace(WELL, alarms=(NOTE,)), 100.1, Tone.NOTE, "2 channels masked"),
        (dataclasses.replace(WELL, alarms=(LOSS, NOTE)), 100.1, Tone.URGENT, "NO DATA 12 s"),
        (WELL, 110.0, Tone.URGENT, "supervisor does not answer"),
        (
            dataclasses.replace(WELL, state=SessionState.LATCHED, latched="decode died"),
            100.1,
            Tone.URGENT,
            "Latched safe",
        ),
        (
            dataclasses.replace(WELL, state=SessionState.DONE, ended_by="stopped by the operator"),
            500.0,
            Tone.IDLE,
            "Ended",
        ),
    ],
)
def test_the_banner_has_the_colour_of_the_worst(
    snapshot: SessionSnapshot | None, now: float, level: Tone, words: str
) -> None:
    banner = banner_of(snapshot, now)
    assert banner.level is level
    assert words in banner.title


def test_losses_are_urgent_and_zeros_are_quiet() -> None:
    counters = {one.label: one for one in counters_of(WELL)}
    assert (counters["samples lost"].value, counters["samples lost"].level) == ("3", Tone.URGENT)
    assert counters["windows skipped"].level is Tone.NOTE
    assert counters["flips dropped"].level is Tone.IDLE
    assert counters["samples"].value == "12\u2009345"


def test_a_program_that_is_silent_started_again_or_given_up_says_so() -> None:
    programs = {
        "a": program(),
        "b": program(heart_age=4.0),
        "c": dataclasses.replace(program(), restarts=2),
        "d": dataclasses.replace(program("failed"), failure="no disk"),
        "e": program("loading", math.nan),
    }
    nodes = {one.name: one for one in nodes_of(dataclasses.replace(WELL, programs=programs))}
    assert [node.level for node in nodes.values()] == [
        Tone.GOOD, Tone.URGENT, Tone.NOTE, Tone.URGENT, Tone.IDLE,
    ]  # fmt: skip
    assert "restart 2" in nodes["c"].words
    assert "no disk" in nodes["d"].words


def test_progress_is_the_engines() -> None:
    assert progress_of(WELL) == Progress(2, 1, 8, "paused", Stage.PAUSED)
    without = {name: one for name, one in PROGRAMS.items() if name != "engine"}
    assert progress_of(dataclasses.replace(WELL, programs=without)) is None


def test_every_word_from_outside_is_escaped() -> None:
    bad = '<img src=x onerror="alert(1)">\x1b[2J'
    alarm = Alarm("a", bad, bad, bad)
    moment = PageMoment(bad, 1.0, 2.0, Banner(Tone.NOTE, bad, bad), progress=Progress(1, 0, 2, bad))
    pages = [
        markup.banner(moment),
        markup.alarms([alarm]),
        markup.nodes(nodes_of(dataclasses.replace(WELL, programs={bad: program(bad)}))),
        markup.pictures([PagePicture(bad, np.zeros((4, 4, 3), np.uint8), bad), PagePicture(bad, None, bad)]),
        markup.log([bad]),
    ]
    for page in pages:
        assert "onerror=&quot;" in page
        assert "<img src=x" not in page
        assert "\x1b" not in page


def test_prometheus_gets_the_names_of_the_health_messages() -> None:
    text = metrics_text("s1", WELL).decode()
    assert "# TYPE bci_decode_skipped_total counter" in text
    assert 'bci_decode_skipped_total{node="decode",session="s1"} 3.0' in text
    assert 'bci_session_state{node="session",session="s1"} 2.0' in text
    assert 'bci_engine_planned{node="engine",session="s1"} 8.0' in text
    assert 'bci_page_up{session="s1"} 1.0' in text
    nothing = metrics_text("s1", None).decode()
    assert 'bci_page_up{session="s1"} 0.0' in nothing
    assert "bci_session" not in nothing

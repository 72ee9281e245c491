"""What is wrong is read off the board, in words that say what the participant sees and what to do."""

import math
from collections.abc import Iterator

import pytest

from bci.control.posts import COUNTERS
from bci.memory.alarms import (
    SHOWN_HELD,
    SHOWN_NEUTRAL,
    SHOWN_PICTURES,
    SHOWN_WITHHELD,
    Alarm,
    alarms,
    data_silence,
)
from bci.memory.board import Board, State

LIMIT = 0.5
PROGRAMS = ("acquire", "acquire:emg", "decode", "display", "record", "control")


@pytest.fixture
def board() -> Iterator[Board]:
    """A session in which all is well at second 100."""
    with Board.private({name: COUNTERS[name.partition(":")[0]] for name in PROGRAMS}) as board:
        for name in board.programs:
            row = board.row(name)
            row["state"], row["beat"] = State.RUNNING, 99.98
            if name.startswith("acquire"):
                row["data"], row["data_limit"] = 99.99, LIMIT
        board.row("control")["connected"] = 1
        yield board


def only(board: Board, now: float = 100.0) -> Alarm:
    (alarm,) = alarms(board, now)
    return alarm


def live_on(board: Board, now: float) -> None:
    for name in board.programs:
        board.row(name)["beat"] = now


def test_nothing_is_said_where_nothing_is_wrong(board: Board) -> None:
    assert alarms(board, 100.0) == []


@pytest.mark.parametrize(
    ("sees", "line"), [(SHOWN_NEUTRAL, "NO DATA 12 s, neutral"), (SHOWN_PICTURES, "NO DATA 12 s")]
)
def test_a_source_that_is_silent_is_said_with_what_the_participant_sees(
    board: Board, sees: int, line: str
) -> None:
    board.row("display")["neutral"] = sees
    board.row("acquire:emg")["data"] = 112.0
    live_on(board, 112.0)
    alarm = only(board, 112.0)
    assert (alarm.line, alarm.urgent) == (line, True)
    assert ("neutral picture" in alarm.what) == (sees == SHOWN_NEUTRAL)
    assert "recorded" in alarm.what
    assert "amplifier" in alarm.do
    assert alarm.age == pytest.approx(12.01)


def test_it_is_said_as_soon_as_the_limit_is_over_and_not_before(board: Board) -> None:
    row = board.row("acquire")
    assert data_silence(row, 99.99 + LIMIT) == 0
    assert data_silence(row, 99.99 + LIMIT + 0.01) == pytest.approx(LIMIT + 0.01)


def test_a_stream_that_never_sent_anything_is_silent_from_the_beginning(board: Board) -> None:
    board.row("acquire")["data"] = math.nan
    assert only(board).line == "NO DATA yet"


def test_a_program_of_markers_alone_owes_no_data(board: Board) -> None:
    board.row("acquire")["data_limit"] = math.nan
    live_on(board, 200.0)
    board.row("acquire:emg")["data"] = 200.0
    assert alarms(board, 200.0) == []


def test_the_second_stream_is_called_by_its_name(board: Board) -> None:
    board.row("acquire")["data"] = 112.0
    live_on(board, 112.0)
    assert only(board, 112.0).line == "NO DATA emg 12 s"
    (alarm,) = alarms(board, 112.0, {"acquire:emg": "belt-7"})
    assert alarm.line == "NO DATA belt-7 12 s"
    assert "from belt-7" in alarm.what


def test_a_source_that_is_gone_is_told_from_one_that_is_silent(board: Board) -> None:
    board.row("acquire:emg")["data"] = 112.0
    live_on(board, 112.0)
    assert "still announced" in only(board, 112.0).what
    board.row("acquire")["gone"] = 1
    assert "gone from the network" in only(board, 112.0).what


@pytest.mark.parametrize(
    ("program", "counters", "line", "urgent"),
    [
        ("acquire", {"mistimed": 1}, "TIME OF STREAM WRONG", True),
        ("acquire", {"slices_held_ms": 450, "slices_stated_ms": 9}, "SLICE TIMES WRONG: 450 ms", True),
        ("acquire", {"slices_stated_ms": 450}, "slice times of the first volume differ: 450 ms", False),
        ("acquire", {"first_due_ms": 101_300}, "first volume due in 1.3 s", False),
        ("acquire", {"first_due_ms": 99_400}, "first volume was due 0.6 s ago", False),
        ("acquire", {"first_due_ms": 99_960}, "first volume due now", False),
        ("acquire", {"first_due_ms": 100_040}, "first volume due now", False),
        ("acquire", {"first_due_ms": -1}, "first volume due a TR after the scanner begins", False),
        ("acquire", {"doubles": 1}, "SECOND SOURCE", True),
        ("acquire", {"uncertain": 1}, "MARKERS UNCERTAIN: 1", False),
        ("acquire", {"uncertain": 7}, "MARKERS UNCERTAIN: 7", False),
        ("decode", {"masked": 3}, "3 channels masked", False),
        ("decode", {"masked": 1}, "1 channel masked", False),
        ("decode", {"head": 1, "unmeasured": 2}, "HEAD LOST: moved too far", True),
        ("decode", {"head": 2}, "HEAD LOST: out of the volume", True),
        ("decode", {"unmeasured": 2}, "not read from volumes: 2", False),
        ("display", {"neutral": SHOWN_HELD}, "LATCHED SAFE: held neutral, end the session", True),
        ("display", {"neutral": SHOWN_WITHHELD}, "neutral by command", False),
        ("control", {"connected": 0}, "no broker: commands do not arrive", False),
        ("record", {"refuses_ms": 2300, "waiting": 3_400_000}, "DISK REFUSES 2.3 s", True),
        ("record", {"slow_ms": 1200}, "DISK SLOW 1.2 s", True),
        ("record", {"implausible": 1}, "VALUES NOT PLAUSIBLE: wrong unit?", True),
        ("record", {"left_s": 1799, "free_mb": 80}, "disk full in 29 min 59 s", False),
        ("record", {"left_s": 900, "free_mb": 40}, "disk full in 15 min", False),
        ("record", {"left_s": 200, "free_mb": 4}, "disk full in 3 min 20 s", True),
        ("record", {"lost": 12}, "12 NOT RECORDED", True),
        ("decode", {"state": State.ABSENT, "restarts": 2}, "decode starts again", True),
        ("decode", {"beat": 97.5}, "decode SILENT 2.5 s", True),
        ("decode", {"state": State.FAILED}, "decode HAS FAILED", True),
        ("record", {"state": State.FAILED, "refuses_ms": 900}, "record HAS FAILED, nothing is recorded", True),
    ],
)  # fmt: skip
def test_each_trouble_has_its_line(
    board: Board, program: str, counters: dict[str, float], line: str, urgent: bool
) -> None:
    for name, value in counters.items():
        board.row(program)[name] = value
    alarm = only(board)
    assert (alarm.line, alarm.urgent) == (line, urgent)
    assert alarm.what.endswith(".")
    assert alarm.do.endswith(".")
    assert len(alarm.line) < 60


@pytest.mark.parametrize("counters", [{"left_s": 0}, {"left_s": 1801, "free_mb": 9000}, {"slow_ms": 300}])
def test_a_disk_that_is_well_is_no_alarm(board: Board, counters: dict[str, int]) -> None:
    for name, value in counters.items():
        board.row("record")[name] = value
    assert alarms(board, 100.0) == []

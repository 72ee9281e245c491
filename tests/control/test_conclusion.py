"""A session that lost its source, decoded nothing or recorded nothing never ends as plain done."""

from pathlib import Path
from typing import Any

import pytest

from bci.control.conclusion import EXIT_STATUS, Conclusion, judge
from bci.control.plan import SessionOutcome
from bci.control.silences import Silence, Silences
from bci.control.snapshot import ProgramSnapshot, SessionSnapshot, SessionState
from bci.memory.board import Board, State

NAMES = {"acquire": "amp-1", "acquire:emg": "belt-7"}


def ending(
    *,
    silences: dict[str, Silence] | None = None,
    neutral: int = 0,
    failures: tuple[str, ...] = (),
    restarts: int = 0,
    implausible: int = 0,
    heads_lost: int = 0,
    unheard: int = 0,
    markers_cut: int = 0,
    **asked: Any,
) -> Conclusion:
    def program(**counters: int) -> ProgramSnapshot:
        return ProgramSnapshot("running", 1, 0.0, counters, 0, restarts, "")

    programs = {"display": program(neutral=neutral), "record": program(implausible=implausible)}
    programs["decode"] = program(heads_lost=heads_lost, unheard=unheard)
    snapshot = SessionSnapshot("s", SessionState.DONE, 0.0, 0.0, 9.0, programs, silences=silences or {})
    outcome = SessionOutcome(
        Path(), snapshot, {"acquire:markers": {"markers_cut": markers_cut}}, list(failures), snapshot
    )
    given = {
        "names": NAMES,
        "shown": {"acquire"},
        "decoded": {"d": 5},
        "recorded": 9,
        "came_back_s": 3.0,
    } | asked
    return judge(outcome, **given)


def silent(seconds: float, now: bool, **more: Any) -> Silence:
    return Silence(times=1, seconds=seconds, longest=seconds, now=now, **({"never": False} | more))


def test_a_session_without_trouble_is_done() -> None:
    assert ending() == Conclusion("done", [])
    assert EXIT_STATUS["done"] == 0


def test_values_that_no_brain_gives_are_said_at_the_end() -> None:
    (sentence,) = ending(implausible=1).sentences
    assert "what was read means nothing" in sentence


def test_markers_that_were_cut_are_said_at_the_end() -> None:
    (sentence,) = ending(markers_cut=8).sentences
    assert sentence.startswith("8 markers were too long: only the beginning")
    (sentence,) = ending(markers_cut=1).sentences
    assert sentence.startswith("1 marker was too long")


def test_volumes_with_a_lost_head_are_said_at_the_end() -> None:
    (sentence,) = ending(heads_lost=3).sentences
    assert "The head was lost in 3 volumes" in sentence
    assert "marks.csv" in sentence


def test_volumes_that_heard_no_physiology_are_said_at_the_end() -> None:
    heard, head = ending(heads_lost=1, unheard=2).sentences
    assert "No physiology was heard at 2 volumes: they were used without" in heard
    assert "The head was lost in 1 volume:" in head


def test_a_session_that_ends_without_its_source_ends_in_the_safe_state() -> None:
    found = ending(silences={"acquire": silent(12.3, now=True)}, neutral=1)
    assert (found.status, EXIT_STATUS[found.status]) == ("safe", 3)
    (sentence,) = found.sentences
    assert "No data from amp-1 for 12 s, until the end" in sentence
    assert "neutral picture" in sentence
    assert "recorded" in sentence
    assert "Look at the amplifier" in sentence


def test_a_source_that_came_back_is_a_failure_that_was_mended() -> None:
    found = ending(silences={"acquire": silent(12.3, now=False)})
    assert (found.status, EXIT_STATUS[found.status]) == ("recovered", 4)
    assert "then it came back" in found.sentences[0]
    blink = ending(silences={"acquire": silent(0.7, now=False)})
    assert blink.status == "done"
    assert "for 0.7 s" in blink.sentences[0]


def test_a_second_stream_that_is_gone_is_no_plain_done_either() -> None:
    found = ending(silences={"acquire:emg": silent(5.0, now=True)})
    assert (found.status, EXIT_STATUS[found.status]) == ("lost", 3)
    assert "belt-7" in found.sentences[0]
    assert "participant" not in found.sentences[0]


def test_a_recording_that_has_played_all_it_had_is_no_silence() -> None:
    assert ending(silences={"acquire:emg": silent(5.0, now=True)}, ended={"acquire:emg"}) == Conclusion(
        "done", []
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"decoded": {"d": 0}}, "Nothing was decoded: no window was complete"),
        (
            {"decoded": {"d": 0}, "made": {"d": 94}},
            "windows were complete, and all 94 reconstructions are invalid",
        ),
        ({"decoded": {"d": 4, "arms": 0}}, "Nothing was decoded by arms"),
        ({"recorded": 0}, "Nothing was recorded"),
    ],
)
def test_nothing_decoded_or_recorded_is_said_and_is_no_success(asked: dict[str, Any], words: str) -> None:
    found = ending(**asked)
    assert (found.status, EXIT_STATUS[found.status]) == ("empty", 3)
    assert words in found.sentences[0]


def test_an_outlet_that_sends_nothing_is_lost_and_says_what_to_look_at() -> None:
    found = ending(
        silences={"acquire": silent(6.0, now=True, never=True)}, neutral=1, decoded={"d": 0}, recorded=0
    )
    assert found.status == "safe"
    assert found.sentences[0].startswith(
        "No data from amp-1: the stream was there and sent nothing for 6.0 s."
    )
    assert "Nothing was recorded" in found.sentences[1]


def test_a_program_that_was_given_up_or_started_again_counts_before_and_behind() -> None:
    assert ending(failures=("decode died",)).status == "safe"
    assert ending(failures=("record died",), failed="failed").status == "failed"
    assert ending(restarts=1).status == "recovered"


def test_silences_are_added_up_as_they_come() -> None:
    with Board.private(["acquire"]) as board:
        row = board.row("acquire")
        row["state"], row["data_limit"] = State.RUNNING, 0.5
        silences = Silences(board, ["acquire"], 10.0)
        heard = silences.of["acquire"]
        silences.look(10.4)
        assert (heard.times, heard.now, heard.never) == (0, False, True)
        silences.look(10.8)
        assert (heard.times, heard.seconds, heard.now) == (1, pytest.approx(0.8), True)
        row["data"] = 12.0
        silences.look(12.1)
        assert (heard.now, heard.never) == (False, False)
        for now in (12.6, 13.0, 14.0):
            silences.look(now)
        row["data"] = 14.0
        silences.look(14.1)
        assert (heard.times, heard.longest) == (2, pytest.approx(2.0))
        assert heard.seconds == pytest.approx(0.8 + 2.0)

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.errors import RingError
from bci.memory.board import Board
from bci.signal.types import Shown
from stimuli.display.presenter import Cause, Frame, Presenter
from stimuli.display.settings import DisplaySpec, FeedSpec

FRESH, DATA, HEART = 0.25, 0.5, 1.0


@pytest.fixture
def board():
    with Board.private(["acquire", "decode", "display"]) as board:
        live(board, 100.0)
        yield board


@pytest.fixture
def presenter(board):
    return make(board)


def make(board):
    spec = DisplaySpec(fresh_for=FRESH, data_age_limit=DATA, heartbeat_limit=HEART)
    return Presenter.of(spec, board)


def live(board, now):
    for program in ("acquire", "decode"):
        board.row(program)["beat"] = board.row(program)["data"] = now


def frame(number=0, arrived=100.0, valid=True, reason=""):
    return Frame(number, arrived, valid, reason, taken=arrived)


def test_the_neutral_picture_stands_before_the_first_frame(presenter):
    choice = presenter.choose(100.0, None)
    assert (choice.kind, choice.frame, choice.cause) == (Shown.NEUTRAL, -1, Cause.NO_FRAME)
    assert choice.reason == "before the first frame"


def test_a_fresh_valid_frame_is_shown(presenter):
    choice = presenter.choose(100.0, frame(7))
    assert (choice.kind, choice.frame, choice.cause, choice.reason) == (Shown.FRAME, 7, None, "")


RULES = [
    ("acquire", "beat", 100.0 - HEART, Cause.HEARTBEAT, "no heartbeat of acquire for"),
    ("decode", "beat", 100.0 - HEART, Cause.HEARTBEAT, "no heartbeat of decode for"),
    ("acquire", "data", 100.0 - DATA, Cause.DATA_AGE, "no data from acquire for"),
]


@pytest.mark.parametrize(("program", "column", "limit", "cause", "reason"), RULES)
def test_a_program_is_trusted_up_to_its_limit_and_not_beyond(board, program, column, limit, cause, reason):
    board.row(program)[column] = limit
    assert make(board).choose(100.0, frame()).kind is Shown.FRAME
    board.row(program)[column] = math.nextafter(limit, 0.0)
    choice = make(board).choose(100.0, frame())
    assert (choice.kind, choice.cause) == (Shown.NEUTRAL, cause)
    assert choice.reason.startswith(reason)


@pytest.mark.parametrize(("program", "column", "limit", "cause", "reason"), RULES)
def test_a_program_that_has_never_shown_a_sign_is_not_trusted(board, program, column, limit, cause, reason):
    board.row(program)[column] = math.nan
    choice = make(board).choose(100.0, frame())
    assert (choice.kind, choice.cause) == (Shown.NEUTRAL, cause)
    assert choice.reason.endswith("yet")


def test_the_heart_of_a_program_that_is_not_watched_does_not_matter(board, presenter):
    assert math.isnan(board.row("display")["beat"])
    board.row("decode")["data"] = math.nan
    assert presenter.choose(100.0, frame()).kind is Shown.FRAME


def test_a_frame_is_shown_up_to_its_age_limit_and_not_beyond(board):
    assert make(board).choose(100.0, frame(arrived=100.0 - FRESH)).kind is Shown.FRAME
    choice = make(board).choose(100.0, frame(arrived=99.74))
    assert (choice.kind, choice.cause) == (Shown.NEUTRAL, Cause.FRAME_AGE)
    assert choice.reason == "no fresh frame: the newest is 0.26 s old (limit 0.25 s)"


def test_a_frame_on_the_screen_leaves_it_when_it_grows_old(board, presenter):
    assert presenter.choose(100.0, frame()).kind is Shown.FRAME
    assert presenter.choose(100.25, frame()).kind is Shown.FRAME
    assert presenter.choose(100.26, frame()).cause is Cause.FRAME_AGE


def test_an_invalid_frame_hides_the_valid_one_before_it(presenter):
    presenter.choose(100.0, frame(0))
    choice = presenter.choose(100.01, frame(1, valid=False, reason="all channels flat"))
    assert (choice.kind, choice.cause) == (Shown.NEUTRAL, Cause.INVALID)
    assert choice.reason == "frame 1 is invalid: all channels flat"


def test_before_the_first_frame_gives_way_to_why_those_that_came_are_refused(presenter):
    presenter.choose(100.0, None)
    assert presenter.choose(100.0, frame(0, valid=False, reason="settling")).cause is Cause.NO_FRAME
    refused = presenter.choose(100.0, frame(1, valid=False, reason="unlike what the decoder was trained on"))
    assert refused.reason == "frame 1 is invalid: unlike what the decoder was trained on"
    # From then on neutral keeps its reason: one change of picture, one line of the log.
    assert presenter.choose(100.0, frame(2, valid=False, reason="masked 30 % > 20 %")) is refused


@pytest.mark.parametrize("arrived", [math.nan, 100.5])
def test_a_frame_with_an_impossible_arrival_is_not_shown(presenter, arrived):
    assert presenter.choose(100.0, frame(arrived=arrived)).cause is Cause.FRAME_AGE


def test_the_choice_stays_the_same_object_until_the_picture_changes(presenter):
    first = presenter.choose(100.0, frame(0))
    assert presenter.choose(100.1, frame(0)) is first
    second = presenter.choose(100.1, frame(1))
    assert second is not first
    neutral = presenter.choose(100.2, frame(2, valid=False))
    assert presenter.choose(100.3, frame(2, valid=False)) is neutral


def test_a_frame_that_was_on_the_screen_does_not_come_back_after_neutral(board, presenter):
    presenter.choose(100.0, frame(0))
    board.row("decode")["beat"] = 0.0
    neutral = presenter.choose(100.05, frame(0))
    live(board, 100.1)
    assert presenter.choose(100.1, frame(0)) is neutral
    assert presenter.choose(100.1, frame(1)).frame == 1


def test_a_frame_that_came_while_a_heart_stood_still_is_shown_when_it_beats_again(board, presenter):
    board.row("decode")["beat"] = 0.0
    assert presenter.choose(100.0, frame(3)).cause is Cause.HEARTBEAT
    live(board, 100.1)
    assert presenter.choose(100.1, frame(3)).frame == 3


def test_the_end_of_the_run_is_neutral(presenter):
    presenter.choose(100.0, frame(0))
    assert presenter.end().cause is Cause.END
    assert presenter.end() is presenter.end()


def test_watching_a_program_that_does_not_exist_is_refused(board):
    with pytest.raises(RingError, match="no program 'decoder' on the board"):
        Presenter.of(DisplaySpec(fresh_for=1.0, feeds=(FeedSpec(watch=("decoder",)),)), board)


steps = st.lists(
    st.tuples(
        st.floats(0.0, 0.3),  # how far the clock turns
        st.sampled_from(["nothing", "frame", "invalid frame", "decode beats", "data come"]),
    ),
    max_size=80,
)


@given(steps)
def test_whatever_happens_a_picture_is_shown_only_while_every_rule_holds_and_never_twice(script):
    with Board.private(["acquire", "decode"]) as board:
        board.row("acquire")["beat"] = math.inf
        presenter = make(board)
        now, newest, numbers, before = 10.0, None, [], None
        for turn, event in script:
            now += turn
            if event.endswith("frame"):
                number = 0 if newest is None else newest.number + 1
                newest = frame(number, arrived=now, valid=event == "frame")
            elif event == "decode beats":
                board.row("decode")["beat"] = now
            elif event == "data come":
                board.row("acquire")["data"] = now
            choice = presenter.choose(now, newest)
            allowed = (
                newest is not None
                and newest.valid
                and now - newest.arrived <= FRESH
                and now - board.row("decode")["beat"] <= HEART
                and now - board.row("acquire")["data"] <= DATA
            )
            if choice.kind is Shown.FRAME:
                assert allowed
                assert choice.frame == newest.number
                if choice is not before:
                    numbers.append(choice.frame)
            else:
                assert not allowed or newest.number in numbers
                assert choice.reason
            before = choice
        assert numbers == sorted(set(numbers))


def test_once_ordered_to_hold_neutral_nothing_else_is_shown(presenter):
    assert presenter.choose(100.0, frame(1)).kind is Shown.FRAME
    presenter.hold()
    assert presenter.choose(100.0, frame(2)).cause is Cause.HELD
    assert presenter.choose(100.0, frame(3)).kind is Shown.NEUTRAL


def test_pictures_that_were_withheld_come_back_with_the_next_frame(presenter):
    presenter.choose(100.0, frame(1))
    presenter.withhold(True)
    choice = presenter.choose(100.0, frame(2))
    assert (choice.kind, choice.cause) == (Shown.NEUTRAL, Cause.WITHHELD)
    presenter.withhold(False)
    assert presenter.choose(100.0, frame(1)).kind is Shown.NEUTRAL, "what was doubted once does not come back"
    assert presenter.choose(100.0, frame(3)).frame == 3


def test_the_latch_is_stronger_than_a_release(presenter):
    presenter.hold()
    presenter.withhold(True)
    presenter.withhold(False)
    assert presenter.choose(100.0, frame(2)).cause is Cause.HELD


def test_a_limit_can_be_changed_while_pictures_are_shown(board, presenter):
    assert presenter.choose(100.2, frame(1)).kind is Shown.FRAME
    presenter.limit("fresh_for", 0.1)
    assert presenter.choose(100.2, frame(2)).cause is Cause.FRAME_AGE
    presenter.limit("fresh_for", 0.3)
    assert presenter.choose(100.2, frame(3)).kind is Shown.FRAME
    presenter.limit("heartbeat_limit", 0.15)
    assert presenter.choose(100.2, frame(4)).cause is Cause.HEARTBEAT
    for name, seconds in (
        ("gamma", 1.0),
        ("fresh_for", 0.0),
        ("fresh_for", math.nan),
        ("heartbeat_limit", -1.0),
    ):
        with pytest.raises(ValueError, match=name):
            presenter.limit(name, seconds)

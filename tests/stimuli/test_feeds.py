"""Decoders take turns on one screen: the phase of the experiment says whose pictures are shown and whose rules hold."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stage import LATENT, SHAPE, World

from bci.errors import RingError
from bci.memory.board import Board
from bci.memory.frames import frame_columns, write_frame
from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase
from bci.signal.clock import ManualClock
from bci.signal.types import Reconstruction, Shown
from stimuli.display.frames import FrameReader, Frames
from stimuli.display.presenter import Cause, Frame, Presenter, TrialPart
from stimuli.display.settings import DisplaySpec
from stimuli.protocols import count, open_protocol
from stimuli.trials import Ending, Outcome, Palette

PROGRAMS = ("acquire", "decode", "acquire:emg", "decode:arms", "engine")
WORDS = {
    "protocol": "text", "words": ("left", "right"), "repeats": 1, "order": "sorted", "seed": 0, "size_deg": 1.0,
    "stimulus_s": 0.3, "feedback_s": 0.2, "blank_s": 0.2, "lead_in_s": 0.5, "phases": ("doing", "imagining"),
}  # fmt: skip


@pytest.fixture
def board() -> Iterator[Board]:
    with Board.private(PROGRAMS) as board:
        for name in PROGRAMS:
            board.row(name)["beat"] = board.row(name)["data"] = 10.0
        yield board


def presenter(board: Board) -> Presenter:
    feeds = [
        {"decoder": 0, "hop_seconds": 0.01, "data_age_limit": 0.2},
        {"decoder": 1, "hop_seconds": 0.5, "data_age_limit": 3.0,
         "watch": ("acquire:emg", "decode:arms"), "data_from": ("acquire:emg",)},
    ]  # fmt: skip
    return Presenter.of(DisplaySpec.of({"feeds": feeds, "engine": "engine"}), board)


def feedback(feed: int, trial: int) -> TrialPart:
    return TrialPart(Phase.FEEDBACK, trial, 0, "left", since=9.0, feed=feed)


def frame(number: int, arrived: float = 10.0) -> Frame:
    return Frame(number, arrived, True, "", taken=arrived)


def test_in_each_phase_the_screen_watches_the_decoder_that_feeds_it(board: Board) -> None:
    screen = presenter(board)
    board.row("decode")["beat"] = 8.0
    shown = screen.choose(10.0, frame(4), feedback(0, trial=0))
    assert (shown.kind, shown.cause) == (Shown.NEUTRAL, Cause.HEARTBEAT)
    assert "no heartbeat of decode for 2.00 s" in shown.reason
    # The other decoder does not rest on that one.
    assert screen.choose(10.0, frame(4), feedback(1, trial=1)).kind is Shown.FRAME
    board.row("decode")["beat"], board.row("acquire:emg")["data"] = 10.0, 6.5
    shown = screen.choose(10.0, frame(5), feedback(1, trial=2))
    assert (shown.cause, shown.reason) == (
        Cause.DATA_AGE,
        "no data from acquire:emg for 3.50 s (limit 3.00 s)",
    )


def test_how_old_a_picture_may_be_follows_from_the_hop_of_its_own_decoder(board: Board) -> None:
    screen = presenter(board)
    assert screen.choose(10.0, frame(1, arrived=9.0), feedback(1, trial=0)).kind is Shown.FRAME
    old = screen.choose(10.0, frame(1, arrived=9.0), feedback(0, trial=1))
    assert (old.cause, old.reason) == (
        Cause.FRAME_AGE,
        "no fresh frame: the newest is 1.00 s old (limit 0.25 s)",
    )


def test_frames_are_new_by_the_count_of_their_own_decoder(board: Board) -> None:
    screen = presenter(board)
    assert screen.choose(10.0, frame(900), feedback(0, trial=0)).frame == 900
    assert screen.choose(10.0, frame(3), feedback(1, trial=1)).frame == 3
    between = screen.choose(10.1, frame(900), None)
    assert between.kind is Shown.FIXATION
    # What was shown once does not come back, though another decoder's picture was shown since.
    assert screen.choose(10.1, frame(900), feedback(0, trial=2)).kind is Shown.FIXATION


def write(ring: Ring, value: int) -> None:
    image, latent = np.full((*SHAPE, 3), value, np.uint8), np.full(LATENT, value, np.float32)
    write_frame(ring, Reconstruction(image, latent, 0.5, True, "", 0, 9, 0, {"arrived": 1.0}))


def test_pictures_come_from_the_decoder_that_was_chosen_and_those_before_are_not_counted_as_missed() -> None:
    rings = [Ring.private(frame_columns(*SHAPE, LATENT), 16, 1) for _ in range(2)]
    frames, clock = Frames([FrameReader(ring) for ring in rings]), ManualClock(1.0)
    for value in range(5):
        write(rings[0], value)
        write(rings[1], 100 + value)
        frames.take(clock)
    assert (frames.image[0, 0, 0], frames.taken, frames.superseded) == (4, 5, 0)
    frames.choose(1)
    newest = frames.take(clock)
    assert newest is not None
    assert (newest.number, frames.image[0, 0, 0], frames.latent[0]) == (4, 104, 104)
    write(rings[1], 105)
    write(rings[1], 106)
    frames.take(clock)
    assert (frames.image[0, 0, 0], frames.taken, frames.superseded) == (106, 7, 1)


def test_decoders_of_other_sizes_cannot_take_turns() -> None:
    rings = [Ring.private(frame_columns(*SHAPE, size), 16, 1) for size in (2, 3)]
    with pytest.raises(RingError, match="pictures and latents of one size"):
        Frames([FrameReader(ring) for ring in rings])


def test_a_protocol_runs_once_in_each_phase_and_hears_the_outcomes_of_its_own() -> None:
    protocol = open_protocol(WORDS, Palette(SHAPE, LATENT, LATENT))
    asked, trial = [], next(protocol)
    for number in range(4):
        asked.append((trial.phase, trial.name))
        try:
            trial = protocol.send(Outcome(number, Ending.SHOWN, 1.0))
        except StopIteration:
            break
    assert asked == [(phase, word) for phase in ("doing", "imagining") for word in ("left", "right")]
    assert count(WORDS) == 4
    assert count(WORDS | {"phases": ()}) == 2


@pytest.fixture
def make_world(segment_name: str, tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(**facts: Any) -> World:
        worlds.append(World(segment_name, tmp_path, **facts))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


def two_decoders(make: Callable[..., World]) -> World:
    """Give a world in which the first decoder reads 1 and the second 2 of every trial."""
    return make(
        read=lambda trial, image: ([1.0] * LATENT, 0.1), second=lambda trial, image: ([2.0] * LATENT, 0.2)
    )


def told(folder: Path) -> list[tuple[str, str, str]]:
    rows = []
    for path in sorted(folder.glob("trials*.csv"), key=lambda path: len(path.name)):
        with path.open(newline="", encoding="utf-8") as file:
            rows += [(row["phase"], row["confidence"], row["frames"]) for row in csv.DictReader(file)]
    return rows


def test_a_protocol_is_told_what_the_decoder_of_its_phase_has_read(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = two_decoders(make_world)
    assert world.run(**WORDS, feeds={"doing": 0, "imagining": 1})
    assert world.feeds == [0, 0, 1, 1]
    assert told(tmp_path) == [
        ("doing", "0.1", "1 1"), ("doing", "0.1", "2 2"), ("imagining", "0.2", "3 3"), ("imagining", "0.2", "4 4"),
    ]  # fmt: skip


def test_an_engine_in_the_place_of_another_goes_on_in_the_phase_it_was_in(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = two_decoders(make_world)
    feeds = {"doing": 1, "imagining": 0}
    assert not world.run(**WORDS, feeds=feeds, dies=lambda: len(world.parts) == 3)
    assert world.run(**WORDS, feeds=feeds)
    assert world.feeds == [1, 1, 0, 0]
    assert [(phase, confidence) for phase, confidence, _ in told(tmp_path)][:2] == [("doing", "0.2")] * 2
    assert told(tmp_path)[-1][:2] == ("imagining", "0.1")


def test_a_display_that_no_decoder_feeds_shows_stimuli_while_data_come(board: Board) -> None:
    feed = {"hop_seconds": 0.0, "watch": ("acquire",), "data_from": ("acquire",)}
    screen = Presenter.of(DisplaySpec.of({"feeds": [feed], "engine": "engine"}), board)
    stimulus = TrialPart(Phase.STIMULUS, 0, 3, "cat", since=9.9)
    assert screen.choose(10.0, None, stimulus).kind is Shown.STIMULUS
    assert screen.choose(10.1, None, None).kind is Shown.FIXATION
    board.row("acquire")["data"] = 9.0
    assert screen.choose(10.2, None, stimulus).cause is Cause.DATA_AGE


def test_frames_of_no_decoder_have_the_size_that_the_session_states() -> None:
    frames = Frames([], (12, 8))
    assert (frames.image_shape, frames.latent_size, frames.fed) == ((8, 12), 0, False)
    assert frames.take(ManualClock(1.0)) is None
    assert frames.newest is None
    assert (frames.image.shape, frames.taken, frames.superseded) == ((8, 12, 3), 0, 0)
    with pytest.raises(RingError, match="picture_px does not say"):
        Frames([])

import math

import numpy as np
import pytest

from bci.errors import RingError
from bci.memory.frames import frame_columns, shown_columns
from bci.memory.ring import Column, Ring
from bci.signal.types import FRAME_DTYPE, STAGES, Shown
from stimuli.display.frames import FrameReader, Frames
from stimuli.display.presenter import Cause, Choice
from stimuli.display.rings import Pictures, ShownWriter


def test_there_is_no_frame_before_the_first(stage):
    assert FrameReader(stage.frames).take(stage.clock) is None


def test_the_newest_frame_wins_and_those_it_overtook_are_counted(stage):
    reader = FrameReader(stage.frames)
    stage.clock.advance(5.0)
    for _ in range(4):
        stage.frame(age=0.125)
    taken = reader.take(stage.clock)
    assert (taken.number, taken.arrived, taken.taken, taken.valid) == (3, 4.875, 5.0, True)
    np.testing.assert_array_equal(reader.image, stage.image(3))
    np.testing.assert_array_equal(reader.latent, [3.0, 3.0])
    assert (reader.taken, reader.superseded) == (1, 3)


def test_the_same_frame_is_taken_once(stage):
    reader = FrameReader(stage.frames)
    stage.frame()
    first = reader.take(stage.clock)
    stage.clock.advance(1.0)
    assert reader.take(stage.clock) is first
    assert (reader.taken, reader.superseded) == (1, 0)


def test_every_frame_is_either_taken_or_superseded(stage):
    reader = FrameReader(stage.frames)
    written = 0
    for burst in (1, 1, 5, 20, 1, 3):
        for _ in range(burst):
            stage.frame()
        written += burst
        reader.take(stage.clock)
    assert (reader.taken, reader.superseded) == (6, written - 6)


def test_a_restarted_display_counts_only_the_frames_of_its_own_time(stage):
    for _ in range(3):
        stage.frame()
    reader = FrameReader(stage.frames)
    assert reader.take(stage.clock).number == 2
    assert (reader.taken, reader.superseded) == (1, 0)


def test_the_writer_overtaking_a_read_spoils_neither_the_old_frame_nor_the_new(make_stage, monkeypatch):
    stage = make_stage()
    reader = FrameReader(stage.frames)
    stage.frame()
    reader.take(stage.clock)
    stage.frame()
    honest, races = stage.frames.read_into, []

    def overtaken(first, out):
        if len(races) < limit:
            races.append(first)
            for _ in range(stage.frames.capacity):
                stage.frame()
        return honest(first, out)

    monkeypatch.setattr(stage.frames, "read_into", overtaken)
    limit = 99
    assert reader.take(stage.clock).number == 0
    assert len(races) == 3
    np.testing.assert_array_equal(reader.image, stage.image(0))
    limit = len(races) + 1
    newest = reader.take(stage.clock).number
    assert newest == stage.frames.count - 1 == 1 + 4 * stage.frames.capacity
    np.testing.assert_array_equal(reader.image, stage.image(newest))
    assert (reader.taken, reader.superseded) == (2, newest - 1)


@pytest.mark.parametrize(
    "columns",
    [
        [Column.of("samples", "f4", (8,))],
        [
            Column.of("image", "f4", (4, 6, 3)),
            Column.of("latent", "f4", (2,)),
            Column.of("info", FRAME_DTYPE),
        ],
        [Column.of("image", "u1", (4, 6, 3)), Column.of("latent", "f4", (2,)), Column.of("info", "f8")],
        [Column.of("image", "u1", (4, 6)), Column.of("latent", "f4", (2,)), Column.of("info", FRAME_DTYPE)],
    ],
)
def test_a_ring_that_holds_no_frames_is_refused(columns):
    with pytest.raises(RingError, match="a frame ring has the columns"):
        FrameReader(Ring.private(columns, 4, 1))


def test_a_shown_ring_for_other_pictures_is_refused(stage):
    reader = FrameReader(stage.frames)
    with pytest.raises(RingError, match="the shown ring needs"):
        ShownWriter(Ring.private(shown_columns(8, 8, 2), 4, 1), Pictures(Frames([reader])), 128)
    with pytest.raises(RingError, match="the shown ring needs"):
        ShownWriter(Ring.private(frame_columns(4, 6, 2), 4, 1), Pictures(Frames([reader])), 128)


def test_a_shown_frame_is_recorded_with_its_pixels_latent_and_every_stamp(stage):
    reader = FrameReader(stage.frames)
    writer = ShownWriter(stage.shown, Pictures(Frames([reader])), 128)
    stage.clock.advance(2.0)
    number = stage.frame(age=0.5, confidence=0.25)
    stage.clock.advance(0.25)
    reader.take(stage.clock)
    writer.write(Choice(Shown.FRAME, number), 2.5)
    shown = stage.changes()
    record = shown["shown"][0]
    assert (record["kind"], record["frame"], record["flip"], record["reason"]) == (Shown.FRAME, 0, 2.5, b"")
    stamps = dict(zip(STAGES, record["info"]["stamps"].tolist(), strict=True))
    assert math.isnan(stamps.pop("published"))
    assert stamps == {
        "data": 1.5, "arrived": 1.5, "cut": 1.5, "decoded": 2.0, "taken": 2.25, "flipped": 2.5
    }  # fmt: skip
    assert (record["info"]["last_sample"], record["info"]["confidence"]) == (9, 0.25)
    np.testing.assert_array_equal(shown["image"][0], stage.image(0))
    np.testing.assert_array_equal(shown["latent"][0], [0.0, 0.0])
    assert math.isnan(stage.frames.read(0, 1)["info"]["stamps"][0, -1]), (
        "the frame ring belongs to the decoder"
    )


def test_the_neutral_picture_is_recorded_as_grey_without_a_frame(stage):
    writer = ShownWriter(stage.shown, Pictures(Frames([FrameReader(stage.frames)])), 90)
    writer.write(Choice(Shown.NEUTRAL, -1, Cause.INVALID, "µ" * 60), 2.5)
    shown = stage.changes()
    record = shown["shown"][0]
    assert (record["kind"], record["frame"], record["flip"]) == (Shown.NEUTRAL, -1, 2.5)
    assert record["reason"].decode() == "µ" * 48
    assert np.isnan(record["info"]["stamps"][:-1]).all()
    assert record["info"]["stamps"][-1] == 2.5
    assert (shown["image"] == 90).all()
    assert np.isnan(shown["latent"]).all()

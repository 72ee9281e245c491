import json
import logging
import math

import numpy as np
import pytest
from PIL import Image

from bci.errors import ConfigError, DisplayError
from bci.memory.alarms import SHOWN_HELD, SHOWN_NEUTRAL, SHOWN_PICTURES, SHOWN_WITHHELD
from bci.memory.board import State
from bci.memory.orders import HOLD, NEUTRAL, RELEASE, SET, Order
from bci.signal.types import STAGES, Shown
from stimuli.display import headless
from stimuli.display.canvas import Canvas
from stimuli.display.contact_sheet import TILE
from stimuli.display.settings import DisplaySpec

#: The stage's display flips every 0.02 s from 0.02 on.
HZ = 50.0


def shown(stage):
    """Return what was on the screen as (flip, frame or reason), flips to the microsecond."""
    records = stage.changes()["shown"]
    return [
        (round(float(r["flip"]), 6), int(r["frame"]) if r["kind"] == Shown.FRAME else r["reason"].decode())
        for r in records
    ]


def test_each_frame_is_on_the_screen_at_the_next_flip(stage):
    stage.frames_at(0.105, 0.205, 0.305)
    stage.play(headless.main, 0.4)
    assert shown(stage) == [
        (0.02, "before the first frame"),
        (0.12, 0),
        (0.22, 1),
        (0.32, 2),
        (0.42, "the run is over"),
    ]


def test_the_display_says_what_it_did(stage):
    stage.frames_at(0.105, 0.205, 0.305)
    facts = stage.play(headless.main, 0.4)
    assert (facts["driver"], facts["size_px"], facts["closed"]) == ("headless", (160, 120), False)
    assert facts["refresh_hz"] == pytest.approx(HZ)
    assert (facts["flips"], facts["dropped_flips"]) == (21, 0)
    assert (facts["shown_frames"], facts["superseded"], facts["withheld"]) == (3, 0, 0)
    assert facts["neutral_seconds"] == pytest.approx(0.10)
    assert facts["neutral_causes"] == {"no frame": 1, "end": 1}
    assert facts["flip_interval_ms"]["p50"] == pytest.approx(20.0, abs=0.05)
    json.dumps(facts, allow_nan=False)
    row = stage.board.row("display")
    assert (row["flips"], row["dropped"], row["state"]) == (21, 0, State.RUNNING)
    assert 0.38 <= row["beat"] <= 0.42


def test_frames_overtaken_between_two_flips_are_counted_and_not_shown(stage):
    stage.frames_at(0.105, 0.110, 0.115, 0.205)
    facts = stage.play(headless.main, 0.3)
    assert [what for _, what in shown(stage)] == ["before the first frame", 2, 3, "the run is over"]
    assert (facts["shown_frames"], facts["superseded"], facts["withheld"]) == (2, 2, 0)


def test_every_frame_ends_as_shown_superseded_or_withheld(stage):
    random = np.random.default_rng(4)
    times = np.sort(random.uniform(0.05, 2.9, 200))
    for time in times:
        stage.frames_at(time, valid=bool(random.random() < 0.8), age=float(random.choice([0.0, 0.3])))
    facts = stage.play(headless.main, 3.0)
    assert min(facts[key] for key in ("shown_frames", "superseded", "withheld")) > 0
    assert facts["shown_frames"] + facts["superseded"] + facts["withheld"] == 200
    numbers = [what for _, what in shown(stage) if isinstance(what, int)]
    assert len(numbers) == facts["shown_frames"]
    assert numbers == sorted(set(numbers))


def test_what_is_recorded_as_shown_is_the_frame_of_that_number(stage):
    stage.frames_at(*np.arange(0.1, 1.0, 0.013))
    stage.play(headless.main, 1.0)
    columns = stage.changes()
    frames = columns["shown"]["kind"] == Shown.FRAME
    assert frames.sum() > 30
    for record, image, latent in zip(
        columns["shown"][frames], columns["image"][frames], columns["latent"][frames], strict=True
    ):
        np.testing.assert_array_equal(image, stage.image(int(record["frame"])))
        assert (latent == record["frame"]).all()
        stamps = dict(zip(STAGES, record["info"]["stamps"], strict=True))
        assert stamps["decoded"] <= stamps["taken"] <= stamps["flipped"] == record["flip"]


def test_the_screen_is_neutral_from_the_flip_after_a_rule_broke_to_the_next_good_frame(stage):
    stage.frames_at(*np.arange(0.105, 2.0, 0.1))
    stage.clock.at(0.51, lambda: stage.alive("decode", until=0.51 - 0.5))
    stage.clock.at(0.72, lambda: stage.alive("decode"))
    stage.clock.at(1.21, lambda: stage.alive("acquire", until=1.21 - 0.5))
    stage.clock.at(1.32, lambda: stage.alive("acquire"))
    stage.clock.at(1.51, lambda: stage.frame(valid=False, reason="saturated"))
    facts = stage.play(headless.main, 2.0)
    assert [(flip, what) for flip, what in shown(stage) if isinstance(what, str)] == [
        (0.02, "before the first frame"),
        (0.52, "no heartbeat of decode for 0.51 s (limit 0.50 s)"),
        (1.22, "no heartbeat of acquire for 0.51 s (limit 0.50 s)"),
        (1.52, "frame 15 is invalid: saturated"),
        (2.02, "the run is over"),
    ]
    assert facts["neutral_causes"] == {"no frame": 1, "heartbeat": 2, "invalid frame": 1, "end": 1}
    # 0.02 to 0.12, 0.52 to 0.72 (the frame of 0.705 waits for the heart), 1.22 to 1.32, 1.52 to 1.62.
    assert facts["neutral_seconds"] == pytest.approx(0.1 + 0.2 + 0.1 + 0.1)


def test_stalled_data_and_a_silent_decoder_are_told_apart(stage):
    stage.frames_at(0.11)
    stage.play(headless.main, 0.6, fresh_for=0.2, data_age_limit=10.0)
    assert shown(stage)[2] == (0.32, "no fresh frame: the newest is 0.21 s old (limit 0.20 s)")
    stage.board.row("acquire")["data"] = 0.61
    count = stage.shown.count
    stage.frames_at(0.705, 0.905)
    stage.play(headless.main, 1.2, fresh_for=10.0, data_age_limit=0.4)
    assert shown(stage)[count:] == [
        (0.64, 0),
        (0.72, 1),
        (0.92, 2),
        (1.02, "no data from acquire for 0.41 s (limit 0.40 s)"),
    ]


def test_going_to_neutral_and_leaving_it_is_logged_once_each(stage, caplog):
    caplog.set_level(logging.INFO, logger="bci.display")
    stage.frames_at(0.105, 0.605)
    stage.play(headless.main, 0.7)
    assert [record.getMessage() for record in caplog.records] == [
        "neutral picture: before the first frame",
        "frame 0 ends 0.10 s of neutral picture",
        "neutral picture: no fresh frame: the newest is 0.26 s old (limit 0.25 s)",
        "frame 1 ends 0.26 s of neutral picture",
        "neutral picture: the run is over",
    ]


def test_refreshes_that_pass_while_the_machine_is_away_are_dropped_flips(stage):
    stage.clock.at(0.505, lambda: stage.clock.advance(0.131))
    stage.clock.at(1.013, lambda: stage.clock.advance(0.061))
    facts = stage.play(headless.main, 2.0)
    # Flips at 0.50 and 0.64, then at 1.00 and 1.08: six and three refreshes were missed.
    assert (facts["dropped_flips"], facts["late_intervals"]) == (9, 2)
    assert stage.board.row("display")["dropped"] == 9
    assert facts["flips"] + facts["dropped_flips"] == 101
    assert facts["refresh_hz"] == pytest.approx(HZ)


def test_the_supervisor_closing_its_pipe_stops_the_display(stage):
    stage.clock.at(0.305, stage.pipe.close)
    stage.clock.at(3600.0, lambda: pytest.fail("the display did not notice"))
    headless.main(stage.program())
    assert 16 <= stage.board.row("display")["flips"] <= 18


def test_the_png_of_a_change_is_the_whole_screen_pixel_for_pixel(stage):
    stage.frames_at(0.105, 0.205, 0.305)
    spec = {"photodiode": True, "photodiode_deg": 1.0, "photodiode_corner": "top-right"}
    facts = stage.play(headless.main, 0.4, **spec, max_png=4)
    folder = stage.folder / "frames"
    assert sorted(path.name for path in folder.iterdir()) == [f"{n:06d}.png" for n in range(4)]
    assert facts["frames_png"] == 4
    settings = DisplaySpec.of(dict(stage.program(**spec).spec))
    canvas = Canvas(settings, (160, 120), 160 / settings.screen_width_cm, stage.shape)
    for number in range(4):
        canvas.draw(stage.image(number - 1) if number else None, white=number % 2 == 0)
        pixels = np.asarray(Image.open(folder / f"{number:06d}.png"))
        np.testing.assert_array_equal(pixels, canvas.pixels)


def test_without_fixation_the_picture_on_the_png_is_the_frame_enlarged(stage):
    stage.frames_at(0.105)
    # 12 degrees are 36 of the screen's 160 pixels here: six for each of the frame's.
    stage.play(headless.main, 0.2, image_deg=11.8, fixation=False, contact_sheet=0)
    pixels = np.asarray(Image.open(stage.folder / "frames" / "000001.png"))
    picture = stage.image(0).repeat(6, axis=0).repeat(6, axis=1)
    np.testing.assert_array_equal(pixels[48:72, 62:98], picture)
    around = np.ones(pixels.shape[:2], bool)
    around[48:72, 62:98] = False
    assert (pixels[around] == 128).all()


def test_the_contact_sheet_shows_the_run_evenly_in_time(make_stage):
    stage = make_stage(shape=(64, 64), latent=1)
    stage.image = lambda number: np.full((64, 64, 3), number, np.uint8)
    stage.frames_at(*np.arange(1.05, 10.0, 0.1))
    facts = stage.play(headless.main, 11.0, contact_sheet=12, background=255, fixation=False)
    assert facts["contact_sheet"] == str(stage.folder / "contact_sheet.png")
    sheet = np.asarray(Image.open(facts["contact_sheet"]))
    middles = [
        int(sheet[92 + row * (TILE + 94) + TILE // 2, 28 + column * (TILE + 16) + TILE // 2, 0])
        for row in range(3)
        for column in range(4)
    ]
    assert sheet.shape[:2] == (92 + 3 * (TILE + 94) + 12, 2 * 28 + 4 * (TILE + 16) - 16)
    assert middles[:2] == [255, 255] == middles[-1:] * 2, "it begins and ends with the neutral picture"
    steps = np.diff(middles[2:-1])
    # One tile a second, ten frames, and looks 0.32 s apart to choose from.
    assert ((steps >= 8) & (steps <= 13)).all(), middles


def test_nothing_is_written_that_was_not_asked_for(stage):
    stage.frames_at(0.105)
    facts = stage.play(headless.main, 0.2, max_png=0, contact_sheet=0)
    assert list(stage.folder.iterdir()) == []
    assert "contact_sheet" not in facts


def test_a_display_told_nonsense_says_so_before_it_is_ready(stage):
    with pytest.raises(ConfigError, match="refresh_rate"):
        headless.main(stage.program(refresh_rate=60))
    with pytest.raises(DisplayError, match="Choose a smaller image_deg"):
        headless.main(stage.program(image_deg=100.0))
    assert not stage.pipe.poll()
    assert math.isnan(stage.board.row("display")["beat"])


def test_what_the_participant_sees_is_on_the_board_also_when_neutral_is_held_that_stood_already(stage):
    """A session that latches while the source is gone changes no picture, and the operator must know it."""
    seen = {}
    row = stage.board.row("display")
    stage.frames_at(0.105)
    for at in (0.05, 0.2, 0.6, 0.9):
        stage.clock.at(at, lambda at=at: seen.update({at: row["neutral"]}))
    stage.clock.at(0.7, lambda: stage.pipe.send(Order(HOLD)))
    stage.play(headless.main, 1.0)
    assert seen == {0.05: SHOWN_NEUTRAL, 0.2: SHOWN_PICTURES, 0.6: SHOWN_NEUTRAL, 0.9: SHOWN_HELD}


def test_the_neutral_picture_by_order_until_it_is_released_and_limits_by_order(stage):
    row, seen = stage.board.row("display"), {}
    stage.frames_at(0.1, 0.2, 0.3, 0.4, 0.5)
    for at, order in (
        (0.22, Order(NEUTRAL)),
        (0.42, Order(RELEASE)),
        (0.61, Order(SET, {"name": "gain", "value": 1})),
    ):
        stage.clock.at(at, lambda order=order: stage.pipe.send(order))
    for at in (0.21, 0.35, 0.55):
        stage.clock.at(at, lambda at=at: seen.update({at: row["neutral"]}))
    stage.play(headless.main, 0.7)
    assert seen == {0.21: SHOWN_PICTURES, 0.35: SHOWN_WITHHELD, 0.55: SHOWN_PICTURES}
    words = [what for _, what in shown(stage)]
    assert words == ["before the first frame", 0, 1, "the operator has asked for it", 3, 4, "the run is over"]
    assert row["refused"] == 1, "there is no limit of that name"

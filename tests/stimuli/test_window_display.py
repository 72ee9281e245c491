import logging
import math

import numpy as np
import pygame
import pytest

from bci.errors import DisplayError
from bci.memory.trial_parts import create_responses
from bci.signal.types import event_of
from stimuli.display import headless, window
from stimuli.display.canvas import Canvas
from stimuli.display.monitors import Monitor
from stimuli.display.settings import DisplaySpec
from stimuli.operator.pair_sheet import sheet_size
from stimuli.operator.placing import side_by_side

# SDL's dummy driver, chosen in tests/conftest.py: a real surface and real flips, without a screen.


def on_screen():
    """Return the pixels (height, width, 3) of the window as they were last flipped."""
    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


def look_at(stage, *times):
    """Enter looks at the window into the script; return where their pixels will be."""
    looks = []
    for time in times:
        stage.clock.at(time, lambda: looks.append(on_screen()))
    return looks


@pytest.fixture(autouse=True)
def closed_afterwards():
    yield
    assert not pygame.display.get_init(), "the window program closes its window"


def test_the_pixels_flipped_are_those_of_the_frame(stage):
    stage.frames_at(0.105, 0.205)
    # The dummy monitor is 1024 pixels wide, here 5 to a centimetre: a frame's pixel is six of the window's.
    looks = look_at(stage, 0.11, 0.15, 0.25, 0.55)
    size = {"screen_width_cm": 204.8, "image_deg": 7.22, "fixation": False, "background": 50}
    stage.play(window.main, 0.6, **size)
    assert [look.shape for look in looks] == [(120, 160, 3)] * 4
    for look, number in zip(looks[1:3], (0, 1), strict=True):
        picture = stage.image(number).repeat(6, axis=0).repeat(6, axis=1)
        np.testing.assert_array_equal(look[48:72, 62:98], picture)
        look[48:72, 62:98] = 50
        assert (look == 50).all()
    assert (looks[0] == 50).all()
    assert (looks[3] == 50).all()


def test_fixation_patch_and_gamma_reach_the_window(stage):
    stage.frames_at(0.105, 0.205)
    looks = look_at(stage, 0.05, 0.15, 0.25, 0.55)
    spec = {"photodiode": True, "gamma": 2.2, "screen_width_cm": 204.8}
    stage.play(window.main, 0.6, **spec)
    settings = DisplaySpec.of(dict(stage.program(**spec).spec))
    canvas = Canvas(settings, (160, 120), 5.0, stage.shape)
    for k, (look, image) in enumerate(zip(looks, (None, stage.image(0), stage.image(1), None), strict=True)):
        canvas.draw(image, white=k % 2 == 0)
        np.testing.assert_array_equal(look, canvas.pixels)


def test_the_window_and_its_headless_twin_show_the_same_at_the_same_time(make_stage):
    random = np.random.default_rng(7)
    times = np.sort(random.uniform(0.05, 2.9, 60))
    valid = random.random(60) < 0.9
    records, facts = [], []
    for main in (headless.main, window.main):
        stage = make_stage()
        for time, good in zip(times, valid, strict=True):
            stage.frames_at(time, valid=bool(good))
        stage.clock.at(1.2, lambda stage=stage: stage.alive("decode", until=0.75))
        stage.clock.at(1.7, lambda stage=stage: stage.alive("decode"))
        stage.clock.at(2.013, lambda stage=stage: stage.clock.advance(0.1))
        facts.append(stage.play(main, 3.0, screen_width_cm=100.0, contact_sheet=0, max_png=0))
        records.append(stage.changes())
    assert len(records[0]["shown"]) > 30
    for name, column in records[0].items():
        assert column.tobytes() == records[1][name].tobytes(), name
    for key in ("flips", "dropped_flips", "shown_frames", "superseded", "withheld", "neutral_seconds"):
        assert facts[0][key] == facts[1][key], key


def test_a_driver_that_does_not_wait_is_paced_by_the_clock_and_said_to_be(stage, caplog):
    facts = stage.play(window.main, 1.0, refresh_hz=40.0)
    assert (facts["driver"], facts["flips"], facts["dropped_flips"]) == ("dummy", 41, 0)
    assert facts["refresh_hz"] == pytest.approx(40.0)
    assert "the driver dummy does not wait for a screen" in caplog.text


@pytest.mark.parametrize(
    "event", [pygame.event.Event(pygame.QUIT), pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE)]
)
def test_closing_the_window_ends_the_program_and_tells_the_supervisor(stage, event):
    stage.clock.at(0.5, lambda: pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE)))
    stage.clock.at(0.7, lambda: pygame.event.post(event))
    facts = stage.play(window.main, 100.0)
    assert facts["closed"] is True
    assert stage.clock.now() == pytest.approx(0.72, abs=0.021)


def test_keys_that_mean_something_are_written_down_with_their_time(stage, segment_name):
    def press(key: int) -> None:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))

    for time, key in (
        (0.5, pygame.K_SPACE),
        (0.6, pygame.K_x),
        (0.7, pygame.K_KP1),
        (0.8, pygame.K_KP_ENTER),
    ):
        stage.clock.at(time, lambda key=key: press(key))
    with create_responses(segment_name + "k") as responses:
        stage.responses = responses
        stage.play(window.main, 1.0, keys=("space", "1", "return"))
        events = [event_of(record) for record in responses.read(0, responses.count)["event"]]
    assert [event.text for event in events] == ["key space", "key 1", "key return"]
    assert [event.time for event in events] == pytest.approx([0.5, 0.7, 0.8], abs=0.021)


def test_where_there_is_no_screen_the_error_says_what_to_do(stage, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonsense")
    with pytest.raises(DisplayError, match=r"no screen could be opened.*--headless"):
        window.main(stage.program())


def test_an_unknown_monitor_closes_the_display_again(stage):
    with pytest.raises(DisplayError, match=r"no monitor is called 'VPixx'; there are: 0 .*\(1024 × 768"):
        window.main(stage.program(monitor="VPixx"))


def test_full_screen_is_the_size_of_the_monitor(stage):
    facts = stage.play(window.main, 0.2, full_screen=True)
    assert facts["size_px"] == (1024, 768)


def test_the_participant_s_window_leaves_room_for_the_operator_s(stage, monkeypatch):
    places = []
    monkeypatch.setattr(pygame.display, "set_window_position", places.append)
    desk = Monitor(0, "desk", (1920, 1080), 60, (1920, 0))
    monkeypatch.setattr(window, "monitors", lambda: (desk, Monitor(1, "lab", (1920, 1080), 60)))
    beside = {"kind": "window", "monitor": 0, "pairs": 24}
    screen = {"screen_width_cm": 204.8}
    stage.play(window.main, 0.2, operator=beside, **screen)
    assert places == [side_by_side(desk, (160, 120), sheet_size(24))[0]]
    places.clear()
    # On another monitor, as a file alone, on one that is not there: nothing to leave room for.
    for other in ({"monitor": 1}, {"monitor": None}, {"kind": "file"}, {"monitor": "none"}):
        stage.play(window.main, stage.clock.now() + 0.2, operator=beside | other, **screen)
    stage.play(window.main, stage.clock.now() + 0.2, **screen)
    assert places == []


class Monitor75:
    """A driver that waits for the next refresh of a monitor at 75 Hz, in the session clock's time."""

    def __init__(self, clock, monkeypatch):
        self.clock, self.flips, self.cost = clock, [], 0.0
        monkeypatch.setattr(pygame.display, "get_driver", lambda: "x11")
        monkeypatch.setattr(pygame.display, "is_vsync", lambda: True)
        monkeypatch.setattr(pygame.display, "flip", self.flip)

    def flip(self):
        self.clock.sleep_until(self.clock.now() + self.cost)
        refresh = math.floor(self.clock.now() * 75.0 + 1e-6) + 1
        self.clock.sleep_until(refresh / 75.0)
        self.flips.append(refresh)


@pytest.fixture
def monitor(stage, monkeypatch):
    stage.clock.at(1e6, lambda: None)
    return Monitor75(stage.clock, monkeypatch)


def test_the_refresh_rate_is_measured_and_an_unexpected_one_is_logged(stage, monitor, caplog):
    caplog.set_level(logging.INFO)
    facts = stage.play(window.main, 3.0, refresh_hz=60.0)
    assert facts["refresh_hz"] == pytest.approx(75.0)
    assert (facts["driver"], facts["dropped_flips"]) == ("x11", 0)
    assert "the monitor refreshes at 75.00 Hz, 60 Hz were expected" in caplog.text
    assert monitor.flips == list(range(1, len(monitor.flips) + 1)), "it flips at every refresh"
    assert facts["flips"] == len(monitor.flips) - window.MEASURED_FLIPS - 1 - window.TRIED_FLIPS - 1


def test_a_frame_that_comes_before_the_picture_is_drawn_is_shown_at_the_very_next_flip(stage, monitor):
    # Drawing begins 5 ms before a refresh: 150 is due at 2.000 s, 160 at 2.1333 s.
    stage.frames_at(1.994, 2.1325)
    stage.play(window.main, 3.0, draw_ahead_ms=5.0)
    records = stage.changes()["shown"]
    assert [round(float(r["flip"]) * 75) for r in records[1:3]] == [150, 161]
    for record, refresh in zip(records[1:3], (150, 161), strict=True):
        assert record["info"]["stamps"][-2] == pytest.approx(refresh / 75 - 0.005)


def test_frames_that_come_while_the_rate_is_measured_do_not_count_as_superseded(stage, monitor):
    stage.frames_at(0.2, 0.3, 0.4, 1.994)
    facts = stage.play(window.main, 3.0)
    assert (facts["shown_frames"], facts["superseded"]) == (1, 0)
    assert facts["withheld"] == 1


@pytest.mark.parametrize(("cost", "drawn"), [(0.004, 0.005), (0.008, 0.010), (0.012, 1 / 75)])
def test_a_swap_that_takes_longer_than_was_allowed_for_is_begun_earlier(stage, monitor, caplog, cost, drawn):
    monitor.cost = cost
    stage.frames_at(2.9)
    facts = stage.play(window.main, 4.0, refresh_hz=75.0)
    assert facts["dropped_flips"] == 0
    stamps = stage.changes()["shown"][1]["info"]["stamps"]
    assert stamps[-1] - stamps[-2] == pytest.approx(drawn)
    assert ("comes too late here" in caplog.text) == (drawn > 0.005)


def test_an_order_to_stop_is_obeyed_while_the_rate_is_measured(stage, monitor):
    facts = stage.play(window.main, 0.3)
    assert facts["shown_frames"] == 0
    assert stage.clock.now() < 0.4


def test_a_driver_that_was_refused_to_wait_is_paced_however_slow_it_is(stage, monitor, monkeypatch, caplog):
    monkeypatch.setattr(pygame.display, "is_vsync", lambda: False)
    facts = stage.play(window.main, 2.0, refresh_hz=25.0)
    assert facts["refresh_hz"] == pytest.approx(25.0)
    assert "the driver x11 does not wait for a screen" in caplog.text

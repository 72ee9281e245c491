"""Text stimuli: words are drawn sharp on the screen at their size in degrees, and recorded as far as pictures reach."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bci.config.display import DisplaySettings
from bci.io.lettering import lettering
from stimuli.display import headless
from stimuli.display.canvas import Canvas
from stimuli.engine import ask
from stimuli.trials import Text, Trial

#: At this distance and 10 pixels a centimetre, a degree at the line of sight is 9.95 pixels.
DISTANCE, DENSITY = 57.0, 10.0
SIZE = (320, 200)


def canvas(shape: tuple[int, int] = (16, 16), **settings: Any) -> Canvas:
    chosen = {"viewing_distance_cm": DISTANCE, "image_deg": 8.0, "fixation": False} | settings
    return Canvas(DisplaySettings(**chosen), SIZE, DENSITY, shape)


def ink(board: Canvas) -> NDArray[np.intp]:
    """Return the first and last row and column that are not background: (4,)."""
    rows, columns = np.nonzero((board.pixels != board.pixels[0, 0]).any(axis=2))
    return np.array([rows.min(), rows.max(), columns.min(), columns.max()])


def test_lines_are_as_far_apart_as_their_size_says() -> None:
    board = canvas()
    for degrees in (2.0, 4.0):
        line_px = 2 * DISTANCE * math.tan(math.radians(degrees / 2)) * DENSITY
        board.draw(None, white=False, text=Text("H", degrees))
        one = ink(board)
        board.draw(None, white=False, text=Text("H\nH", degrees))
        two = ink(board)
        assert (two[1] - two[0]) - (one[1] - one[0]) == pytest.approx(line_px, abs=1)
        # Capital letters of this font are 0.73 of its size, a line is 1.164 of it.
        assert one[1] - one[0] + 1 == pytest.approx(line_px * 0.729 / 1.164, abs=1.5)


def test_a_text_stands_in_the_middle_in_black_on_a_light_screen_and_in_white_on_a_dark_one() -> None:
    for background, darkest in ((128, 0), (60, 255)):
        board = canvas(background=background)
        board.draw(None, white=False, text=Text("HOH", 3.0))
        top, bottom, left, right = ink(board)
        assert abs((top + bottom) / 2 - (SIZE[1] - 1) / 2) <= 1
        assert abs((left + right) / 2 - (SIZE[0] - 1) / 2) <= 1
        assert darkest in board.pixels


def test_a_text_leaves_no_trace_behind_it_and_covers_no_fixation_target() -> None:
    board = canvas(fixation=True, photodiode=True)
    clean = board.pixels.copy()
    board.draw(None, white=False, text=Text("wide as a screen", 3.0))
    wide = board.changed
    words = board.pixels.copy()
    board.draw(None, white=False)
    np.testing.assert_array_equal(board.pixels, clean)
    # A window that copies only what has changed copies all of it, coming and going.
    assert set(wide) <= set(board.changed)
    touched = np.zeros(board.pixels.shape[:2], bool)
    for area in board.changed:
        area.of(touched)[:] = True
    assert not (words != clean).any(axis=2)[~touched].any()
    plain = canvas(fixation=False, photodiode=True)
    plain.draw(None, white=False, text=Text("wide as a screen", 3.0))
    np.testing.assert_array_equal(plain.pixels, words)


def test_a_text_too_large_for_the_screen_is_made_smaller_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    board = canvas()
    board.draw(None, white=False, text=Text("much too wide for any screen of this size", 6.0))
    _, _, left, right = ink(board)
    assert 0.9 * SIZE[0] < right - left + 1 <= SIZE[0]
    assert "does not fit" in caplog.text


def test_what_is_recorded_of_a_text_is_what_stands_in_the_pictures_place() -> None:
    board = canvas(shape=(80, 80))
    text = Text("left hand", 2.0)
    recorded = board.prepare(text)
    board.draw(None, white=False, text=text)
    area = board.image_area
    assert (area.height, area.width) == (80, 80), "one pixel of the screen is one of the picture's here"
    np.testing.assert_array_equal(recorded, area.of(board.pixels))


@pytest.mark.parametrize("words", ["", "  \n", "x" * 481])
def test_text_that_cannot_be_shown_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="1 to 480 bytes"):
        Text(words)
    assert lettering(" ", 20.0).tolist() == [[0]]


def test_a_text_that_is_asked_for_is_on_the_screen_and_in_the_recording(stage: Any, tmp_path: Path) -> None:
    trials = [Trial(n, words, Text(words, 1.0), 0.2) for n, words in enumerate(("left", "right"))]
    stage.clock.at(0.05, lambda: ask(stage.stimuli, 0, trials[0], 0.2))
    stage.clock.at(0.06, lambda: ask(stage.stimuli, 1, trials[1], 0.6))
    stage.play(headless.main, 1.0, engine="engine", max_png=8)
    changes = stage.changes()
    shown = [bytes(record["reason"]).decode() for record in changes["shown"]]
    assert shown[:4] == ["between trials", "left", "between trials", "right"]
    left, right = changes["image"][1], changes["image"][3]
    assert (left != right).any()
    assert (changes["image"][2] == 128).all()
    screens = [np.asarray(Image.open(tmp_path / "frames" / f"{n:06d}.png")) for n in range(4)]
    board = Canvas(DisplaySettings(image_deg=6.0, size_px=(160, 120)), (160, 120), 160 / 53.0, stage.shape)
    for number, trial in ((1, trials[0]), (3, trials[1])):
        assert isinstance(trial.stimulus, Text)
        board.draw(None, white=False, text=trial.stimulus)
        np.testing.assert_array_equal(screens[number], board.pixels)
        np.testing.assert_array_equal(changes["image"][number], board.prepare(trial.stimulus))

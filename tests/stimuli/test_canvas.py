import math

import numpy as np
import pytest

from bci.config.display import DisplaySettings
from bci.errors import DisplayError
from stimuli.display.canvas import Canvas, gamma_table, nearest
from stimuli.display.visual_angle import pixels

#: At this distance and 10 pixels a centimetre, `EIGHT` degrees are 80 pixels.
DISTANCE, DENSITY = 57.0, 10.0
EIGHT = math.degrees(2 * math.atan(4.0 / DISTANCE))


def canvas(shape=(8, 8), size=(200, 120), **settings):
    chosen = {"viewing_distance_cm": DISTANCE, "image_deg": EIGHT, "fixation": False} | settings
    return Canvas(DisplaySettings(**chosen), size, DENSITY, shape)


def picture(shape=(8, 8), seed=1):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("degrees", [0.5, 1.0, 8.0, 40.0, 120.0])
def test_a_length_in_pixels_spans_the_angle_it_was_made_for(degrees):
    density = 1000.0
    half_cm = pixels(degrees, 57.0, density) / density / 2
    assert math.degrees(2 * math.atan(half_cm / 57.0)) == pytest.approx(degrees, abs=0.001)


def test_a_picture_enlarged_by_a_whole_factor_repeats_every_pixel_as_often():
    board, image = canvas(), picture()
    board.draw(image, white=False)
    assert (board.image_area.width, board.image_area.height) == (80, 80)
    np.testing.assert_array_equal(
        board.image_area.of(board.pixels), image.repeat(10, axis=0).repeat(10, axis=1)
    )


def test_every_pixel_shows_the_source_pixel_under_its_centre():
    board, image = canvas(shape=(7, 7)), picture((7, 7))
    board.draw(image, white=False)
    under = [math.floor((i + 0.5) * 7 / 80) for i in range(80)]
    np.testing.assert_array_equal(board.image_area.of(board.pixels), image[under][:, under])
    np.testing.assert_array_equal(nearest(7, 80), under)


def test_a_picture_keeps_its_shape_and_stands_in_the_middle():
    area = canvas(shape=(4, 8)).image_area
    assert (area.left, area.top, area.width, area.height) == (60, 40, 80, 40)


def test_around_the_picture_is_nothing_but_background():
    board = canvas(background=77)
    board.draw(picture(), white=True)
    around = np.ones(board.pixels.shape[:2], bool)
    board.image_area.of(around)[:] = False
    assert (board.pixels[around] == 77).all()


def test_the_neutral_picture_is_the_background_and_the_fixation_target_alone():
    board = canvas(background=77)
    board.draw(picture(), white=False)
    board.draw(None, white=False)
    assert (board.pixels == 77).all()
    board = canvas(background=77, fixation=True)
    board.draw(picture(), white=False)
    with_picture = board.pixels.copy()
    board.draw(None, white=False)
    target = (board.pixels != 77).any(axis=2)
    assert set(np.unique(board.pixels[target])) == {0, 255}
    np.testing.assert_array_equal(board.pixels[target], with_picture[target])


def test_the_fixation_target_is_a_disc_of_its_diameter_in_the_middle():
    board = canvas(fixation=True, fixation_deg=EIGHT / 4, background=128)
    rows, columns = np.nonzero((board.pixels != 128).any(axis=2))
    diameter = pixels(EIGHT / 4, DISTANCE, DENSITY)
    assert diameter == 20
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 69, 90, 109)
    assert len(rows) == pytest.approx(math.pi * 10**2, rel=0.05)


def test_the_fixation_target_leaves_the_rest_of_the_picture_alone():
    image = picture()
    plain, aimed = canvas(), canvas(fixation=True)
    plain.draw(image, white=False)
    aimed.draw(None, white=False)
    target = (aimed.pixels != 128).any(axis=2)
    aimed.draw(image, white=False)
    assert 0 < target.sum() < 100
    np.testing.assert_array_equal(aimed.pixels[~target], plain.pixels[~target])


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [
        ("top-left", slice(0, 15), slice(0, 15)),
        ("top-right", slice(0, 15), slice(185, 200)),
        ("bottom-left", slice(105, 120), slice(0, 15)),
        ("bottom-right", slice(105, 120), slice(185, 200)),
    ],
)
def test_the_photodiode_patch_turns_black_and_white_in_its_corner(corner, rows, columns):
    degrees = math.degrees(2 * math.atan(0.75 / DISTANCE))
    board = canvas(photodiode=True, photodiode_corner=corner, photodiode_deg=degrees)
    board.draw(None, white=True)
    assert (board.pixels[rows, columns] == 255).all()
    assert (board.pixels == 255).all(axis=2).sum() == 15 * 15
    board.draw(None, white=False)
    assert (board.pixels[rows, columns] == 0).all()


def test_every_pixel_passes_the_gamma_table_once():
    table = tuple(255 - level for level in range(256))
    settings = {"photodiode": True, "fixation": True, "background": 100}
    plain, turned = canvas(**settings), canvas(gamma=table, **settings)
    for image in (picture(), None):
        plain.draw(image, white=True)
        turned.draw(image, white=True)
        np.testing.assert_array_equal(turned.pixels, 255 - plain.pixels)


def test_a_corrected_screen_gives_light_in_proportion_to_the_level():
    sent = gamma_table(2.2).astype(float)
    light = (sent / 255) ** 2.2
    np.testing.assert_allclose(light, np.arange(256) / 255, atol=0.005)


def test_a_picture_larger_than_the_screen_is_refused_with_both_sizes():
    with pytest.raises(DisplayError, match=r"80 × 80 pixels here, the screen 200 × 79"):
        canvas(size=(200, 79))


def test_a_photodiode_patch_that_would_cover_the_picture_is_refused():
    with pytest.raises(DisplayError, match="reach into the picture"):
        canvas(size=(100, 100), photodiode=True, photodiode_deg=3.0)


def test_the_pixels_stay_in_one_place_for_whoever_shows_them():
    board = canvas()
    before = board.pixels
    board.draw(picture(), white=True)
    assert board.pixels is before
    assert before.flags.c_contiguous

import numpy as np
import pytest

from stimuli.display.contact_sheet import TILE, Tile, draw_contact_sheet


def tile(image, seconds=1.0, latent=(0.5,), **facts):
    return Tile(seconds, image, np.array(latent, np.float32), **facts)


def at(sheet, row, column):
    """Return the pixels of one tile, without its outline."""
    top, left = 92 + row * (TILE + 94), 28 + column * (TILE + 16)
    return np.asarray(sheet)[top + 1 : top + TILE - 1, left + 1 : left + TILE - 1]


def test_a_tile_says_what_was_decoded():
    assert tile(np.zeros((2, 2, 3), np.uint8), latent=(0.825,), confidence=0.914).lines == (
        "latent 0.82",
        "confidence 0.91",
    )


def test_a_decoder_without_a_confidence_is_labelled_none():
    assert tile(np.zeros((2, 2, 3), np.uint8)).lines[1] == "confidence none"


def test_a_neutral_tile_says_why():
    lines = tile(None, latent=(), reason="no heartbeat of decode for 0.51 s (limit 0.50 s)").lines
    assert lines == ("neutral picture", "no heartbeat of decode for", "0.51 s (limit 0.50 s)")


def test_the_reason_never_runs_into_the_next_row():
    assert len(tile(None, latent=(), reason="very long " * 40).lines) == 3


def test_tiles_stand_in_order_of_time_from_left_to_right():
    pictures = [np.full((8, 8, 3), 10 * k, np.uint8) for k in range(10)]
    sheet = draw_contact_sheet([tile(p) for p in pictures], title="run", subtitle="facts")
    for k in range(10):
        assert (at(sheet, *divmod(k, 5)) == 10 * k).all()


def test_a_picture_is_enlarged_as_the_screen_does_it():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    sheet = draw_contact_sheet([tile(picture)], title="", subtitle="")
    assert TILE == 3 * 64
    expected = picture.repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(at(sheet, 0, 0), expected[1:-1, 1:-1])


def test_the_neutral_tile_is_the_grey_of_the_screen_with_its_fixation_target():
    tiles = [tile(None, latent=(), reason="before the first frame")]
    plain = at(draw_contact_sheet(tiles, title="", subtitle="", background=90, fixation=False), 0, 0)
    assert (plain == 90).all()
    aimed = at(draw_contact_sheet(tiles, title="", subtitle="", background=90), 0, 0)
    changed = (aimed != 90).any(axis=2)
    assert 0 < changed.sum() < 0.02 * changed.size


def test_a_picture_that_is_not_square_keeps_its_shape():
    sheet = draw_contact_sheet(
        [tile(np.full((32, 64, 3), 200, np.uint8))], title="", subtitle="", background=0
    )
    pixels = at(sheet, 0, 0)
    assert (pixels[TILE // 4 : 3 * TILE // 4 - 2] == 200).all()
    assert (pixels[: TILE // 4 - 2] == 0).all()


@pytest.mark.parametrize("n", [0, 1, 7, 24, 200])
def test_any_number_of_tiles_fits(n):
    sheet = draw_contact_sheet(
        [tile(np.zeros((4, 4, 3), np.uint8), latent=range(512))] * n, title="x" * 500, subtitle="y" * 500
    )
    pixels = np.asarray(sheet)
    assert (pixels[:, :20] == 255).all(), "the left margin is empty"
    assert (pixels[:, -20:] == 255).all(), "the right margin is empty"
    assert (pixels[-8:] == 255).all()

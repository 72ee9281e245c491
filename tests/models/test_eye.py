"""The drawn eye shows what its latents say."""

import itertools

import numpy as np
import pytest

from models.drawings.eye import FACTORS, draw
from models.drawings.eye_lids import lids
from models.drawings.eye_pictures import draw_eyes


def silent(done, text):
    """Take progress and say nothing."""


def blue(picture):
    """How many pixels have the colour of the iris: more blue than red."""
    return int((picture[..., 2].astype(int) > picture[..., 0]).sum())


def test_the_iris_disappears_as_the_lids_close_and_never_comes_back():
    seen = [blue(draw(closure)) for closure in np.linspace(0, 1, 11)]
    assert seen[0] > 250
    assert seen[-1] < 5
    assert all(later <= earlier + 3 for earlier, later in itertools.pairwise(seen))


def test_the_lids_never_cross_and_meet_when_closed():
    x = np.linspace(-1, 1, 41)
    for closure in np.linspace(0, 1, 7):
        at = lids(x, closure)
        assert (at.upper <= at.lower).all()
    assert np.allclose(lids(x, 1.0).upper, lids(x, 1.0).lower)


def test_the_path_is_continuous():
    steps = [
        np.abs(draw(a).astype(int) - draw(a + 0.01).astype(int)).mean() for a in np.linspace(0, 0.99, 23)
    ]
    whole = np.abs(draw(0.0).astype(int) - draw(1.0).astype(int)).mean()
    assert max(steps) < whole / 10


def test_the_iris_follows_the_gaze_and_the_shading_follows_the_light():
    def middle(picture):
        return np.argwhere(picture[..., 2].astype(int) > picture[..., 0].astype(int) + 20).mean(0)

    assert middle(draw(0.0, 1.0))[1] > middle(draw(0.0, -1.0))[1] + 8
    assert middle(draw(0.1, 0.0, 1.0))[0] > middle(draw(0.1, 0.0, -1.0))[0] + 2
    right, left = draw(1.0, light=1.0).astype(int), draw(1.0, light=-1.0).astype(int)
    assert (right - left)[:, 48:].mean() > 10
    assert (right - left)[:, :16].mean() < -10


@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_picture_has_the_size_asked_for_and_the_same_look(size):
    picture = draw(0.4, size=size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    small = picture.reshape(32, size // 32, 32, size // 32, 3).mean((1, 3))
    assert np.abs(small - draw(0.4, size=32)).mean() < 4


def test_a_latent_out_of_range_is_refused_by_name():
    with pytest.raises(ValueError, match=r"gaze_y lies between -1 and 1, got 1\.5"):
        draw(0.5, 0.0, 1.5)


def test_every_other_picture_lies_on_the_path_and_equal_seeds_give_equal_pictures():
    start, end = (0.0, 0.0, 0.0, 0.0), (1.0, 0.0, -0.5, 0.0)

    def eyes():
        return draw_eyes(12, start, end, size=16, rng=np.random.default_rng(3), progress=silent)

    pictures = eyes()
    t = pictures.latents[::2, 0]
    assert np.allclose(pictures.latents[::2], np.stack([t, 0 * t, -0.5 * t, 0 * t], 1), atol=1e-6)
    assert len(np.unique(np.floor(t * 6))) == 6  # one in each sixth of the path
    assert not np.allclose(pictures.latents[1::2, 1], 0)
    for k, (_, low, high) in enumerate(FACTORS):
        assert (pictures.latents[:, k] >= low).all()
        assert (pictures.latents[:, k] <= high).all()
    assert (eyes().images == pictures.images).all()
    assert (draw(*map(float, pictures.latents[5]), size=16) == pictures.images[5]).mean() > 0.99

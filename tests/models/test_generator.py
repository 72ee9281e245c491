"""The generator learns pictures from their latents, the same each time."""

import numpy as np
import pytest
import torch

from models.drawings.eye_pictures import Pictures
from models.generators.regression import picture_loss, predict, regress
from models.generators.upsampling import UpsamplingGenerator
from models.systems.alpha.path import PathGenerator

RANGES = [(0.0, 1.0), (-1.0, 1.0)]


def bars(n, seed):
    """Draw a bright bar whose height is latent 0 and whose colour is latent 1."""
    source = np.random.default_rng(seed)
    latents = source.uniform([0, -1], [1, 1], (n, 2)).astype(np.float32)
    images = np.full((n, 16, 16, 3), 30, np.uint8)
    for image, (height, colour) in zip(images, latents, strict=True):
        top = round(float(height) * 12)
        image[top : top + 4] = (120 + 100 * colour, 120, 120 - 100 * colour)
    return Pictures(latents, images)


def fit(seed=1, steps=120):
    torch.manual_seed(seed)
    generator = UpsamplingGenerator(RANGES, (12, 8), 16)
    curve = regress(
        generator,
        bars(200, 0),
        bars(40, 9),
        steps=steps,
        batch=16,
        rate=1e-2,
        seed=seed,
        threads=1,
        progress=lambda done, text: None,
    )
    return generator, curve


def test_it_learns_pictures_that_it_never_saw():
    generator, curve = fit()
    held_out = bars(40, 9)
    wanted = held_out.images / 255.0
    error = np.abs(predict(generator, held_out.latents) - wanted).mean()
    assert error < 0.4 * np.abs(bars(200, 0).images.mean(0) / 255.0 - wanted).mean()
    assert curve.step[-1] == 120
    assert curve.held_out_mae[-1] == pytest.approx(error)
    assert curve.held_out_mae[-1] < 0.5 * curve.held_out_mae[0]


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11])
def test_any_number_of_steps_can_be_asked_for(steps):
    _, curve = fit(steps=steps)
    assert curve.step[-1] == steps
    assert np.isfinite(curve.loss).all()


def test_equal_seeds_give_equal_weights():
    (one, _), (two, _), (other, _) = fit(steps=5), fit(steps=5), fit(seed=2, steps=5)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.last.weight, other.last.weight)


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    fit(steps=1)
    assert torch.get_num_threads() == before


def test_the_loss_is_nothing_only_where_pictures_agree_and_forgives_small_shifts_at_coarse_scales():
    picture = torch.zeros(1, 3, 16, 16)
    picture[..., 4:8, :] = 1.0
    near, far = picture.roll(1, 2), picture.roll(8, 2)
    assert picture_loss(picture, picture) == 0
    assert 0 < picture_loss(near, picture) < 0.5 * picture_loss(far, picture)


def test_a_generator_doubles_at_every_stage_and_gives_colours_in_range():
    generator = UpsamplingGenerator(RANGES, (8, 8, 8, 8), 8)
    picture = generator(torch.zeros(2, 2))
    assert picture.shape == (2, 3, 64, 64)
    assert (picture >= 0).all()
    assert (picture <= 1).all()


def test_a_path_through_another_space_is_refused():
    with pytest.raises(ValueError, match="one space"):
        PathGenerator(UpsamplingGenerator(RANGES), (0, 0), (1,))

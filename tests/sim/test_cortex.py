"""The cortex in silico answers pixels and nothing else, each subject's in its own way."""

import numpy as np
import pytest
from planted_participants import PICTURES, small

from bci.sim.cortex.early import EarlyUnits
from bci.sim.cortex.gaze import FIELD, FIELD_DEG, Eye, Pictures, retinal_images
from bci.sim.cortex.higher import Network
from bci.sim.cortex.population import Population
from bci.sim.cortex.pyramid import ORIENTATIONS, SCALES, Pyramid

STRAIGHT = np.zeros((1, 2))


def grating(cycles_per_deg: float, angle: float, phase: float = 0.0, contrast: float = 0.8) -> Pictures:
    """Return a grating (1, 64, 64, 3) that fills the picture's 8 degrees; `angle` is that of its wave vector."""
    y, x = (np.mgrid[:64, :64] + 0.5) / 8
    wave = np.cos(2 * np.pi * cycles_per_deg * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    grey = np.rint(128 + 127 * contrast * wave).astype(np.uint8)
    return np.repeat(grey[np.newaxis, :, :, np.newaxis], 3, axis=3)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(1, 128, 128, Eye(), PICTURES)


def test_each_filter_answers_its_own_scale_and_orientation() -> None:
    pyramid, eye = Pyramid(), Eye()
    for scale, cycles in enumerate(SCALES):
        for k in range(ORIENTATIONS):
            seen = eye.look(grating(cycles, np.pi * k / ORIENTATIONS), STRAIGHT)
            energy = np.array([m.mean(axis=(2, 3))[0] for m in pyramid.maps(seen)[: len(SCALES)]])
            assert np.unravel_index(energy.argmax(), energy.shape) == (scale, k)


def test_energy_does_not_know_the_phase_and_colour_does_not_know_grey() -> None:
    pyramid, eye = Pyramid(), Eye()
    a, b = (pyramid.maps(eye.look(grating(1.0, 0.0, phase), STRAIGHT)) for phase in (0.0, 1.1))
    middle = slice(6, 14)
    assert np.allclose(a[1][:, 0, middle, middle], b[1][:, 0, middle, middle], rtol=0.02)
    assert np.abs(a[-1][:, [1, 2, 4, 5]]).max() < 1e-5
    red = np.full((1, 64, 64, 3), 128, np.uint8)
    red[..., 0] = 220
    assert pyramid.maps(eye.look(red, STRAIGHT))[-1][0, 1].max() > 0.1


def test_a_shift_of_gaze_is_a_shift_of_the_picture() -> None:
    picture = np.full((1, 64, 64, 3), 128, np.uint8)
    picture[:, 20:30, 30:44] = (250, 30, 90)
    moved = np.roll(picture, (3, -2), axis=(1, 2))
    degree = FIELD_DEG / FIELD
    eye = Eye()
    # Looking two samples to the right and three up moves what is seen to the left and down.
    looked = retinal_images(eye.look(picture, np.array([[2 * degree, -3 * degree]])))
    assert np.allclose(looked, retinal_images(eye.look(moved, STRAIGHT)), atol=1e-5)


def test_a_picture_of_another_size_is_seen_as_the_same(population: Population) -> None:
    larger = PICTURES[:2].repeat(3, axis=1).repeat(3, axis=2)
    gaze = np.zeros((2, 2))
    assert np.allclose(population.drive(larger, gaze), population.drive(PICTURES[:2], gaze), atol=1e-3)
    wide = np.full((1, 32, 64, 3), 128, np.uint8)
    wide[:, 8:24, 16:48] = 200
    square = np.full((1, 64, 64, 3), 128, np.uint8)
    square[:, 24:40, 16:48] = 200
    assert np.allclose(population.drive(wide, STRAIGHT), population.drive(square, STRAIGHT), atol=1e-3)


def test_drives_are_those_of_the_pixels_alone(population: Population) -> None:
    gaze = np.random.default_rng(0).normal(0, 0.1, (8, 2))
    at_once = population.drive(PICTURES[:8], gaze)
    one_by_one = [
        population.drive(PICTURES[i : i + 1].copy(), gaze[i : i + 1])[0] for i in reversed(range(8))
    ]
    assert np.allclose(at_once, one_by_one[::-1], atol=1e-3)
    assert np.array_equal(population.drive(PICTURES[:1], STRAIGHT), population.drive(PICTURES[:1], STRAIGHT))
    changed = PICTURES[:1].copy()
    changed[:, 20:44, 20:44] = 255 - changed[:, 20:44, 20:44]
    assert np.abs(population.drive(changed, STRAIGHT) - at_once[0]).max() > 0.5


def test_every_unit_varies_by_one_over_the_reference_and_rests_before_the_empty_screen(
    population: Population,
) -> None:
    drives = population.drive(PICTURES, np.zeros((len(PICTURES), 2)))
    assert np.allclose(drives.std(axis=0), 1, atol=1e-3)
    assert not population.drive(np.full((1, 64, 64, 3), 128, np.uint8), STRAIGHT).any()


def test_jitter_of_the_eye_changes_early_units_little_and_higher_units_less(population: Population) -> None:
    rng = np.random.default_rng(1)
    still = population.drive(PICTURES, np.zeros((len(PICTURES), 2)))
    for deg, most in ((0.12, 0.06), (0.3, 0.25)):
        moved = population.drive(PICTURES, rng.normal(0, deg, (len(PICTURES), 2)))
        changed = ((moved - still) ** 2).mean(axis=0)
        early, higher = changed[population.is_early].mean(), changed[~population.is_early].mean()
        assert 0 < higher < 0.9 * early < early < most


def test_two_subjects_have_the_same_network_and_another_anatomy_and_tuning() -> None:
    one, two = (small("fmri", subject=subject) for subject in (1, 2))
    early = [p.observer.population._early for p in (one, two)]
    assert not np.allclose(early[0].centre, early[1].centre)
    assert not np.allclose(one.shapes.peak_s, two.shapes.peak_s)
    assert not np.allclose(one.snrs, two.snrs)
    drives = [p.observer.population.drive(PICTURES, np.zeros((len(PICTURES), 2))) for p in (one, two)]
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(drives[0].T, drives[1].T, strict=True)]
    assert abs(np.mean(alike)) < 0.3
    noise = [p.read(50) for p in (one, two)]
    assert np.abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.1
    a, b = (Network(), Network())
    assert all(np.array_equal(x[1], y[1]) for x, y in zip(a._layers, b._layers, strict=True))


def test_early_units_compress_and_grow_with_eccentricity() -> None:
    units, eye = EarlyUnits(256, np.random.default_rng(3)), Eye()
    assert units.exponent.min() >= 0.35
    assert units.exponent.max() <= 0.75
    assert np.corrcoef(np.hypot(*units.centre.T), units.size_deg)[0, 1] > 0.8
    low, high = (units.respond(eye.look(grating(1.0, 0.5, contrast=c), STRAIGHT))[0] for c in (0.2, 0.8))
    growth = np.log(high / low) / np.log(4)
    assert 0 < np.median(growth) < 0.6


def test_the_network_is_fixed() -> None:
    """Other filters would be another family of participants, on which no decoder of before is any good."""
    image = np.zeros((1, 3, FIELD, FIELD), np.float32)
    image[0, :, 30:50, 20:60] = 0.3
    layers = Network().layers(image)
    assert [layer.shape[1:] for layer in layers] == [(32, 16, 16), (64, 5, 5), (96, 3, 3)]
    assert [float(layer.mean()) for layer in layers] == pytest.approx([0.13419, 0.34262, 0.37772], rel=1e-3)

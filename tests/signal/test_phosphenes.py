"""Phosphenes: where they lie, what may flow, and what is seen of a picture."""

import numpy as np
import pytest

from bci.errors import StimulationRefused
from bci.signal.phosphenes.features import FEATURES, Feature, brightness, edges, saliency
from bci.signal.phosphenes.grid import A_DEG, K_MM, Layout, make_grid
from bci.signal.phosphenes.pulses import PulseTrain, imbalance
from bci.signal.phosphenes.view import ElectrodeLimit, PhospheneView

TRAIN = PulseTrain(80.0, 300.0)
SHAPE = (32, 48)


def half_white(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Return a picture that is white from its middle to its right."""
    image = np.zeros((*shape, 3), np.uint8)
    image[:, shape[1] // 2 :] = 255
    return image


@pytest.mark.parametrize("layout", ["cortex", "even"])
@pytest.mark.parametrize("electrodes", [4, 61, 1000])
def test_every_electrode_has_its_phosphene_within_the_picture(layout: Layout, electrodes: int) -> None:
    grid = make_grid(electrodes, (3.0, 4.0), layout)
    assert len(grid) == len(grid.sizes) == electrodes
    assert (np.abs(grid.places) < [4.0, 3.0]).all()
    assert len(np.unique(grid.places, axis=0)) == electrodes
    assert abs((grid.places[:, 0] < 0).sum() - (grid.places[:, 0] > 0).sum()) <= max(1, electrodes // 20)


def test_on_the_cortex_electrodes_lie_equally_far_apart_and_phosphenes_grow_with_eccentricity() -> None:
    grid = make_grid(400, (4.0, 4.0))
    right = grid.places[grid.places[:, 0] > 0]
    cortex = K_MM * np.log(right[:, 0] + 1j * right[:, 1] + A_DEG)
    apart = np.abs(cortex[:, None] - cortex[None])
    np.fill_diagonal(apart, np.inf)
    assert apart.min(axis=1) == pytest.approx(np.full(len(right), apart.min()), rel=1e-6)
    order = np.hypot(*grid.places.T).argsort()
    assert (np.diff(grid.sizes[order]) >= -1e-12).all()
    # 80 µA excite cortex within .34 mm, and there are 23 mm in the first degree.
    assert grid.sizes.min() == pytest.approx(
        0.344 * (A_DEG + np.hypot(*grid.places.T).min()) / K_MM, rel=0.01
    )


@pytest.mark.parametrize(
    ("pulse", "words"),
    [
        ({"anodic_ratio": 0.9}, "charges cancel"),
        ({"anodic_us": 171.0}, "charges cancel"),
        ({"amplitude_ua": 200.0}, "at most 20 nC"),
        ({"frequency_hz": 2600.0}, "overlap"),
    ],
)
def test_a_pulse_that_would_do_harm_cannot_be_made(pulse: dict[str, float], words: str) -> None:
    with pytest.raises(StimulationRefused, match=words):
        PulseTrain(**({"amplitude_ua": 80.0, "frequency_hz": 300.0} | pulse))


def test_a_long_weak_second_phase_balances_a_short_strong_one() -> None:
    assert PulseTrain(80.0, 300.0, anodic_us=680.0, anodic_ratio=0.25).charge_nc == pytest.approx(13.6)
    assert imbalance([-2.0, 1.0, 0.5], [100, 150, 100]) == 0.0


def test_features_say_where_a_planted_edge_and_a_planted_spot_are() -> None:
    found = edges(half_white())
    assert set(found.argmax(axis=1)) <= {23, 24}
    assert found[:, :18].max() < 0.01
    spot = np.full((40, 40, 3), 90, np.uint8)
    spot[24:28, 10:14] = 200
    place = np.unravel_index(saliency(spot).argmax(), (40, 40))
    assert np.hypot(place[0] - 25.5, place[1] - 11.5) < 3
    assert brightness(half_white())[0, [0, -1]].tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("feature", ["edges", "saliency"])
def test_an_even_picture_stimulates_nothing_and_is_seen_as_dark(feature: Feature) -> None:
    even = np.full((*SHAPE, 3), 140, np.uint8)
    view = PhospheneView(SHAPE, 8.0, 100, TRAIN, feature=feature)
    assert not FEATURES[feature](even).any()
    assert not view.stimulate(even).amplitudes_ua.any()
    assert not view(even, (60, 90)).any()


def test_currents_lie_between_threshold_and_limit_and_light_is_where_the_picture_is_light() -> None:
    view = PhospheneView(SHAPE, 8.0, 200, TRAIN, feature="brightness", layout="even")
    given = view.stimulate(half_white())
    right = view.grid.places[:, 0] > 0.5
    assert given.amplitudes_ua[right] == pytest.approx(80.0, rel=1e-4)
    assert not given.amplitudes_ua[view.grid.places[:, 0] < -0.5].any()
    seen = view.percept(given, (60, 90))
    assert seen.shape == (60, 90, 3)
    assert seen[:, :30].max() == 0
    assert seen[:, 50:].mean() > 30


def test_each_electrode_keeps_its_own_limits_and_a_broken_one_is_dark() -> None:
    limits = [ElectrodeLimit((0, 1), 50.0), ElectrodeLimit((2,), 0.0), ElectrodeLimit((3,), 80.0, 150.0)]
    view = PhospheneView(
        SHAPE, 8.0, 12, TRAIN, feature="brightness", layout="even", threshold_ua=20.0, limits=limits
    )
    white = np.full((*SHAPE, 3), 255, np.uint8)
    given = view.stimulate(white)
    assert given.amplitudes_ua[:5].tolist() == pytest.approx([50.0, 50.0, 0.0, 80.0, 80.0], rel=1e-4)
    assert given.frequencies_hz[2:5].tolist() == [300.0, 150.0, 300.0]
    seen = view.percept(given, (320, 480))[..., 0].astype(float)
    at = [seen[int((y + 8 / 3) / (16 / 3) * 320), int((x + 4) / 8 * 480)] for x, y in view.grid.places[:5]]
    # Neighbours, three standard deviations away, add some hundredths.
    assert at == pytest.approx([127.5, 127.5, 0.0, 127.5, 255.0], abs=14)


@pytest.mark.parametrize(
    "limit",
    [
        ElectrodeLimit((12,), 40.0),
        ElectrodeLimit((-1,), 40.0),
        ElectrodeLimit((0,), 81.0),
        ElectrodeLimit((0,), 40.0, 301.0),
    ],
)
def test_a_limit_above_that_of_all_or_of_no_electrode_is_refused(limit: ElectrodeLimit) -> None:
    with pytest.raises(StimulationRefused, match="expected limits"):
        PhospheneView(SHAPE, 8.0, 12, TRAIN, limits=[limit])
    with pytest.raises(StimulationRefused, match="threshold"):
        PhospheneView(SHAPE, 8.0, 12, TRAIN, threshold_ua=80.0)


def test_as_much_light_is_seen_whatever_the_size_of_the_picture() -> None:
    view = PhospheneView(SHAPE, 8.0, 60, TRAIN, feature="brightness")
    image = np.full((*SHAPE, 3), 120, np.uint8)
    small, large = (view(image, shape).mean() for shape in ((64, 96), (256, 384)))
    assert small == pytest.approx(large, rel=0.15)

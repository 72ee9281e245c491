"""A head in another session's position is found again; what is not found, or is mirrored, is said."""

import numpy as np
import pytest

from bci.signal.pipeline import Pipeline
from bci.signal.run import Run, TrainedGrid
from bci.signal.types import Signal, Window
from bci.signal.volumes.motion import MotionCorrection
from bci.signal.volumes.realign import brain
from bci.signal.volumes.registration import edges_picture, laid_on, register
from bci.signal.volumes.rigid import displacement, matrix_of, moved, voxel_sizes_mm
from bci.sim.scanner.head import head_affine, head_volume

SHAPE, OTHER = (32, 36, 22), (36, 34, 24)
AFFINE = head_affine(SHAPE, (6.0, 6.0, 6.0))
#: Another session's slices are tilted, and its first axis points to the left.
TODAY = (
    matrix_of(np.array([4.0, -3.0, 2.0, 0.1, 0.0, 0.05]), np.zeros(3))
    @ np.diag([-1.0, 1.0, 1.0, 1.0])
    @ head_affine(OTHER, (5.5, 6.0, 6.0))
)
STILL = head_volume(SHAPE, AFFINE)
BRAIN = brain(STILL, voxel_sizes_mm(AFFINE))
POINTS = moved(np.argwhere(BRAIN).astype(float), AFFINE)
TRUE = matrix_of(np.array([8.0, -9.0, 6.0, 0.1, -0.08, 0.12]), np.zeros(3))


def today(motion: np.ndarray = TRUE, seed: int = 0) -> np.ndarray:
    """Return today's reference: on another grid, brighter on one side, with noise of its own."""
    x = np.linspace(-1, 1, OTHER[0])[:, None, None]
    rng = np.random.default_rng(seed)
    return (1.7 * head_volume(OTHER, TODAY, motion) * np.exp(0.25 * x) + rng.normal(0, 12, OTHER)).astype(
        "f4"
    )


def test_todays_head_is_found_on_another_grid_under_another_brightness() -> None:
    found = register(STILL, AFFINE, today(), TODAY)
    assert not found.fault
    assert np.median(displacement(POINTS, found.matrix, TRUE)) < 0.2
    assert found.disagreement_mm < 0.3


def test_left_and_right_cannot_be_exchanged_silently() -> None:
    assert "left for right" in register(STILL, AFFINE, today()[::-1], TODAY).fault
    # The same by an affine with the sign of another convention.
    assert "left for right" in register(STILL, AFFINE, today(), np.diag([-1.0, 1, 1, 1]) @ TODAY).fault


@pytest.mark.parametrize("turn", [70.0, -85.0])
def test_a_head_that_is_not_found_is_said(turn: float) -> None:
    six = np.array([0, 0, 0, np.radians(turn), 0, 0])
    assert register(STILL, AFFINE, today(matrix_of(six, np.zeros(3))), TODAY).fault
    noise = np.abs(np.random.default_rng(3).normal(200, 40, OTHER))
    assert register(STILL, AFFINE, noise, TODAY).fault


def test_the_picture_shows_edges_on_each_other_only_where_they_are() -> None:
    shares = []
    for matrix in (TRUE, np.eye(4)):
        picture = edges_picture(STILL, laid_on(SHAPE, AFFINE, today(), TODAY, matrix), AFFINE)
        assert picture.dtype == np.uint8
        white = (picture == 255).all(axis=2).sum()
        shares.append(white / (picture[..., 1] == 255).sum())
    assert shares[0] > 0.6
    assert shares[1] < 0.5 * shares[0]


def test_voxels_of_the_training_session_are_taken_where_their_tissue_is_today() -> None:
    mask = BRAIN & (np.indices(SHAPE)[2] > 6) & (np.indices(SHAPE)[2] < 15)
    found = register(STILL, AFFINE, today(), TODAY)
    signal = Signal("bold", 0.5, OTHER)
    volume = (1.7 * head_volume(OTHER, TODAY, TRUE)).astype("f4")
    likeness = []
    for matrix in (found.matrix, np.eye(4)):
        trained = TrainedGrid(AFFINE, matrix, STILL)
        run = Run(reference=today(), affine=TODAY, masks={"brain": mask}, trained=trained)
        running = Pipeline([MotionCorrection("brain", int(mask.sum()))]).for_run(run).start(signal)
        bad = np.zeros((1, *OTHER), bool)
        out = running(Window(signal, 0, volume[None], np.zeros(1), bad, 0, reset="start"))
        good = ~out.bad[0]
        assert good.mean() > 0.9
        likeness.append(np.corrcoef(out.samples[0][good], STILL[mask][good])[0, 1])
    assert likeness[0] > 0.95
    assert likeness[1] < 0.85

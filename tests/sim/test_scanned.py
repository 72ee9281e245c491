"""A scanned participant's voxels lie where its mask says, and go with its head wherever that lies."""

import numpy as np
import pytest

from bci.errors import ConfigError
from bci.signal.volumes.motion import Reslicer
from bci.signal.volumes.realign import Realigner
from bci.signal.volumes.rigid import displacement, moved
from bci.sim.cortex.reference import reference_pictures
from bci.sim.participant import make_participant
from bci.sim.scanner.scanned import ScannedParticipant, scan, scan_series, voxel_places

MM, UNITS = 9.0, 128
PICTURES = reference_pictures(8, 16, seed=8)
CHANGES = [(PICTURES[0], 1.0), (np.full_like(PICTURES[0], 128), 2.5), (PICTURES[1], 6.0)]


def scanned(session: int = 0, **how: object) -> ScannedParticipant:
    inner = make_participant("fmri", subject=2, session=session, units=UNITS, snr=0.3, reference=PICTURES)
    # Keywords of several types pass through as they come.
    return ScannedParticipant(inner, session, voxel_mm=MM, **how)  # type: ignore[arg-type]


def percent(n: int) -> np.ndarray:
    """Return what the participant answers by itself."""
    inner = scanned().inner
    rows = []
    for k in range(n):
        for picture, time in CHANGES:
            if k == int(time * inner.signal.rate):
                inner.see(picture, time)
        rows.append(inner.read(1)[0])
    return np.array(rows)


def test_at_rest_a_voxel_of_the_scan_is_a_voxel_of_the_participant() -> None:
    still = scanned(motion_mm=0.0, noise_percent=0.0)
    run = np.array(list(scan(still, CHANGES, 8)))
    assert run.dtype == np.int16
    assert np.array_equal(np.argwhere(still.mask()), still.places)
    anatomy = still.anatomy()
    # Rounded to whole numbers of some fifteen hundred.
    assert run[:, still.mask()] / anatomy[still.mask()] * 100 == pytest.approx(percent(8), abs=0.06)
    elsewhere = anatomy[still.places[:, 1].max() + 8 :]
    assert np.abs(run[:, still.places[:, 1].max() + 8 :] - elsewhere).max() <= 0.5
    again = list(scan(still, CHANGES, 8))
    assert np.array_equal(run, again)


def test_a_head_that_lies_elsewhere_takes_its_voxels_along() -> None:
    away = scanned(position=(9.0, -6.0, 4.0, 3.0, -5.0, 6.0), motion_mm=0.5, noise_percent=0.0)
    run = np.array(list(scan(away, CHANGES, 8)), np.float32)
    points = moved(away.places.astype(float), away.affine)
    assert np.median(displacement(points, np.eye(4), away.pose(0))) > 8
    assert 0.05 < np.median(displacement(points, away.pose(0), away.pose(7))) < 3
    # Motion correction finds the head's true motion, with respect to where it lay at first.
    found = Realigner(away.anatomy(), away.affine)(run[7])
    true = away.pose(7) @ np.linalg.inv(away.pose(0))
    assert np.median(displacement(moved(points, away.pose(0)), found.matrix, true)) < 0.03 * MM
    reslice = Reslicer(away.mask(), away.affine)
    rows = np.array([reslice(volume, away.pose(k))[0] for k, volume in enumerate(run)])
    inner = percent(8)
    each = [np.corrcoef(rows[:, v], inner[:, v])[0, 1] for v in range(UNITS)]
    assert np.median(each) > 0.9
    wrong = [np.corrcoef(rows[:, v], inner[:, v - 1])[0, 1] for v in range(UNITS)]
    assert np.median(wrong) < np.median(each) - 0.1


def test_two_runs_have_two_identifiers_and_a_head_has_only_so_many_voxels() -> None:
    one, other = scan_series(MM, 1.5, "one"), scan_series(MM, 1.5, "other")
    assert one.uid != other.uid
    assert one.uid == scan_series(MM, 1.5, "one").uid
    assert one.shape == scanned().shape
    with pytest.raises(ConfigError, match="smaller voxels, or give it fewer"):
        voxel_places(5000, MM)

"""A participant in a scanner: signal-to-noise, haemodynamics and betas as planted."""

import numpy as np
import pytest
from planted_participants import PICTURES, STEADY, grey, small

from bci.sim.betas import TrialBetas
from bci.sim.hrf import CANONICAL, StepTable, response, varied
from bci.sim.noise import VoxelNoise
from bci.sim.participant import record
from bci.sim.responses import respond


def test_the_single_trial_snr_measured_is_the_one_asked_for() -> None:
    many = small("fmri", units=800, **STEADY)
    assert np.median(many.snrs) == pytest.approx(0.05, rel=0.15)
    # Heavy tails: most voxels say next to nothing.
    assert many.snrs.mean() > 1.6 * np.median(many.snrs)
    participant = small("fmri", snr=0.2, **STEADY)
    shown = PICTURES[np.arange(96) % len(PICTURES)]
    found = respond(participant, shown, 24.0 * np.arange(96))
    signal = found.clean[: len(PICTURES)].var(axis=0)
    noise = ((found.values - found.clean) ** 2).mean(axis=0)
    ratio = signal / noise / participant.snrs
    assert np.exp(np.log(ratio).mean()) == pytest.approx(1, abs=0.1)
    assert np.abs(np.log(ratio)).max() < 0.8


def test_an_snr_of_zero_leaves_noise_alone() -> None:
    participant = small("fmri", snr=0.0)
    shown = record(participant, [(PICTURES[0], 3.0)], 12)
    assert np.array_equal(shown, record(participant, [], 12))


def test_delays_and_widths_vary_by_voxel_as_planted() -> None:
    shapes = varied(2000, np.random.default_rng(0))
    assert shapes.peak_s.std() == pytest.approx(0.8, abs=0.06)
    assert shapes.shape.std() > 1.0
    participant = small("fmri", snr=10.0, tr=0.5, **STEADY)
    participant.see(PICTURES[0], 0.0)
    participant.see(grey(), 0.5)
    course = np.array([participant.evoked(0.5 * k) for k in range(60)])
    peaks = 0.5 * np.abs(course).argmax(axis=0)
    # A picture of half a second peaks a quarter of a second later than a flash.
    assert np.abs(peaks - participant.shapes.peak_s - 0.25).max() <= 0.5
    assert np.corrcoef(peaks, participant.shapes.peak_s)[0, 1] > 0.95


def test_a_longer_picture_is_the_sum_of_shorter_ones() -> None:
    table = StepTable(CANONICAL)
    long = table.boxcar(6.0, 2.0)
    parts = table.boxcar(6.0, 4.0) + table.boxcar(4.0, 2.0)
    assert np.allclose(long, parts, atol=1e-6)
    flash = table.boxcar(5.0, 4.9)[0] / 0.1
    assert flash == pytest.approx(response(CANONICAL, [4.95])[0, 0], rel=0.01)
    assert table.at(0.25)[0] == 0
    assert abs(table.at(0.35)[0]) < 1e-5


def test_betas_are_those_of_least_squares_with_one_regressor_more() -> None:
    rng = np.random.default_rng(4)
    onsets = np.cumsum(rng.uniform(3, 6, 20))
    tr, volumes = 1.5, 90
    betas = TrialBetas(onsets, onsets + 1.5, tr, volumes, 3)
    y = rng.standard_normal((volumes, 3)).astype(np.float32)
    for low in range(0, volumes, 25):
        betas.add(low, y[low : low + 25])
    regressors = np.zeros((volumes, 20))
    for i, (low, values) in enumerate(zip(betas.first, betas.expected, strict=True)):
        regressors[low : low + len(values), i] = values
    drift = betas._slow
    for i in range(20):
        design = np.column_stack([regressors[:, i], np.delete(regressors, i, axis=1).sum(axis=1), drift])
        expected = np.linalg.lstsq(design, y.astype(float), rcond=None)[0][0]
        assert np.allclose(betas.solve()[i], expected, atol=1e-8)
        assert np.allclose(betas.weights(i) @ y, expected, atol=1e-8)


def test_trials_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be told from the others"):
        TrialBetas(np.array([3.0, 3.0]), np.array([4.0, 4.0]), 1.5, 40, 1)


def test_the_noise_of_betas_is_known() -> None:
    onsets = 6 + 4.5 * np.arange(40)
    betas = TrialBetas(onsets, onsets + 1.5, 1.5, 140, 4000)
    noise = VoxelNoise(np.ones((4000, 1), np.float32), 8, 1, share=0.0)
    betas.add(0, np.array([noise.next() for _ in range(140)]))
    found = (betas.solve() ** 2).mean(axis=1) / betas.noise_variance(noise)
    assert found == pytest.approx(1, abs=0.1)
    assert found.mean() == pytest.approx(1, abs=0.04)


def test_what_a_trial_adds_of_its_own_is_known() -> None:
    participant = small("fmri", **STEADY)
    other = respond(participant, np.concatenate([PICTURES[9:10], PICTURES[1:32]]))
    same = respond(participant, PICTURES)
    assert same.gain is not None
    assert other.gain is not None
    own = other.gain[0] * other.drives[0] - same.gain[0] * same.drives[0]
    assert np.allclose(other.clean[0] - same.clean[0], own, atol=1e-4)


def test_many_at_once_are_the_same_as_volume_by_volume() -> None:
    participant = small("fmri", lapse_rate=0.1)
    onsets = 6 + 4.5 * np.arange(12)
    found = respond(participant, PICTURES[:12], onsets)
    changes = [c for i, t in enumerate(onsets) for c in ((PICTURES[i], t), (grey(), t + 1.5))]
    volumes = int(np.ceil((onsets[-1] + 1.5 + 16) / participant.tr)) + 1
    betas = TrialBetas(onsets, onsets + 1.5, participant.tr, volumes, found.values.shape[1])
    betas.add(0, record(participant, changes, volumes))
    assert np.allclose(betas.solve(), found.values, atol=2e-3)
    assert np.array_equal(respond(participant, PICTURES[:12], onsets).values, found.values)


def test_volumes_do_not_depend_on_how_they_are_read() -> None:
    participant = small("fmri")
    changes = [(PICTURES[0], 0.2), (PICTURES[1], 4.1), (grey(), 6.0), (PICTURES[2], 9.7)]
    whole = record(participant, changes, 24)
    participant.reset()
    pieces, left = [], list(changes)
    for k in range(24):
        while left and left[0][1] <= k * participant.tr:
            participant.see(*left.pop(0))
        pieces.append(participant.read(1))
    assert np.array_equal(np.concatenate(pieces), whole)
    assert participant.late == 0
    participant.see(grey(), 20.0)
    assert participant.late == 1

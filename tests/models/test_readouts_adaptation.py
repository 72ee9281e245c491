"""Adaptation follows a planted drift, smooths what changes slowly, and is the identity until it has learned."""

import numpy as np
import pytest

from bci.errors import DataError
from models.readouts.adaptation import Drift, Smoother
from models.readouts.fitted import Posterior


def test_a_drift_of_scale_and_offset_is_followed_and_logged():
    rng = np.random.default_rng(1)
    drift, scale, offset = Drift(3), np.array([2.0, 0.5, 1.0]), np.array([0.0, -1.0, 3.0])
    first = rng.standard_normal((1, 3))
    assert (drift(first) == first).all()
    for _ in range(400):
        seen = rng.standard_normal(3)
        drift.learn(seen, scale * seen + offset + 0.1 * rng.standard_normal(3))
    np.testing.assert_allclose(drift(first), scale * first + offset, atol=0.1)
    assert [change.trial for change in drift.log] == list(range(1, 401))
    assert drift.log[-1].error < 0.1 * drift.log[0].error
    with pytest.raises(DataError, match=r"3 dimensions to follow, came shape \(4,\)"):
        drift.learn(np.zeros(4), np.zeros(4))


def test_without_forgetting_it_is_ridge_towards_no_change():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal(60), rng.standard_normal(60) + 1
    drift = Drift(1, memory=1e12, trust=5.0)
    for a, b in zip(x, y, strict=True):
        change = drift.learn([a], [b])
    design = np.stack([x, np.ones(60)], 1)
    wanted = np.linalg.solve(design.T @ design + 5 * np.eye(2), design.T @ y + 5 * np.array([1.0, 0.0]))
    np.testing.assert_allclose([change.scale[0], change.offset[0]], wanted, rtol=1e-6)


def test_a_smoother_is_nearer_to_slow_latents_and_says_how_near():
    rng = np.random.default_rng(3)
    keep, noise = 0.95, 2.0
    smoother = Smoother(np.ones(4), np.full(4, 1.0), keep)
    z, errors, plain = np.ones(4), [], []
    for _ in range(3000):
        z = 1 + keep * (z - 1) + np.sqrt(1 - keep**2) * rng.standard_normal(4)
        measured = z + np.sqrt(noise) * rng.standard_normal(4)
        spread = 1 / (1 + 1 / noise)
        belief = Posterior((spread * (1 + measured / noise))[None], spread * np.eye(4))
        smooth = smoother.step(belief)
        errors.append((smooth.mean[0] - z) ** 2)
        plain.append((belief.mean[0] - z) ** 2)
    assert np.mean(errors) < 0.6 * np.mean(plain)
    assert np.mean(errors[100:]) == pytest.approx(smooth.covariance[0, 0], rel=0.1)


def test_without_memory_a_smoother_changes_nothing():
    smoother = Smoother(np.zeros(2), np.ones(2), 0.0)
    for value in (0.7, -0.2):
        belief = Posterior(np.full((1, 2), value), 0.4 * np.eye(2))
        np.testing.assert_allclose(smoother.step(belief).mean, belief.mean)
    with pytest.raises(DataError, match="0 ≤ keep < 1"):
        Smoother(np.zeros(2), np.ones(2), 1.0)

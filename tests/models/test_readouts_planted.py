"""The planted benchmark measures what it says: its oracle is theory's, and what is not reached is said."""

import numpy as np
import pytest

from benchmarks import planted_latents


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, size in {"LATENTS": 24, "VOXELS": 192, "TRAINING": 150, "TESTS": 200, "FACTORS": 3}.items():
        monkeypatch.setattr(planted_latents, name, size)


@pytest.mark.parametrize("noise", ["independent", "shared"])
def test_the_oracle_is_the_dense_posterior_and_scores_what_theory_says(noise):
    world = planted_latents.plant(1, noise)
    mean, theory = planted_latents.oracle(world, 14)
    w = world.weights.astype(float)
    sigma = (world.private * np.eye(192) + world.factors.T.astype(float) @ world.factors) / 14
    inverse = np.linalg.inv(sigma)
    covariance = np.linalg.inv(np.eye(24) + w @ inverse @ w.T)
    np.testing.assert_allclose(mean, world.tests[14] @ (covariance @ w @ inverse).T, atol=1e-4)
    score = planted_latents.score(world.test_latents, mean, np.random.default_rng(0))
    assert score["r2"] == pytest.approx(theory, abs=0.02)


def test_half_of_the_shared_noise_lies_in_the_factors():
    world = planted_latents.plant(2, "shared")
    noise = world.brain - world.latents @ world.weights
    assert noise.var() == pytest.approx(1, abs=0.1)
    assert (world.factors**2).sum(0).mean() == pytest.approx(0.5, abs=0.1)


def test_what_is_reached_and_what_is_not_is_said():
    rows = [
        row for noise in ("independent", "shared") for row in planted_latents.measure(0, noise, adam=False)
    ]
    checks = {what: met for what, _, _, met in planted_latents.judge(rows)}
    assert checks["shared, 1: R² above ridge"]
    for row in rows:
        if row["readout"] == "inverted encoder":
            row["r2"] -= 1
    assert not {what: met for what, _, _, met in planted_latents.judge(rows)}["shared, 1: R² above ridge"]
    header, lines = planted_latents.table(rows)
    assert all(len(line) == len(header) for line in lines)

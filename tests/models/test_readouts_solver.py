"""The ridge solver gives what scikit-learn gives, and leaves trials out without leaving them out."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from models.readouts.ridge_solver import fit_ridge

ALPHAS = np.logspace(-1, 5, 13)


def problem(n, p, t=7, dtype=np.float64):
    rng = np.random.default_rng([n, p])
    x = rng.standard_normal((n, p)) + 5
    y = (
        x @ (rng.standard_normal((p, t)) * np.linspace(0.01, 2, t)) / np.sqrt(p)
        + rng.standard_normal((n, t))
        - 3
    )
    return x.astype(dtype), y.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "p"), [(60, 200), (60, 60), (200, 30)])
def test_weights_and_penalties_are_those_of_scikit_learn(n, p, dtype):
    x, y = problem(n, p, dtype=dtype)
    ours, theirs = fit_ridge(x, y, ALPHAS), RidgeCV(ALPHAS, alpha_per_target=True).fit(x, y)
    assert (ours.alphas == theirs.alpha_).all()
    assert len(set(ours.alphas)) > 1
    np.testing.assert_allclose(x @ ours.weights + ours.intercept, theirs.predict(x), atol=1e-5)


@pytest.mark.parametrize(("n", "p"), [(30, 80), (80, 20)])
def test_errors_are_those_of_a_fit_without_the_trial(n, p):
    x, y = problem(n, p)
    fit = fit_ridge(x, y, ALPHAS)
    for out in (0, 7, n - 1):
        kept = np.arange(n) != out
        without = Ridge(alpha=fit.alphas).fit(x[kept], y[kept])
        np.testing.assert_allclose(fit.errors[out], y[out] - without.predict(x[[out]])[0], atol=1e-8)


def test_penalties_too_near_for_single_precision_are_told_apart():
    x, y = problem(60, 200, t=40)
    near = np.geomspace(20, 20.02, 7)
    assert (fit_ridge(x, y, near).alphas == RidgeCV(near, alpha_per_target=True).fit(x, y).alpha_).all()

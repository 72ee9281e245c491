"""Semantic attributes of latents: a linear SVM boundary, scores along its normal, and editing along it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import pearsonr
from sklearn.svm import LinearSVC

from bci.errors import DataError
from models.checks import as_matrix, check_columns
from models.metrics.latents import centred, correlations, pair
from models.metrics.significance import permutation_test

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """A Boundary is a plane between latents that have an attribute and those that have not.

    Attributes
    ----------
    attribute : str
    normal : (d,) float64
        Unit vector towards latents that have the attribute.
    offset : float
        Signed distance of the origin.
    accuracy : float
        Share of held-out latents that lie on their own side.
    """

    attribute: str
    normal: Floats
    offset: float
    accuracy: float

    def scores(self, latents: ArrayLike) -> Floats:
        """Return the dot product of each latent with the normal, the semantic score: (n, d) to (n,)."""
        matrix = as_matrix(latents, "latents", "dimensions")
        check_columns(matrix, len(self.normal), "latents", "dimensions")
        return np.asarray(matrix @ self.normal, np.float64)

    def edit(self, latents: ArrayLike, steps: float) -> Floats:
        """Move latents along the normal: (n, d) to the same."""
        self.scores(latents)  # the same checks
        return np.asarray(latents, np.float64) + steps * self.normal


def fit_boundary(attribute: str, latents: ArrayLike, present: ArrayLike, *, seed: int = 0) -> Boundary:
    """Fit a linear SVM on three quarters of the latents, drawn at random, and measure its accuracy on the others.

    Raises
    ------
    DataError
        If labels and latents do not match, or one side has fewer than four.
    """
    z, label = as_matrix(latents, "latents", "dimensions"), np.asarray(present, bool)
    if label.shape != (len(z),):
        raise DataError(
            f"expected one label per latent, came {label.shape} labels and {len(z)} latents. Pair them."
        )
    if min(label.sum(), (~label).sum()) < 4:
        raise DataError(
            f"expected at least 4 latents with and 4 without {attribute!r}, came {label.sum()} and {(~label).sum()}. "
            "Draw more."
        )
    order = np.random.default_rng(seed).permutation(len(z))
    # Held-out latents are drawn from each label, so that both parts have the same shares.
    order = order[np.argsort(label[order], kind="stable")]
    held = np.zeros(len(z), bool)
    held[order[::4]] = True
    # C on standardised latents; the dual is needed where there are more dimensions than latents.
    model = LinearSVC(C=0.01, dual=bool((~held).sum() < z.shape[1]), max_iter=20_000, random_state=seed)
    model.fit(z[~held], label[~held])
    size = float(np.linalg.norm(model.coef_[0]))
    normal, offset = model.coef_[0] / size, float(model.intercept_[0]) / size
    right = (z[held] @ normal + offset > 0) == label[held]
    return Boundary(attribute, normal, offset, float(right.mean()))


@dataclass(frozen=True, slots=True)
class AttributeScore:
    """An AttributeScore says how well an attribute was decoded.

    Attributes
    ----------
    attribute : str
    r : float
        Pearson's, of true and predicted semantic scores over test items; 0 where one side does not vary.
    t_test : float or None
        p of r under Student's t, two-sided; None where r is NaN.
    permutation : float or None
        p of r under shuffled stimuli, one-sided; correct it over attributes and models with `holm`. None as above.
    n : int
    """

    attribute: str
    r: float
    t_test: float | None
    permutation: float | None
    n: int


def score_attribute(
    boundary: Boundary,
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 1000,
) -> AttributeScore:
    """Score one attribute over test items: latents (n, d) twice; NaN, without a p, if one of them holds NaN."""
    a, b = pair(truth, predicted)
    if np.isnan(a).any() or np.isnan(b).any():
        return AttributeScore(boundary.attribute, float("nan"), None, None, len(a))
    x, y = boundary.scores(a), boundary.scores(b)
    if min(centred(np.stack([x, y]))[1]) == 0:
        return AttributeScore(boundary.attribute, 0.0, 1.0, 1.0, len(x))
    tested = pearsonr(x, y)
    shuffled = permutation_test(
        lambda order: float(correlations(x[None, order], y[None])[0]),
        len(x),
        permutations=permutations,
        rng=rng,
    )
    return AttributeScore(
        boundary.attribute, float(tested.statistic), float(tested.pvalue), shuffled.p, len(x)
    )


def interpolate(start: ArrayLike, end: ArrayLike, steps: int) -> Floats:
    """Return `steps` latents on the line from `start` to `end`, both included: (d,), (d,) to (steps, d)."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    t = np.linspace(0, 1, steps)[:, None]
    return np.asarray((1 - t) * a + t * b)

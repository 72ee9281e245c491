"""Scores of a generator on held-out pictures, each beside reference values.

Fréchet distances use the fixed features of `models.generators.features`, each over its deviation in real pictures and
reduced to their principal components there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.drawings.face import NAMES
from models.generators.adversarial.monitors import blocks, spread
from models.generators.features import edges_and_colours
from models.metrics.distributions import frechet_distance

_COMPONENTS = 48

#: What a classifier is asked about a drawn face: the attribute, the range that is no, the range that is yes, what it
#: is called, and on which other attribute being on the question rests. Faces between the ranges are left out of
#: fitting.
QUESTIONS: tuple[tuple[str, float, float, str], ...] = (
    ("eyeglasses", 0.5, 0.5, "wears eyeglasses"),
    ("smile", -0.3, 0.3, "smiles"),
    ("beard", 0.05, 0.3, "has a beard"),
    ("hair_length", 0.35, 0.6, "has long hair"),
    ("age", 0.4, 0.7, "is old"),
    ("skin_tone", 0.4, 0.6, "has dark skin"),
    ("yaw", -0.1, 0.1, "looks to the right"),
    ("mouth_open", 0.05, 0.3, "has an open mouth"),
)


def score(
    drawn: NDArray[np.uint8], held_out: NDArray[np.uint8], train: NDArray[np.uint8], seed: int
) -> dict[str, Any]:
    """Score drawn pictures.

    Parameters
    ----------
    drawn, held_out, train : (n, size, size, 3) uint8
        Drawn pictures, held-out real pictures, and training pictures.
    seed : int
        Of the pictures of the linear baseline.

    Returns
    -------
    dict
        ``frechet``: distance from `held_out` of `drawn`, beside that of other real pictures (the floor) and of
        pictures from a Gaussian with the mean and covariance of real ones (a linear generator: the baseline).
        ``nearest``: mean distance to the nearest training picture, over that of held-out pictures: well below 1
        would mean copying. ``diversity``: mean distance between two drawn pictures over that of two real ones.
    """
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Each feature over its deviation: edges say more than colours, though they vary less.
    reduce = make_pipeline(
        StandardScaler(), PCA(min(_COMPONENTS, len(held_out) // 4), svd_solver="full", random_state=seed)
    )
    reduce.fit(edges_and_colours(train))

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        reduced: NDArray[np.float32] = reduce.transform(edges_and_colours(images))
        return reduced

    real = features(held_out)
    linear = linear_pictures(train, len(drawn), seed)
    own, other, baseline = blocks(drawn), blocks(held_out), blocks(train)
    return {
        "frechet": {
            "drawn": frechet_distance(features(drawn), real),
            "other_real_pictures": frechet_distance(features(train[: len(drawn)]), real),
            "linear_generator": frechet_distance(features(linear), real),
        },
        "nearest": float(nearest(own, baseline).mean() / nearest(other, baseline).mean()),
        "diversity": spread(own[:1000]) / spread(other[:1000]),
        "pictures": {"drawn": len(drawn), "held_out": len(held_out), "train": len(train)},
    }


def linear_pictures(train: NDArray[np.uint8], n: int, seed: int, components: int = 64) -> NDArray[np.uint8]:
    """Draw from a Gaussian over the principal components of pictures, as the best linear generator would."""
    from sklearn.decomposition import PCA

    flat = train.reshape(len(train), -1).astype(np.float32)
    pca = PCA(min(components, len(flat) - 1), svd_solver="randomized", random_state=seed).fit(flat)
    z = np.random.default_rng([seed, 9]).standard_normal((n, len(pca.explained_variance_)))
    pixels = pca.mean_ + (z * np.sqrt(pca.explained_variance_)) @ pca.components_
    return np.round(np.clip(pixels, 0, 255)).astype(np.uint8).reshape(n, *train.shape[1:])


def nearest(pictures: NDArray[np.float32], among: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance of each row of (n, k) to the nearest row of (m, k): (n,)."""
    squares = np.square(pictures).sum(1)[:, None] + np.square(among).sum(1)[None]
    distances: NDArray[np.float32] = np.sqrt(np.clip(squares - 2.0 * pictures @ among.T, 0.0, None)).min(1)
    return distances


def face_coverage(
    drawn: NDArray[np.uint8],
    held_out: NDArray[np.uint8],
    train: NDArray[np.uint8],
    attributes: NDArray[np.float32],
    truth: NDArray[np.float32],
) -> dict[str, dict[str, float]]:
    """Return how often drawn faces show each attribute, by linear classifiers.

    Parameters
    ----------
    drawn, held_out, train : (n, size, size, 3) uint8
        Pictures; the classifiers are fitted on `train`.
    attributes, truth : (n, 37) float32
        Of the training and of the held-out pictures.

    Returns
    -------
    dict
        For each of `QUESTIONS`: ``accuracy`` on held-out pictures outside the range between no and yes, and the
        share answered yes among ``real`` held-out and among ``drawn`` pictures.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    fitted_on, asked, judged = (edges_and_colours(images) for images in (train, held_out, drawn))
    shares = {}
    for name, no, yes, says in QUESTIONS:
        value, true = attributes[:, NAMES.index(name)], truth[:, NAMES.index(name)]
        sure = (value <= no) | (value >= yes)
        classifier = make_pipeline(StandardScaler(), LinearSVC(C=0.003, random_state=0, max_iter=5000))
        classifier.fit(fitted_on[sure], value[sure] >= yes)
        certain = (true <= no) | (true >= yes)
        right = classifier.predict(asked[certain]) == (true[certain] >= yes)
        shares[says] = {
            "accuracy": float(right.mean()),
            "real": float(classifier.predict(asked).mean()),
            "drawn": float(classifier.predict(judged).mean()),
        }
    return shares


def says_questions(coverage: dict[str, dict[str, float]]) -> Sequence[str]:
    """Return one row of Markdown per question."""
    return [
        f"| {name} | {100 * row['accuracy']:.0f} % | {100 * row['real']:.0f} % | {100 * row['drawn']:.0f} % |"
        for name, row in coverage.items()
    ]

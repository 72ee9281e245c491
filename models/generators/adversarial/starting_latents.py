r"""Starting latents of training pictures, from which a generator learns to redraw them before the game begins.

Every latent is made standard normal, as the prior says, by the normal score of its rank,
:math:`z_{ik} = \Phi^{-1}\big((r_{ik} - \tfrac12)/n\big)`, ties
in order or, where attributes have many, at random.

``components``: the first d principal components of the pictures; any pictures have them, but what lies outside them
can only be redrawn blurred. ``attributes``: the attributes of drawn faces, turned by a rotation, so that an
attribute is a known direction among the latents, but no axis.

A generator that redraws pictures from their latents already covers their whole variety; the game then only has to
make them sharp. On two processor cores that is the difference between an hour and days.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float32]


def normal_scores(
    values: NDArray[np.floating], random: np.random.Generator | None = None
) -> NDArray[np.float64]:
    """Replace each column of (n, k) by the normal scores of its ranks; ties go by order, or at random.

    >>> normal_scores(np.array([[3.0], [1.0], [2.0]])).round(2).ravel().tolist()
    [0.97, -0.97, 0.0]
    """
    scores = np.empty(values.shape)
    for k, column in enumerate(values.T):
        ties = np.arange(len(column)) if random is None else random.random(len(column))
        order = np.lexsort((ties, column))
        scores[order, k] = ndtri((np.arange(len(column)) + 0.5) / len(column))
    return scores


def component_latents(images: NDArray[np.uint8], size: int, seed: int, fitted_on: int = 4000) -> Floats:
    """Return latents of pictures from their principal components.

    Parameters
    ----------
    images : (n, height, width, 3) uint8
        Pictures.
    size : int
        d; beyond the number of components that the pictures have, latents are drawn at random.
    seed : int
        Seed of the random projection that finds the components, and of those extra latents.
    fitted_on : int
        The components are those of the first so many pictures.

    Returns
    -------
    (n, d) float32
    """
    from sklearn.decomposition import PCA

    n = len(images)
    flat = images.reshape(n, -1)
    known = min(size, n, fitted_on, flat.shape[1])
    components = PCA(known, svd_solver="randomized", random_state=seed)
    components.fit(flat[:fitted_on].astype(np.float32))
    latents = np.random.default_rng([seed, 1]).standard_normal((n, size))
    parts = [components.transform(flat[i : i + 1000].astype(np.float32)) for i in range(0, n, 1000)]
    latents[:, :known] = normal_scores(np.concatenate(parts))
    return latents.astype(np.float32)


def attribute_latents(attributes: Floats, size: int, seed: int) -> Floats:
    """Return latents of drawn faces from their attributes.

    Parameters
    ----------
    attributes : (n, k) float32
        Attributes that the faces were drawn from.
    size : int
        d, at least k; the remaining d - k dimensions are drawn at random and have no meaning.
    seed : int
        Seed of the rotation, of ties and of the remaining dimensions.

    Returns
    -------
    (n, d) float32
    """
    n, k = attributes.shape
    random = np.random.default_rng([seed, 2])
    scores = random.standard_normal((n, size))
    scores[:, :k] = normal_scores(attributes, random)
    return (scores @ attribute_directions(size, size, seed).astype(np.float64)).astype(np.float32)


def attribute_directions(k: int, size: int, seed: int) -> Floats:
    """Return the direction of each of `k` attributes among latents: (k, d) float32, orthonormal rows.

    The projection of a latent on row j is the normal score of attribute j.
    """
    if k > size:
        raise ValueError(f"{k} attributes need {k} latents or more, got {size}")
    turned, upper = np.linalg.qr(np.random.default_rng([seed, 3]).standard_normal((size, size)))
    rows: Floats = (turned * np.sign(np.diagonal(upper))).T[:k].astype(np.float32)
    return rows

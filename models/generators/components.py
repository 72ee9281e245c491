r"""Principal components of pictures as latents: where a generator can start before the game begins.

Each training picture gets a latent: its first d principal components, each replaced by the normal score of its rank,
:math:`z_{ik} = \Phi^{-1}\big((r_{ik} - \tfrac12)/n\big)`, so that every latent is standard normal as the prior
says. A generator that redraws pictures from these latents already covers their whole variety; the game then only
has to make them sharp. On two processor cores that is the difference between minutes and days.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri


def normal_components(
    images: NDArray[np.uint8], size: int, seed: int, fitted_on: int = 4000
) -> NDArray[np.float32]:
    """Return the latents of pictures.

    Parameters
    ----------
    images : (n, height, width, 3) uint8
        Pictures.
    size : int
        d; beyond the number of components that the pictures have, latents are drawn at random.
    seed : int
        Of the random projection that finds the components, and of those extra latents.
    fitted_on : int
        The components are those of the first so many pictures.

    Returns
    -------
    (n, d) float32
    """
    from sklearn.decomposition import PCA

    n = len(images)
    flat = images.reshape(n, -1)
    found = min(size, n, fitted_on, flat.shape[1])
    components = PCA(found, svd_solver="randomized", random_state=seed)
    components.fit(flat[:fitted_on].astype(np.float32))
    latents = np.random.default_rng([seed, 1]).standard_normal((n, size))
    parts = [components.transform(flat[i : i + 1000].astype(np.float32)) for i in range(0, n, 1000)]
    ranks = np.concatenate(parts).argsort(0, kind="stable").argsort(0, kind="stable")
    latents[:, :found] = ndtri((ranks + 0.5) / n)
    return latents.astype(np.float32)

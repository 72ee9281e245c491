r"""A LatentSize changes a predicted latent's length before a generator draws it: keep, rescale or truncate.

A regression shrinks what it is unsure of. A generator that normalises its input never sees the length; another draws
a short latent as an average picture. ``rescale`` gives every latent the length :math:`\sqrt d` of a drawn one,
``truncate`` limits each value to ±`bound`, ``keep`` does nothing. Which is best is a matter of pictures: `choose_size`
chooses on validation trials. Score latents before it, pictures after it.

Not wired: no training file names a rule or lets one be chosen, so every readout that `bci train` exports keeps the
length. A generator's package has a rule of its own (`models.generators.rules`), which is in force wherever it draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.metrics.latents import pair

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LatentSize:
    """A LatentSize is one rule for the length of predicted latents.

    Attributes
    ----------
    kind : str
    bound : float
        Of ``truncate``.
    """

    kind: Literal["keep", "rescale", "truncate"] = "keep"
    bound: float = 2.0

    def __call__(self, latents: ArrayLike) -> Floats:
        """Return latents for the generator: (n, d) to (n, d); a latent of no length stays so: it has no picture.

        Examples
        --------
        >>> LatentSize("rescale")(np.array([[0.3, 0.0, 0.4, 0.0]])).round(3).tolist()
        [[1.2, 0.0, 1.6, 0.0]]
        """
        z = np.asarray(latents, np.float64)
        if self.kind == "rescale":
            length = np.linalg.norm(z, axis=1, keepdims=True)
            return np.divide(z * np.sqrt(z.shape[1]), length, out=np.zeros_like(z), where=length > 0)
        return np.clip(z, -self.bound, self.bound) if self.kind == "truncate" else z


def choose_size(
    truth: ArrayLike,
    predicted: ArrayLike,
    score: Callable[[Floats, Floats], float],
    *,
    bounds: tuple[float, ...] = (1.0, 1.5, 2.0, 2.5),
) -> tuple[LatentSize, dict[str, float]]:
    """Choose the rule by the generator's pictures on validation trials.

    Parameters
    ----------
    truth, predicted : (n, d)
        Latents of validation trials: never of test trials.
    score : callable
        Of true and treated latents, larger is better; draw both and compare the pictures.
    bounds : tuple of float
        Of ``truncate``, tried one by one.

    Returns
    -------
    best : LatentSize
        ``keep`` wins ties.
    scores : dict of str to float
        Of each.
    """
    a, b = pair(truth, predicted)
    tried = [LatentSize(), LatentSize("rescale"), *(LatentSize("truncate", bound) for bound in bounds)]
    scores = [score(a, size(b)) for size in tried]
    if not np.isfinite(scores).all():
        raise DataError(
            f"expected a finite score of every way to size latents, came {scores}. Check the pictures' score."
        )
    names = [size.kind if size.kind != "truncate" else f"truncate {size.bound:g}" for size in tried]
    return tried[int(np.argmax(scores))], dict(zip(names, scores, strict=True))

r"""A LatentSize changes a predicted latent's length before a generator draws it: keep, rescale or truncate.

A regression shrinks what it is unsure of. A generator that normalises its input never sees the length; another draws
a short latent as an average picture. ``rescale`` gives every latent the length :math:`\sqrt d` of a drawn one,
``truncate`` limits each value to ±`bound`, ``keep`` does nothing. Which is best is a matter of pictures: `choose_size`
chooses on validation trials. Score latents before it, pictures after it.

`size_by_pictures` is what training in silico calls. A generator's package has a rule of its own
(`models.generators.rules`), which is in force wherever it draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.encoding.features import BANKS, features_of
from models.generators.package import GeneratorPackage
from models.metrics.identification import correlation_table, n_way
from models.metrics.latents import pair
from models.readouts.fitted import HeldOutLatents
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]

#: Validation trials whose pictures are drawn, and among how many pictures each is identified.
_MOST, _WAYS = 240, 24


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


def size_by_pictures(
    package: GeneratorPackage, held_out: HeldOutLatents
) -> tuple[LatentSize, dict[str, float]]:
    """Choose the rule by which held-out trials of the training are best identified from the pictures drawn.

    A picture is identified among 24 by the correlation of its features (`models.encoding.features`), in units of their
    deviation over the pictures that were seen.

    Parameters
    ----------
    package : GeneratorPackage
    held_out : HeldOutLatents
        Of training trials.

    Returns
    -------
    best, scores
        As of `choose_size`.
    """
    _, first = np.unique(held_out.truth, axis=0, return_index=True)
    few = np.sort(first)[np.unique(np.linspace(0, len(first) - 1, min(_MOST, len(first))).astype(int))]
    seen = features_of(package.draw(held_out.truth[few].astype(np.float32)), tuple(BANKS))
    scale = Standard.of(seen)

    def identified(_: Floats, latents: Floats) -> float:
        read = features_of(package.draw(latents.astype(np.float32)), tuple(BANKS))
        table = correlation_table(scale.forward(seen), scale.forward(read))
        return float(n_way(table, min(_WAYS, len(few))).mean())

    return choose_size(held_out.truth[few], held_out.predicted[few], identified)

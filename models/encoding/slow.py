r"""A SlowReading reads latents as far as an encoding model and a generator allow, however long it takes: a reference.

A readout that runs live reduces a trial to one point at once. What it loses by that is seen beside two ways that take
about half a second a trial, both of the posterior

.. math:: p(z | y) \propto \exp\Big(-\frac{c}{2t} \|y - m(G(z))\|^2 - \tfrac12 \|z\|^2\Big)

of a white answer y that averages c presentations, with predictions m (`models.encoding.white`), a generator G whose
latents are standard normal, and a noise temperature t:

- its mode, by Adam through the generator and the features (MAP; the objective of Kay et al. 2008 with the generator as
  the prior);
- its mean and variance by importance sampling (`models.encoding.importance`), about what a quick readout said.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bci.errors import DataError
from models.encoding.features import features_of
from models.encoding.gradients import feature_rows
from models.encoding.importance import ImportanceSamples, importance_samples
from models.encoding.white import WhiteEncoding
from models.generators.differentiable import Drawing
from models.generators.package import GeneratorPackage
from models.networks.matching import Descent, descend

Floats = NDArray[np.float64]

#: Trials whose latents are sought together.
_AT_ONCE = 16
#: How the mode is sought when nothing else is said.
_DESCENT = Descent(steps=80, rate=0.05)


class SlowReading:
    """A SlowReading seeks the most probable latents of white answers, and weighs samples by their posterior.

    Parameters
    ----------
    encoding : WhiteEncoding
    package : GeneratorPackage
    banks : sequence of str
        The features that the encoding was fitted to.
    temperature : float
        t: of the noise, which is 1 where the encoding model knows all but that.

    Raises
    ------
    BundleError
        If the generator's gradients are not known.
    """

    def __init__(
        self,
        encoding: WhiteEncoding,
        package: GeneratorPackage,
        banks: tuple[str, ...],
        temperature: float = 1.0,
    ) -> None:
        self.encoding, self.package, self.banks, self.temperature = encoding, package, banks, temperature
        self._drawing = Drawing(package).requires_grad_(False)
        model = encoding.model
        scale = model.features.scale * np.sqrt(len(model.features.scale))
        weights = model.weights / scale[:, None] @ encoding.whiten
        self._weights = torch.from_numpy(weights.astype(np.float32))
        self._mean = torch.from_numpy(model.features.mean.astype(np.float32))

    def predict(self, latents: Tensor) -> Tensor:
        """Return the white answers expected to the pictures of latents, with gradients: (n, d) to (n, axes)."""
        return (feature_rows(self._drawing(latents), self.banks) - self._mean) @ self._weights

    def most_probable(
        self, answers: Floats, begin: Floats, descent: Descent = _DESCENT, counts: float = 1.0
    ) -> NDArray[np.float32]:
        """Seek the mode of the posterior.

        Parameters
        ----------
        answers : (n, axes)
            White, as of `WhiteEncoding.answers`.
        begin : (n, d)
            Latents where the search begins, such as what a quick readout said.
        descent : Descent
            Its penalty plays no part: the prior has its place in the posterior.
        counts : float
            Presentations that a trial averages.

        Returns
        -------
        (n, d) float32
        """
        self._require(answers, begin)
        half = counts / (2 * self.temperature)
        found = []
        for first in range(0, len(answers), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            wanted = torch.from_numpy(np.ascontiguousarray(answers[rows], np.float32))
            latents = torch.from_numpy(np.array(begin[rows], np.float32)).requires_grad_()

            def cost(z: Tensor, wanted: Tensor = wanted) -> Tensor:
                missed = (self.predict(z) - wanted).square().sum(1)
                return half * missed + 0.5 * z.square().sum(1)

            found.append(descend(latents, cost, descent).numpy())
        return np.concatenate(found)

    def weighted(
        self, answers: Floats, mean: Floats, sd: Floats, count: int, seed: int = 0, counts: float = 1.0
    ) -> ImportanceSamples:
        """Return mean and variance of the posterior by weighted samples; parameters as of `importance_samples`."""
        self._require(answers, mean)

        def predict(latents: Floats) -> Floats:
            pictures = self.package.draw(latents.astype(np.float32))
            return self.encoding.predict(features_of(pictures, self.banks))

        return importance_samples(answers, mean, sd, count, predict, seed, counts / self.temperature)

    def _require(self, answers: Floats, latents: Floats) -> None:
        axes, size = self._weights.shape[1], self.package.spec.latent
        if answers.ndim != 2 or answers.shape[1] != axes or latents.shape != (len(answers), size):
            raise DataError(
                f"expected white answers of {axes} axes and as many latents of size {size}, came answers of shape "
                f"{answers.shape} and latents of shape {latents.shape}."
            )

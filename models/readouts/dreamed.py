r"""A readout that learns in an encoding model's dreams, where ridge from brain to latent learns from real trials alone.

Of every training trial the *picture* is known, of cortex how it answers pictures, and a generator can draw any number
of them. So an encoding model is fitted to the real trials (`models.encoding.model`); latents z from the generator's
prior are drawn, and the answers m(z) to their pictures predicted. With answers whitened by the noise of single trials,
the best linear reading of a dreamed trial :math:`m(z) + e, e \sim N(0, t I)`, has a closed form:

.. math:: A = \big(E[m m^T] + t I\big)^{-1} E[m z^T]

The noise temperature t stands for what the encoding model itself does not know. It is chosen on runs that were held
out, and so is whether to dream at all: where the dream reads worse than ridge, ridge is taken. Both scores are kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, DataError
from models.encoding.dreams import Dreams, dream
from models.encoding.features import BANKS, features_of
from models.encoding.model import EncodingModel
from models.generators.package import GeneratorPackage
from models.readouts.folds import held_out_folds
from models.readouts.interface import Readout, Training
from models.readouts.maps import Affine
from models.readouts.recalibration import Recalibration
from models.readouts.scaling import Standard
from models.readouts.solvers import Ridge

Floats = NDArray[np.float64]

#: Noise temperatures that are tried.
TEMPERATURES = (0.3, 1.0, 3.0, 10.0)
#: Folds of whole runs and stimuli on which the choice is made and the error measured.
_FOLDS = 5
DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class DreamChoice:
    """A DreamChoice is what was taken, and what each possibility reads of runs held out.

    Attributes
    ----------
    taken : str
        ``dreamed``, or ``direct`` for ridge.
    temperature : float
        Of the noise.
    cosines : dict of str to float
        Mean cosine with the true latent, by possibility: the temperatures, and ``direct``.
    explained : float
        Largest share of a component's variance that the encoding model predicts of runs held out.
    """

    taken: str
    temperature: float
    cosines: dict[str, float]
    explained: float


class Dreamed(Readout):
    """A Dreamed is a linear readout fitted to dreamed trials, or ridge where that reads held-out runs better.

    Parameters
    ----------
    generator : GeneratorPackage
        Draws the pictures of the training latents, and those of the dreams.
    dreams : int
        How many pictures are dreamed.
    components : int
        Principal components of the brain data that are read.
    banks : sequence of str
        Features of pictures; see `models.encoding.features.BANKS`.
    seed : int
        Of the dreams.

    Attributes
    ----------
    choice_ : DreamChoice
        After `fit`.
    encoding_ : EncodingModel
        After `fit`, of the principal components.
    """

    choice_: DreamChoice
    encoding_: EncodingModel

    def __init__(
        self,
        generator: GeneratorPackage,
        dreams: int = 20_000,
        components: int = 150,
        banks: tuple[str, ...] | list[str] = tuple(BANKS),
        seed: int = 0,
    ) -> None:
        if dreams < 100 or components < 1:
            raise ConfigError(
                f"expected at least 100 dreams and one component, came dreams = {dreams}, components = {components}"
            )
        self.generator, self.dreams, self.components = generator, dreams, components
        self.banks, self.seed = tuple(banks), seed

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return the fewest trials: components are estimated from them."""
        return 20, "Dreamed", "an encoding model is fitted to runs and scored on others"

    def learn(self, training: Training) -> None:
        """Fit the encoding model, dream, choose, and measure the error on runs held out."""
        d = self.generator.spec.latent
        if training.latents.shape[1] != d:
            raise DataError(
                f"expected latents of the generator {self.generator.spec.name!r}, of size {d}, came latents of size "
                f"{training.latents.shape[1]}"
            )
        voxels, scale = Standard.of(training.brain), Standard.of(training.latents)
        x = voxels.forward(np.asarray(training.brain, np.float64))
        y = scale.forward(np.asarray(training.latents, np.float64))
        features = features_of(self.generator.draw(training.latents.astype(np.float32)), self.banks)
        dreams = dream(self.generator, self.dreams, self.seed, self.banks)
        possible = [*(f"{temperature:g}" for temperature in TEMPERATURES), DIRECT]
        predicted = {name: np.empty(y.shape) for name in possible}
        for kept, out in held_out_folds(training.runs, y, _FOLDS):
            runs = np.unique(training.runs[kept], return_inverse=True)[1]
            dreamed, _ = self._solve(x[kept], features[kept], runs, dreams, scale)
            direct = Ridge().solve(x[kept], y[kept], runs)
            maps = [*dreamed, Affine(direct.weights, direct.intercept)]
            for name, map_ in zip(possible, maps, strict=True):
                predicted[name][out] = map_(x[out])
        cosines = {name: _mean_cosine(y, predicted[name]) for name in possible}
        best = max(possible, key=lambda name: cosines[name])
        maps, self.encoding_ = self._solve(x, features, training.runs, dreams, scale)
        if best == DIRECT:
            solution = Ridge().solve(x, y, training.runs)
            found = Affine(solution.weights, solution.intercept)
        else:
            found = maps[possible.index(best)]
        self.choice_ = DreamChoice(
            taken=DIRECT if best == DIRECT else "dreamed",
            temperature=float("nan") if best == DIRECT else float(best),
            cosines=cosines,
            explained=float(self.encoding_.explained.max()),
        )
        recalibration = Recalibration.of(y, predicted[best], y.mean(axis=0))
        self.collapse_ = recalibration.collapse
        self._fitted = recalibration.readout(voxels, scale, found)

    def _solve(
        self,
        x: Floats,
        features: NDArray[np.float32],
        runs: NDArray[np.intp],
        dreams: Dreams,
        scale: Standard,
    ) -> tuple[list[Affine], EncodingModel]:
        """Return the map at each temperature, and the encoding model behind them."""
        middle = x.mean(axis=0)
        _, sizes, axes = np.linalg.svd(x - middle, full_matrices=False)
        count = min(self.components, int(np.count_nonzero(sizes > sizes[0] * 1e-6)))
        project = axes[:count].T / sizes[:count] * np.sqrt(len(x))
        model = EncodingModel.fit(features, (x - middle) @ project, runs)
        answers = model(dreams.features)
        centre = answers.mean(axis=0)
        values, vectors = np.linalg.eigh(model.noise)
        whiten = vectors / np.sqrt(values) @ vectors.T
        white = (answers - centre) @ whiten
        latents = scale.forward(dreams.latents.astype(np.float64))
        mean = latents.mean(axis=0)
        second, cross = white.T @ white / len(white), white.T @ (latents - mean) / len(white)
        into = project @ whiten
        start = (middle @ project + centre) @ whiten
        maps = []
        for temperature in TEMPERATURES:
            reading = np.linalg.solve(second + temperature * np.eye(count), cross)
            maps.append(Affine(into @ reading, mean - start @ reading))
        return maps, model


def _mean_cosine(truth: Floats, predicted: Floats) -> float:
    """Return the mean cosine of predictions with the truth, both about the truth's mean; it does not see their size."""
    z, p = truth - truth.mean(axis=0), predicted - truth.mean(axis=0)
    sizes = np.linalg.norm(z, axis=1) * np.linalg.norm(p, axis=1)
    return float(np.mean((z * p).sum(axis=1) / np.where(sizes > 0, sizes, 1.0)))

r"""A readout that learns in an encoding model's dreams, where ridge from brain to latent learns from real trials alone.

Of every training trial the *picture* is known, of cortex how it answers pictures, and a generator can draw any number
of them. So an encoding model is fitted to the real trials (`models.encoding.white`); latents z from the generator's
prior are drawn, and the answers m(z) to their pictures predicted. With answers whitened by the noise of single trials,
the best linear reading of a dreamed trial :math:`m(z) + e, e \sim N(0, t I)`, has a closed form:

.. math:: A = \big(E[m m^T] + t I\big)^{-1} E[m z^T]

The noise temperature t stands for what the encoding model itself does not know. It is chosen on runs that were held
out, and so is whether to dream at all: where the dream reads worse than ridge, ridge is taken. Both scores are kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import ConfigError, DataError
from models.checks import check_runs
from models.encoding.choice import choose_banks
from models.encoding.dreams import Dreams, dream
from models.encoding.features import BANKS, Pictures, features_of
from models.encoding.likeness import DreamLikeness
from models.encoding.ridge import alike
from models.encoding.white import WhiteEncoding
from models.generators.package import GeneratorPackage
from models.readouts.dream_trials import DreamedTrials
from models.readouts.folds import about_one_centre, held_out_folds
from models.readouts.interface import Readout, Training
from models.readouts.maps import Affine, Map, Network
from models.readouts.recalibration import Recalibration
from models.readouts.scaling import Standard
from models.readouts.solvers import Ridge
from models.readouts.stated import StatedVariance

if TYPE_CHECKING:
    from models.encoding.slow import SlowReading

Floats = NDArray[np.float64]

#: Noise temperatures that are tried.
TEMPERATURES = (0.3, 1.0, 3.0, 10.0)
#: Folds of whole runs and stimuli on which the choice is made and the error measured.
_FOLDS = 5
DIRECT = "direct"
#: Of banks, that they are chosen.
CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class DreamChoice:
    """A DreamChoice is what was taken, and what each possibility reads of runs held out.

    Attributes
    ----------
    taken : str
        Name of the possibility.
    cosines : dict of str to float
        Mean cosine with the true latent, by possibility: temperatures of the linear readout, networks where there are
        any, and ``direct``, which is ridge.
    trials : int
        How many held-out trials they were compared on.
    explained : float
        Largest share of an axis' variance that the encoding model predicts of runs held out.
    likeness : DreamLikeness
        How far the real trials of runs held out lie from dreamed ones.
    variance : StatedVariance, optional
        Of what was taken, where it states a variance of each trial.
    """

    taken: str
    cosines: dict[str, float]
    trials: int
    explained: float
    likeness: DreamLikeness
    variance: StatedVariance | None = None

    @property
    def dreamed(self) -> bool:
        """Whether the readout learned in dreams."""
        return self.taken != DIRECT

    def __str__(self) -> str:
        """Return the choice in words, for a report."""
        best = max((name for name in self.cosines if name != DIRECT), key=self.cosines.__getitem__)
        return (
            f"{self.taken}; on {self.trials} trials of runs held out of the training the dreamed readout reads a mean "
            f"cosine of {self.cosines[best]:.3f} ({best}), ridge without dreams {self.cosines[DIRECT]:.3f}; "
            f"{self.likeness}{'' if self.variance is None else f'; {self.variance}'}"
        )


class Dreamed(Readout):
    """A Dreamed is a linear readout fitted to dreamed trials, or ridge where that reads held-out runs better.

    Parameters
    ----------
    generator : GeneratorPackage
        Draws the pictures of the training latents, and those of the dreams.
    dreams : int
        How many pictures are dreamed.
    components : int
        Principal components of the brain data that are looked at.
    axes : int
        Axes in them that are read.
    banks : sequence of str
        Features of pictures; see `models.encoding.features.BANKS`. ``chosen`` tries all, and drops those without which
        pictures are told apart better in training runs held out (`models.encoding.choice`). Layers of a network are
        named ``WEIGHTS/LAYER``, such as ``convnet-faces/conv3_1`` (`models.encoding.layers`).
    seed : int
        Of the dreams.
    always : bool
        Whether to dream even where ridge reads held-out runs better.

    Attributes
    ----------
    choice_ : DreamChoice
        After `fit`.
    encoding_ : WhiteEncoding
        After `fit`.
    banks_ : tuple of str
        After `fit`: the features that were taken.
    told_ : dict of str to float
        After `fit`, where they were chosen: nats a trial that each set of banks tells of pictures in runs held out.
    """

    choice_: DreamChoice
    encoding_: WhiteEncoding
    banks_: tuple[str, ...]
    told_: dict[str, float]
    _voxels: Standard

    def __init__(
        self,
        generator: GeneratorPackage,
        dreams: int = 20_000,
        components: int = 150,
        axes: int = 60,
        banks: tuple[str, ...] | list[str] | Literal["chosen"] = tuple(BANKS),
        seed: int = 0,
        *,
        always: bool = False,
    ) -> None:
        if isinstance(banks, str) and banks != CHOSEN:
            raise ConfigError(f"expected banks = a list of {', '.join(BANKS)}, or {CHOSEN!r}, came {banks!r}")
        if dreams < 100 or components < 1 or axes < 1:
            raise ConfigError(
                f"expected at least 100 dreams, one component and one axis, came dreams = {dreams}, components = "
                f"{components}, axes = {axes}"
            )
        self.generator, self.dreams, self.components, self.axes = generator, dreams, components, axes
        self.banks = banks if isinstance(banks, str) else tuple(banks)
        self.seed, self.always = seed, always

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return the fewest trials: components are estimated from them."""
        return 20, type(self).__name__, "an encoding model is fitted to runs and scored on others"

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
        features = self._features(x, training.latents.astype(np.float32), training.runs)
        dreams = dream(self.generator, self.dreams, self.seed, self.banks_)
        predicted: dict[str, Floats] = {}
        stated: dict[str, Floats] = {}
        tested, errors = np.zeros(len(x), bool), []
        for kept, out in islice(held_out_folds(training.runs, y, _FOLDS), self._folds()):
            runs = _several(training.runs[kept])
            trials = self._dreamed(x[kept], features[kept], runs, dreams, scale)
            errors.append(trials.encoding.answers(x[out]) - trials.encoding.predict(features[out]))
            for name, map_ in self._readings(trials, x[kept], y[kept], runs):
                moved = about_one_centre(map_(x[out]), map_(x[kept]), y.mean(axis=0))
                predicted.setdefault(name, np.zeros(y.shape))[out] = moved
                own = map_.variance(x[out]) if isinstance(map_, Network) else None
                if own is not None:
                    stated.setdefault(name, np.zeros(y.shape))[out] = own
            tested |= out
        cosines = {name: _mean_cosine(y[tested], one[tested]) for name, one in predicted.items()}
        best = max(
            (name for name in cosines if not (self.always and name == DIRECT)), key=cosines.__getitem__
        )
        trials = self._dreamed(x, features, training.runs, dreams, scale)
        self.encoding_, self._voxels = trials.encoding, voxels
        found = dict(self._readings(trials, x, y, training.runs, only=best))[best]
        recalibration = Recalibration.of(y[tested], predicted[best][tested], y.mean(axis=0))
        self.collapse_ = recalibration.collapse
        variance = None
        if best in stated:
            variance = StatedVariance.of(recalibration.missed, stated[best][tested])
            found = variance(found)
        self.choice_ = DreamChoice(
            best,
            cosines,
            int(np.count_nonzero(tested)),
            float(self.encoding_.model.explained.max()),
            DreamLikeness.of(errors),
            variance,
        )
        self._fitted = recalibration.readout(voxels, scale, found)

    def log_likelihood(self, brain: ArrayLike, pictures: Pictures, *, repeats: int = 1) -> Floats:
        """Return the log likelihood of candidate pictures by the encoding model: (n, voxels), (k, …) to (n, k).

        Up to a constant of each trial; the largest of a row identifies the picture (Kay et al. 2008).

        Raises
        ------
        DataError
            If it is not fitted.
        """
        self._require_fit("encoding_")
        x = self._voxels.forward(np.asarray(brain, np.float64))
        return self.encoding_.log_likelihood(x, features_of(pictures, self.banks_), repeats)

    def slow(self) -> "tuple[SlowReading, Callable[[ArrayLike], Floats]]":
        """Return the slow reading of the same encoding model, a reference, and what makes white answers of brain data.

        Raises
        ------
        DataError
            If it is not fitted.
        BundleError
            If the generator's gradients are not known.
        """
        from models.encoding.slow import SlowReading  # it needs torch

        self._require_fit("encoding_")

        def answers(brain: ArrayLike) -> Floats:
            return self.encoding_.answers(self._voxels.forward(np.asarray(brain, np.float64)))

        return SlowReading(self.encoding_, self.generator, self.banks_), answers

    def _features(
        self, x: Floats, latents: NDArray[np.float32], runs: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return the features of the training pictures, each drawn once, and take their banks."""
        self.told_ = {}
        shown = alike(latents)
        pictures = self.generator.draw(latents[np.unique(shown, return_index=True)[1]])
        if isinstance(self.banks, tuple):
            self.banks_ = self.banks
            return features_of(pictures, self.banks)[shown]
        by_bank = {name: features_of(pictures, [name])[shown] for name in BANKS}
        self.banks_, self.told_ = choose_banks(x, by_bank, runs, components=self.components, axes=self.axes)
        return np.concatenate([by_bank[name] for name in self.banks_], axis=1)

    def _folds(self) -> int:
        """Return how many of the folds are held out."""
        return _FOLDS

    def _dreamed(
        self,
        x: Floats,
        features: NDArray[np.float32],
        runs: NDArray[np.intp],
        dreams: Dreams,
        scale: Standard,
    ) -> DreamedTrials:
        """Fit the encoding model to these trials, and predict the answers to the dreams."""
        encoding = WhiteEncoding.fit(x, features, runs, components=self.components, axes=self.axes)
        return DreamedTrials.of(encoding, dreams, scale)

    def _readings(
        self,
        trials: DreamedTrials,
        x: Floats,
        y: Floats,
        runs: NDArray[np.intp],
        only: str | None = None,
    ) -> Iterator[tuple[str, Map]]:
        """Yield every possibility by its name, fitted to dreams and to the real trials given."""
        linear = {f"linear, temperature {t:g}": t for t in TEMPERATURES}
        if only is None or only in linear:
            yield from zip(linear, trials.linear(list(linear.values())), strict=True)
        if only is None or only == DIRECT:
            direct = Ridge().solve(x, y, runs)
            yield DIRECT, Affine(direct.weights, direct.intercept)


def _several(runs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return runs numbered from 0; contiguous blocks where one alone is left, as of a training of two."""
    runs = check_runs(runs, len(runs))
    return runs if runs.max() else check_runs(None, len(runs))


def _mean_cosine(truth: Floats, predicted: Floats) -> float:
    """Return the mean cosine of predictions with the truth, both about the truth's mean; it does not see their size."""
    z, p = truth - truth.mean(axis=0), predicted - truth.mean(axis=0)
    sizes = np.linalg.norm(z, axis=1) * np.linalg.norm(p, axis=1)
    return float(np.mean((z * p).sum(axis=1) / np.where(sizes > 0, sizes, 1.0)))

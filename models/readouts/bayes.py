r"""An InvertedEncoder inverts an encoding model by Bayes' rule, and uses how often each trial was repeated.

.. math::
    y &= W^\top z + F u + e, \qquad u \sim N(0, I/n),\; e \sim N(0, D/n),\; z \sim N(0, I) \\
    \hat z_n &= (I + \hat W Q_n^{-1} \hat W^\top)^{-1} \hat W Q_n^{-1} y

W is found by ridge, whose penalty for a direction of noise is that noise over the weights' prior variance; the
number of factors is the one under which held-out runs are most likely. What is not known about W adds to the noise of
a trial: :math:`\Sigma\,(1/n + \operatorname{tr}[(Z^\top Z + \alpha I)^{-1}])`, with each direction's own
:math:`\alpha`. Repeats divide the noise; the uncertainty of W they do not, and without it the intervals claim far too
much.

Features that move together, such as the samples of an epoch, have next to no noise of their own; what little they have
says nothing of the signal, and a prior that scales weights by it finds none. So there principal components come first
(`components`). Where the brain answers to some directions of the latents and not to others, `relevance` learns which.

No noise model is right everywhere, and a wrong one is confidently wrong: it explains away what is not there, or reads
noise as signal. So every fit is recalibrated on runs and stimuli that it did not see (`models.readouts.recalibration`):
its answers are shrunk by the scalar that fits, and the variance that it states is made that of held-out trials.

Voxels differ in reliability, so each has its own :math:`\alpha_v`; the distribution that these come from is learned
from all voxels (empirical Bayes, a mixture on a grid), which keeps one voxel's few trials from speaking alone.
"""

from copy import copy

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import ledoit_wolf

from bci.errors import DataError
from models.readouts.fitted import FittedReadout
from models.readouts.folds import held_out_folds
from models.readouts.interface import Readout, Training
from models.readouts.maps import Affine
from models.readouts.noise import NoiseFit, RotatedTrials, SharedNoise, rotate
from models.readouts.principal import principal_axes
from models.readouts.rank import choose_rank
from models.readouts.recalibration import Recalibration
from models.readouts.relevance import relevance
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]

#: Penalties of a voxel relative to the common one; the last stands for a voxel without signal.
_GRID = np.append(np.exp2(np.arange(-5, 5.01, 0.5)), 1e4)


class InvertedEncoder(Readout):
    """An InvertedEncoder is the empirical-Bayes inverted encoder.

    Parameters
    ----------
    most_factors : int
        The largest rank of shared noise that is considered.
    folds : int
        Into how many the runs are gathered for choosing the rank, and for the recalibration.
    correlated : bool
        Whether the prior has the latents' own correlations, shrunk (Ledoit and Wolf 2004), instead of none: for
        latents that were not drawn independently, such as those of an encoder network.
    components : int, optional
        Read this many principal components of the training trials, in place of the voxels.
    relevance : bool
        Whether the prior of the encoding weights learns which directions of the latents are answered to
        (`models.readouts.relevance`), instead of taking all for alike.

    Attributes
    ----------
    noise_ : SharedNoise
        After `fit`.
    alphas_ : (voxels,) float64
        After `fit`: each voxel's penalty.
    weights_ : (d, voxels) float32
        After `fit`: the encoding model, standardised on both sides. With `components` these stand for voxels, here and
        in the other attributes.
    rank_likelihoods_ : dict of int to float
        After `fit`: held-out log likelihood per voxel and trial of each rank tried.
    recalibration_ : Recalibration
        After `fit`: what held-out runs and stimuli corrected.
    """

    recalibration_: Recalibration

    noise_: SharedNoise
    alphas_: Floats
    weights_: NDArray[np.float32]
    rank_likelihoods_: dict[int, float]

    def __init__(
        self,
        most_factors: int = 160,
        folds: int = 3,
        *,
        correlated: bool = False,
        components: int | None = None,
        relevance: bool = False,
    ) -> None:
        self.most_factors = most_factors
        self.folds = folds
        self.correlated = correlated
        self.components = components
        self.relevance = relevance

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return the fewest trials and why."""
        if self.components is None or self.components < 20:
            return 20, "the inverted encoder", "signal and noise of every voxel are told apart"
        return self.components + 1, "the inverted encoder", f"{self.components} components and a mean"

    def learn(self, training: Training) -> None:
        """Fit encoding model and noise; the more presentations a trial averages, the smaller its noise.

        Raises
        ------
        DataError
            If there is one run alone.
        """
        brain, latents, runs, counts = training.brain, training.latents, training.runs, training.counts
        if runs.max() < 1:
            raise DataError(
                "expected at least 2 runs to choose the number of noise factors on held-out ones, came 1. "
                "Pass the runs, or leave them out and contiguous blocks are used."
            )
        self._voxels, self._latents = Standard.of(brain, counts), Standard.of(latents, counts)
        root = np.sqrt(counts)[:, None]
        x = self._voxels.forward(brain)
        self._front = None if self.components is None else _whitening(x, self.components)
        x = x if self._front is None else x @ self._front
        y = (x * root.astype(x.dtype)).astype(np.float32)
        z = np.asarray(self._latents.forward(latents), np.float64)
        prior = ledoit_wolf(z, assume_centered=True)[0] if self.correlated else np.eye(z.shape[1])
        z *= root
        # From here on latents are in units in which weights are of one size in every direction.
        self._root = relevance(y, z) if self.relevance else np.eye(z.shape[1])
        z, self._prior = z @ self._root, self._root.T @ prior @ self._root
        rank, self.rank_likelihoods_ = choose_rank(y, z, runs, most=self.most_factors, folds=self.folds)
        self._recalibrate(training, y, z, rank)
        self._encode(y, z, rank)

    def _encode(self, y: NDArray[np.float32], z: Floats, rank: int) -> None:
        """Fit noise of that rank and the encoding weights."""
        trials = rotate(y, z)
        self.noise_ = NoiseFit(trials, max(rank, 1))(rank)
        self._weigh(trials)
        self.weights_ = (self._root @ self._encoding).astype(np.float32)
        self._frozen: dict[float, FittedReadout] = {}

    def _recalibrate(self, training: Training, y: NDArray[np.float32], z: Floats, rank: int) -> None:
        """Read runs and stimuli that an encoder was not fitted on, and compare what it says with what came."""
        brain, latents, counts = training.brain, training.latents, training.counts
        truth = np.asarray(self._latents.forward(latents), np.float64)
        predicted, stated = np.empty(truth.shape), np.empty(truth.shape)
        other = copy(self)
        other.recalibration_ = Recalibration.none(truth)
        for kept, out in held_out_folds(training.runs, latents, self.folds):
            other._encode(y[kept], z[kept], rank)  # noqa: SLF001  (a copy of this one)
            for count in np.unique(counts[out]):
                trials = out & (counts == count)
                fitted = other.freeze(count)
                predicted[trials] = fitted.standard(brain[trials])
                stated[trials] = np.diag(fitted.covariance)
        self.recalibration_ = Recalibration.of(truth, predicted, np.zeros(truth.shape[1]), stated.mean(0))
        self.collapse_ = self.recalibration_.collapse

    def _weigh(self, trials: RotatedTrials) -> None:
        """Give each voxel its penalty and find the encoding weights with the shared noise taken out."""
        noise, s = self.noise_, trials.s
        root = np.sqrt(noise.private)
        g = 1 + s / noise.alpha
        seen = (trials.rows @ (noise.axes / root[:, None]).astype(np.float32)).astype(np.float64)
        scores = seen * np.sqrt(noise.strength) / (g[:, None] + noise.strength)
        clean = trials.rows - (scores @ noise.loadings.T).astype(np.float32)
        spread = g[:, None] / (g[:, None] + noise.strength)
        grid = noise.alpha * _GRID
        # Per voxel and penalty: log likelihood with its private variance at its best, and that variance.
        shares = 1 / (1 + s[:, None] / grid)
        fitted = (clean**2).T.astype(np.float64) @ shares + noise.loadings**2 @ (spread.T @ shares)
        table = -0.5 * (len(s) * np.log(fitted) - np.log(shares).sum(0))
        self.alphas_ = grid[_most_probable(table)]
        self._private = fitted[np.arange(len(root)), _most_probable(table)] / len(s)
        # Shared noise is told from signal with each voxel's own penalty in place of the common one.
        shrink = (np.sqrt(s)[:, None] / (s[:, None] + self.alphas_)).astype(np.float32)
        self._encoding = trials.right.astype(np.float32) @ (shrink * clean)
        # The variance that the prior of a new latent has along each direction of training, and beyond them.
        along_prior = np.einsum("di,de,ei->i", trials.right, self._prior, trials.right, optimize=True)
        unreached = max(float(np.trace(self._prior)) - float(along_prior.sum()), 0.0)

        def loose(penalties: Floats) -> Floats:
            result: Floats = along_prior @ (1 / (s[:, None] + penalties)) + unreached / penalties
            return result

        self._loose = loose(self.alphas_)
        values, which = np.unique(self.alphas_, return_inverse=True)
        mass = np.zeros((len(values), noise.rank))
        np.add.at(mass, which, noise.axes**2)
        factors = 1 + noise.strength
        along = np.array([loose(values * factor) for factor in factors]).reshape(noise.rank, len(values))
        self._loose_shared = np.einsum("kj,jk->j", mass, factors[:, None] * along - loose(values))

    def freeze(self, repeats: float | None = None) -> FittedReadout:
        """Return the fitted readout for trials that average `repeats` presentations, 1 when left out.

        Raises
        ------
        DataError
            If it is not fitted, or `repeats` is not a positive number.
        """
        repeats = 1 if repeats is None else repeats
        if repeats < 1:
            raise DataError(
                f"expected at least 1 presentation per trial, came {repeats}. Pass how many were averaged."
            )
        if repeats not in self._frozen:
            noise = self.noise_
            diagonal = self._private * (1 / repeats + self._loose)
            shared = noise.strength / repeats + np.maximum(self._loose_shared, 0.0)
            factors = (np.sqrt(self._private)[:, None] * noise.axes * np.sqrt(shared)).T
            information = _solve(self._encoding, diagonal, factors)
            precision = np.linalg.inv(self._prior) + information @ self._encoding.T.astype(np.float64)
            covariance = np.linalg.inv((precision + precision.T) / 2)
            back = np.linalg.inv(self._root)
            weights, offset = (covariance @ information).T @ back, np.zeros(len(covariance))
            weights = weights if self._front is None else self._front @ weights
            covariance = back.T @ covariance @ back
            self._frozen[repeats] = self.recalibration_.readout(
                self._voxels, self._latents, Affine(weights, offset), covariance
            )
        return self._frozen[repeats]

    def frozen(self, repeats: float | None = None) -> FittedReadout:
        """Return the fitted readout for trials that average `repeats` presentations, 1 when left out."""
        return super().frozen(1 if repeats is None else repeats)

    def predict(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return the posterior mean of the latents: (n, voxels) to (n, d)."""
        return self.frozen(repeats).predict(brain)


def _whitening(standardised: Array, count: int) -> Floats:
    """Return the matrix from standardised voxels to principal components of variance 1: (voxels, count)."""
    axes = principal_axes(standardised, count)
    whitening: Floats = axes / (standardised @ axes).std(0)
    return whitening


def _solve(weights: Array, diagonal: Floats, factors: Floats) -> Floats:
    """Return W (diag + F'F)⁻¹ by Woodbury's identity: (d, voxels), (voxels,), (k, voxels) to (d, voxels)."""
    plain = weights / diagonal
    if not len(factors):
        return plain
    scaled = factors / diagonal
    inner = np.linalg.solve(np.eye(len(factors)) + scaled @ factors.T, factors @ plain.T)
    result: Floats = plain - inner.T @ scaled
    return result


def _most_probable(table: Floats, steps: int = 100) -> NDArray[np.intp]:
    """Return each voxel's most probable column, given log likelihoods and shares learned from all voxels: (voxels,)."""
    likelihood = np.exp(table - table.max(1, keepdims=True))
    share = np.full(table.shape[1], 1 / table.shape[1])
    for _ in range(steps):
        belief = likelihood * share
        belief /= belief.sum(1, keepdims=True)
        share = belief.mean(0)
    return np.argmax(belief, axis=1)

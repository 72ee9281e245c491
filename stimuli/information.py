r"""Expected information: which stimulus' answer is expected to tell most of how a brain answers stimuli.

Answers are taken as linear in features of the stimulus, with noise that is correlated between them:

.. math:: y = W^T x + e, \qquad e \sim N(0, \Sigma), \qquad W_{ij} \sim N(0, \tau^2)

Along the axes of the noise, of variances :math:`s_j`, the weights have independent posteriors of covariance
:math:`s_j S_j`, with :math:`S_j = (\lambda_j I + X^T X)^{-1}` and :math:`\lambda_j = s_j / \tau^2`. What an answer to
:math:`x` is expected to take from the entropy of the weights is then, in nats (Lindley 1956; MacKay 1992),

.. math:: I(x) = \tfrac12 \sum_j \log(1 + x^T S_j x)

How much is weights and how much is noise is learned from the answers so far, by the evidence of one :math:`\lambda` for
all answers, with :math:`\Sigma` integrated out about a broad guess :math:`\Sigma_0` that counts as :math:`\nu` answers:

.. math:: \log p(Y | \lambda) = -\tfrac k2 \log |I + X^T X / \lambda|
          - \tfrac{n + \nu}2 \log |\nu \Sigma_0 + Y^T Y - Y^T X (X^T X + \lambda I)^{-1} X^T Y| + c

An encoding model that was learned before stands for answers that were heard before: as many as it was trained with, to
the stimuli of its training, each as the model says, with its noise. They count to a share :math:`\kappa` (the power
prior of Ibrahim and Chen 2000), and how likely the answers since are under one of those tried,

.. math:: \log p(Y | Y_0, \kappa) = \log \sum_\lambda p(Y, Y_0^\kappa | \lambda)
          - \log \sum_\lambda p(Y_0^\kappa | \lambda)

grows with each answer by what that share foretold of it, :math:`\ell_n(\kappa)`. What foretells best at first need not
do so later: of a brain that changed in part the old model is the better guess for some trials and a burden after them,
and by the whole sum its early lead has to be paid back before it is left. So the best share may change, at the n-th
answer with probability 1/n (van Erven, Grünwald and de Rooij 2012; the fixed share of Herbster and Warmuth 1998),

.. math:: w_n(\kappa) \propto e^{\ell_n(\kappa)} \Big(\tfrac{n-1}n w_{n-1}(\kappa) + \tfrac1n \tfrac1{|\kappa|}\Big)

and the share of the largest weight counts: a brain that answers otherwise than then is learned anew.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, multigammaln

from bci.signal.picture_encoding import PictureEncoding

Floats = NDArray[np.float64]

#: Ratios of noise to weights that are tried, of features of unit power; steps of EM for the weights' variance then,
#: which the axes of the noise share.
_RATIOS = np.logspace(-2, 4, 25)
_STEPS = 3
#: Shares to which what was heard before is tried to count.
_SHARES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class AnswerSums:
    """An AnswerSums holds what answers to stimuli come to, as far as answers linear in features depend on it.

    Attributes
    ----------
    gram : (features, features) float64
        Sum of products of the stimuli's features.
    cross : (features, answers) float64
        Of features and answers.
    power : (answers, answers) float64
        Of answers.
    n : float
        How many there were.
    """

    gram: Floats
    cross: Floats
    power: Floats
    n: float

    @classmethod
    def of(cls, encoding: PictureEncoding) -> Self:
        """Return what an encoding model stands for: its training, answered as it says, with its noise."""
        cross = encoding.gram @ encoding.weights
        return cls(
            encoding.gram,
            cross,
            encoding.weights.T @ cross + encoding.trials * encoding.noise,
            encoding.trials,
        )

    def after(self, before: "AnswerSums", share: float) -> "AnswerSums":
        """Return both, what was heard `before` counting to a share."""
        return AnswerSums(
            self.gram + share * before.gram,
            self.cross + share * before.cross,
            self.power + share * before.power,
            self.n + share * before.n,
        )

    def by_ratio(self, guess: Floats) -> tuple[Floats, list[Floats]]:
        """Return the log evidence of each ratio of noise to weights, and the answers' scatter about the prediction.

        `guess`, (answers, answers), is what the noise is taken for before any answer; it counts as one for each value.
        """
        k = len(self.power)
        powers, axes = np.linalg.eigh(self.gram)
        powers = np.maximum(powers, 0)
        along = axes.T @ self.cross
        evidence, scatters = np.empty(len(_RATIOS)), []
        for place, ratio in enumerate(_RATIOS):
            scatter = guess + self.power - along.T @ (along / (powers + ratio)[:, None])
            evidence[place] = -0.5 * k * np.log1p(powers / ratio).sum()
            evidence[place] -= 0.5 * (self.n + k) * np.linalg.slogdet(scatter)[1]
            scatters.append(scatter)
        return evidence, scatters

    def evidence(self, guess: Floats) -> float:
        """Return the log evidence over all ratios, up to a constant of the number of whole answers."""
        k = len(self.power)
        return float(logsumexp(self.by_ratio(guess)[0]) + multigammaln((self.n + k) / 2, k))


@dataclass(frozen=True, slots=True, eq=False)
class _Posterior:
    """What is known of the weights: axes and powers of the features, and what the prior adds to them."""

    axes: Floats  # (f, f), of the features shown
    powers: Floats  # (f,)
    penalties: Floats  # (k,), of each axis of the noise


class LinearAnswers:
    """LinearAnswers learn how answers depend on features, and say what another answer would tell.

    Parameters
    ----------
    features : int
        How many each stimulus has.
    answers : int
        How many values each answer has.
    before : AnswerSums, optional
        What was heard before this session, by features that mean the same.
    learns : bool
        Whether answers change what was heard before; if not, they only say which stimuli were shown.

    Examples
    --------
    >>> known = LinearAnswers(2, 1)
    >>> for _ in range(8):
    ...     known.learn(np.array([1.0, 0.0]), np.array([0.5]))
    >>> along, across = known.information(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> bool(along < across)
    True
    """

    def __init__(
        self, features: int, answers: int, before: AnswerSums | None = None, *, learns: bool = True
    ) -> None:
        self._gram = np.zeros((features, features))
        self._cross = np.zeros((features, answers))
        self._power = np.zeros((answers, answers))
        self._n = 0
        self._noise, self._prior = np.eye(answers), 1.0
        self._weights = np.zeros((features, answers))
        self._before, self._learns, self._share = before, learns, 0.0 if before is None else 1.0
        if before is not None:
            self._guess = float(np.trace(before.power)) / before.n / 2 * np.eye(answers)
            self._alone = [self._sums(share).evidence(self._guess) for share in _SHARES]
            self._told = np.zeros(len(_SHARES))
            self._shares = np.full(len(_SHARES), 1 / len(_SHARES))
            self._fit()

    @property
    def weights(self) -> Floats:
        """The mean of the weights, (features, answers)."""
        return self._weights

    @property
    def noise(self) -> Floats:
        """The covariance of an answer about its prediction, (answers, answers)."""
        return self._noise

    @property
    def prior(self) -> float:
        """The variance of a weight before any answer, as the answers have it."""
        return self._prior

    @property
    def share(self) -> float:
        """The share to which what was heard before counts beside the answers; 0 where nothing was."""
        return self._share

    def learn(self, features: Floats, answer: Floats) -> None:
        """Take in one answer, (answers,), to a stimulus of these features, (features,)."""
        self._gram += np.outer(features, features)
        if not self._learns:
            return
        self._cross += np.outer(features, answer)
        self._power += np.outer(answer, answer)
        self._n += 1
        if self._before is not None:
            self._share = self._believed()
        self._fit()

    def information(self, candidates: Floats, pending: Floats | None = None) -> Floats:
        """Return what the answer to each candidate is expected to tell of the weights, (n,) nats.

        Parameters
        ----------
        candidates : (n, features) float64
        pending : (m, features) float64, optional
            Stimuli that were shown and whose answers are still to come: what they will tell is not told again.
        """
        gram = self._sums(self._share).gram
        if pending is not None:
            gram = gram + pending.T @ pending
        known = self._posterior(gram)
        along = (candidates @ known.axes) ** 2
        spread = 1.0 / (known.penalties[:, None] + known.powers)
        information: Floats = 0.5 * np.log1p(along @ spread.T).sum(axis=1)
        return information

    def _posterior(self, gram: Floats) -> _Posterior:
        powers, axes = np.linalg.eigh(gram)
        noise = np.linalg.eigvalsh(self._noise)
        # What is planned for is at least as much signal as noise: as long as the answers seem to be noise alone, the
        # same longest candidate would be expected to tell most for ever.
        penalties = np.asarray(noise / max(self._prior, float(noise.mean())), np.float64)
        return _Posterior(axes, np.maximum(powers, 0), penalties)

    def _sums(self, share: float) -> AnswerSums:
        """Return what was heard: the answers, and to a share what was before them."""
        heard = AnswerSums(self._gram, self._cross, self._power, self._n)
        return heard if self._before is None else heard.after(self._before, share)

    def _believed(self) -> float:
        """Weigh the shares by what they foretold of the newest answer; return the likeliest, of equals the largest."""
        told = np.array([self._sums(share).evidence(self._guess) for share in _SHARES]) - self._alone
        foretold, self._told = told - self._told, told
        before = self._shares + (1 / len(_SHARES) - self._shares) / self._n
        weights = before * np.exp(foretold - foretold.max())
        self._shares = weights / weights.sum()
        return _SHARES[int(np.argmax(self._shares))]

    def _fit(self) -> None:
        """Find the noise, the variance of the weights and the weights that fit the answers so far."""
        heard = self._sums(self._share)
        k = len(heard.power)
        if self._before is None:
            # Half of what varies is taken for noise at first, which counts as one answer for each of its values.
            variance = max(float(np.trace(heard.power)) / heard.n, np.finfo(float).tiny)
            self._guess = variance / 2 * np.eye(k)
        evidence, scatters = heard.by_ratio(self._guess)
        best = int(np.argmax(evidence))
        self._noise = scatters[best] / (heard.n + k)
        noise, noise_axes = np.linalg.eigh(self._noise)
        powers, axes = np.linalg.eigh(heard.gram)
        powers = np.maximum(powers, 0)
        along = axes.T @ heard.cross @ noise_axes
        self._prior = float(noise.mean()) / float(_RATIOS[best])
        for _ in range(_STEPS):
            shrunk = 1 / (powers[:, None] + noise / self._prior)
            spread = (shrunk * along) ** 2 + noise * shrunk
            self._prior = max(float(spread.mean()), np.finfo(float).tiny)
        self._weights = axes @ (along / (powers[:, None] + noise / self._prior)) @ noise_axes.T

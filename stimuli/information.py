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
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Ratios of noise to weights that are tried, of features of unit power; steps of EM for the weights' variance then,
#: which the axes of the noise share.
_RATIOS = np.logspace(-2, 4, 25)
_STEPS = 3


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

    Examples
    --------
    >>> known = LinearAnswers(2, 1)
    >>> for _ in range(8):
    ...     known.learn(np.array([1.0, 0.0]), np.array([0.5]))
    >>> along, across = known.information(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> bool(along < across)
    True
    """

    def __init__(self, features: int, answers: int) -> None:
        self._gram = np.zeros((features, features))
        self._cross = np.zeros((features, answers))
        self._power = np.zeros((answers, answers))
        self._n = 0
        self._noise, self._prior = np.eye(answers), 1.0
        self._weights = np.zeros((features, answers))

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

    def learn(self, features: Floats, answer: Floats) -> None:
        """Take in one answer, (answers,), to a stimulus of these features, (features,)."""
        self._gram += np.outer(features, features)
        self._cross += np.outer(features, answer)
        self._power += np.outer(answer, answer)
        self._n += 1
        self._fit()

    def information(self, candidates: Floats, pending: Floats | None = None) -> Floats:
        """Return what the answer to each candidate is expected to tell of the weights, (n,) nats.

        Parameters
        ----------
        candidates : (n, features) float64
        pending : (m, features) float64, optional
            Stimuli that were shown and whose answers are still to come: what they will tell is not told again.
        """
        gram = self._gram if pending is None else self._gram + pending.T @ pending
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

    def _fit(self) -> None:
        """Find the noise, the variance of the weights and the weights that fit the answers so far."""
        k = len(self._power)
        powers, axes = np.linalg.eigh(self._gram)
        powers = np.maximum(powers, 0)
        along = axes.T @ self._cross
        # Half of what varies is taken for noise at first, which counts as one answer for each of its values.
        variance = max(float(np.trace(self._power)) / self._n, np.finfo(float).tiny)
        guess = variance / 2 * np.eye(k)
        best, ratio = -np.inf, 1.0
        for tried in _RATIOS:
            scatter = guess + self._power - along.T @ (along / (powers + tried)[:, None])
            evidence = -0.5 * k * np.log1p(powers / tried).sum()
            evidence -= 0.5 * (self._n + k) * np.linalg.slogdet(scatter)[1]
            if evidence > best:
                best, ratio, self._noise = evidence, float(tried), scatter / (self._n + k)
        noise, noise_axes = np.linalg.eigh(self._noise)
        along = along @ noise_axes
        self._prior = float(noise.mean()) / ratio
        for _ in range(_STEPS):
            shrunk = 1 / (powers[:, None] + noise / self._prior)
            spread = (shrunk * along) ** 2 + noise * shrunk
            self._prior = max(float(spread.mean()), np.finfo(float).tiny)
        self._weights = axes @ (along / (powers[:, None] + noise / self._prior)) @ noise_axes.T

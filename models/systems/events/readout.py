r"""A readout of classes: features of an epoch, a linear discriminant with a shrunk covariance, probabilities.

.. math:: p_k = \mathrm{softmax}_k\left((w_k \cdot x + b_k) / T\right)

x are features, block means (`models.systems.events.block_means`) or places in a tangent space
(`models.systems.events.tangent`); w and b are those of linear discriminant analysis with the covariance of Ledoit &
Wolf (2004) and equal priors, as Blankertz et al. 2011 (NeuroImage 56, 814-825) advise for evoked potentials. The
temperature T is fitted to predictions for trials that took no part in the fit. What lies outside the training trials is
told by its novelty (`models.readouts.novelty`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bci.errors import ConfigError
from models.export import GraphParts, floats
from models.readouts.export import add_novelty, add_statistics
from models.readouts.novelty import Novelty
from models.systems.events.block_means import BlockMeans
from models.systems.events.canonical import CanonicalCorrelation
from models.systems.events.folds import Fold
from models.systems.events.settings import (
    BlockMeansSettings,
    CanonicalCorrelationSettings,
    TangentSpaceSettings,
)
from models.systems.events.tangent import TangentSpace
from models.systems.events.trials import EventTrials

Floats = NDArray[np.float64]


#: Settings of what can be fitted; a choice among them is made first.
Fittable = BlockMeansSettings | TangentSpaceSettings | CanonicalCorrelationSettings


class Features(Protocol):
    """A Features turns epochs into features, here and in a graph."""

    def __call__(self, epochs: NDArray[np.floating[Any]]) -> Floats:
        """Return features of epochs: (n, length, *shape) to (n, features)."""
        ...

    def add(self, graph: GraphParts, shape: Sequence[int]) -> str:
        """Add the features of ``window`` (1, *shape) to a graph; return their name, (1, features) float32."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ClassReadout:
    """A ClassReadout holds what was fitted.

    Attributes
    ----------
    features : Features
    mean, scale : (features,) float64
        That features are standardised by.
    weights : (k, features) float64
        Of the standardised features, for each class.
    bias : (k,) float64
    temperature : float
    """

    features: Features
    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    temperature: float = 1.0

    def standardised(self, epochs: NDArray[np.float32]) -> Floats:
        """Return features of epochs, (n, length, *shape), with mean 0 and variance 1 in training: (n, features)."""
        return (self.features(epochs) - self.mean) / self.scale

    def scores(self, epochs: NDArray[np.float32]) -> Floats:
        """Return the log-odds of each class up to a constant, (n, k), of epochs, (n, length, *shape)."""
        given: Floats = (self.standardised(epochs) @ self.weights.T + self.bias) / self.temperature
        return given


def softmax(scores: Floats) -> Floats:
    """Return probabilities, (n, k), of log-odds, (n, k)."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def fit(trials: EventTrials, rows: NDArray[np.intp], settings: Fittable) -> ClassReadout:
    """Fit a readout of classes to some rows of trials.

    Raises
    ------
    ConfigError
        If the features cannot be fitted.
    """
    epochs, classes, k = trials.epochs[rows], trials.classes[rows], len(trials.labels)
    given: Features
    if isinstance(settings, CanonicalCorrelationSettings):
        frequencies = [settings.frequencies[label] for label in trials.labels]
        return _untrained(
            CanonicalCorrelation.of(frequencies, settings.harmonics, epochs.shape[1], trials.rate), epochs, k
        )
    if isinstance(settings, TangentSpaceSettings):
        given = TangentSpace.fit(epochs, classes, settings.filters)
    else:
        if settings.block > epochs.shape[1]:
            raise ConfigError(
                f"readout.block: expected at most the {epochs.shape[1]} samples of an epoch, came {settings.block}."
            )
        given = BlockMeans(settings.block)
    features = given(epochs)
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-12)
    # Frequent classes say more about the covariance; afterwards every class is as likely as another.
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    analysis.fit((features - mean) / scale, classes)
    weights, bias = analysis.coef_, analysis.intercept_
    if k == 2:
        # Of two classes the library gives the odds of the second alone.
        weights = np.concatenate([-weights, weights]) / 2
        bias = np.concatenate([-bias, bias]) / 2
    log_priors = np.log(analysis.priors_)
    return ClassReadout(given, mean, scale, weights, bias - (log_priors - log_priors.mean()))


def _untrained(correlation: CanonicalCorrelation, epochs: NDArray[np.float32], k: int) -> ClassReadout:
    """Return a readout whose log-odds are the correlations; the power of the channels counts for nothing."""
    features = correlation(epochs)
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-12)
    # Correlations are compared as they are: what standardising takes from them, the weights give back.
    weights = np.zeros((k, features.shape[1]))
    weights[:, :k] = np.diag(scale[:k])
    return ClassReadout(correlation, mean, scale, weights, mean[:k].copy())


def fit_novelty(readout: ClassReadout, epochs: NDArray[np.float32], folds: Sequence[Fold]) -> Novelty:
    """Fit what tells epochs unlike those of training; its limits come from folds that it did not see."""
    masks = []
    for fold in folds:
        kept, out = np.zeros(len(epochs), bool), np.zeros(len(epochs), bool)
        kept[fold.fit], out[fold.score] = True, True
        masks.append((kept, out))
    return Novelty.fit(readout.standardised(epochs), masks, hold_fitted=True)


def fit_temperature(scores: Floats, classes: NDArray[np.int64]) -> float:
    """Return the temperature at which trials that were not fitted on are likeliest, each class counting alike."""
    counts = np.bincount(classes, minlength=scores.shape[1])
    weight = 1 / counts[classes]

    def loss(log_temperature: float) -> float:
        stated = softmax(scores / np.exp(log_temperature))[np.arange(len(classes)), classes]
        return float(-(weight * np.log(np.maximum(stated, 1e-300))).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-5, 8), method="bounded").x))


def export(readout: ClassReadout, novelty: Novelty, shape: Sequence[int]) -> bytes:
    """Write a readout as a graph from ``window`` (1, *shape).

    It gives ``probabilities`` (1, k), ``confidence`` (1,), the largest of them, or chance where the epoch is unlike
    those of training, and ``novelty`` (1,), which is above 1 there.

    Parameters
    ----------
    readout, novelty
        What was fitted.
    shape : sequence of int
        Of one epoch: (length, *features).
    """
    k = len(readout.bias)
    graph = GraphParts()
    for name, value in {
        "mean": readout.mean[None],
        "scale": readout.scale[None],
        "weights": readout.weights.T / readout.temperature,
        "bias": readout.bias / readout.temperature,
        "classes": np.array([1]),
    }.items():
        graph.constant(name, value)
    features = readout.features.add(graph, shape)
    graph.node("Sub", [features, "mean"], "centred")
    graph.node("Div", ["centred", "scale"], "standardised")
    graph.node("Gemm", ["standardised", "weights", "bias"], "log_odds")
    graph.node("Softmax", ["log_odds"], "probabilities", axis=1)
    graph.node("ReduceMax", ["probabilities", "classes"], "sure", keepdims=0)
    add_novelty(graph, add_statistics(graph, novelty, "standardised"), novelty.limits, "sure", 1 / k)
    given = [floats("probabilities", [1, k]), floats("confidence", [1]), floats("novelty", [1])]
    return graph.finish("class_readout", floats("window", [1, *shape]), given)

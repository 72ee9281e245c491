r"""A readout of classes: block means of an epoch, a linear discriminant with a shrunk covariance, probabilities.

.. math:: p_k = \mathrm{softmax}_k\left((w_k \cdot x + b_k) / T\right)

x are the means of every channel over short blocks; w and b are those of linear discriminant analysis with the
covariance of Ledoit & Wolf (2004) and equal priors, as Blankertz et al. 2011 (NeuroImage 56, 814-825) advise for evoked
potentials. The temperature T is fitted to predictions for trials that took no part in the fit. What lies outside the
training trials is told by its novelty (`models.readouts.novelty`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from models.export import GraphParts, floats
from models.readouts.export import add_novelty, add_statistics
from models.readouts.novelty import Novelty
from models.systems.events.trials import Fold

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassReadout:
    """A ClassReadout holds what was fitted.

    Attributes
    ----------
    block : int
        Samples that are averaged into one feature a channel.
    mean, scale : (features,) float64
        That features are standardised by.
    weights : (k, features) float64
        Of the standardised features, for each class.
    bias : (k,) float64
    temperature : float
    """

    block: int
    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    temperature: float = 1.0

    def standardised(self, epochs: NDArray[np.float32]) -> Floats:
        """Return features of epochs, (n, length, *shape), with mean 0 and variance 1 in training: (n, features)."""
        return (features_of(epochs, self.block) - self.mean) / self.scale

    def scores(self, epochs: NDArray[np.float32]) -> Floats:
        """Return the log-odds of each class up to a constant, (n, k), of epochs, (n, length, *shape)."""
        given: Floats = (self.standardised(epochs) @ self.weights.T + self.bias) / self.temperature
        return given


def features_of(epochs: NDArray[np.float32], block: int) -> Floats:
    """Return the means of `block` samples of each channel, (n, features); what is left over is not used."""
    n, length = epochs.shape[:2]
    blocks = length // block
    rows = epochs.reshape(n, length, -1)[:, : blocks * block]
    means: Floats = rows.reshape(n, blocks, block, -1).mean(axis=2, dtype=np.float64)
    return means.reshape(n, -1)


def softmax(scores: Floats) -> Floats:
    """Return probabilities, (n, k), of log-odds, (n, k)."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def fit(epochs: NDArray[np.float32], classes: NDArray[np.int64], k: int, block: int) -> ClassReadout:
    """Fit a readout of `k` classes to epochs, (n, length, *shape), averaging `block` samples into a feature."""
    features = features_of(epochs, block)
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
    return ClassReadout(block, mean, scale, weights, bias - (log_priors - log_priors.mean()))


def fit_novelty(readout: ClassReadout, epochs: NDArray[np.float32], folds: Sequence[Fold]) -> Novelty:
    """Fit what tells epochs unlike those of training; its limits come from folds that it did not see."""
    masks = []
    for fold in folds:
        kept, out = np.zeros(len(epochs), bool), np.zeros(len(epochs), bool)
        kept[fold.fit], out[fold.score] = True, True
        masks.append((kept, out))
    return Novelty.fit(readout.standardised(epochs), masks)


def cross_predict(
    epochs: NDArray[np.float32], classes: NDArray[np.int64], folds: Sequence[Fold], k: int, block: int
) -> Floats:
    """Return the log-odds, (n, k), of each trial by a readout that never saw its fold."""
    scores = np.full((len(epochs), k), np.nan)
    for fold in folds:
        scores[fold.score] = fit(epochs[fold.fit], classes[fold.fit], k, block).scores(epochs[fold.score])
    return scores


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
    k, block = len(readout.bias), readout.block
    blocks = shape[0] // block
    graph = GraphParts()
    for name, value in {
        "first": np.array([0]),
        "end": np.array([blocks * block]),
        "time": np.array([1]),
        "in_blocks": np.array([1, blocks, block, -1]),
        "within": np.array([2]),
        "mean": readout.mean[None],
        "scale": readout.scale[None],
        "weights": readout.weights.T / readout.temperature,
        "bias": readout.bias / readout.temperature,
        "classes": np.array([1]),
    }.items():
        graph.constant(name, value)
    graph.node("Slice", ["window", "first", "end", "time"], "whole_blocks")
    graph.node("Reshape", ["whole_blocks", "in_blocks"], "blocks")
    graph.node("ReduceMean", ["blocks", "within"], "means", keepdims=0)
    graph.node("Flatten", ["means"], "features", axis=1)
    graph.node("Sub", ["features", "mean"], "centred")
    graph.node("Div", ["centred", "scale"], "standardised")
    graph.node("Gemm", ["standardised", "weights", "bias"], "log_odds")
    graph.node("Softmax", ["log_odds"], "probabilities", axis=1)
    graph.node("ReduceMax", ["probabilities", "classes"], "sure", keepdims=0)
    add_novelty(graph, add_statistics(graph, novelty, "standardised"), novelty.limits, "sure", 1 / k)
    given = [floats("probabilities", [1, k]), floats("confidence", [1]), floats("novelty", [1])]
    return graph.finish("class_readout", floats("window", [1, *shape]), given)

r"""A readout of classes: block means of an epoch, a linear discriminant with a shrunk covariance, probabilities.

.. math:: p_k = \mathrm{softmax}_k\left((w_k \cdot x + b_k) / T\right)

x are the means of every channel over short blocks; w and b are those of linear discriminant analysis with the
covariance of Ledoit & Wolf (2004) and equal priors, as Blankertz et al. 2011 (NeuroImage 56, 814-825) advise for evoked
potentials. The temperature T is fitted to predictions for trials that took no part in the fit. Everything is linear up
to the softmax, so the exported graph is one product with the whole epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy.optimize import minimize_scalar
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from models.export import OPSET, finish
from models.systems.events.trials import Fold

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassReadout:
    """A ClassReadout holds what was fitted.

    Attributes
    ----------
    weights : (k, length, features) float64
        Of every sample of the epoch, for each class.
    bias : (k,) float64
    temperature : float
    """

    weights: Floats
    bias: Floats
    temperature: float = 1.0

    def scores(self, epochs: NDArray[np.float32]) -> Floats:
        """Return the log-odds of each class up to a constant, (n, k), of epochs, (n, length, *shape)."""
        flat = epochs.reshape(len(epochs), -1).astype(np.float64)
        given: Floats = (flat @ self.weights.reshape(len(self.bias), -1).T + self.bias) / self.temperature
        return given

    def probabilities(self, epochs: NDArray[np.float32]) -> Floats:
        """Return the probability of each class, (n, k)."""
        return softmax(self.scores(epochs))


def softmax(scores: Floats) -> Floats:
    """Return probabilities, (n, k), of log-odds, (n, k)."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def fit(epochs: NDArray[np.float32], classes: NDArray[np.int64], k: int, block: int) -> ClassReadout:
    """Fit a readout of `k` classes to epochs, (n, length, *shape), averaging `block` samples into a feature."""
    n, length = epochs.shape[:2]
    blocks = length // block
    rows = epochs.reshape(n, length, -1)
    features = rows[:, : blocks * block].reshape(n, blocks, block, -1).mean(axis=2, dtype=np.float64)
    # Frequent classes say more about the covariance; afterwards every class is as likely as another.
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    analysis.fit(features.reshape(n, -1), classes)
    coefficients, intercept = analysis.coef_, analysis.intercept_
    if k == 2:
        # Of two classes the library gives the odds of the second alone.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    log_priors = np.log(analysis.priors_)
    intercept = intercept - (log_priors - log_priors.mean())
    weights = np.zeros((k, length, rows.shape[2]))
    spread = np.repeat(coefficients.reshape(k, blocks, -1) / block, block, axis=1)
    weights[:, : blocks * block] = spread
    return ClassReadout(weights, intercept)


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


def export(readout: ClassReadout, shape: Sequence[int]) -> bytes:
    """Write a readout as a graph: ``window`` (1, *shape) → ``probabilities`` (1, k), ``confidence`` (1,).

    Parameters
    ----------
    readout : ClassReadout
        What was fitted.
    shape : sequence of int
        Of one epoch: (length, *features).
    """
    k = len(readout.bias)
    flat = (readout.weights.reshape(k, -1).T / readout.temperature).astype(np.float32)
    constants = {
        "weights": flat,
        "bias": (readout.bias / readout.temperature).astype(np.float32),
        "classes": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Flatten", ["window"], ["samples"], axis=1),
        helper.make_node("Gemm", ["samples", "weights", "bias"], ["log_odds"]),
        helper.make_node("Softmax", ["log_odds"], ["probabilities"], axis=1),
        helper.make_node("ReduceMax", ["probabilities", "classes"], ["confidence"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "class_readout",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, *shape])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, k]),
            helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))

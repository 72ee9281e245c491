r"""A readout of a number: means of a window, their logarithm, and ridge regression.

.. math:: \hat y = w \cdot \frac{\log \bar x - \mu}{\sigma} + b, \qquad
          w = (A^T A + \lambda I)^{-1} A^T (y - \bar y)

with A the standardised features of training. Of the penalties that are tried, the one taken reads best what contiguous
parts of the training data, held out in turn, hold (Pearson's correlation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.export import GraphParts, floats
from models.readouts.export import add_novelty, add_statistics
from models.readouts.novelty import Novelty
from models.systems.numbers.settings import RidgeSettings
from models.systems.numbers.trials import Fold, NumberTrials, contiguous_folds

Floats = NDArray[np.float64]

#: Means below this have no logarithm, in the unit of the pipeline's output.
_LEAST = 1e-12
#: Contiguous parts of the training data that a penalty is chosen on.
_PARTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class NumberReadout:
    """A NumberReadout holds what was fitted.

    Attributes
    ----------
    log : bool
        Whether the logarithm of means is taken.
    mean, scale : (features,) float64
        That features are standardised by.
    weights : (features,) float64
    bias : float
    penalty : float
        That was chosen.
    """

    log: bool
    mean: Floats
    scale: Floats
    weights: Floats
    bias: float
    penalty: float

    def standardised(self, windows: NDArray[np.floating[Any]]) -> Floats:
        """Return features of windows, (n, length, *shape), with mean 0 and variance 1 in training: (n, features)."""
        return (features_of(windows, log=self.log) - self.mean) / self.scale

    def __call__(self, windows: NDArray[np.floating[Any]]) -> Floats:
        """Return the number of each window: (n, length, *shape) to (n,)."""
        values: Floats = self.standardised(windows) @ self.weights + self.bias
        return values


def features_of(windows: NDArray[np.floating[Any]], *, log: bool) -> Floats:
    """Return the means of windows over time, or their logarithms: (n, length, *shape) to (n, features)."""
    means: Floats = np.asarray(windows, np.float64).reshape(*windows.shape[:2], -1).mean(axis=1)
    return np.log(np.maximum(means, _LEAST)) if log else means


def fit(trials: NumberTrials, rows: NDArray[np.intp], settings: RidgeSettings) -> NumberReadout:
    """Fit a readout to some rows, its penalty chosen among them."""
    features = features_of(trials.windows, log=settings.log)
    penalty = settings.penalties[0]
    if len(settings.penalties) > 1:
        folds = contiguous_folds(trials, rows, _PARTS)
        scores = [_chosen_by(features, trials.values, folds, one) for one in settings.penalties]
        penalty = settings.penalties[int(np.argmax(scores))]
    return _solve(features[rows], trials.values[rows], penalty, settings.log)


def cross_predict(trials: NumberTrials, folds: Sequence[Fold], settings: RidgeSettings) -> Floats:
    """Return the number of each window as it is read without its fold: (n,)."""
    predicted = np.full(len(trials), np.nan)
    for fold in folds:
        predicted[fold.score] = fit(trials, fold.fit, settings)(trials.windows[fold.score])
    return predicted


def _chosen_by(features: Floats, values: Floats, folds: Sequence[Fold], penalty: float) -> float:
    predicted, true = [], []
    for fold in folds:
        fitted = _solve(features[fold.fit], values[fold.fit], penalty, log=False)
        predicted.append((features[fold.score] - fitted.mean) / fitted.scale @ fitted.weights + fitted.bias)
        true.append(values[fold.score])
    return correlation(np.concatenate(predicted), np.concatenate(true))


def _solve(features: Floats, values: Floats, penalty: float, log: bool) -> NumberReadout:
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-12)
    rows, middle = (features - mean) / scale, float(values.mean())
    products = rows.T @ rows + penalty * np.eye(rows.shape[1])
    weights: Floats = np.linalg.solve(products, rows.T @ (values - middle))
    return NumberReadout(log, mean, scale, weights, middle, penalty)


def correlation(a: Floats, b: Floats) -> float:
    """Return Pearson's correlation; 0 where one side does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def export(readout: NumberReadout, novelty: Novelty, explained: float, shape: Sequence[int]) -> bytes:
    """Write a readout as a graph from ``window`` (1, *shape).

    It gives ``value`` (1,), ``confidence`` (1,), `explained`, or 0 where the window is unlike those of training, and
    ``novelty`` (1,), which is above 1 there.

    Parameters
    ----------
    readout, novelty
        What was fitted.
    explained : float
        Share of the number's variance that was read of windows held out, at least 0.
    shape : sequence of int
        Of one window: (length, *features).
    """
    graph = GraphParts()
    for name, value in {
        "flat": np.array([1, shape[0], -1]),
        "time": np.array([1]),
        "mean": readout.mean[None],
        "scale": readout.scale[None],
        "weights": readout.weights[:, None],
        "bias": np.array([readout.bias]),
        "explained": np.array([explained]),
        "one": np.array([1]),
    }.items():
        graph.constant(name, value)
    graph.node("Reshape", ["window", "flat"], "rows")
    features = graph.node("ReduceMean", ["rows", "time"], "means", keepdims=0)
    if readout.log:
        graph.constant("least_mean", _LEAST)
        features = graph.node("Log", [graph.node("Max", ["means", "least_mean"], "some_means")], "logarithms")
    graph.node("Sub", [features, "mean"], "centred")
    graph.node("Div", ["centred", "scale"], "standardised")
    graph.node("Gemm", ["standardised", "weights", "bias"], "number")
    graph.node("Reshape", ["number", "one"], "value")
    add_novelty(graph, add_statistics(graph, novelty, "standardised"), novelty.limits, "explained", 0.0)
    given = [floats("value", [1]), floats("confidence", [1]), floats("novelty", [1])]
    return graph.finish("number_readout", floats("window", [1, *shape]), given)

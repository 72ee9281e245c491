r"""A readout of a rhythm: the analytic signal at the end of a window, by ridge regression from its samples.

.. math:: \hat z = W^T \frac{x - \mu}{\sigma} + b, \qquad \hat\phi = \arg\hat z, \qquad \hat P = |\hat z|^2 + v

The filter W that the signal's own statistics give is Wiener's: no causal filter of the same length comes nearer to z in
squared error. What it cannot tell, v, the mean of :math:`|z - \hat z|^2` over windows held out, is part of the power
that is to be expected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.export import GraphParts, floats
from models.readouts.export import add_novelty, add_statistics
from models.readouts.novelty import Novelty
from models.systems.numbers.trials import Fold, contiguous_folds
from models.systems.rhythm.settings import LinearSettings
from models.systems.rhythm.trials import Analytic, RhythmTrials

Floats = NDArray[np.float64]

#: Contiguous parts of the training data that a penalty is chosen on.
_PARTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class RhythmReadout:
    """A RhythmReadout holds what was fitted.

    Attributes
    ----------
    mean, scale : (features,) float64
        That samples of a window are standardised by.
    weights : (features,) complex128
    bias : complex
    penalty : float
        That was chosen.
    """

    mean: Floats
    scale: Floats
    weights: Analytic
    bias: complex
    penalty: float

    def standardised(self, windows: NDArray[np.floating[Any]]) -> Floats:
        """Return windows, (n, length, *shape), with mean 0 and variance 1 in training: (n, features)."""
        rows: Floats = (np.asarray(windows, np.float64).reshape(len(windows), -1) - self.mean) / self.scale
        return rows

    def __call__(self, windows: NDArray[np.floating[Any]]) -> Analytic:
        """Return the analytic signal at the end of each window: (n, length, *shape) to (n,)."""
        values: Analytic = self.standardised(windows) @ self.weights + self.bias
        return values


def fit_rhythm(trials: RhythmTrials, rows: NDArray[np.intp], settings: LinearSettings) -> RhythmReadout:
    """Fit a readout to some rows, its penalty chosen among them."""
    penalty = settings.penalties[0]
    if len(settings.penalties) > 1:
        errors = np.zeros(len(settings.penalties))
        for fold in contiguous_folds(trials.cut, rows, _PARTS):
            for place, one in enumerate(settings.penalties):
                read = _solve(trials, fold.fit, one)(trials.cut.windows[fold.score])
                errors[place] += (np.abs(read - trials.analytic[fold.score]) ** 2).sum()
        penalty = settings.penalties[int(np.argmin(errors))]
    return _solve(trials, rows, penalty)


def cross_predict_rhythm(trials: RhythmTrials, folds: Sequence[Fold], penalties: Sequence[float]) -> Analytic:
    """Return the analytic signal at each window, read without its fold, with a penalty for each fold: (n,)."""
    predicted: Analytic = np.full(len(trials), np.nan + 0j)
    for fold, penalty in zip(folds, penalties, strict=True):
        predicted[fold.score] = _solve(trials, fold.fit, penalty)(trials.cut.windows[fold.score])
    return predicted


def _solve(trials: RhythmTrials, chosen: NDArray[np.intp], penalty: float) -> RhythmReadout:
    rows = trials.cut.windows[chosen].reshape(len(chosen), -1).astype(np.float64)
    mean, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-12)
    rows = (rows - mean) / scale
    values = trials.analytic[chosen]
    middle = complex(values.mean())
    products = rows.T @ rows + penalty * np.eye(rows.shape[1])
    weights: Analytic = np.linalg.solve(products.astype(np.complex128), rows.T @ (values - middle))
    return RhythmReadout(mean, scale, weights, middle, penalty)


def export_rhythm(
    readout: RhythmReadout, novelty: Novelty, unknown: float, explained: float, shape: Sequence[int]
) -> bytes:
    """Write a readout as a graph from ``window`` (1, *shape).

    It gives ``rhythm`` (1, 2), phase in radians and power, ``confidence`` (1,), `explained`, or 0 where the window is
    unlike those of training, and ``novelty`` (1,), which is above 1 there.

    Parameters
    ----------
    readout, novelty
        What was fitted.
    unknown : float
        Mean squared error of the analytic signal in windows held out.
    explained : float
        Share of its power that was read there, at least 0.
    shape : sequence of int
        Of one window: (length, *features).
    """
    graph = GraphParts()
    for name, value in {
        "flat": np.array([1, -1]),
        "mean": readout.mean[None],
        "scale": readout.scale[None],
        "real_weights": readout.weights.real[:, None],
        "imaginary_weights": readout.weights.imag[:, None],
        "real_bias": np.array([readout.bias.real]),
        "imaginary_bias": np.array([readout.bias.imag]),
        "unknown": np.array([[unknown]]),
        "explained": np.array([explained]),
        "nothing": np.array([[0.0]]),
        "least": np.array([[1e-30]]),
        "two": np.array([[2.0]]),
        "pi": np.array([[np.pi]]),
        "minus_pi": np.array([[-np.pi]]),
    }.items():
        graph.constant(name, value)
    graph.node("Reshape", ["window", "flat"], "rows")
    graph.node("Sub", ["rows", "mean"], "centred")
    graph.node("Div", ["centred", "scale"], "standardised")
    graph.node("Gemm", ["standardised", "real_weights", "real_bias"], "x")
    graph.node("Gemm", ["standardised", "imaginary_weights", "imaginary_bias"], "y")
    graph.node("Add", [graph.node("Mul", ["x", "x"], "xx"), graph.node("Mul", ["y", "y"], "yy")], "square")
    graph.node("Concat", [_angle(graph), graph.node("Add", ["square", "unknown"], "power")], "rhythm", axis=1)
    add_novelty(graph, add_statistics(graph, novelty, "standardised"), novelty.limits, "explained", 0.0)
    given = [floats("rhythm", [1, 2]), floats("confidence", [1]), floats("novelty", [1])]
    return graph.finish("rhythm_readout", floats("window", [1, *shape]), given)


def _angle(graph: GraphParts) -> str:
    """Add the angle of (x, y) by half angles, without cancellation: a = 2 atan(y / (r + |x|)), ±π - a where x < 0."""
    graph.node("Sqrt", ["square"], "radius")
    graph.node("Add", ["radius", graph.node("Abs", ["x"], "size_of_x")], "sum")
    graph.node("Div", ["y", graph.node("Max", ["sum", "least"], "some_sum")], "half_tangent")
    graph.node("Mul", [graph.node("Atan", ["half_tangent"], "half"), "two"], "ahead")
    below = graph.node("Less", ["y", "nothing"], "y_is_negative")
    graph.node("Sub", [graph.node("Where", [below, "minus_pi", "pi"], "turn"), "ahead"], "behind")
    return graph.node(
        "Where", [graph.node("Less", ["x", "nothing"], "x_is_negative"), "behind", "ahead"], "phase"
    )

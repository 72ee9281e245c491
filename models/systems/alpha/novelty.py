r"""A StateNovelty says how far a window of band power lies outside those of training: above 1 it is unlike them.

The readout looks at relative power alone, so noise of any amplitude has a place on its scale. The novelty looks at what
the readout leaves out: of the log power :math:`l_{tf}` of each channel and band, f, in each block of time, t,

.. math::

    T_m = \tfrac1F \|W_m (\bar l - \mu_m)\|^2, \qquad
    T_d = \tfrac1{nF} \textstyle\sum_t \|W_d (l_t - \bar l)\|^2

the Mahalanobis distance of a window's mean, and the mean one of what moves inside it. Electrodes over one cortex rise
and fall together and keep their order of size; noise of the amplifier does neither, and the mains do not move at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.export import GraphParts
from models.readouts.export import add_novelty
from models.readouts.novelty import MARGIN, Limits
from models.systems.alpha.readout import FLOOR

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

#: Share of a value's own variance that is added to it: so little of the windows are independent of each other.
_RIDGE = 0.02

#: Of the mean and of what moves: a gain changes the one, and nothing of the other.
_MARGINS = (MARGIN, 1.25)


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A Whitening turns values into ones that in training have variance 1 and nothing in common.

    Attributes
    ----------
    mean : (f,) float64
    matrix : (f, f) float64
        ``(x - mean) @ matrix`` is white.
    """

    mean: Floats
    matrix: Floats

    @classmethod
    def of(cls, values: Floats) -> "Whitening":
        """Take it from training: (n, f)."""
        mean, scale = values.mean(0), np.maximum(values.std(0), 1e-9)
        x = (values - mean) / scale
        covariance = (1 - _RIDGE) * (x.T @ x) / len(x) + _RIDGE * np.eye(x.shape[1])
        return cls(mean, np.linalg.cholesky(np.linalg.inv(covariance)) / scale[:, None])

    def __call__(self, values: Floats) -> Floats:
        """Return the mean square of white values: (..., f) to (...)."""
        white = (values - self.mean) @ self.matrix
        return np.asarray((white**2).mean(-1))


@dataclass(frozen=True, slots=True, eq=False)
class StateNovelty:
    """A StateNovelty is fitted to the windows of training.

    Attributes
    ----------
    means, moves : Whitening
        Of a window's mean log power, and of the deviations from it.
    limits : Limits
        Of both statistics.
    """

    means: Whitening
    moves: Whitening
    limits: Limits

    @classmethod
    def fit(cls, windows: NDArray[np.float32], folds: Sequence[tuple[Places, Places]]) -> "StateNovelty":
        """Fit to windows, and draw the limits from those that were held out of the fit.

        Parameters
        ----------
        windows : (n, length, channels, bands) float32
            Band power, the signal's unit squared.
        folds : sequence of (fitted, held out) indices
            Every window is held out once, with its block.
        """
        held = [_statistics(windows[out], *_whitenings(windows[kept])) for kept, out in folds]
        return cls(*_whitenings(windows), Limits.of(np.concatenate(held), _MARGINS))

    def __call__(self, windows: NDArray[np.float32]) -> Floats:
        """Return the novelty: (n, length, channels, bands) float32 to (n,); each window for itself."""
        return self.limits(_statistics(windows, self.means, self.moves))

    def add(self, graph: GraphParts, sure: str, shape: tuple[int, ...]) -> None:
        """Add ``novelty`` and ``confidence`` to a graph that takes ``window`` (1, length, channels, bands).

        Parameters
        ----------
        graph : GraphParts
            With the constants ``time``, the axis of blocks, and ``floor``.
        sure : str
            Name of the confidence in what is like training, (1,); chance is one half.
        shape : tuple of int
            Of a window: length, channels, bands.
        """
        length, f = shape[0], len(self.means.mean)
        graph.constant("by_block", np.array([1, length, f]))
        graph.constant("everything", np.array([1, 2]))
        graph.constant("usual_mean", self.means.mean[None, None])
        graph.constant("white_mean", self.means.matrix)
        graph.constant("white_moves", self.moves.matrix)
        graph.constant("per_value", np.array([[1 / f, 1 / (f * length)]]))
        blocks = graph.node("Max", ["window", "floor"], "blocks")
        blocks = graph.node("Reshape", [graph.node("Log", [blocks], "log_blocks"), "by_block"], "log_rows")
        mean = graph.node("ReduceMean", [blocks, "time"], "window_mean", keepdims=1)
        # Deviations from a window's own mean have mean 0, in training as here.
        moves = graph.node(
            "MatMul", [graph.node("Sub", [blocks, mean], "moves"), "white_moves"], "moves_white"
        )
        about = graph.node("Sub", [mean, "usual_mean"], "mean_about")
        about = graph.node("MatMul", [about, "white_mean"], "mean_white")
        powers = [
            graph.node("ReduceSumSquare", [white, "everything"], f"{white}_power", keepdims=0)
            for white in (about, moves)
        ]
        graph.constant("side_by_side", np.array([1, 1]))
        columns = [graph.node("Reshape", [power, "side_by_side"], f"{power}_column") for power in powers]
        both = graph.node("Concat", columns, "powers", axis=1)
        add_novelty(graph, graph.node("Mul", [both, "per_value"], "statistics"), self.limits, sure, 0.5)


def _log_power(windows: NDArray[np.float32]) -> Floats:
    """Return log power by block: (n, length, channels, bands) to (n, length, channels · bands)."""
    log: Floats = np.log(np.maximum(windows.astype(np.float64), FLOOR))
    return log.reshape(*windows.shape[:2], -1)


def _whitenings(windows: NDArray[np.float32]) -> tuple[Whitening, Whitening]:
    log = _log_power(windows)
    mean = log.mean(1)
    return Whitening.of(mean), Whitening.of((log - mean[:, None]).reshape(-1, log.shape[2]))


def _statistics(windows: NDArray[np.float32], means: Whitening, moves: Whitening) -> Floats:
    """Return both statistics: (n, length, channels, bands) to (n, 2)."""
    log = _log_power(windows)
    mean = log.mean(1)
    return np.stack([means(mean), moves(log - mean[:, None]).mean(1)], axis=1)

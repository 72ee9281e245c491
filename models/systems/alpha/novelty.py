r"""A StateNovelty says how far a window lies outside those of training: above 1 it is unlike them.

The readout looks at relative power alone, so noise of any amplitude has a place on its scale. The novelty looks at what
the readout leaves out: how electrodes go together. Neighbours record nearly the same, so what differs between them is
small, in directions that belong to this cap and this order of wires. Of the covariance :math:`C_b` of each band, with
the principal axes :math:`v_{bk}` that it has in training, the log power of each component k in each block of time t is
:math:`l_{tf} = \log(v_{bk} \cdot C_{tb} v_{bk})`, f = (b, k), and

.. math::

    T_c = \tfrac1F \|W_c (\bar l - \mu_c)\|^2, \qquad
    T_m = \tfrac1{nF} \textstyle\sum_t \|W_m (l_t - \bar l)\|^2

are the Mahalanobis distance of a window's mean, and the mean one of what moves inside it. A third, :math:`T_e`, is the
first one with the power of the electrodes themselves in place of the components'. Noise of the amplifier has as much
power in the smallest component as in the largest, electrodes in another order spill the largest into all, and the
mains, which are the same everywhere, lift all electrodes in one band and not in the other.
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

#: Of the components' mean, of the electrodes', and of what moves: a gain changes the means, and nothing that moves.
_MARGINS = (MARGIN, MARGIN, 1.25)

#: Share of the mean power of all channels that is added to that of each component. Below a tenth of it lies what
#: sensors have of their own, which another head, another cap and the simulator have too, each in its way; and a
#: component without power (an average reference, two bridged electrodes) would be rounding alone.
_FILL = 0.1


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
class Powers:
    """Powers are those of the principal components of the channels in each band, and of the channels themselves.

    Attributes
    ----------
    matrix : (channels · bands · channels, 2 · bands · channels) float64
        From one block's covariances, flat, to the power of each component, then of each channel, by band.
    """

    matrix: Floats

    @classmethod
    def of(cls, windows: NDArray[np.float32]) -> "Powers":
        """Take them from training, (n, length, channels, bands · channels); each window counts alike."""
        n, _, channels, _ = windows.shape
        means = windows.mean(1, dtype=np.float64).reshape(n, channels, -1, channels)
        bands = means.shape[2]
        matrix = np.zeros((channels, bands, channels, 2, bands, channels))
        fill = _FILL / channels * np.eye(channels)
        for band in range(bands):
            covariances = means[:, :, band]
            powers = np.maximum(np.trace(covariances, axis1=1, axis2=2), FLOOR)
            _, axes = np.linalg.eigh((covariances / powers[:, None, None]).mean(0))
            for kind, columns in enumerate((axes, np.eye(channels))):
                products = np.einsum("ik,jk->ijk", columns, columns)
                matrix[:, band, :, kind, band] = products + fill[:, :, None]
        return cls(matrix.reshape(channels * bands * channels, -1))

    def __call__(self, windows: NDArray[np.float32]) -> Floats:
        """Return logarithms: (n, length, channels, bands · channels) to (n, length, 2 · bands · channels)."""
        power = windows.reshape(*windows.shape[:2], -1).astype(np.float64) @ self.matrix
        return np.asarray(np.log(np.maximum(power, FLOOR)))


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Statistics are the three distances of a window from those of training.

    Attributes
    ----------
    powers : Powers
        What they look at.
    components, channels : Whitening
        Of the mean log power of a window's components, and of its channels.
    moves : Whitening
        Of the deviations of the components from that mean.
    """

    powers: Powers
    components: Whitening
    channels: Whitening
    moves: Whitening

    @classmethod
    def of(cls, windows: NDArray[np.float32]) -> "Statistics":
        """Take them from training, (n, length, channels, bands · channels)."""
        powers = Powers.of(windows)
        components, channels = np.split(powers(windows), 2, axis=2)
        mean = components.mean(1)
        moves = Whitening.of((components - mean[:, None]).reshape(-1, components.shape[2]))
        return cls(powers, Whitening.of(mean), Whitening.of(channels.mean(1)), moves)

    def __call__(self, windows: NDArray[np.float32]) -> Floats:
        """Return them: (n, length, channels, bands · channels) to (n, 3)."""
        components, channels = np.split(self.powers(windows), 2, axis=2)
        mean = components.mean(1)
        moves = self.moves(components - mean[:, None]).mean(1)
        return np.stack([self.components(mean), self.channels(channels.mean(1)), moves], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class StateNovelty:
    """A StateNovelty is fitted to the windows of training.

    Attributes
    ----------
    statistics : Statistics
        How far a window lies from those of training.
    limits : Limits
        Of each statistic.
    """

    statistics: Statistics
    limits: Limits

    @classmethod
    def fit(cls, windows: NDArray[np.float32], folds: Sequence[tuple[Places, Places]]) -> "StateNovelty":
        """Fit to windows, and draw the limits from those that were held out of the fit.

        Parameters
        ----------
        windows : (n, length, channels, bands · channels) float32
            Covariance in each band, the signal's unit squared.
        folds : sequence of (fitted, held out) indices
            Every window is held out once, with its block.
        """
        held = [Statistics.of(windows[kept])(windows[out]) for kept, out in folds]
        return cls(Statistics.of(windows), Limits.of(np.concatenate(held), _MARGINS))

    def __call__(self, windows: NDArray[np.float32]) -> Floats:
        """Return the novelty: (n, length, channels, bands · channels) float32 to (n,); each window for itself."""
        return self.limits(self.statistics(windows))

    def add(self, graph: GraphParts, sure: str, shape: tuple[int, ...]) -> None:
        """Add ``novelty`` and ``confidence`` to a graph that takes ``window`` (1, length, channels, bands · channels).

        Parameters
        ----------
        graph : GraphParts
            With the constants ``time``, the axis of blocks, and ``floor``.
        sure : str
            Name of the confidence in what is like training, (1,); chance is one half.
        shape : tuple of int
            Of a window: length, channels, bands · channels.
        """
        of = self.statistics
        length, f = shape[0], len(of.moves.mean)
        none = np.zeros((f, f))
        graph.constant("by_block", np.array([1, length, len(of.powers.matrix)]))
        graph.constant("to_powers", of.powers.matrix)
        graph.constant("usual_mean", np.concatenate([of.components.mean, of.channels.mean])[None, None])
        graph.constant("white_mean", np.block([[of.components.matrix, none], [none, of.channels.matrix]]))
        # Deviations from a window's own mean have mean 0, in training as here; those of channels are not looked at.
        graph.constant("white_moves", np.concatenate([of.moves.matrix, none]))
        graph.constant("per_value", np.repeat(np.array([[1 / f, 0, 0], [0, 1 / f, 0]]), f, axis=0))
        graph.constant("per_move", np.repeat(np.array([[0, 0, 1 / (f * length)]]), f, axis=0))
        rows = graph.node("Reshape", ["window", "by_block"], "rows")
        power = graph.node("MatMul", [rows, "to_powers"], "powers")
        blocks = graph.node("Log", [graph.node("Max", [power, "floor"], "powers_floored")], "log_powers")
        mean = graph.node("ReduceMean", [blocks, "time"], "window_mean", keepdims=1)
        moves = graph.node(
            "MatMul", [graph.node("Sub", [blocks, mean], "moves"), "white_moves"], "moves_white"
        )
        about = graph.node("Sub", [mean, "usual_mean"], "mean_about")
        about = graph.node("MatMul", [about, "white_mean"], "mean_white")
        sums = []
        for white, weights in ((about, "per_value"), (moves, "per_move")):
            whole = graph.node("ReduceSumSquare", [white, "time"], f"{white}_squares", keepdims=0)
            sums.append(graph.node("MatMul", [whole, weights], f"{white}_statistics"))
        add_novelty(graph, graph.node("Add", sums, "statistics"), self.limits, sure, 0.5)

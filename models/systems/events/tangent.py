r"""Tangent space: how an epoch varies together with the mean responses of the classes, on the manifold of covariances.

Spatial filters that bring out each class's response (xDAWN, Rivet et al. 2009) give few virtual channels. An epoch Z of
them is stacked on the classes' mean responses P, so that the covariance of the stack holds the epoch's likeness to each
(Barachant and Congedo 2014, arXiv:1409.0107). Shrunk towards a multiple of the identity (Chen et al. 2010), it is a
point C of a Riemannian manifold, and its place in the tangent space at the mean of training M are the features:

.. math:: \log(M^{-1/2} C M^{-1/2}), \qquad \text{upper triangle, off the diagonal times } \sqrt 2

Without filters and mean responses Z is the channels themselves, and C how they vary together: what tells rhythms that
are not locked to the event (Barachant et al. 2012). pyriemann fits filters and mean; what is fitted is a few matrices,
so that reading needs it neither here nor live.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.io.installation import missing_extra
from models.export import GraphParts
from models.matrix_functions import add_logarithm, inverse_root, logarithm

Floats = NDArray[np.float64]

#: The smallest eigenvalue that a graph allows for is this share of the smallest in training.
_MARGIN = 1e-2
#: Of the mean power of a channel in training.
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class TangentSpace:
    """A TangentSpace holds what was fitted.

    Attributes
    ----------
    filters : (channels, q) float64
        Spatial filters of all classes, or the identity.
    prototypes : (length, r) float64
        Mean responses of the classes through their filters, less their means over time; r is q or 0.
    whitener : (p, p) float64
        p = q + r.
        Inverse square root of the mean covariance of training.
    floor : float
        Power that is added to every channel, so that a dead amplifier has a covariance; in the unit squared.
    least : float
        Smallest eigenvalue of a whitened covariance that a graph allows for, as a share of its norm.
    """

    filters: Floats
    prototypes: Floats
    whitener: Floats
    floor: float
    least: float

    @classmethod
    def fit(
        cls, epochs: NDArray[np.floating[Any]], classes: NDArray[np.int64], filters: int
    ) -> "TangentSpace":
        """Fit to epochs, (n, length, *shape), with so many filters for each class; 0 takes the channels as they are.

        Raises
        ------
        ConfigError
            If pyriemann is not installed, or there are fewer channels than filters.
        """
        try:
            from pyriemann.geometry.mean import mean_riemann
            from pyriemann.spatialfilters import Xdawn
        except ImportError:
            raise ConfigError(missing_extra("the readout 'tangent_space'", "pyriemann", ["eeg"])) from None
        rows = _rows(epochs)
        if rows.shape[2] < filters:
            raise ConfigError(
                f"expected at most as many filters as channels, {rows.shape[2]}, came readout.filters = {filters}"
            )
        spatial, prototypes = np.eye(rows.shape[2]), np.empty((rows.shape[1], 0))
        if filters:
            xdawn = Xdawn(nfilter=filters, estimator="lwf").fit(rows.transpose(0, 2, 1), classes)
            spatial = np.ascontiguousarray(np.asarray(xdawn.filters_).T)
            prototypes = np.concatenate(
                [
                    rows[classes == one].mean(axis=0) @ spatial[:, place * filters : (place + 1) * filters]
                    for place, one in enumerate(np.unique(classes))
                ],
                axis=1,
            )
            prototypes -= prototypes.mean(axis=0)
        unfitted = cls(spatial, prototypes, np.eye(spatial.shape[1] + prototypes.shape[1]), 0.0, 0.0)
        covariances = unfitted.covariances(epochs)
        floor = _FLOOR * float(np.trace(covariances, axis1=1, axis2=2).mean()) / covariances.shape[1]
        whitener = inverse_root(mean_riemann(covariances))
        values = np.linalg.eigvalsh(whitener @ covariances @ whitener)
        least = (values[:, 0] / np.sqrt((values**2).sum(axis=1))).min()
        return cls(spatial, prototypes, whitener, floor, float(least * _MARGIN))

    def covariances(self, epochs: NDArray[np.floating[Any]]) -> Floats:
        """Return the shrunk covariances of epochs stacked on the prototypes: (n, length, *shape) to (n, p, p)."""
        virtual = _rows(epochs) @ self.filters
        virtual -= virtual.mean(axis=1, keepdims=True)
        still = np.broadcast_to(self.prototypes, (len(virtual), *self.prototypes.shape))
        stacked = np.concatenate([still, virtual], axis=2)
        length, p = stacked.shape[1:]
        plain = np.swapaxes(stacked, 1, 2) @ stacked / length + self.floor * np.eye(p)
        mean = np.trace(plain, axis1=1, axis2=2)[:, None, None] / p
        spread = (plain**2).mean(axis=(1, 2), keepdims=True)
        share = np.minimum((spread + mean**2) / ((length + 1) * (spread - mean**2 / p)), 1.0)
        shrunk: Floats = (1 - share) * plain + share * mean * np.eye(p)
        return shrunk

    def __call__(self, epochs: NDArray[np.floating[Any]]) -> Floats:
        """Return features of epochs: (n, length, *shape) to (n, p(p + 1)/2)."""
        logarithms = logarithm(self.whitener @ self.covariances(epochs) @ self.whitener)
        rows, columns = np.triu_indices(len(self.whitener))
        features: Floats = logarithms[:, rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))
        return features

    def add(self, graph: GraphParts, shape: Sequence[int]) -> str:
        """Add the features of ``window`` (1, *shape) to a graph; return their name, (1, features) float32."""
        length, p = shape[0], len(self.whitener)
        rows, columns = np.triu_indices(p)
        constants: dict[str, Floats | float] = {
            "filters": self.filters,
            **({"prototypes": self.prototypes} if self.prototypes.size else {}),
            "whitener": self.whitener,
            "per_sample": 1 / length,
            "per_channel": 1 / p,
            "per_entry": 1 / p**2,
            "denominator": length + 1.0,
            "whole_share": 1.0,
            "eye": np.eye(p),
            "floor": self.floor * np.eye(p),
            "weights_of_places": np.where(rows == columns, 1.0, np.sqrt(2.0))[None],
        }
        for name, value in constants.items():
            graph.constant(name, value, np.float64)
        for name, places in {
            "by_time": np.array([length, -1]),
            "time_axis": np.array([0]),
            "both_axes": np.array([0, 1]),
            "one_row": np.array([1, -1]),
            "upper": rows * p + columns,
        }.items():
            graph.constant(name, places)
        add = graph.node
        add("Cast", ["window"], "window64", to=_DOUBLE)
        add("Reshape", ["window64", "by_time"], "samples")
        add("MatMul", ["samples", "filters"], "filtered")
        add("ReduceMean", ["filtered", "time_axis"], "filtered_mean", keepdims=1)
        add("Sub", ["filtered", "filtered_mean"], "virtual")
        # A graph's constant cannot be empty.
        add("Concat", ["prototypes", "virtual"] if self.prototypes.size else ["virtual"], "stacked", axis=1)
        add("Transpose", ["stacked"], "stacked_turned", perm=[1, 0])
        add("Mul", [add("MatMul", ["stacked_turned", "stacked"], "products"), "per_sample"], "bare")
        add("Add", ["bare", "floor"], "plain")
        add(
            "Mul",
            [
                add("ReduceSum", [add("Mul", ["plain", "eye"], "diagonal"), "both_axes"], "trace"),
                "per_channel",
            ],
            "mu",
        )
        add("Mul", [add("ReduceSumSquare", ["plain", "both_axes"], "squares"), "per_entry"], "spread")
        add("Mul", ["mu", "mu"], "mu2")
        add("Sub", ["spread", add("Mul", ["mu2", "per_channel"], "mu2_share")], "excess")
        add(
            "Div",
            [
                add("Add", ["spread", "mu2"], "numerator"),
                add("Mul", ["excess", "denominator"], "scaled_excess"),
            ],
            "ratio",
        )
        add("Min", ["ratio", "whole_share"], "share")
        add("Sub", ["whole_share", "share"], "kept_share")
        add("Mul", ["plain", "kept_share"], "kept")
        add("Mul", [add("Mul", ["share", "mu"], "ridge"), "eye"], "ridge_matrix")
        add("Add", ["kept", "ridge_matrix"], "covariance")
        add("MatMul", [add("MatMul", ["whitener", "covariance"], "half_white"), "whitener"], "white")
        add("Reshape", [add_logarithm(graph, "white", p, self.least), "one_row"], "logarithm_row")
        add(
            "Mul",
            [add("Gather", ["logarithm_row", "upper"], "places", axis=1), "weights_of_places"],
            "features64",
        )
        return add("Cast", ["features64"], "features", to=_FLOAT)


#: Of onnx.TensorProto.
_FLOAT, _DOUBLE = 1, 11


def _rows(epochs: NDArray[np.floating[Any]]) -> Floats:
    """Return epochs, (n, length, *shape), as (n, length, channels) in double precision."""
    return np.asarray(epochs, np.float64).reshape(*epochs.shape[:2], -1)

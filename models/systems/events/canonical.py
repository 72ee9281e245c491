r"""Canonical correlation: how well a frequency and its harmonics fit an epoch, whatever their phases and electrodes.

Of an epoch X, less its mean, and the sines and cosines of a frequency and its multiples, made orthonormal as Q, the
first canonical correlation (Lin et al. 2006) is

.. math:: \rho = \sqrt{\lambda_{max}\big(Q^T X (X^T X + \epsilon I)^{-1} X^T Q\big)}

with :math:`\epsilon` a millionth of the mean power of a channel, so that electrodes of which one is the sum of the
others leave it defined. Nothing is trained. The power of each channel, on a logarithmic scale, and the correlation of
each two channels stand beside them: they count for nothing, and tell an epoch that is unlike those of training. By the
power alone neighbours in another order pass for what they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.export import GraphParts
from models.matrix_functions import add_inverse_root, add_largest_eigenvalue

Floats = NDArray[np.float64]

_RIDGE = 1e-6
#: Power of a channel below which its logarithm is not taken, in the unit squared.
_LEAST_POWER = 1e-12
#: Energy that a dead amplifier is taken to have, in the unit squared: its correlations are 0, and not undefined.
_LEAST_ENERGY = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalCorrelation:
    """A CanonicalCorrelation holds the references of the classes.

    Attributes
    ----------
    references : (k, length, 2 harmonics) float64
        Of each class: orthonormal sines and cosines without a mean.
    """

    references: Floats

    @classmethod
    def of(
        cls, frequencies: Sequence[float], harmonics: int, length: int, rate: float
    ) -> "CanonicalCorrelation":
        """Make the references of epochs of `length` samples at `rate` Hz, for each class's frequency, Hz."""
        seconds = np.arange(length) / rate
        references = []
        for frequency in frequencies:
            phases = 2 * np.pi * frequency * seconds[:, None] * np.arange(1, harmonics + 1)
            waves = np.concatenate([np.sin(phases), np.cos(phases)], axis=1)
            references.append(np.linalg.qr(waves - waves.mean(axis=0))[0])
        return cls(np.stack(references))

    def correlations(self, epochs: NDArray[np.floating[Any]]) -> Floats:
        """Return the first canonical correlation of epochs with each class: (n, length, *shape) to (n, k)."""
        rows = _centred(epochs)
        whiteners = np.linalg.inv(np.linalg.cholesky(_ridged(rows)))
        along = np.einsum("nts,ktr->nksr", rows, self.references)
        whitened = whiteners[:, None] @ along
        correlations: Floats = np.linalg.norm(whitened, ord=2, axis=(2, 3))
        return correlations

    def __call__(self, epochs: NDArray[np.floating[Any]]) -> Floats:
        """Return features of epochs: (n, length, *shape) to (n, k + channels + pairs of channels)."""
        rows = _centred(epochs)
        power = np.log(np.maximum((rows**2).mean(axis=1), _LEAST_POWER))
        return np.concatenate([self.correlations(epochs), power, _likeness(rows)], axis=1)

    def add(self, graph: GraphParts, shape: Sequence[int]) -> str:
        """Add the features of ``window`` (1, *shape) to a graph; return their name, (1, features) float32."""
        length, channels = shape[0], int(np.prod(shape[1:], dtype=int))
        add = graph.node
        for name, value in {
            "per_sample": 1 / length,
            "ridge": _RIDGE,
            "least_channel_power": _LEAST_POWER,
            "least_energy": _LEAST_ENERGY,
        }.items():
            graph.constant(name, value, np.float64)
        for name, places in {
            "by_time": np.array([length, -1]),
            "time_axis": np.array([0]),
            "both_axes": np.array([0, 1]),
        }.items():
            graph.constant(name, places)
        add("Cast", ["window"], "window64", to=_DOUBLE)
        add("Reshape", ["window64", "by_time"], "samples")
        add("ReduceMean", ["samples", "time_axis"], "means", keepdims=1)
        add("Sub", ["samples", "means"], "centred_samples")
        add("ReduceSumSquare", ["centred_samples", "time_axis"], "energies", keepdims=1)
        add(
            "Max",
            [add("ReduceMean", ["energies", "both_axes"], "mean_energy", keepdims=1), "least_energy"],
            "energy",
        )
        add("Transpose", ["centred_samples"], "turned", perm=[1, 0])
        add("MatMul", ["turned", "centred_samples"], "products")
        eye = graph.constant("identity_of_channels", np.eye(channels), np.float64)
        add("Mul", [add("Mul", ["energy", "ridge"], "least_share"), eye], "energy_floor")
        add("Add", ["products", "energy_floor"], "ridged")
        least = _RIDGE / (channels * (1 + _RIDGE))
        whitener = add_inverse_root(graph, "ridged", channels, least)
        parts = []
        for place, reference in enumerate(self.references):
            graph.constant(f"reference{place}", reference, np.float64)
            add("MatMul", ["turned", f"reference{place}"], f"along{place}")
            add("MatMul", [whitener, f"along{place}"], f"white{place}")
            add("Transpose", [f"white{place}"], f"white_turned{place}", perm=[1, 0])
            add("MatMul", [f"white_turned{place}", f"white{place}"], f"fit{place}")
            parts.append(add("Sqrt", [add_largest_eigenvalue(graph, f"fit{place}")], f"correlation{place}"))
        add("Mul", ["energies", "per_sample"], "power")
        parts.append(add("Log", [add("Max", ["power", "least_channel_power"], "some_power")], "log_power"))
        if channels > 1:
            parts.append(_add_likeness(graph, channels))
        return add("Cast", [add("Concat", parts, "features64", axis=1)], "features", to=_FLOAT)


#: Of onnx.TensorProto.
_FLOAT, _DOUBLE = 1, 11


def _centred(epochs: NDArray[np.floating[Any]]) -> Floats:
    """Return epochs, (n, length, *shape), as (n, length, channels) without their means over time."""
    rows = np.asarray(epochs, np.float64).reshape(*epochs.shape[:2], -1)
    centred: Floats = rows - rows.mean(axis=1, keepdims=True)
    return centred


def _likeness(rows: Floats) -> Floats:
    """Return the correlation of each two channels of (n, length, channels): (n, pairs); 0 with one that is flat."""
    products = np.swapaxes(rows, 1, 2) @ rows
    roots = np.sqrt(np.maximum(np.diagonal(products, axis1=1, axis2=2), _LEAST_ENERGY))
    first, second = np.triu_indices(rows.shape[2], 1)
    likeness: Floats = (products / (roots[:, :, None] * roots[:, None, :]))[:, first, second]
    return likeness


def _add_likeness(graph: GraphParts, channels: int) -> str:
    """Add `_likeness` of an epoch whose ``products`` and ``energies`` a graph holds; return its name, (1, pairs)."""
    add = graph.node
    first, second = np.triu_indices(channels, 1)
    graph.constant("as_row", np.array([1, channels * channels]))
    graph.constant("pairs", first * channels + second)
    add("Sqrt", [add("Max", ["energies", "least_energy"], "some_energies")], "roots")
    add("MatMul", [add("Transpose", ["roots"], "roots_turned", perm=[1, 0]), "roots"], "both_roots")
    add("Reshape", [add("Div", ["products", "both_roots"], "likeness"), "as_row"], "likeness_row")
    return add("Gather", ["likeness_row", "pairs"], "pairs_likeness", axis=1)


def _ridged(rows: Floats) -> Floats:
    """Return the products of channels, (n, channels, channels), with a millionth of their mean on the diagonal."""
    products = np.swapaxes(rows, 1, 2) @ rows
    energy = np.maximum(np.trace(products, axis1=1, axis2=2) / rows.shape[2], _LEAST_ENERGY)
    ridged: Floats = products + _RIDGE * energy[:, None, None] * np.eye(rows.shape[2])
    return ridged

r"""Functions of symmetric positive definite matrices as nodes of a graph: products alone, no control flow.

ONNX knows neither eigenvalues nor a logarithm of matrices. The logarithm is taken by inverse scaling and squaring
(Kenney and Laub 1989): square roots bring a matrix near the identity, where a short series holds,

.. math:: \log A = \log s\, I + 2^k \log\big((A/s)^{1/2^k}\big), \qquad \log(I - E) = -\sum_j E^j / j .

Each root is the coupled Newton-Schulz iteration (Higham 2008, section 6.7), which is products too. How many of each are
needed follows from the smallest eigenvalue that is allowed for. All is in double precision.
"""

import numpy as np
from numpy.typing import NDArray

from models.export import GraphParts

Floats = NDArray[np.float64]

#: What is left of the error of a root, and of the series.
_TOLERANCE = 1e-10
#: Norm of E below which the series is short.
_NEAR = 0.25


def logarithm(matrices: Floats) -> Floats:
    """Return the logarithms of symmetric positive definite matrices: (n, p, p) to (n, p, p)."""
    values, vectors = np.linalg.eigh(matrices)
    logarithms: Floats = (vectors * np.log(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return logarithms


def inverse_root(matrix: Floats) -> Floats:
    """Return the inverse square root of one symmetric positive definite matrix, (p, p)."""
    values, vectors = np.linalg.eigh(matrix)
    root: Floats = (vectors / np.sqrt(values)) @ vectors.T
    return root


def add_logarithm(graph: GraphParts, matrix: str, size: int, least: float) -> str:
    """Add the logarithm of one matrix, (size, size) float64; return its name.

    Parameters
    ----------
    graph : GraphParts
    matrix : str
        Name of a symmetric positive definite matrix.
    size : int
    least : float
        The smallest eigenvalue that is allowed for, as a share of the matrix's norm; of smaller ones the logarithm
        comes out too near zero.
    """
    identity = graph.constant(f"{matrix}_identity", np.eye(size), np.float64)
    ends = graph.constant(f"{matrix}_ends", np.array([0, 1]))
    norm = graph.node("ReduceL2", [matrix, ends], f"{matrix}_norm", keepdims=1)
    root = graph.node("Div", [matrix, norm], f"{matrix}_scaled")
    roots, value = 0, least
    while 1 - value > _NEAR:
        root = _add_root(graph, root, identity, f"{matrix}_root{roots}", value)
        roots, value = roots + 1, float(np.sqrt(value))
    away = graph.node("Sub", [identity, root], f"{matrix}_away")
    terms = int(np.ceil(np.log(_TOLERANCE) / np.log(1 - value)))
    # Horner's scheme of E + E²/2 + E³/3 …
    series = graph.node(
        "Mul", [away, _scalar(graph, f"{matrix}_term{terms}", 1 / terms)], f"{matrix}_series{terms}"
    )
    for term in range(terms - 1, 0, -1):
        plus = graph.node(
            "Gemm",
            [away, series, _times(graph, away, f"{matrix}_term{term}", 1 / term)],
            f"{matrix}_series{term}",
        )
        series = plus
    grown = graph.node("Mul", [series, _scalar(graph, f"{matrix}_grow", -(2.0**roots))], f"{matrix}_grown")
    shift = graph.node("Mul", [identity, graph.node("Log", [norm], f"{matrix}_log_norm")], f"{matrix}_shift")
    return graph.node("Add", [grown, shift], f"{matrix}_log")


def add_inverse_root(graph: GraphParts, matrix: str, size: int, least: float) -> str:
    """Add the inverse square root of one matrix, (size, size) float64; see `add_logarithm`."""
    identity = graph.constant(f"{matrix}_identity", np.eye(size), np.float64)
    ends = graph.constant(f"{matrix}_ends", np.array([0, 1]))
    norm = graph.node("ReduceL2", [matrix, ends], f"{matrix}_norm", keepdims=1)
    scaled = graph.node("Div", [matrix, norm], f"{matrix}_scaled")
    _, inverse = _add_roots(graph, scaled, identity, f"{matrix}_root", least)
    return graph.node(
        "Div", [inverse, graph.node("Sqrt", [norm], f"{matrix}_size")], f"{matrix}_inverse_root"
    )


def add_largest_eigenvalue(graph: GraphParts, matrix: str, squarings: int = 16) -> str:
    """Add the largest eigenvalue of one positive semidefinite matrix, (size, size) float64, as (1, 1).

    The matrix, scaled to trace 1 and squared again and again, becomes the projection on its first eigenvector; of two
    eigenvalues that differ by less than the projection tells, the value lies between them.
    """
    ends = graph.constant(f"{matrix}_both", np.array([0, 1]))
    least = graph.constant(
        f"{matrix}_least", np.finfo(np.float64).tiny, np.float64
    )  # a matrix of zeros has 0
    power = matrix
    for turn in range(squarings + 1):
        if turn:
            power = graph.node("MatMul", [power, power], f"{matrix}_square{turn}")
        norm = graph.node("ReduceL2", [power, ends], f"{matrix}_norm{turn}", keepdims=1)
        size = graph.node("Max", [norm, least], f"{matrix}_size{turn}")
        power = graph.node("Div", [power, size], f"{matrix}_power{turn}")
    # A projection has norm 1: its product with the matrix, summed, is the eigenvalue.
    product = graph.node("Mul", [power, matrix], f"{matrix}_along")
    return graph.node("ReduceSum", [product, ends], f"{matrix}_largest", keepdims=1)


def _add_root(graph: GraphParts, matrix: str, identity: str, name: str, least: float) -> str:
    """Add the square root of a matrix whose eigenvalues lie between `least` and 1."""
    return _add_roots(graph, matrix, identity, name, least)[0]


def _add_roots(graph: GraphParts, matrix: str, identity: str, name: str, least: float) -> tuple[str, str]:
    """Add the square root of a matrix whose eigenvalues lie between `least` and 1, and its inverse."""
    y, z = matrix, identity
    for turn in range(_turns(least)):
        half = graph.node("Gemm", [z, y, identity], f"{name}_t{turn}", alpha=-0.5, beta=1.5)
        y = graph.node("MatMul", [y, half], f"{name}_y{turn}")
        z = graph.node("MatMul", [half, z], f"{name}_z{turn}")
    return y, z


def _turns(least: float) -> int:
    """Return how often Newton-Schulz is turned until the root of `least` is exact."""
    y, z, turns = least, 1.0, 0
    while abs(1 - z * y) > _TOLERANCE and turns < 200:
        half = 1.5 - 0.5 * z * y
        y, z, turns = y * half, half * z, turns + 1
    return turns


def _scalar(graph: GraphParts, name: str, value: float) -> str:
    return graph.constant(name, value, np.float64)


def _times(graph: GraphParts, matrix: str, name: str, value: float) -> str:
    return graph.node("Mul", [matrix, _scalar(graph, name, value)], f"{name}_times")

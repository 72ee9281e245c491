"""An IncrementalGlm fits a general linear model to volumes as they come, the same as least squares over all so far.

It keeps the triangle ``R`` and the turned data ``Qᵀ Y`` of the QR factorisation, and takes one more row into both by an
orthogonal transformation (Golub and Van Loan, Matrix Computations, on updating factorisations). Normal equations
(Bagarinao et al. 2003, NeuroImage 19:422) are as fast and square the condition of the design; this does not.
"""

from collections.abc import Mapping
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError

Rows = NDArray[np.floating]

#: Columns of length 1 count as told apart from each other by singular values above this.
INDEPENDENT = 1e-5


class IncrementalGlm:
    """An IncrementalGlm is ``y = X β + ε`` for many voxels, one row of `X` and one value of each voxel at a time.

    Parameters
    ----------
    columns : int
        Columns of the design, the constant one included.
    voxels : int

    Attributes
    ----------
    volumes : int
        Rows taken so far.
    """

    def __init__(self, columns: int, voxels: int) -> None:
        import_module("scipy.linalg")  # here, that no volume waits for it
        self.volumes = 0
        self._triangle = np.zeros((columns, columns))
        self._turned = np.zeros((columns, voxels))
        self._residual = np.zeros(voxels)
        self._sizes = np.zeros(columns)
        self._rank: int | None = 0
        self._rank_before = 0

    def add(self, row: Rows, values: Rows) -> None:
        """Take the next volume.

        Parameters
        ----------
        row : (columns,) array
            The design's.
        values : (voxels,) array

        Raises
        ------
        DataError
            If a shape is another one, or a value is not finite: leave out such a volume.
        """
        row, values = np.asarray(row, np.float64), np.asarray(values, np.float64)
        if row.shape != self._sizes.shape or values.shape != self._residual.shape:
            raise DataError(
                f"expected a row of {len(self._sizes)} columns and {len(self._residual)} voxels, came {row.shape} and "
                f"{values.shape}"
            )
        if not (np.isfinite(row).all() and np.isfinite(values).all()):
            raise DataError(
                "expected finite numbers in a row of the design and its volume, came others: leave it out"
            )
        self._rank_before, self._rank = self.rank, None
        turn, triangle = np.linalg.qr(np.vstack([self._triangle, row]), mode="complete")
        stacked = turn.T @ np.vstack([self._turned, values])
        self._triangle, self._turned = triangle[:-1], stacked[:-1]
        self._residual += stacked[-1] ** 2
        self._sizes += row**2
        self.volumes += 1

    @property
    def rank(self) -> int:
        """How many columns can be told apart by the rows so far."""
        if self._rank is None:
            self._rank = int(np.linalg.matrix_rank(self._triangle / self._scales, tol=INDEPENDENT))
        return self._rank

    @property
    def _scales(self) -> NDArray[np.float64]:
        """Return the lengths of the columns so far; 1 for one that was always zero."""
        return np.sqrt(np.where(self._sizes > 0, self._sizes, 1.0))

    @property
    def degrees_of_freedom(self) -> int:
        """Rows so far less what the design explains."""
        return self.volumes - self.rank

    def betas(self) -> NDArray[np.float64]:
        """Return the coefficients (columns, voxels).

        Raises
        ------
        DataError
            If the rows so far do not tell the columns apart.
        """
        from scipy import linalg

        if self.rank < len(self._sizes):
            raise DataError(
                f"expected rows that tell {len(self._sizes)} columns apart, came {self.volumes} rows of rank "
                f"{self.rank}. Wait for more volumes, or take out a column that repeats others."
            )
        return np.asarray(linalg.solve_triangular(self._triangle, self._turned))

    def explained(self, row: Rows) -> NDArray[np.float64] | None:
        """Return what the design says of the volume that was taken last, by its row: (voxels,); None while it is open.

        It is open while columns are not told apart and this row was the first of its kind: the design then says what
        the volume says. Columns that never are, such as those of a heart that keeps the scanner's time, explain
        together what they do. A column that was always zero, such as a nuisance not heard yet, explains nothing.
        """
        from scipy import linalg

        there = np.flatnonzero(self._sizes)
        row = np.asarray(row)
        if self.rank < len(there):
            if self.rank > self._rank_before:
                return None
            scales = self._scales[there]
            found = linalg.lstsq(self._triangle[:, there] / scales, self._turned, cond=INDEPENDENT)[0]
            return np.asarray(row[there] / scales @ found)
        if not len(there):
            return None
        if len(there) == len(self._sizes):
            return np.asarray(row @ linalg.solve_triangular(self._triangle, self._turned))
        return np.asarray(row[there] @ linalg.lstsq(self._triangle[:, there], self._turned)[0])

    def residual_variance(self) -> NDArray[np.float64]:
        """Return the variance that the design leaves in each voxel, (voxels,).

        Raises
        ------
        DataError
            If no degree of freedom is left.
        """
        if self.degrees_of_freedom < 1:
            raise DataError(
                f"expected more volumes than columns, came {self.volumes} of {len(self._sizes)}: wait for more"
            )
        return np.asarray(self._residual / self.degrees_of_freedom)

    def contrast(self, weights: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a contrast's effect and its t value in each voxel, (voxels,) each; t is 0 where nothing varies.

        Parameters
        ----------
        weights : (columns,) array

        Raises
        ------
        DataError
            If the columns cannot be told apart yet, or no degree of freedom is left.
        """
        from scipy import linalg

        effect = np.asarray(weights, np.float64) @ self.betas()
        variance = self.residual_variance()
        spread = linalg.solve_triangular(self._triangle, np.asarray(weights, np.float64), trans="T")
        error = np.sqrt(float(spread @ spread) * variance)
        return effect, np.divide(effect, error, out=np.zeros_like(effect), where=error > 0)

    def state(self) -> dict[str, NDArray[np.float64]]:
        """Return all that it knows, as arrays; `restore` takes them."""
        return {
            "triangle": self._triangle.copy(),
            "turned": self._turned.copy(),
            "residual": self._residual.copy(),
            "sizes": self._sizes.copy(),
            "volumes": np.array([self.volumes], np.float64),
        }

    def restore(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        """Go on from a state of another IncrementalGlm of this size.

        Raises
        ------
        DataError
            If it is of another size.
        """
        own = self.state()
        shapes = {name: np.shape(state.get(name, ())) for name in own}
        if shapes != {name: part.shape for name, part in own.items()}:
            raise DataError(
                f"expected the state of a model of {self._turned.shape} (columns, voxels), came {shapes}"
            )
        self._triangle, self._turned = state["triangle"].copy(), state["turned"].copy()
        self._residual, self._sizes = state["residual"].copy(), state["sizes"].copy()
        self._rank = None
        self.volumes = int(state["volumes"][0])

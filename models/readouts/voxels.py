"""A VoxelMask is a choice of one subject's voxels, made on that subject's training trials alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.checks import as_matrix, check_pair, check_varying, varying
from models.readouts.ridge_solver import fit_ridge
from models.readouts.scaling import Array, Standard
from models.readouts.solvers import ALPHAS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class VoxelMask:
    """A VoxelMask is a choice of one subject's voxels.

    Attributes
    ----------
    subject : str
        The subject.
    voxels : int
        Number of the subject's voxels.
    index : (m,) intp
        The chosen ones, ascending.
    """

    subject: str
    voxels: int
    index: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.index)

    def __call__(self, brain: ArrayLike, subject: str | None = None) -> Array:
        """Cut the chosen voxels out: (n, voxels) to (n, m).

        Raises
        ------
        DataError
            If `brain` is of another subject, by name or by its number of voxels.
        """
        matrix = np.asarray(brain)
        if subject is not None and subject != self.subject:
            raise DataError(
                f"expected brain data of subject {self.subject!r}, whose mask this is, came subject {subject!r}. "
                "A mask fits one brain: make one from this subject's training data."
            )
        if matrix.ndim != 2 or matrix.shape[1] != self.voxels:
            raise DataError(
                f"expected the {self.voxels} voxels of subject {self.subject!r}, whose mask this is, came brain data "
                f"of shape {matrix.shape}. It is of another subject or another space."
            )
        return matrix[:, self.index]


def choose_voxels(
    brain: ArrayLike,
    count: int,
    *,
    subject: str,
    by: Literal["activation", "reliability", "encoding"] = "activation",
    stimuli: ArrayLike | None = None,
    latents: ArrayLike | None = None,
) -> VoxelMask:
    r"""Choose the voxels that answer most in training data; ties go to the lower index.

    ``activation`` is the size of :math:`t = \bar y \sqrt n / s` over trials (Dado et al. 2022); ``reliability`` is
    the share of variance between stimuli, :math:`(\text{MS}_b - \text{MS}_w)/(\text{MS}_b + (n_0 - 1)\text{MS}_w)`, the
    intraclass correlation, and needs stimuli that were repeated. ``encoding`` is the share of a voxel's variance that
    ridge predicts from the stimuli's latents, each trial by a fit without it.

    Parameters
    ----------
    brain : (n, voxels)
        Training trials only.
    count : int
        Number of voxels to keep.
    subject : str
        The subject.
    by : str
        Criterion of the order.
    stimuli : (n,) array, optional
        Which stimulus each trial answered, for reliability.
    latents : (n, d) array, optional
        Features of each trial's stimulus, for encoding.

    Raises
    ------
    DataError
        If there are not so many voxels, no stimulus was repeated, or the latents are not those of the trials.
    """
    matrix = as_matrix(brain, "brain data", "voxels")
    if not 0 < count <= matrix.shape[1]:
        raise DataError(
            f"expected 1 to {matrix.shape[1]} voxels to choose, came {count}. Ask for no more than there are."
        )
    alive = varying(matrix)
    if alive.sum() < count:
        check_varying(matrix)
    if by == "activation":
        spread = np.where(alive, matrix.std(0, ddof=1, dtype=np.float64), 1.0)
        score = np.abs(matrix.mean(0, dtype=np.float64)) / spread
    elif by == "reliability":
        score = _intraclass(matrix.astype(np.float64), stimuli)
    else:
        score = _encoding(matrix, latents)
    score = np.where(alive, score, -np.inf)
    chosen = np.sort(np.argsort(-score, kind="stable")[:count])
    return VoxelMask(subject, matrix.shape[1], chosen)


def _intraclass(brain: Floats, stimuli: ArrayLike | None) -> Floats:
    """Return the intraclass correlation of each voxel over repeats of a stimulus (Shrout and Fleiss 1979)."""
    if stimuli is None or np.shape(stimuli) != (len(brain),):
        raise DataError(
            f"expected the stimulus of each of {len(brain)} trials to measure reliability, came {np.shape(stimuli)}. "
            "Pass stimuli=, or choose voxels by activation."
        )
    names, which = np.unique(np.asarray(stimuli), return_inverse=True)
    counts = np.bincount(which)
    if len(names) < 2 or counts.max() < 2:
        raise DataError(
            f"expected at least two stimuli and repeats among {len(brain)} trials, came {len(names)} stimuli shown at "
            f"most {counts.max()} times. Choose voxels by activation."
        )
    sums = np.zeros((len(names), brain.shape[1]))
    np.add.at(sums, which, brain)
    means = sums / counts[:, None]
    between = (counts[:, None] * (means - brain.mean(0)) ** 2).sum(0) / (len(names) - 1)
    within = ((brain - means[which]) ** 2).sum(0) / (len(brain) - len(names))
    size = (len(brain) - (counts**2).sum() / len(brain)) / (len(names) - 1)
    share: Floats = (between - within) / np.maximum(between + (size - 1) * within, 1e-300)
    return share


def _encoding(brain: Array, latents: ArrayLike | None) -> Floats:
    """Return the R² of each voxel, predicted by ridge, on trials that were left out."""
    if latents is None:
        raise DataError(
            "expected the latent of each trial to measure encoding, came none. Pass latents=, or choose by activation."
        )
    brain, wanted = check_pair(brain, latents)
    y = Standard.of(brain).forward(brain)
    fit = fit_ridge(Standard.of(wanted).forward(wanted), y, ALPHAS)
    share: Floats = 1 - (fit.errors**2).sum(0) / np.maximum((y**2).sum(0, dtype=np.float64), 1e-300)
    return share

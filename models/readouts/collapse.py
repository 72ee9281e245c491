"""Collapse is a failure in which predictions hardly depend on the measured data; it is diagnosed here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.metrics.latents import cosine, pair


@dataclass(frozen=True, slots=True)
class Collapse:
    """A Collapse is the diagnosis of a set of predictions.

    Attributes
    ----------
    variance_ratio : float
        Variance of predictions over trials, over that of the targets. The best linear prediction has its own R² here.
    likeness : float
        Mean cosine between predictions of different trials: 1 where all are one place, near 0 where they differ.
    dimensions : float
        How many directions the predictions vary in (participation ratio of their covariance).
    accuracy : float
        Mean cosine with the targets.
    """

    variance_ratio: float
    likeness: float
    dimensions: float
    accuracy: float

    @property
    def collapsed(self) -> bool:
        """Whether predictions hardly depend on the trial."""
        return self.variance_ratio < 0.01 or self.likeness > 0.9

    def __str__(self) -> str:
        """Return the diagnosis in words, for a report."""
        figures = (
            f"predictions vary {self.variance_ratio:.3f} times as much as targets, in {self.dimensions:.1f} "
            f"directions; two of them have a cosine of {self.likeness:.2f}"
        )
        if self.collapsed:
            return (
                f"COLLAPSED: {figures}. They lie at one place whatever was measured. Start with a linear readout, "
                "train longer or with less weight decay, or look for data that say nothing."
            )
        if self.variance_ratio > 1.5:
            return f"inflated: {figures}. Much of it is noise: more regularisation is due, or a better scale."
        if self.likeness > 0.5:
            return f"partly collapsed: {figures}. They share one direction more than they differ: check the offset."
        return f"not collapsed: {figures}."


def diagnose(targets: ArrayLike, predicted: ArrayLike) -> Collapse:
    """Diagnose predictions of trials that were not trained on: (n, d) twice, n at least 2, about the training mean."""
    a, b = pair(targets, predicted)
    centred = b - b.mean(0)
    total = float((centred**2).sum())
    target = float(((a - a.mean(0)) ** 2).sum())
    units = b / np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-300)
    n = len(b)
    alike = float((units.sum(0) ** 2).sum() - (units**2).sum()) / (n * (n - 1)) if n > 1 else 1.0
    gram = centred @ centred.T
    spread = total**2 / float((gram**2).sum()) if total > 0 else 0.0
    ratio = total / target if target > 0 else 0.0
    # Predictions that are all zero have no direction at all: they are alike.
    return Collapse(ratio, alike if (b != 0).any() else 1.0, spread, float(cosine(a, b).mean()))

r"""A Recalibration is what held-out trials correct in a readout: its answers' length, and how sure it may be.

A readout that misjudges the noise says too much, and says it too surely. Trials that took no part in the fit tell both.
Answers are shrunk towards the latents' mean by the one scalar with the smallest held-out error,

.. math:: g = \operatorname{clip}_{[0, 1]} \frac{\sum_i z_i \cdot \hat z_i}{\sum_i \|\hat z_i\|^2}

with both about that mean, and what is left, :math:`e_i = z_i - g \hat z_i`, is the uncertainty that is stated. A
readout that states a variance v of its own keeps its form, corrected for each latent by the factor
:math:`\overline{e^2} / v`, which repeats divide with it. Beyond a quarter more the model itself is wrong, and no number
of repeats mends that: the rest is added.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError
from models.readouts.collapse import Collapse, diagnose
from models.readouts.fitted import FittedReadout, HeldOutLatents, spread
from models.readouts.maps import Map
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]


#: The factor up to which a stated variance counts as inexact; what is missed beyond it as another fault of the model.
_INEXACT = 1.25


@dataclass(frozen=True, slots=True, eq=False)
class Recalibration:
    """A Recalibration holds what held-out predictions say about a readout.

    Attributes
    ----------
    centre : (d,) float64
        The latents' mean, towards which answers are shrunk.
    gain : float
        By how much, 0 to 1: an inflated readout is shrunk to the size that fits.
    covariance : (d, d) float64
        Of the held-out errors that are left, about zero.
    factor, excess : (d,) float64
        By what the variance that the readout states itself is multiplied, and what is added to it then.
    collapse : Collapse
        Diagnosis of the predictions as they were made, before the gain.
    truth, answers : (n, d), optional
        Of the held-out trials, in the latents' standard units; the answers after the gain.
    """

    centre: Floats
    gain: float
    covariance: Floats
    factor: Floats
    excess: Floats
    collapse: Collapse
    truth: Array | None = None
    answers: Array | None = None

    @classmethod
    def of(
        cls, truth: Array, predicted: Array, centre: Floats, stated: Floats | None = None
    ) -> "Recalibration":
        """Compare predictions of held-out trials with the truth: (n, d) twice, in the latents' standard units.

        Parameters
        ----------
        truth, predicted : (n, d)
        centre : (d,)
        stated : (d,), optional
            The variance that the readout states for such trials, where it knows one.
        """
        z, p = truth - centre, predicted - centre
        power = float((p * p).sum())
        gain = float(np.clip((z * p).sum() / power, 0.0, 1.0)) if power > 0 else 0.0
        covariance = spread(z - gain * p)
        missed = np.diag(covariance)
        own = missed if stated is None else np.maximum(stated, np.finfo(np.float64).tiny)
        factor = np.minimum(missed / own, _INEXACT)
        excess = np.maximum(missed - factor * own, 0.0)
        return cls(centre, gain, covariance, factor, excess, diagnose(z, p), truth, centre + gain * p)

    @property
    def missed(self) -> Array:
        """Errors of the held-out trials that are left after the gain: (n, d)."""
        if self.truth is None or self.answers is None:
            raise DataError("expected a recalibration that compared trials, came one that corrects nothing.")
        return self.truth - self.answers

    @classmethod
    def none(cls, latents: Array) -> "Recalibration":
        """Return one that corrects nothing: latents (n, d)."""
        d = latents.shape[1]
        whole = Collapse(1.0, 0.0, float(d), 1.0)
        return cls(np.zeros(d), 1.0, np.eye(d), np.ones(d), np.zeros(d), whole)

    def readout(
        self, voxels: Standard, latents: Standard, found: Map, covariance: Floats | None = None
    ) -> FittedReadout:
        """Return the fitted readout: shrunk, with an uncertainty true of held-out trials; collapsed, it claims nothing.

        Parameters
        ----------
        voxels, latents : Standard
        found : Map
            As fitted.
        covariance : (d, d), optional
            That the readout states itself; without it, that of the held-out errors.
        """
        if covariance is None:
            covariance = self.covariance
        else:
            root = np.sqrt(self.factor)
            covariance = root[:, None] * covariance * root + np.diag(self.excess)
        shrunk = found.shrunk(self.gain, self.centre)
        held_out = None
        if self.truth is not None and self.answers is not None:
            held_out = HeldOutLatents(latents.back(self.truth), latents.back(self.answers))
        return FittedReadout(
            voxels, latents, shrunk, covariance, claims=not self.collapse.collapsed, held_out=held_out
        )

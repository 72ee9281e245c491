"""DeepReadout: Levin's family from linear to deep, its epoch chosen on validation runs, its collapse said in words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.checks import (
    as_matrix,
    check_columns,
    check_pair,
    check_repeats,
    check_runs,
    check_trials,
    check_varying,
)
from models.metrics.latents import cosine
from models.readouts.collapse import Collapse, diagnose
from models.readouts.gradient import LatentLoss, Loss, Schedule, layers, train, weights_of
from models.readouts.interface import Posterior, expected_cosine
from models.readouts.linear import run_folds
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variant:
    """One member of the family: hidden layers, and whether layers have a bias."""

    hidden: tuple[int, ...]
    bias: bool = True


#: Levin (2022): the linear ones did best, the deep ones collapsed to one place. Start linear.
LEVIN: Mapping[str, Variant] = MappingProxyType(
    {
        "linear, no bias": Variant((), bias=False),
        "linear": Variant(()),
        "one hidden layer": Variant((1024,)),
        "two hidden layers": Variant((1024, 1024)),
        "three hidden layers": Variant((1024, 1024, 512)),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class FrozenNetwork:
    """What runs: standardised voxels through dense layers with ReLU between them.

    Attributes
    ----------
    voxels, latents : Standard
    layers : list of (weights, bias)
        Each (inputs, outputs) and (outputs,) float32.
    covariance : (d, d) float64
        Of errors on validation runs, in standardised latents.
    """

    voxels: Standard
    latents: Standard
    layers: list[tuple[Array, Array]]
    covariance: Floats
    uncertainty: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uncertainty", float(np.trace(self.covariance)))

    def standard(self, brain: ArrayLike) -> Array:
        """Return latents in units of their own deviation: (n, voxels) to (n, d)."""
        matrix = as_matrix(brain, "brain data", "voxels")
        check_columns(matrix, len(self.voxels.mean), "brain data", "voxels")
        out = self.voxels.forward(matrix)
        for number, (weights, bias) in enumerate(self.layers):
            out = (np.maximum(out, 0) if number else out) @ weights + bias
        return out


class DeepReadout:
    """A network from voxels to latents.

    Parameters
    ----------
    variant : Variant
        Such as ``LEVIN["linear"]``.
    loss : Loss
        On standardised latents.
    schedule : Schedule
        Its epochs are the most that are tried.
    patience : int
        Epochs without a better validation cosine after which training stops.

    Attributes
    ----------
    epoch_ : int
        After `fit`: the one with the best mean cosine on validation runs.
    collapse_ : Collapse
        After `fit`: of the validation runs' predictions.
    """

    epoch_: int
    collapse_: Collapse

    def __init__(
        self,
        variant: Variant,
        *,
        loss: Loss | None = None,
        schedule: Schedule | None = None,
        patience: int = 30,
    ) -> None:
        self.variant = variant
        self.loss = loss or LatentLoss()
        self.schedule = schedule or Schedule(epochs=300, rate=1e-4)
        self.patience = patience

    def fit(
        self,
        brain: ArrayLike,
        latents: ArrayLike,
        *,
        runs: ArrayLike | None = None,
        repeats: ArrayLike | None = None,
    ) -> Self:
        """Train on all runs but a fifth, which choose the epoch and measure the error; test trials play no part.

        Raises
        ------
        DataError
            If trials and latents do not match, are not finite, do not vary, or are too few.
        """
        brain, latents = check_pair(brain, latents)
        check_trials(len(brain), 2 * self.schedule.batch, "a network", "two batches make an epoch")
        check_varying(brain)
        self.repeats_ = float(check_repeats(repeats, len(brain)).min())
        kept, out = next(run_folds(check_runs(runs, len(brain)), 5))
        voxels, scale = Standard.of(brain[kept]), Standard.of(latents[kept])
        x, y = voxels.forward(brain), np.asarray(scale.forward(latents), np.float64)
        sizes = (x.shape[1], *self.variant.hidden, y.shape[1])
        network = layers(sizes, bias=self.variant.bias, seed=self.schedule.seed)
        check = torch.from_numpy(np.ascontiguousarray(x[out], np.float32))
        best, frozen = -np.inf, weights_of(network)
        self.epoch_ = 0

        def validate(epoch: int) -> bool:
            nonlocal best, frozen
            with torch.no_grad():
                score = float(cosine(y[out], network(check).numpy()).mean())
            if score > best:
                best, frozen, self.epoch_ = score, weights_of(network), epoch
            return epoch - self.epoch_ >= self.patience

        train(network, x[kept], y[kept], self.loss, self.schedule, validate)
        self._frozen = FrozenNetwork(voxels, scale, frozen, np.zeros((1, 1)))
        predicted = np.asarray(self._frozen.standard(brain[out]), np.float64)
        errors = y[out] - predicted
        self._frozen = FrozenNetwork(voxels, scale, frozen, errors.T @ errors / len(errors))
        self.collapse_ = diagnose(y[out], predicted)
        return self

    def frozen(self, repeats: int | None = None) -> FrozenNetwork:
        """Return what runs and is exported; refuses what `LinearReadout.frozen` refuses."""
        if not hasattr(self, "_frozen"):
            raise DataError("expected a fitted DeepReadout, came one that was not. Call fit first.")
        if repeats is not None and repeats < self.repeats_:
            raise DataError(
                f"expected trials that average at least {self.repeats_:g} presentations, as those this readout's error "
                f"was measured on, came {repeats}. Fit on single trials."
            )
        return self._frozen

    def predict(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return latents: (n, voxels) to (n, d)."""
        frozen = self.frozen()
        return np.asarray(frozen.latents.back(frozen.standard(brain)), np.float64)

    def posterior(self, brain: ArrayLike, *, repeats: int = 1) -> Posterior:
        """Return latents with the covariance of validation errors."""
        scale = self.frozen(repeats).latents.scale
        return Posterior(self.predict(brain), self._frozen.covariance * scale[:, None] * scale)

    def confidence(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return the expected cosine with the truth: (n,) from 0 to 1."""
        frozen = self.frozen(repeats)
        return expected_cosine(frozen.standard(brain), frozen.uncertainty)

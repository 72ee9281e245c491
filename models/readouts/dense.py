"""Dense is HYPER's readout: one dense layer from voxels to latents, trained by Adam before a frozen generator."""

from dataclasses import dataclass, field

import numpy as np

from models.readouts.gradient import LatentLoss, Loss, Schedule, layers, train, weights_of
from models.readouts.linear import Runs, Solution
from models.readouts.scaling import Array


@dataclass(frozen=True, slots=True)
class Dense:
    """A Dense is one dense layer fitted by gradient (Dado et al. 2022); a solver for `LinearReadout`.

    Attributes
    ----------
    loss : Loss
        `LatentLoss`, or `ActivationLoss` for the variants; for the latter use
        ``LinearReadout(Dense(...), standardise=False)``, since a generator wants latents as they are.
    schedule : Schedule
    bias : bool
    """

    loss: Loss = field(default_factory=LatentLoss)
    schedule: Schedule = field(default_factory=Schedule)
    bias: bool = True

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        return 2 * self.schedule.batch, "two batches make an epoch"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Train the layer."""
        network = layers((brain.shape[1], latents.shape[1]), bias=self.bias, seed=self.schedule.seed)
        train(network, brain, latents, self.loss, self.schedule)
        ((weights, bias),) = weights_of(network)
        return Solution(weights, bias.astype(np.float64))

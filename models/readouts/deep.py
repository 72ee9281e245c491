"""A DeepReadout is a network from linear to deep, after Levin (2022); validation runs choose its epoch.

Levin's are the kinds: linear with and without a bias, one to three hidden layers. Their widths, the most epochs, the
rate and the patience are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from models.metrics.latents import cosine
from models.readouts.folds import held_out_folds
from models.readouts.gradient import LatentLoss, Loss, Schedule, layers, train, weights_of
from models.readouts.interface import Readout, Training
from models.readouts.maps import Network
from models.readouts.recalibration import Recalibration
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variant:
    """A Variant is one member of the family: hidden layers, and whether layers have a bias."""

    hidden: tuple[int, ...]
    bias: bool = True


#: Kinds after Levin (2022), where the linear ones did best and the deep ones collapsed to one place: start linear. The
#: widths are ours.
LEVIN: Mapping[str, Variant] = MappingProxyType(
    {
        "linear, no bias": Variant((), bias=False),
        "linear": Variant(()),
        "one hidden layer": Variant((1024,)),
        "two hidden layers": Variant((1024, 1024)),
        "three hidden layers": Variant((1024, 1024, 512)),
    }
)


class DeepReadout(Readout):
    """A DeepReadout is a network from voxels to latents.

    Parameters
    ----------
    variant : Variant
        Such as ``LEVIN["linear"]``.
    loss : Loss
        On standardised latents.
    schedule : Schedule
        Its epochs are the most that are tried; 300 at a rate of 1e-4, ours, unless said otherwise.
    patience : int
        Epochs without a better validation cosine after which training stops.

    Attributes
    ----------
    epoch_ : int
        After `fit`: the one with the best mean cosine on validation runs.
    """

    epoch_: int

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

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return the fewest trials and why."""
        return 2 * self.schedule.batch, "a network", "two batches make an epoch"

    def learn(self, training: Training) -> None:
        """Train without a fifth of the runs and their stimuli, which choose the epoch and measure the error."""
        brain, latents = training.brain, training.latents
        kept, out = next(iter(held_out_folds(training.runs, latents, 5)))
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
        network_map = Network(frozen)
        predicted = np.asarray(network_map(voxels.forward(brain[out])), np.float64)
        recalibration = Recalibration.of(y[out], predicted, np.zeros(y.shape[1]))
        self.collapse_ = recalibration.collapse
        self._fitted = recalibration.readout(voxels, scale, network_map)

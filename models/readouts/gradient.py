"""Training of small networks from voxels to latents by Adam, and the losses of HYPER's models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.devices import device_of, repeatable
from models.generators.layers import centre
from models.readouts.scaling import Array


class Loss(Protocol):
    """A Loss is minimised; it is a function of predicted and true latents (n, d)."""

    def __call__(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Return a scalar."""
        ...


@dataclass(frozen=True, slots=True)
class LatentLoss:
    """A LatentLoss is half the mean, over trials and dimensions, of the squared difference of latents.

    The reduction matters: weight decay is added to the gradient, so it counts relative to the size of the loss.
    """

    def __call__(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Return a scalar."""
        return 0.5 * (predicted - true).square().mean()


@dataclass(frozen=True, slots=True)
class ActivationLoss:
    """An ActivationLoss is half the mean squared difference of one layer's activations in the generator, centre crop.

    HYPER's variants take layers 4, 9, 14 and 19, each with the latent loss added and alone.

    Attributes
    ----------
    layer : callable
        A frozen torch module, or any function, from latents (n, d) to activations (n, channels, height, width); it lets
        gradients through.
    crop : int, optional
        Side of the centre that counts; all of it when left out.
    with_latent : bool
        Whether the latent loss is added.
    """

    layer: Callable[[Tensor], Tensor]
    crop: int | None = None
    with_latent: bool = True

    def __call__(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Return a scalar."""
        with torch.no_grad():
            wanted = self._centre(self.layer(true))
        loss = 0.5 * (self._centre(self.layer(predicted)) - wanted).square().mean()
        return loss + LatentLoss()(predicted, true) if self.with_latent else loss

    def _centre(self, activations: Tensor) -> Tensor:
        return centre(activations, self.crop)


#: The layers of the generator that HYPER's variants predict.
HYPER_LAYERS = (4, 9, 14, 19)


def hyper_losses(
    layer: Callable[[int], Callable[[Tensor], Tensor]],
    crop: int | None = None,
    numbers: Sequence[int] = HYPER_LAYERS,
) -> dict[str, Loss]:
    """Return the losses of HYPER's nine models: latents, each layer with the latents, each layer alone.

    Parameters
    ----------
    layer : callable
        From a layer's number to the function from latents to its activations.
    crop : int, optional
        Side of the centre of the activations that counts.
    numbers : sequence of int
        Which layers; the paper's are PGGAN's.
    """
    losses: dict[str, Loss] = {"latent": LatentLoss()}
    for number in numbers:
        losses[f"latent and layer {number}"] = ActivationLoss(layer(number), crop)
    for number in numbers:
        losses[f"layer {number}"] = ActivationLoss(layer(number), crop, with_latent=False)
    return losses


@dataclass(frozen=True, slots=True)
class Schedule:
    """A Schedule holds length and rates of a training; the defaults are HYPER's.

    Attributes
    ----------
    epochs : int
        How often every trial is seen.
    batch : int
        Trials of one update.
    rate : float
        Of Adam.
    decay : float
        Weight decay, as L2 in the gradient.
    seed : int
        Of the first weights and the order of trials.
    device : str
        What it learns on: ``cpu`` or ``cuda``. Not run on a card yet.
    """

    epochs: int = 1500
    batch: int = 30
    rate: float = 1e-5
    decay: float = 0.01
    seed: int = 0
    device: str = "cpu"


def layers(sizes: tuple[int, ...], *, bias: bool, seed: int) -> nn.Sequential:
    """Build dense layers with ReLU between them, the same weights for the same seed."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        parts += [nn.ReLU()] if number else []
        parts.append(nn.Linear(inputs, outputs, bias=bias))
    return nn.Sequential(*parts)


def train(
    network: nn.Module,
    brain: Array,
    latents: Array,
    loss: Loss,
    schedule: Schedule,
    after_epoch: Callable[[int], bool] | None = None,
) -> None:
    """Train in place: (n, voxels) to (n, d).

    Parameters
    ----------
    network : nn.Module
    brain, latents : arrays
        Standardised.
    loss : Loss
    schedule : Schedule
    after_epoch : callable, optional
        Told the number of epochs done, the network being on the processor; returns whether to stop.
    """
    place = device_of(schedule.device)
    x, y = (torch.from_numpy(np.ascontiguousarray(side, np.float32)).to(place) for side in (brain, latents))
    layer = getattr(loss, "layer", None)
    if isinstance(layer, nn.Module):
        layer.to(place)
    order = torch.Generator().manual_seed(schedule.seed)
    optimiser = torch.optim.Adam(network.parameters(), schedule.rate, weight_decay=schedule.decay)
    for epoch in range(schedule.epochs):
        network.train().to(place)
        with repeatable(place):
            for batch in torch.randperm(len(x), generator=order).to(place).split(schedule.batch):
                optimiser.zero_grad(set_to_none=True)
                loss(network(x[batch]), y[batch]).backward()
                optimiser.step()
        network.cpu()
        if after_epoch is not None and after_epoch(epoch + 1):
            return


def weights_of(network: nn.Sequential) -> list[tuple[Array, Array]]:
    """Return weights (inputs, outputs) and bias (outputs,) of each dense layer, copied."""
    out = []
    for part in network:
        if isinstance(part, nn.Linear):
            bias = (
                np.zeros(part.out_features, np.float32)
                if part.bias is None
                else part.bias.detach().numpy().copy()
            )
            out.append((part.weight.detach().numpy().T.copy(), bias))
    return out

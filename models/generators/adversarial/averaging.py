r"""Averages of a generator's weights over training draw better pictures than the weights after any single step.

``uniform``: the mean over the ends of epochs, :math:`\bar w_k = \bar w_{k-1} + (w_k - \bar w_{k-1})/k`.
``exponential``: after every step, :math:`\bar w \leftarrow \beta \bar w + (1-\beta) w` with
:math:`\beta = \min(\beta_\infty, k/(k+10))`, so that the first steps are soon forgotten.

Batch normalisation's statistics do not average; `settle` measures them for the averaged weights.
"""

import copy
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

Average = Literal["none", "uniform", "exponential"]


class Averaged:
    r"""An Averaged is a copy of a generator whose weights are an average over training.

    Parameters
    ----------
    network : nn.Module
        The generator in training.
    how : str
        ``uniform`` or ``exponential``; with ``none`` the copy follows the network.
    decay : float
        :math:`\beta_\infty` of the exponential average.
    """

    def __init__(self, network: nn.Module, how: Average, decay: float = 0.999) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.how = how
        self.decay = decay
        #: Number of sets of weights in the average.
        self.count = 0

    def step(self, network: nn.Module) -> None:
        """Add the weights after a step to the average, where every step counts."""
        if self.how == "exponential":
            self.count += 1
            self._blend(network, 1.0 - min(self.decay, self.count / (self.count + 10)))
        elif self.how == "none":
            self._blend(network, 1.0)

    def epoch(self, network: nn.Module) -> None:
        """Add the weights at the end of an epoch to the average, where epochs count."""
        if self.how == "uniform":
            self.count += 1
            self._blend(network, 1.0 / self.count)

    @torch.no_grad()
    def _blend(self, network: nn.Module, share: float) -> None:
        for mean, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(weight.detach(), share)


@torch.no_grad()
def settle(network: nn.Module, latents: Iterable[Tensor]) -> None:
    """Measure the statistics of batch normalisation over batches of latents, and keep them.

    Parameters
    ----------
    network : nn.Module
        Changed in place: its running means and variances become the plain mean over all batches.
    latents : iterable of (n, d) tensors
        At least one batch.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not layers:
        return
    before = [layer.momentum for layer in layers]
    was_training = network.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # makes torch compute a cumulative mean
    network.train()
    for batch in latents:
        network(batch)
    for layer, momentum in zip(layers, before, strict=True):
        layer.momentum = momentum
    network.train(was_training)

"""Neurons to evolve pictures for: each answers latents, (n, d), with rates, (n,); one of them sees no picture at all.

The three that do are the same unit of a random network, which no generator has met, behind three ways from latents to
pixels: the shipped face generator with its 64 latents ("pixels"), the same with 512 of which a random projection gives
the 64 ("embedded"), and a network of the same build, with 512 latents and weights as drawn, before any training
("wide"): there every latent moves the pictures on its own, which look like nothing.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.generators.dcgan import Dcgan, initialise

D = 512
#: Channels of the untrained generator's last stage; its contrast, the standard deviation of a value before its tanh.
WIDTH, CONTRAST = 16, 0.7

Floats = NDArray[np.float64]
#: Rates, (n,), of latents, (n, d).
Neuron = Callable[[Floats], Floats]
#: Pictures, (n, height, width, 3) uint8, of latents, (n, d).
Draw = Callable[[NDArray[np.float32]], NDArray[np.uint8]]


def direction_neuron(seed: int) -> Neuron:
    """Return a neuron whose rate falls with the angle from its own direction: 100 exp(4 (cos - 1))."""
    direction = np.random.default_rng([seed, 77]).standard_normal(D)
    direction /= np.linalg.norm(direction)

    def rates(latents: Floats) -> Floats:
        answer: Floats = 100 * np.exp(4 * (latents @ direction / np.linalg.norm(latents, axis=1) - 1))
        return answer

    return rates


def pixel_neuron(seed: int, draw: Draw, d: int) -> Neuron:
    """Return a unit of a random network that sees what is drawn of `d` latents; rates in no unit of their own.

    First layer: 64 filters of 8 × 8 pixels at steps of 4, rectified and pooled over 3 × 3; second: one random unit,
    rectified at its mean input over pictures of random latents, as a layer behind batch normalisation is. At zero, one
    unit in some ten is silent for every picture, and the others answer to any.
    """
    filters, readout, random = _weights(seed)

    def inputs(latents: Floats) -> Floats:
        grey = draw(latents.astype(np.float32)).mean(axis=3) / 128 - 1
        patches = np.lib.stride_tricks.sliding_window_view(grey, (8, 8), axis=(1, 2))[:, ::4, ::4]
        first = np.maximum(patches.reshape(len(grey), 15, 15, 64) @ filters.T, 0)
        pooled = first.reshape(len(grey), 5, 3, 5, 3, 64).mean(axis=(2, 4))
        total: Floats = pooled.reshape(len(grey), -1) @ readout
        return total

    threshold = inputs(random.standard_normal((256, d))).mean()

    def rates(latents: Floats) -> Floats:
        return np.maximum(inputs(latents) - threshold, 0)

    return rates


def _weights(seed: int) -> tuple[Floats, Floats, np.random.Generator]:
    random = np.random.default_rng([seed, 78])
    filters = random.standard_normal((64, 64)) / 8
    filters -= filters.mean(axis=1, keepdims=True)
    return filters, random.standard_normal(5 * 5 * 64) / 40, random


def ascend(seed: int, planes: Callable[[Tensor], Tensor], neuron: Neuron, d: int) -> float:
    """Return the highest rate of a pixel neuron that gradient ascent finds, which no search can follow.

    From eight latents of a standard normal, Adam at .05 for 400 steps up the unit's input, through pictures that are
    not rounded; the rate is that of rounded ones. Where a generator does not bound its latent, rates go on rising with
    the latent's length: after these steps it is some 100, where searches end at 50 to 220.

    Parameters
    ----------
    seed : int
        Of the neuron.
    planes : callable
        From latents (n, d) to pictures (n, 3, 64, 64) from -1 to 1, with gradients.
    neuron : Neuron
        The neuron itself.
    d : int
        Latents.
    """
    filters, readout, _ = _weights(seed)
    kernels = torch.tensor(filters, dtype=torch.float32).view(64, 1, 8, 8)
    weights = torch.tensor(readout, dtype=torch.float32)
    latents = torch.randn(8, d, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    optimiser = torch.optim.Adam([latents], lr=0.05)
    for _ in range(400):
        grey = (planes(latents).mean(dim=1, keepdim=True) + 1) * 127.5 / 128 - 1
        pooled = F.avg_pool2d(F.relu(F.conv2d(grey, kernels, stride=4)), 3)
        inputs = pooled.permute(0, 2, 3, 1).flatten(1) @ weights
        optimiser.zero_grad()
        (-inputs.sum()).backward()
        optimiser.step()
    return float(neuron(latents.detach().numpy().astype(np.float64)).max())


def embedded_neuron(seed: int, draw: Draw, d: int) -> Neuron:
    """Return the same neuron behind 512 latents: those of the generator are a random projection of them."""
    inner = pixel_neuron(seed, draw, d)
    random = np.random.default_rng([seed, 80]).standard_normal((D, d))
    projection, _ = np.linalg.qr(random)
    return lambda latents: inner(latents @ projection)


def wide_neuron(seed: int) -> tuple[Neuron, float]:
    """Return the same neuron behind a generator of 512 latents that was never trained, and the best of `ascend`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = untrained()

    @torch.no_grad()
    def draw(latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        pictures = network(torch.from_numpy(latents)).numpy().transpose(0, 2, 3, 1)
        return np.clip((pictures + 1) * 127.5, 0, 255).astype(np.uint8)

    neuron = pixel_neuron(seed, draw, D)
    return neuron, ascend(seed, network, neuron, D)


@torch.no_grad()
def untrained() -> nn.Module:
    """Return a generator of 512 latents with weights as drawn, normalised over 256 pictures of its own."""
    network = Dcgan(D, WIDTH, 64)
    initialise(network, "orthogonal")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # statistics are those of the one batch below
    latents = torch.randn(256, D)
    network.train()(latents)
    before, last = network.eval().layers(latents)[-2], network.stages[-1][0]
    last.weight *= CONTRAST / last(before).std()
    last.bias.zero_()
    folded = network.folded()
    for parameter in folded.parameters():
        parameter.requires_grad_(False)
    return folded

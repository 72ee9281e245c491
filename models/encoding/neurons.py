r"""A NeuronModel predicts spike counts from a convolutional network's layer (Cadena et al. 2019).

.. math:: r_i(x) = g\Big(\sum_{c, p} v_{ic}\, a_{ip}\, \tilde\phi_{cp}(x) + b_i\Big)

:math:`\tilde\phi` is the activation, each channel in units of its deviation over the training pictures. A neuron
looks with one mask of places, a, at a mixture of channels, v (Klindt et al. 2017), where Cadena et al. fit every
channel at every place: some hundred pictures are enough then. Weights minimise the Poisson loss of counts, with
penalties of the mask's roughness (its Laplacian) and of the absolute size of both, which leaves few of them. Which
layer, held-out pictures say. The rectifier g is :math:`\log(1 + e^x)`, where the paper has an exponential: pictures
that are made to drive a neuron lie far outside those of the fit (ours). It is fitted, and answers, where its network
is; on a card bits repeat as `models.devices` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bci.errors import DataError
from models.devices import repeatable
from models.metrics.latents import correlations
from models.networks.convnet import Convnet, planes_of

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]
_AT_ONCE = 64
#: The second difference over places.
_LAPLACE = ((0.0, -1.0, 0.0), (-1.0, 4.0, -1.0), (0.0, -1.0, 0.0))


@dataclass(frozen=True, slots=True)
class NeuronFit:
    """A NeuronFit is how a model is fitted.

    Attributes
    ----------
    steps, rate : int, float
        Of Adam, on all pictures at once.
    rough, sparse : float
        Penalties of roughness, and of the size of masks and mixtures.
    held_out : float
        Share of the pictures that choose the layer and score the model.
    seed : int
    """

    steps: int = 300
    rate: float = 0.01
    rough: float = 0.1
    sparse: float = 0.005
    held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class NeuronModel:
    """A NeuronModel is a fitted readout of one layer.

    Attributes
    ----------
    network : Convnet
    layer : str
    mean, scale : (1, c, 1, 1) Tensor
        Of the layer's channels.
    places : (neurons, h, w) Tensor
    channels : (neurons, c) Tensor
    bias : (neurons,) Tensor
    correlation : (neurons,) float64
        Of predicted and measured counts, over held-out pictures; NaN where one of them does not vary.
    tried : mapping of str to float
        Mean correlation of every layer that was tried.
    """

    network: Convnet
    layer: str
    mean: Tensor
    scale: Tensor
    places: Tensor
    channels: Tensor
    bias: Tensor
    correlation: Floats
    tried: dict[str, float]

    def __call__(self, planes: Tensor) -> Tensor:
        """Return expected counts, with gradients: (n, 3, height, width) to (n, neurons)."""
        rows = (self.network(planes, [self.layer])[self.layer] - self.mean) / self.scale
        return _rates(rows, self.places, self.channels, self.bias)

    def predict(self, pictures: Pictures) -> Floats:
        """Return expected counts of many pictures: (n, height, width, 3) uint8 to (n, neurons)."""
        with torch.no_grad():
            parts = [
                self(planes_of(pictures[k : k + _AT_ONCE]).to(self.network.device)).cpu()
                for k in range(0, len(pictures), _AT_ONCE)
            ]
        return torch.cat(parts).numpy().astype(np.float64)


def fit_neurons(
    network: Convnet,
    layers: Sequence[str],
    pictures: Pictures,
    counts: Floats,
    how: NeuronFit | None = None,
) -> NeuronModel:
    """Fit every layer, and return the model of the one that predicts held-out pictures best.

    Parameters
    ----------
    network : Convnet
    layers : sequence of str
        That are tried.
    pictures : (n, height, width, 3) uint8
    counts : (n, neurons)
        Spikes, the mean over repeats where a picture was shown again.
    how : NeuronFit, optional

    Raises
    ------
    DataError
        If pictures and counts do not belong together, counts are negative or not finite, or there are fewer than 20
        pictures.
    ConfigError
        If there is no such layer.
    """
    how, counts = how or NeuronFit(), np.asarray(counts, np.float64)
    if counts.ndim != 2 or len(counts) != len(pictures) or len(pictures) < 20:
        raise DataError(
            f"expected counts (pictures, neurons) of at least 20 pictures, came {counts.shape} of {len(pictures)}."
        )
    if not np.isfinite(counts).all() or counts.min() < 0:
        raise DataError(
            "expected counts of spikes, 0 or more and finite, came others. Pass rates, not z scores."
        )
    order = np.random.default_rng([how.seed, 9]).permutation(len(pictures))
    out, kept = np.split(order, [max(2, round(how.held_out * len(pictures)))])
    best: NeuronModel | None = None
    tried: dict[str, float] = {}
    for layer in layers:
        with repeatable(network.device):
            found = _fit_layer(network, layer, pictures[kept], counts[kept], how)
        r = correlations(counts[out].T, found.predict(pictures[out]).T)
        tried[layer] = float(np.nanmean(r)) if np.isfinite(r).any() else float("nan")
        model = replace(found, correlation=np.asarray(r, np.float64), tried=tried)
        if best is None or tried[layer] > tried[best.layer]:
            best = model
    if best is None:
        raise DataError("expected at least one layer to fit, came none. Name some.")
    return best


def _fit_layer(
    network: Convnet, layer: str, pictures: Pictures, counts: Floats, how: NeuronFit
) -> NeuronModel:
    with torch.no_grad():
        parts = [
            network(planes_of(pictures[k : k + _AT_ONCE]).to(network.device), [layer])[layer]
            for k in range(0, len(pictures), _AT_ONCE)
        ]
    rows = torch.cat(parts)
    mean = rows.mean((0, 2, 3), keepdim=True)
    scale = rows.std((0, 2, 3), keepdim=True).clamp_min(1e-6)
    rows, wanted = (rows - mean) / scale, torch.from_numpy(counts.astype(np.float32)).to(network.device)
    neurons, (channels, *shape) = wanted.shape[1], rows.shape[1:]
    draw = torch.Generator().manual_seed(how.seed)
    places = torch.full((neurons, *shape), 1 / float(np.prod(shape)), device=network.device).requires_grad_()
    mixture = (0.1 * torch.randn(neurons, channels, generator=draw)).to(network.device).requires_grad_()
    # The inverse of the rectifier: with no weights every neuron fires at its mean rate.
    bias = torch.log(torch.expm1(wanted.mean(0).clamp_min(1e-3))).requires_grad_()
    kernel = torch.tensor(_LAPLACE, device=network.device).view(1, 1, 3, 3)
    optimiser = torch.optim.Adam([places, mixture, bias], how.rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, how.steps, 0.1 * how.rate)
    for _ in range(how.steps):
        rate = _rates(rows, places, mixture, bias)
        loss = (rate - wanted * torch.log(rate + 1e-8)).mean(0).sum()
        loss = loss + how.rough * F.conv2d(places.unsqueeze(1), kernel, padding=1).square().sum()
        loss = loss + how.sparse * (places.abs().sum() + mixture.abs().sum())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        falling.step()
    parts_ = (places.detach(), mixture.detach(), bias.detach())
    return NeuronModel(network, layer, mean, scale, *parts_, np.full(neurons, np.nan), {})


def _rates(rows: Tensor, places: Tensor, channels: Tensor, bias: Tensor) -> Tensor:
    seen = rows.flatten(2) @ places.flatten(1).T  # (n, c, neurons)
    return F.softplus(torch.einsum("nci,ic->ni", seen, channels) + bias)

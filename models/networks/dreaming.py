r"""Pictures that show a network itself: what excites a layer (DeepDream), textures, a picture in another's style.

- *DeepDream* (Mordvintsev et al. 2015): the mean square of a layer's activation, or the mean of some of its channels,
  is raised by steps of one length, on a picture that grows from octave to octave, moved by some pixels at each step.
- *Texture* (Gatys et al. 2015): noise is changed until the products of every two channels, averaged over places (Gram
  matrices), are those of a picture; places themselves do not matter.

  .. math:: \frac{1}{L} \sum_l \frac{\| G_l(x) - G_l(t) \|^2}{\| G_l(t) \|^2}, \quad G_l = \tfrac{1}{P_l} F_l F_l^\top

  with each layer over its own size, so that all count alike.
- *Style* (Gatys et al. 2016): the Gram matrices of one picture, and the activations of a deep layer of another.

All of it is computed where the network is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bci.errors import ConfigError, DataError
from models.devices import repeatable
from models.generators.differentiable import levels
from models.networks.convnet import Convnet, planes_of
from models.networks.matching import Descent, descend, roughness

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Octaves:
    """Octaves are how a picture is dreamed about.

    Attributes
    ----------
    count, ratio : int, float
        Sizes that are gone through, each so many times the one before; the last is the picture's own.
    steps : int
        At each size.
    rate : float
        Mean change of a pixel in a step, of a picture from 0 to 1.
    jitter : int
        Pixels by which it is moved at most.
    seed : int
    """

    count: int = 4
    ratio: float = 1.3
    steps: int = 20
    rate: float = 0.01
    jitter: int = 8
    seed: int = 0


def dream_picture(
    network: Convnet,
    picture: Pictures,
    layer: str,
    *,
    channels: Sequence[int] | None = None,
    octaves: Octaves | None = None,
) -> Pictures:
    """Change a picture towards what excites a layer: (height, width, 3) uint8 to the same.

    Parameters
    ----------
    network : Convnet
    picture : (height, width, 3) uint8
    layer : str
    channels : sequence of int, optional
        Of the layer, counted from 0; all of them when left out.
    octaves : Octaves, optional

    Raises
    ------
    ConfigError
        If there is no such layer or channel.
    DataError
        If the picture is too small for the layer at the first octave.
    """
    how = octaves or Octaves()
    network.require([layer])
    whole = planes_of(picture[None]).to(network.device)
    height, width = picture.shape[:2]
    random = np.random.default_rng(how.seed)
    sizes = [
        (round(height / how.ratio**k), round(width / how.ratio**k)) for k in range(how.count - 1, -1, -1)
    ]
    dreamed = torch.zeros(1, 3, *sizes[0], device=network.device)
    for size in sizes:
        base = F.interpolate(whole, size, mode="bilinear", antialias=True, align_corners=False)
        dreamed = F.interpolate(dreamed, size, mode="bilinear", align_corners=False)
        value = (base + dreamed).clamp(0, 1)
        with repeatable(network.device):
            for _ in range(how.steps):
                value = _excite(network, value, layer, channels, how, random)
        dreamed = value - base
    return levels(value)[0]


def _excite(
    network: Convnet,
    value: Tensor,
    layer: str,
    channels: Sequence[int] | None,
    how: Octaves,
    random: np.random.Generator,
) -> Tensor:
    """Take one step."""
    across, along = (int(v) for v in random.integers(-how.jitter, how.jitter + 1, 2))
    moved = torch.roll(value, (across, along), (2, 3)).requires_grad_()
    excitement(network(moved, [layer])[layer], layer, channels).sum().backward()
    slope = moved.grad
    assert slope is not None  # its own leaf
    step = how.rate * slope / slope.abs().mean().clamp_min(1e-12)
    return torch.roll((moved.detach() + step).clamp(0, 1), (-across, -along), (2, 3))


def excitement(activation: Tensor, layer: str, channels: Sequence[int] | None) -> Tensor:
    """Return how excited a layer is: (n, c, h, w) to (n,).

    Raises
    ------
    ConfigError
        If it has no such channel.
    """
    if channels is None:
        return activation.square().mean((1, 2, 3))
    known = activation.shape[1]
    if unknown := [k for k in channels if not 0 <= k < known]:
        raise ConfigError(
            f"expected channels of {layer}, 0 to {known - 1}, came {unknown[0]}. Name one of them."
        )
    return activation[:, list(channels)].mean((1, 2, 3))


def gram(activation: Tensor) -> Tensor:
    """Return the mean product of every two channels over places: (n, c, h, w) to (n, c, c).

    >>> gram(torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])).tolist()
    [[[5.0, 1.0], [1.0, 2.0]]]
    """
    rows = activation.flatten(2)
    return rows @ rows.transpose(1, 2) / rows.shape[2]


def synthesise_texture(
    network: Convnet,
    texture: Pictures,
    layers: Sequence[str],
    *,
    size: tuple[int, int] | None = None,
    descent: Descent | None = None,
    seed: int = 0,
) -> Pictures:
    """Make a picture of the same texture: (height, width, 3) uint8 to the same, or to another size.

    Parameters
    ----------
    network : Convnet
        Mean pools give smoother results, as Gatys et al. found.
    texture : (height, width, 3) uint8
    layers : sequence of str
        Whose Gram matrices are matched.
    size : (int, int), optional
        Height and width.
    descent : Descent, optional
    seed : int
        Of the noise that is begun with.

    Raises
    ------
    ConfigError, DataError
        As `Convnet.forward`.
    """
    how = descent or Descent(300, 0.03, 0.3)
    wanted = _grams(network, texture, layers)
    shape = size or (texture.shape[0], texture.shape[1])
    noise = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(seed))
    mean = torch.from_numpy(texture.mean((0, 1)) / 255).float().view(1, 3, 1, 1)
    start = (mean + 0.2 * (noise - 0.5)).clamp(0, 1).to(network.device).requires_grad_()

    def loss(x: Tensor) -> Tensor:
        return style_distance(network(x, layers), wanted) + how.penalty * roughness(x)

    return levels(descend(start, loss, how, within=(0.0, 1.0)))[0]


def transfer_style(
    network: Convnet,
    content: Pictures,
    style: Pictures,
    *,
    content_layer: str,
    style_layers: Sequence[str],
    weight: float = 1.0,
    descent: Descent | None = None,
) -> Pictures:
    """Draw the content of one picture in the style of another: (height, width, 3) uint8, of the content's size.

    Parameters
    ----------
    network : Convnet
    content, style : (height, width, 3) uint8
        Of any two sizes.
    content_layer : str
        Whose activations are kept.
    style_layers : sequence of str
        Whose Gram matrices are matched.
    weight : float
        Of the style beside the content, each over what an even picture would miss of it.
    descent : Descent, optional

    Raises
    ------
    ConfigError, DataError
        As `Convnet.forward`.
    """
    how = descent or Descent(200, 0.02, 0.0)
    wanted = _grams(network, style, style_layers)
    names = list(dict.fromkeys([content_layer, *style_layers]))
    planes = planes_of(content[None]).to(network.device)
    with torch.no_grad():
        kept = network(planes, [content_layer])[content_layer]
    power = (kept - kept.mean((2, 3), keepdim=True)).square().mean().clamp_min(1e-12)

    def loss(x: Tensor) -> Tensor:
        found = network(x, names)
        missed = (found[content_layer] - kept).square().mean((1, 2, 3)) / power
        styled = style_distance({name: found[name] for name in style_layers}, wanted)
        return missed + weight * styled + how.penalty * roughness(x)

    return levels(descend(planes.clone().requires_grad_(), loss, how, within=(0.0, 1.0)))[0]


def style_distance(activations: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Return how far Gram matrices are from those wanted, the mean over layers, each over its own size: (n,)."""
    missed = [
        (gram(value) - wanted[name]).square().mean((1, 2)) / wanted[name].square().mean().clamp_min(1e-12)
        for name, value in activations.items()
    ]
    return torch.stack(missed).mean(0)


def _grams(network: Convnet, picture: Pictures, layers: Sequence[str]) -> dict[str, Tensor]:
    if not layers:
        raise DataError("expected layers whose Gram matrices are matched, came none.")
    with torch.no_grad():
        planes = planes_of(picture[None]).to(network.device)
        return {name: gram(value) for name, value in network(planes, layers).items()}

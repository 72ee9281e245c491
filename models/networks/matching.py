r"""Pictures whose activations match given ones, found by gradient: of a generator's latent or of the pixels.

.. math:: \min_x \sum_l \frac{1}{\sum_{u \in l} w_u} \sum_{u \in l} w_u \big(\phi_u(x) - f_u\big)^2 + \lambda R(x)

as in reconstruction from decoded features (Shen et al. 2019) and inversion of networks (Mahendran & Vedaldi 2015):
every layer counts alike, every unit in units of its own deviation. R is the latent's mean square, or the squared
difference of neighbouring pixels. Adam changes each number by its own history, so a picture does not depend on those
that are sought beside it. All of it is computed where the network is; on a card bits repeat as `models.devices` says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bci.errors import DataError
from models.devices import repeatable
from models.networks.convnet import Convnet, flat, planes_of
from models.readouts.scaling import Standard

Floats = NDArray[np.floating[Any]]
#: Latents to pictures from 0 to 1, with gradients: (n, d) to (n, 3, height, width).
Draw = Callable[[Tensor], Tensor]

#: Pictures that are looked at, or sought, together.
_AT_ONCE = 64
#: Deviation of the pixels that a picture is begun with, about grey, and of the latents, about zero.
_NOISE, _LATENT_NOISE = 0.02, 0.1


class FeatureSpace:
    """A FeatureSpace is units of some layers of a network, each in units of its deviation over training pictures.

    Parameters
    ----------
    network : Convnet
    names : sequence of str
        Layers.
    pictures : (n, height, width, 3) uint8
        Training pictures, which fix mean and deviation; units that never vary over them are left out.
    most : int, optional
        Units of a layer at most, chosen by chance.
    seed : int
        Of that choice.

    Attributes
    ----------
    index : (units,) int64
        Place of each unit among all of the layers'.
    layer : (units,) int64
        Place of its layer among `names`.
    standard : Standard
        Of the units that are kept.

    Raises
    ------
    ConfigError, DataError
        As `Convnet.forward`.
    """

    def __init__(
        self,
        network: Convnet,
        names: Sequence[str],
        pictures: NDArray[np.uint8],
        *,
        most: int | None = None,
        seed: int = 0,
    ) -> None:
        self.network, self.names = network, tuple(names)
        shapes = network.shapes(pictures.shape[1], pictures.shape[2], self.names)
        layer = np.repeat(np.arange(len(self.names)), [int(np.prod(shapes[name])) for name in self.names])
        rows = network.features(pictures, self.names)
        alive = np.flatnonzero(np.ptp(rows, axis=0) > 0)
        random = np.random.default_rng([seed, 5])
        kept = []
        for number in range(len(self.names)):
            own = alive[layer[alive] == number]
            if not len(own):
                raise DataError(
                    f"expected units of layer {self.names[number]} that vary over {len(pictures)} pictures, came none."
                )
            kept.append(own if most is None or len(own) <= most else np.sort(random.permutation(own)[:most]))
        self.index = np.concatenate(kept).astype(np.int64)
        self.layer = layer[self.index].astype(np.int64)
        self.standard = Standard.of(rows[:, self.index])
        self._index = torch.from_numpy(self.index).to(network.device)
        self._mean = torch.from_numpy(self.standard.mean.astype(np.float32)).to(network.device)
        self._scale = torch.from_numpy(self.standard.scale.astype(np.float32)).to(network.device)

    def __len__(self) -> int:
        return len(self.index)

    def __call__(self, planes: Tensor) -> Tensor:
        """Return standardised units of pictures, with gradients: (n, 3, height, width) to (n, units)."""
        rows = flat(self.network(planes, self.names))[:, self._index]
        return (rows - self._mean) / self._scale

    def of(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return standardised units of pictures: (n, height, width, 3) uint8 to (n, units) float32."""
        with torch.no_grad():
            parts = [
                self(planes_of(pictures[k : k + _AT_ONCE]).to(self.network.device)).cpu()
                for k in range(0, len(pictures), _AT_ONCE)
            ]
        return torch.cat(parts).numpy()

    def targets(self, wanted: Floats) -> Tensor:
        """Return units that are wanted, (n, units), where the network is."""
        return torch.from_numpy(np.ascontiguousarray(wanted, np.float32)).to(self.network.device)

    def weights(self, worth: Floats | None = None) -> Tensor:
        """Return what each unit counts, (units,): as `worth` says, and every layer 1 in all."""
        weights = np.ones(len(self)) if worth is None else np.asarray(worth, np.float64)
        sums = np.bincount(self.layer, weights, len(self.names))
        shares = weights / np.where(sums > 0, sums, 1.0)[self.layer]
        return torch.from_numpy(shares.astype(np.float32)).to(self.network.device)


@dataclass(frozen=True, slots=True)
class Descent:
    """A Descent is how a picture is sought.

    Attributes
    ----------
    steps : int
        Of Adam.
    rate : float
        Its step at first; it falls along a half cosine to a tenth.
    penalty : float
        Lambda: of the latent's mean square, or of neighbouring pixels' squared difference.
    """

    steps: int = 150
    rate: float = 0.1
    penalty: float = 0.05


def match_latents(
    draw: Draw,
    space: FeatureSpace,
    wanted: Floats,
    size: int,
    descent: Descent,
    *,
    weights: Tensor | None = None,
) -> NDArray[np.float32]:
    """Find latents whose pictures have given units.

    Parameters
    ----------
    draw : callable
        From latents to pictures, such as `models.generators.differentiable.Drawing`, where the space's network is.
    space : FeatureSpace
    wanted : (n, units)
        Standardised.
    size : int
        d.
    descent : Descent
    weights : (units,) Tensor, optional
        As of `FeatureSpace.weights`; every unit alike when left out.

    Returns
    -------
    (n, d) float32

    Raises
    ------
    DataError
        If there are not as many units as the space has.
    """
    _require_units(space, wanted)
    counts = space.weights() if weights is None else weights
    # The picture of zeros may be even, and then nothing says where to go.
    begin = _LATENT_NOISE * torch.randn(1, size, generator=torch.Generator().manual_seed(0))
    found = []
    for first in range(0, len(wanted), _AT_ONCE):
        target = space.targets(wanted[first : first + _AT_ONCE])
        latents = begin.repeat(len(target), 1).to(target.device).requires_grad_()

        def loss(z: Tensor, target: Tensor = target) -> Tensor:
            return distance(space(draw(z)), target, counts) + descent.penalty * z.square().mean(1)

        found.append(descend(latents, loss, descent).cpu().numpy())
    return np.concatenate(found)


def match_pixels(
    space: FeatureSpace,
    wanted: Floats,
    shape: tuple[int, int],
    descent: Descent,
    *,
    weights: Tensor | None = None,
) -> Tensor:
    """Find pictures, pixel by pixel, that have given units; parameters as of `match_latents`.

    Parameters
    ----------
    shape : (int, int)
        Height and width.

    Returns
    -------
    (n, 3, height, width) Tensor
        From 0 to 1.
    """
    _require_units(space, wanted)
    counts = space.weights() if weights is None else weights
    # An even picture may leave every rectifier silent, and then nothing says where to go.
    start = 0.5 + _NOISE * torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(0))
    found = []
    for first in range(0, len(wanted), _AT_ONCE):
        target = space.targets(wanted[first : first + _AT_ONCE])
        planes = start.repeat(len(target), 1, 1, 1).to(target.device).requires_grad_()

        def loss(x: Tensor, target: Tensor = target) -> Tensor:
            return distance(space(x), target, counts) + descent.penalty * roughness(x)

        found.append(descend(planes, loss, descent, within=(0.0, 1.0)))
    return torch.cat(found)


def descend(
    value: Tensor,
    loss: Callable[[Tensor], Tensor],
    descent: Descent,
    *,
    within: tuple[float, float] | None = None,
) -> Tensor:
    """Minimise by Adam what each row costs: `value` (n, …) needs a gradient, `loss` returns (n,).

    Parameters
    ----------
    within : (float, float), optional
        Ends between which values are held.

    Returns
    -------
    (n, …) Tensor
        Without gradient.
    """
    optimiser = torch.optim.Adam([value], descent.rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, descent.steps, 0.1 * descent.rate)
    with repeatable(value.device):
        for _ in range(descent.steps):
            optimiser.zero_grad(set_to_none=True)
            loss(value).sum().backward()
            optimiser.step()
            falling.step()
            if within is not None:
                with torch.no_grad():
                    value.clamp_(*within)
    return value.detach()


def distance(rows: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted squared distance of each row: (n, units) twice and (units,) to (n,)."""
    return (rows - wanted).square() @ weights


def roughness(planes: Tensor) -> Tensor:
    """Return the mean squared difference of neighbouring pixels: (n, c, height, width) to (n,)."""
    across, along = planes.diff(dim=3), planes.diff(dim=2)
    return across.square().mean((1, 2, 3)) + along.square().mean((1, 2, 3))


def _require_units(space: FeatureSpace, wanted: Floats) -> None:
    if wanted.ndim != 2 or wanted.shape[1] != len(space):
        raise DataError(
            f"expected activations of the {len(space)} units of {', '.join(space.names)}, one row a picture, came "
            f"{wanted.shape}. They belong to another network or other layers."
        )

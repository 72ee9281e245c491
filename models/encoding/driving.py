r"""Pictures that are made to drive chosen neurons of an encoding model (Bashivan et al. 2019).

- *stretch*: the neuron's rate is raised as far as it goes, above what any picture of the fit gave;
- *one-hot population*: the neuron's rate is raised and all others' held down, by the logarithm of its share,
  :math:`\log \big(e^{y_t} / \sum_i e^{y_i}\big)`, with rates y in units of their deviation over the pictures of the
  fit.

A picture has the mean and the contrast of those of the fit, so that nothing is gained by more light. What it is worth
tells the neuron itself; where neurons are planted, they can be asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bci.errors import ConfigError
from models.encoding.neurons import NeuronModel
from models.generators.differentiable import levels
from models.networks.matching import Descent, descend, roughness

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]
Goal = Literal["stretch", "one-hot"]


@dataclass(frozen=True, slots=True, eq=False)
class Driven:
    """A Driven holds pictures made to drive neurons.

    Attributes
    ----------
    neurons : tuple of int
        The neuron of each picture.
    pictures : (k, height, width, 3) uint8
    expected : (k, neurons) float64
        What the model expects of them.
    best : (neurons,) float64
        The most that it expects of any picture of the fit, which is what a picture is to exceed.
    """

    neurons: tuple[int, ...]
    pictures: Pictures
    expected: Floats
    best: Floats


def drive(
    model: NeuronModel,
    pictures: Pictures,
    neurons: Sequence[int],
    goal: Goal = "stretch",
    *,
    descent: Descent | None = None,
    seed: int = 0,
) -> Driven:
    """Make a picture for each neuron.

    Parameters
    ----------
    model : NeuronModel
    pictures : (n, height, width, 3) uint8
        Of the fit: their size, mean and contrast.
    neurons : sequence of int
        From 0.
    goal : str
    descent : Descent, optional
    seed : int
        Of the noise that is begun with.

    Raises
    ------
    ConfigError
        If there is no such neuron, or population goals are asked of one neuron alone.
    """
    how = descent or Descent(120, 0.05, 20.0 if goal == "stretch" else 2.0)
    count = len(model.bias)
    if wrong := [k for k in neurons if not 0 <= k < count]:
        raise ConfigError(f"expected neurons 0 to {count - 1}, came {wrong[0]}. Name one of them.")
    if goal == "one-hot" and count < 2:
        raise ConfigError("expected several neurons for a one-hot population, came 1. Ask for a stretch.")
    natural = model.predict(pictures)
    place = model.network.device
    spread = torch.from_numpy(np.maximum(natural.std(0), 1e-6).astype(np.float32)).to(place)
    middle = torch.from_numpy(natural.mean(0).astype(np.float32)).to(place)
    planes = pictures.astype(np.float32) / 255
    mean, contrast = float(planes.mean()), float(planes.std((1, 2, 3)).mean())
    chosen = torch.tensor(list(neurons), device=place)
    shape = (len(chosen), 3, *pictures.shape[1:3])
    start = 0.1 * torch.randn(1, *shape[1:], generator=torch.Generator().manual_seed(seed))
    value = start.repeat(len(chosen), 1, 1, 1).to(place).requires_grad_()

    def shown(x: Tensor) -> Tensor:
        centred = x - x.mean((1, 2, 3), keepdim=True)
        size = centred.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
        return (mean + contrast * centred / size).clamp(0, 1)

    def loss(x: Tensor) -> Tensor:
        drawn = shown(x)
        rates = (model(drawn) - middle) / spread
        aim = rates if goal == "stretch" else torch.log_softmax(rates, dim=1)
        return how.penalty * roughness(drawn) - aim.gather(1, chosen[:, None])[:, 0]

    found = descend(value, loss, how)
    with torch.no_grad():
        made = levels(shown(found))
    return Driven(tuple(neurons), made, model.predict(made), natural.max(0))

r"""The critic's game with the right penalty: one-sided, at places between real and made, scaled by the distance.

.. math:: L_D = E\,D(G(z)) - E\,D(x) + \lambda \max(0, \tilde W)\,
          E\left[\max(0, \lVert\nabla D(\hat x)\rVert - 1)^2\right]

with :math:`\tilde W = E\,D(x) - E\,D(G(z))` left out of the gradient, so that the penalty's size follows the distance
and does not itself lower it (equations 2.8 and 2.9 of the thesis; Hartmann et al. 2018). Where
:math:`\hat x` meets every place that matters the critic's slope becomes :math:`1+u` with :math:`2\lambda u(1+u) = 1`,
so :math:`\tilde W / (1+u)` estimates the Wasserstein distance.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from bci.errors import ConfigError

#: Gives one value for each sample.
Judge = Callable[[Tensor], Tensor]
Penalty = Literal["one-sided", "printed"]


def one_value_each(values: Tensor, n: int) -> Tensor:
    """Return a critic's values, (n,).

    Raises
    ------
    ConfigError
        If they are not one for each sample.
    """
    if values.shape not in {(n,), (n, 1)}:
        raise ConfigError(
            f"expected one value of the critic for each of {n} samples, came an array of shape {tuple(values.shape)}."
        )
    return values.reshape(n)


def slope_penalty(judge: Judge, real: Tensor, made: Tensor, random: torch.Generator) -> Tensor:
    r"""Return :math:`E[\max(0, \lVert\nabla D(\hat x)\rVert - 1)^2]`, a slope of 1 or less costing nothing.

    Parameters
    ----------
    judge : callable
        The critic.
    real, made : (n, …) tensors
        In pairs; each :math:`\hat x` lies on the line between the two of a pair.
    random : torch.Generator
        Draws the places.

    Examples
    --------
    >>> random = torch.Generator().manual_seed(0)
    >>> real, made = torch.zeros(4, 2), torch.ones(4, 2)
    >>> [float(slope_penalty(lambda x: k * x[:, 0], real, made, random)) for k in (0.5, 1.0, 3.0)]
    [0.0, 0.0, 4.0]
    """
    share = torch.rand((len(real),) + (1,) * (real.ndim - 1), generator=random).to(real)
    between = (real + share * (made - real)).detach().requires_grad_(True)
    values = one_value_each(judge(between), len(between))
    (slope,) = torch.autograd.grad(values.sum(), between, create_graph=True)
    # At a slope of exactly 0 the norm has no gradient.
    size = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
    return (size - 1).clamp(min=0).square().mean()


def critic_loss(
    judge: Judge,
    real: Tensor,
    made: Tensor,
    weight: float,
    random: torch.Generator,
    penalty: Penalty = "one-sided",
) -> tuple[Tensor, float]:
    r"""Return what the critic makes small, and :math:`\tilde W`.

    Parameters
    ----------
    judge, real, made, random
        As of `slope_penalty`.
    weight : float
        :math:`\lambda`.
    penalty : str
        ``printed`` is the thesis's :math:`\lambda (r+g)^2`, read as the means of the critic's values of real and of
        made samples: it bounds no slope. It is there to be compared with.
    """
    r = one_value_each(judge(real), len(real)).mean()
    g = one_value_each(judge(made), len(made)).mean()
    distance = (r - g).detach()
    if penalty == "printed":
        return g - r + weight * (r + g).square(), float(distance.cpu())
    cost = weight * distance.clamp(min=0) * slope_penalty(judge, real, made, random)
    return g - r + cost, float(distance.cpu())


def slope_of(weight: float) -> float:
    r"""Return the slope :math:`1+u` that a critic has against a penalty of this weight.

    >>> round(slope_of(10.0), 4)
    1.0477
    """
    return 1 + (math.sqrt(1 + 2 / weight) - 1) / 2

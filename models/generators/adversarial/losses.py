r"""Losses of critic and generator: three adversarial losses and two penalties.

With :math:`r = D(x)` and :math:`f = D(G(z))`:

==================  ==============================================  =======================
name                critic                                          generator
==================  ==============================================  =======================
``non-saturating``  :math:`\ln(1+e^{-r}) + \ln(1+e^{f})`            :math:`\ln(1+e^{-f})`
``hinge``           :math:`[1-r]_+ + [1+f]_+`                       :math:`-f`
``wasserstein``     :math:`f - r`                                   :math:`-f`
==================  ==============================================  =======================

The first is the cross-entropy of Goodfellow et al. (2014) with the generator's loss that does not saturate.
Wasserstein is valid only with a penalty on the critic's slope: `r1` serves it, too.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Literal["non-saturating", "hinge", "wasserstein"]


def real_loss(loss: Loss, judged: Tensor) -> Tensor:
    """Return the critic's loss on real pictures; `judged` is (n,)."""
    if loss == "hinge":
        return F.relu(1.0 - judged).mean()
    return -judged.mean() if loss == "wasserstein" else F.softplus(-judged).mean()


def fake_loss(loss: Loss, judged: Tensor) -> Tensor:
    """Return the critic's loss on drawn pictures; `judged` is (n,)."""
    if loss == "hinge":
        return F.relu(1.0 + judged).mean()
    return judged.mean() if loss == "wasserstein" else F.softplus(judged).mean()


def generator_loss(loss: Loss, judged: Tensor) -> Tensor:
    """Return the generator's loss; `judged` is (n,), the critic's values of its pictures."""
    return F.softplus(-judged).mean() if loss == "non-saturating" else -judged.mean()


def r1(critic: nn.Module, pictures: Tensor) -> Tensor:
    r"""Return :math:`\tfrac12 E\lVert \nabla_x D(x) \rVert^2` on real pictures (Mescheder et al. 2018)."""
    pictures = pictures.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(pictures).sum(), pictures, create_graph=True)
    return 0.5 * slope.square().sum((1, 2, 3)).mean()


def orthogonality(network: nn.Module) -> Tensor:
    r"""Return :math:`\sum_W \lVert W W^\top \odot (1 - I) \rVert_F^2` over all kernels (Brock et al. 2019).

    Rows of `W` are the kernels of one output channel, flattened; their lengths are left free.
    """
    total = torch.zeros((), device=next(network.parameters()).device)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            rows = layer.weight.flatten(1)
        elif isinstance(layer, nn.ConvTranspose2d):
            rows = layer.weight.transpose(0, 1).flatten(1)
        else:
            continue
        products = rows @ rows.T
        total = total + (products - torch.diag(torch.diagonal(products))).square().sum()
    return total

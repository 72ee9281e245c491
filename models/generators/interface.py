"""An ImageGenerator is the interface of all generators: latents in, pictures out, an architecture as data.

A generator that learns adversarially, by reconstruction, or from principal components looks the same to a readout,
an analysis and an export: a `torch.nn.Module` with the promises below. A new one derives from `ImageGenerator` and
has a module in `models.generators.kinds`; nothing else needs to know of it.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bci.errors import ConfigError
from models.generators.registry import generator_kind
from models.generators.rules import Rule


class ImageGenerator(nn.Module):
    """An ImageGenerator maps latents to pictures.

    Attributes
    ----------
    kind : str
        Name of the architecture, as configurations and checkpoints say it.
    latent_size : int
        d.
    image_size : tuple of int
        Height and width.
    output_range : tuple of float
        The values that mean black and full brightness.
    """

    kind: ClassVar[str]
    latent_size: int
    image_size: tuple[int, int]
    output_range: tuple[float, float] = (-1.0, 1.0)

    def forward(self, latent: Tensor) -> Tensor:
        """Draw: (n, d) float32 to (n, 3, height, width) float32 in `output_range`."""
        raise NotImplementedError

    def layers(self, latent: Tensor) -> list[Tensor]:
        """Return the activation of every stage from the first to the picture itself, (n, …) each.

        A readout may be asked to get one of them right besides the latent.
        """
        raise NotImplementedError

    def folded(self) -> nn.Module:
        """Return a network that draws the same pictures with less work, for export; the weights may be shared."""
        return self

    def settings(self) -> dict[str, Any]:
        """Return the arguments that build a generator of the same shape, as JSON can hold them."""
        raise NotImplementedError

    def sample(self, n: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Return latents of its prior, (n, d); independent standard normal unless a kind says otherwise."""
        return random.standard_normal((n, self.latent_size), np.float32)

    @property
    def architecture(self) -> dict[str, Any]:
        """Kind and settings that two generators share when one can load the weights of the other."""
        return {"kind": self.kind, **self.settings()}


def build(architecture: Mapping[str, Any]) -> ImageGenerator:
    """Build an untrained generator from the description of `ImageGenerator.architecture`.

    Raises
    ------
    ConfigError
        If the kind is unknown or its settings do not fit.
    """
    settings = dict(architecture)
    kind = generator_kind(settings.pop("kind", None))
    try:
        return kind.network()(**settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"expected settings of a {kind.kind}, came {json.dumps(settings)}: {error}"
        ) from None


def parameter_count(network: nn.Module) -> int:
    """Return the number of learned weights.

    >>> parameter_count(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in network.parameters())


def normaliser(rule: Rule, limit: float = 2.0) -> Callable[[Tensor], Tensor]:
    """Return the function that applies `rule` to latents, (n, d) to (n, d).

    Parameters
    ----------
    rule : str
        ``keep``; ``rescale`` to norm √d (a latent of zeros stays one); ``truncate`` to ± `limit`.
    limit : float
        Of truncation, in standard deviations of the prior.
    """
    if rule == "keep":
        return lambda latent: latent
    if rule == "truncate":
        return lambda latent: torch.clamp(latent, -limit, limit)
    if rule == "rescale":
        return _rescale
    raise ConfigError(f"expected the rule keep, rescale or truncate, came {rule!r}")


def _rescale(latent: Tensor) -> Tensor:
    norm = latent.square().sum(1, keepdim=True).sqrt()
    return latent * (latent.shape[1] ** 0.5 / torch.clamp(norm, min=1e-12))


def pictures(
    generator: nn.Module, latents: NDArray[np.float32], output_range: tuple[float, float], batch: int = 64
) -> NDArray[np.uint8]:
    """Draw many latents, (n, d), in evaluation mode: (n, height, width, 3) uint8."""
    low, high = output_range
    device = next(generator.parameters()).device
    was_training = generator.training
    generator.eval()
    drawn = []
    with torch.no_grad():
        for i in range(0, len(latents), batch):
            planes = generator(torch.from_numpy(latents[i : i + batch]).to(device)).float().cpu().numpy()
            levels = np.round(255.0 * np.clip((planes - low) / (high - low), 0.0, 1.0))
            drawn.append(levels.astype(np.uint8).transpose(0, 2, 3, 1))
    generator.train(was_training)
    return np.concatenate(drawn)

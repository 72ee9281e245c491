"""A VaeGan is an autoencoder that a critic teaches what counts (Larsen et al. 2016; VanRullen & Reddy 2019).

The encoder gives the mean and the log variance of a latent; a DCGAN's generator draws it; pictures are compared by the
features of the critic's middle, not by pixels. Published: 1024 latents and pictures of 128²; sizes here are arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.devices import device_of, repeatable
from models.generators.dcgan import Dcgan, DcganCritic, stage_channels


class Encoder(nn.Module):
    """An Encoder maps pictures to the mean and the log variance of their latents.

    Parameters
    ----------
    latent, width, size : int
        As of `models.generators.dcgan.Dcgan`.
    """

    def __init__(self, latent: int, width: int, size: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        before = 3
        for channels in stage_channels(width, size):
            parts += [nn.Conv2d(before, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            before = channels
        self.body = nn.Sequential(*parts)
        self.head = nn.Linear(16 * before, 2 * latent)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Encode: (n, 3, size, size) to (n, d) twice."""
        mean, log_variance = self.head(self.body(pictures).flatten(1)).chunk(2, dim=1)
        return mean, log_variance


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from N(mean, variance) to N(0, 1), summed over latents: (n, d) to (n,).

    >>> kl_to_standard(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])).tolist()
    [0.5]
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).sum(1)


@dataclass(frozen=True, slots=True)
class VaeGanSchedule:
    """A VaeGanSchedule holds sizes and rates of a training.

    Attributes
    ----------
    latent, width : int
        Of the generator; the critic and the encoder are as wide.
    steps, batch : int
        Updates, and pictures of each.
    rate : float
        Of Adam.
    adversarial : float
        Weight of the critic's opinion beside the features' squared error.
    seed : int
    device : str
        What it learns on: ``cpu`` or ``cuda``. Not run on a card yet.
    """

    latent: int = 128
    width: int = 16
    steps: int = 1500
    batch: int = 32
    rate: float = 3e-4
    adversarial: float = 0.02
    seed: int = 0
    device: str = "cpu"


class VaeGan:
    """A VaeGan is a trained pair of encoder and generator.

    Attributes
    ----------
    encoder, generator
        In evaluation mode.
    """

    def __init__(self, encoder: Encoder, generator: Dcgan) -> None:
        self.encoder, self.generator = encoder.eval(), generator.eval()

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the means of the latents of pictures: (n, size, size, 3) to (n, d)."""
        planes, found = _planes(images), []
        with torch.no_grad():
            for start in range(0, len(planes), 64):
                found.append(self.encoder(planes[start : start + 64])[0].numpy())
        return np.concatenate(found).astype(np.float64)


def train_vaegan(
    images: NDArray[np.uint8], schedule: VaeGanSchedule, told: Callable[[int], None] | None = None
) -> VaeGan:
    """Train on pictures, (n, size, size, 3).

    Parameters
    ----------
    images : (n, size, size, 3) uint8
    schedule : VaeGanSchedule
    told : callable, optional
        Told the number of each update.
    """
    place = device_of(schedule.device)
    torch.manual_seed(schedule.seed)
    size = images.shape[1]
    generator = Dcgan(schedule.latent, schedule.width, size).to(place)
    encoder = Encoder(schedule.latent, schedule.width, size).to(place)
    critic = DcganCritic(schedule.width, size, norm="spectral").to(place)
    betas = (0.5, 0.999)
    both = [*encoder.parameters(), *generator.parameters()]
    of_pair = torch.optim.Adam(both, schedule.rate, betas)
    of_critic = torch.optim.Adam(critic.parameters(), schedule.rate, betas)
    planes, order = _planes(images), torch.Generator().manual_seed(schedule.seed)
    middle = critic.body[: len(critic.body) - 1]
    for step in range(schedule.steps):
        with repeatable(place):
            real = planes[torch.randint(len(planes), (schedule.batch,), generator=order)].to(place)
            mean, log_variance = encoder(real)
            noise, other = (torch.randn(mean.shape, generator=order).to(place) for _ in range(2))
            latent = mean + noise * (0.5 * log_variance).exp()
            drawn, imagined = generator(latent), generator(other)
            of_critic.zero_grad(set_to_none=True)
            _critic_loss(critic, real, drawn.detach(), imagined.detach()).backward()
            of_critic.step()
            of_pair.zero_grad(set_to_none=True)
            with torch.no_grad():
                wanted = middle(real)
            alike = (middle(drawn) - wanted).square().mean() + (drawn - real).square().mean()
            fooled = (
                functional.softplus(-critic(drawn)).mean() + functional.softplus(-critic(imagined)).mean()
            )
            divergence = kl_to_standard(mean, log_variance).mean() / real[0].numel()
            (alike + divergence + schedule.adversarial * fooled).backward()
            of_pair.step()
        if told is not None:
            told(step + 1)
    return VaeGan(encoder.cpu(), generator.cpu())


def _critic_loss(critic: DcganCritic, real: Tensor, drawn: Tensor, imagined: Tensor) -> Tensor:
    wrong = functional.softplus(critic(drawn)).mean() + functional.softplus(critic(imagined)).mean()
    loss: Tensor = functional.softplus(-critic(real)).mean() + 0.5 * wrong
    return loss


def _planes(images: NDArray[np.uint8]) -> Tensor:
    """Return pictures as planes from -1 to 1."""
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1.0)

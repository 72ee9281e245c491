"""Both autoencoders learn before the game: windows drawn at random from the whole recording, and the images.

Their halves are then parts of the game: the signal's decoder and the image's encoder of the generator, both encoders of
the critic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.devices import device_of, repeatable
from models.systems.lfp_gan.data import ShownWindows
from models.systems.lfp_gan.networks import ImageDecoder, ImageEncoder, SignalEncoder, Stack, standardise
from models.systems.lfp_gan.settings import LfpGanConfig, NetworkSettings, PretrainingSettings
from models.systems.lfp_gan.tables import image_decoder, image_encoder, signal_decoder, signal_encoder
from models.systems.lfp_gan.variational import VariationalSignals

Progress = Callable[[float, str], None]
#: Of some values the squared error as a share of variance, and what is made small.
Loss = Callable[[Tensor], tuple[Tensor, Tensor]]

#: Rows that the record has, about, and windows that are scored beside them.
_ROWS, _SCORED = 20, 256


class Autoencoders(nn.Module):
    """Autoencoders are tables 4.1 and 4.2: a signal's encoder and decoder, an image's encoder and decoder."""

    def __init__(self, channels: int, length: int, size: tuple[int, ...], networks: NetworkSettings) -> None:
        super().__init__()
        sizes = channels, length, networks.layers, networks.width
        self.signal_encoder, self.signal_decoder = (
            SignalEncoder(signal_encoder(*sizes)), Stack(signal_decoder(*sizes)),
        )  # fmt: skip
        self.image_encoder = ImageEncoder(image_encoder(size, networks.image_width))
        self.image_decoder = ImageDecoder(image_decoder(size, networks.image_width))

    def signals(self, windows: Tensor) -> Tensor:
        """Return windows coded and decoded, each at its own deviation, which is kept beside the code."""
        decoded: Tensor = self.signal_decoder(self.signal_encoder(windows)) * standardise(windows)[1]
        return decoded

    def images(self, images: Tensor) -> Tensor:
        """Return images coded and decoded: (n, 1, height, width)."""
        decoded: Tensor = self.image_decoder(self.image_encoder(images))
        return decoded


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A Pretrained holds autoencoders, and what came of their learning.

    Attributes
    ----------
    networks : Autoencoders
    record : list of dict
        ``step`` and the share of variance explained of windows and of images that were learned from.
    scores : dict
        The same of windows and images that were not: ``signal_r2``, ``image_r2``; ``windows`` drawn, and the share of
        places that was ``left_out`` as of tested images.
    """

    networks: Autoencoders
    record: list[dict[str, float]]
    scores: dict[str, float]


def pretrain(config: LfpGanConfig, shown: ShownWindows, progress: Progress) -> Pretrained:
    """Train both autoencoders; with steps of 0 they stay as they were drawn."""
    settings = config.pretraining
    torch.manual_seed(config.seed)
    place = device_of(config.device)
    networks = Autoencoders(len(shown.columns), shown.length, shown.images.shape[1:], config.networks).to(
        place
    )
    random = np.random.default_rng([config.seed, 21])
    scores: dict[str, float] = {}
    record: list[dict[str, float]] = []
    if settings.steps:
        windows, refused = shown.at_random(settings.windows, random)
        scores |= {"windows": float(settings.windows), "left_out": refused}
        progress(0.05, f"{settings.windows} windows drawn at random")
        variational = _variational(config, networks) if settings.divergence else None
        if variational is None:
            parts: list[nn.Module] = [networks.signal_encoder, networks.signal_decoder]
            loss = _squared(networks.signals, windows)
        else:
            parts = [variational]
            loss = _bounded(variational, windows, settings.divergence, config.seed)
        record += _learn(
            loss, parts, windows, settings.steps, settings, random, "signal",
            lambda done, text: progress(0.05 + 0.6 * done, text),
        )  # fmt: skip
        if variational is not None:
            variational.into(networks.signal_encoder)
    if settings.image_steps:
        parts = [networks.image_encoder, networks.image_decoder]
        images = shown.images[~shown.tested][:, None]
        record += _learn(
            _squared(networks.images, images), parts, images, settings.image_steps, settings, random, "image",
            lambda done, text: progress(0.65 + 0.35 * done, text),
        )  # fmt: skip
    networks.eval().cpu()
    scores["signal_r2"] = explained(networks.signals, shown.test[0][:_SCORED])
    scores["image_r2"] = explained(networks.images, shown.images[shown.tested][:, None])
    return Pretrained(networks, record, scores)


def explained(network: Callable[[Tensor], Tensor], values: NDArray[np.float32]) -> float:
    """Return the share of variance that a network's output explains of its input."""
    with torch.no_grad():
        found = network(torch.from_numpy(values)).numpy()
    about = values - values.mean(0)
    return float(1 - ((found - values) ** 2).sum() / max(float((about**2).sum()), 1e-12))


def _variational(config: LfpGanConfig, networks: Autoencoders) -> VariationalSignals:
    """Return the variational autoencoder of the same layers, around the decoder that the game begins with."""
    there = networks.signal_encoder.stack.table
    wide = signal_encoder(
        there.channels - 1, there.size[0], config.networks.layers, config.networks.width, variational=True
    )
    return VariationalSignals(wide, networks.signal_decoder).to(device_of(config.device))


def _squared(network: Callable[[Tensor], Tensor], values: NDArray[np.float32]) -> Loss:
    """Return a loss: the squared error of what a network gives, as a share of variance."""
    variance = float(values.var())

    def loss(some: Tensor) -> tuple[Tensor, Tensor]:
        error = (network(some) - some).square().mean() / variance
        return error, error

    return loss


def _bounded(network: VariationalSignals, values: NDArray[np.float32], weight: float, seed: int) -> Loss:
    """Return a loss: the same of a code that is drawn, and its divergence from a normal one."""
    random, variance = torch.Generator().manual_seed(seed + 7), float(values.var())

    def loss(some: Tensor) -> tuple[Tensor, Tensor]:
        decoded, apart = network(some, random)
        error = (decoded - some).square().mean() / variance
        return error, error + weight * apart.mean()

    return loss


def _learn(
    loss_of: Loss,
    parts: Sequence[nn.Module],
    values: NDArray[np.float32],
    steps: int,
    settings: PretrainingSettings,
    random: np.random.Generator,
    name: str,
    progress: Progress,
) -> list[dict[str, float]]:
    """Make a loss small; the record has the share of variance explained."""
    parameters = [p for part in parts for p in part.parameters()]
    optimiser, place = torch.optim.Adam(parameters, settings.rate), parameters[0].device
    source = torch.from_numpy(values)
    record: list[dict[str, float]] = []
    errors: list[float] = []
    for step in range(1, steps + 1):
        optimiser.param_groups[0]["lr"] = settings.rate * min(1.0, 2.1 - 2 * step / steps)
        some = source[random.integers(0, len(values), min(settings.batch, len(values)))].to(place)
        with repeatable(place):
            error, loss = loss_of(some)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        errors.append(float(error.detach().cpu()))
        if step % max(1, steps // _ROWS) == 0 or step == steps:
            record.append({"step": float(step), f"{name}_explained": 1 - float(np.mean(errors))})
            progress(step / steps, f"{name} autoencoder: {record[-1][f'{name}_explained']:.2f} of variance")
            errors = []
    return record

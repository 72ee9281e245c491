"""Learning: responses to pictures by three terms at once, generator and discriminator in turn."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.devices import device_of, repeatable
from models.generators.adversarial.averaging import Averaged
from models.networks.convnet import planes_of
from models.networks.learning import learn as learn_attributes
from models.networks.weights import open_network
from models.readouts.scaling import Standard
from models.systems.end_to_end.architecture import plan_discriminator, plan_generator
from models.systems.end_to_end.losses import (
    Turns,
    adversarial_term,
    discriminator_loss,
    feature_term,
    image_term,
)
from models.systems.end_to_end.networks import Comparator, Discriminator, Generator
from models.systems.end_to_end.planted import ATTRIBUTES, draw_pictures
from models.systems.end_to_end.settings import EndToEndConfig

Pictures = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
Progress = Callable[[float, str], None]

#: Rows that the record has, about.
_ROWS = 50
#: Pictures that a comparator that learns by itself sees.
_SEEN = 4000
_AT_ONCE = 64
TERMS = ("image", "feature", "adversarial")


@dataclass(frozen=True, eq=False)
class EndToEnd:
    """An EndToEnd reads pictures from responses.

    Attributes
    ----------
    generator : Generator
    voxels : Standard
        Of the training responses.
    comparator : str
        Which network compared, in words.
    record : list of dict
        Means over a stretch of updates: ``step``, each term, its gradient's norm at the picture, the discriminator's
        loss, the shares of updates in which each network learned.
    """

    generator: Generator
    voxels: Standard
    comparator: str
    record: list[dict[str, float]]

    def latents(self, voxels: Floats) -> NDArray[np.float32]:
        """Return the last dense layer's values: (n, voxels) to (n, latent)."""
        return self._run(self.generator.dense, np.asarray(self.voxels.forward(voxels), np.float32))

    def __call__(self, voxels: Floats) -> Pictures:
        """Reconstruct: (n, voxels) to (n, side, side, 3) uint8."""
        planes = self._run(self.generator, np.asarray(self.voxels.forward(voxels), np.float32))
        return np.round(127.5 * (1 + np.clip(planes, -1, 1))).astype(np.uint8).transpose(0, 2, 3, 1)

    def _run(self, network: torch.nn.Module, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            parts = [network(torch.from_numpy(rows[k : k + _AT_ONCE])) for k in range(0, len(rows), _AT_ONCE)]
        return np.asarray(torch.cat(parts).numpy())


def open_comparator(config: EndToEndConfig, pictures: Pictures, progress: Progress) -> Comparator:
    """Return the comparator of a training file, its activations scaled over the training's pictures if it says so.

    Raises
    ------
    ConfigError
        If the file of weights is another network's, or it has no such layer.
    DataError
        If the pictures are too small for the layer.
    """
    asked = config.comparator
    if asked.learned_from_planted:
        seen, attributes = draw_pictures(_SEEN, pictures.shape[1], np.random.default_rng([asked.seed, 7]))
        learned = learn_attributes(
            seen, attributes, ATTRIBUTES, asked.learned_from_planted, asked.seed, progress
        )
        network = learned.network
    else:
        network = open_network(asked, Path())  # its path was located with the file
    comparator = Comparator(network, asked.layer)
    if asked.power is not None:
        with torch.no_grad():
            some = comparator(planes_of(pictures[:_AT_ONCE]) * 2 - 1)
        comparator.scale = float((asked.power / some.square().mean()).sqrt())
    return comparator


class Learner:
    """A Learner makes one update after another, and says of each how large the terms and their gradients were.

    Parameters
    ----------
    config : EndToEndConfig
    voxels : (n, voxels)
        Standardised.
    pictures : (n, side, side, 3) uint8
        The picture of each.
    comparator : Comparator
    """

    def __init__(
        self, config: EndToEndConfig, voxels: NDArray[np.float32], pictures: Pictures, comparator: Comparator
    ) -> None:
        self.losses, learning = config.losses, config.learning
        self.device = device_of(config.device)
        torch.manual_seed(config.seed)
        side = pictures.shape[1]
        self.generator = Generator(voxels.shape[1], plan_generator(side, config.size.generator)).to(
            self.device
        )
        self.discriminator = Discriminator(plan_discriminator(side, config.size.discriminator)).to(
            self.device
        )
        self._comparator = comparator.to(self.device)
        self._voxels = torch.from_numpy(voxels).to(self.device)
        self._pictures = planes_of(pictures) * 2 - 1
        self._features = self._looked_at() if self.losses.feature else torch.empty(0)
        last = self.generator.drawing.convolutions[-1]
        with torch.no_grad():
            last.bias.copy_(self._pictures.mean((0, 2, 3)))
        self._averaged = Averaged(
            self.generator, "exponential" if learning.average else "none", learning.average
        )
        adam: dict[str, Any] = {
            "lr": learning.rate, "betas": (learning.beta1, 0.999), "weight_decay": learning.weight_decay,
        }  # fmt: skip
        self._optimisers = [
            torch.optim.Adam(one.parameters(), **adam) for one in (self.generator, self.discriminator)
        ]
        self._learning, self._made = learning, 0
        self._turns = Turns(learning.low, learning.resume, learning.high)
        self._batch, self._random = learning.batch, np.random.default_rng([config.seed, 2])

    def _looked_at(self) -> Tensor:
        """Return the comparator's activations of all pictures: it does not learn, so they stay."""
        with torch.no_grad():
            parts = [
                self._comparator(self._pictures[k : k + _AT_ONCE].to(self.device)).cpu()
                for k in range(0, len(self._pictures), _AT_ONCE)
            ]
        return torch.cat(parts)

    def update(self) -> dict[str, float]:
        """Make one update; return each term, the norm of its gradient at the pictures, and which network learned."""
        self._set_rate()
        some = self._random.integers(0, len(self._voxels), self._batch)
        drawn = self.generator(self._voxels[some])
        terms, said = self._terms(drawn, some)
        total = torch.zeros_like(drawn)
        for name, term in terms.items():
            (slope,) = torch.autograd.grad(term, drawn, retain_graph=True)
            said |= {name: float(term.detach()), f"{name}_gradient": float(slope.norm())}
            total += slope
        if said["discriminator_learns"]:
            self._optimisers[1].step()
        if said["generator_learns"]:
            self._optimisers[0].zero_grad(set_to_none=True)
            drawn.backward(total)
            self._optimisers[0].step()
            self._averaged.step(self.generator)
        return said

    def result(self) -> Generator:
        """Return the generator that is kept: the mean of its weights over updates, or the last ones."""
        kept = self._averaged.network if self._learning.average else self.generator
        return kept.cpu().eval()

    def _set_rate(self) -> None:
        """Set the rate of the next update: halved at the stated shares of all of them."""
        halvings = sum(self._made >= share * self._learning.steps for share in self._learning.halve_at)
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self._learning.rate * 0.5**halvings
        self._made += 1

    def _terms(self, drawn: Tensor, some: NDArray[np.int64]) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return the terms that count, and whose turn it is."""
        weights, terms = self.losses, {}
        said = {"generator_learns": 1.0, "discriminator_learns": 0.0}
        shown = self._pictures[some].to(self.device)
        if weights.image:
            terms["image"] = image_term(drawn, shown, weights.image)
        if weights.feature:
            wanted = self._features[some].to(self.device)
            terms["feature"] = feature_term(self._comparator(drawn), wanted, weights.feature)
        if weights.adversarial:
            real, false = self.discriminator(torch.cat([shown, drawn])).split(len(drawn))
            terms["adversarial"] = adversarial_term(false, weights.adversarial)
            said |= self._discriminate(real, false)
        return terms, said

    def _discriminate(self, real: Tensor, false: Tensor) -> dict[str, float]:
        """Compute the discriminator's gradient if it is its turn; return its loss, and whose turn it is."""
        loss = discriminator_loss(real, false)
        fooled = adversarial_term(false.detach(), 1.0)
        it_learns, other_learns = self._turns(float(loss.detach() / fooled.clamp(min=1e-9)))
        if it_learns:
            parameters = list(self.discriminator.parameters())
            slopes = torch.autograd.grad(loss, parameters, retain_graph=True)
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter.grad = slope
        return {
            "discriminator": float(loss.detach()),
            "discriminator_learns": float(it_learns),
            "generator_learns": float(other_learns),
        }


def learn(
    config: EndToEndConfig,
    voxels: Floats,
    pictures: Pictures,
    comparator: Comparator,
    progress: Progress = lambda done, text: None,
) -> EndToEnd:
    """Learn to reconstruct: responses (n, voxels), pictures (n, side, side, 3) uint8."""
    scale = Standard.of(voxels)
    learner = Learner(config, np.asarray(scale.forward(voxels), np.float32), pictures, comparator)
    steps = config.learning.steps
    every, record, stretch = max(1, steps // _ROWS), [], []
    for step in range(1, steps + 1):
        with repeatable(learner.device):
            stretch.append(learner.update())
        if step % every == 0 or step == steps:
            row = {name: float(np.mean([one[name] for one in stretch])) for name in stretch[0]}
            record.append({"step": float(step), **row})
            stretch = []
            progress(step / steps, f"update {step} of {steps}: " + _terms_in_words(row))
    comparator.to(torch.device("cpu"))
    return EndToEnd(learner.result(), scale, comparator.says, record)


def _terms_in_words(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {row[name]:.3g}" for name in TERMS if name in row)

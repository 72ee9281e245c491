r"""A readout of latents that is distilled from reconstruction by gradient (after Shen et al. 2019), fit for live use.

Features of a convolutional network are decoded from the brain, unit by unit (`models.readouts.decoded_features`). The
slow way seeks for each trial the latent whose picture has these features (`models.networks.matching`): `slow`. The
network that runs live sees the decoded features' principal components and answers with a latent at once.

It learns from trials made for it: features of pictures that the generator draws, and the errors that were made in
decoding held-out trials, from none of them to all, since sessions may average repeats. It learns first what latent each
such picture had, which costs little, and then by the slow way's own objective, through generator and network. (Both
are ours; Shen et al. have the slow way alone.) A fifth of the runs takes no part in that; it says how sure the readout
may be.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from bci.config.toml import check_settings
from bci.errors import ConfigError
from models.checks import as_matrix, check_columns
from models.devices import device_of, repeatable
from models.generators.differentiable import Drawing
from models.generators.package import GeneratorPackage
from models.networks.convnet import Convnet
from models.networks.matching import Descent, FeatureSpace, distance, match_latents
from models.networks.settings import NetworkSettings
from models.networks.weights import open_network
from models.readouts.decoded_features import FeatureDecoder
from models.readouts.fitted import FittedReadout, HeldOutLatents
from models.readouts.folds import held_out_folds
from models.readouts.gradient import layers as dense_layers
from models.readouts.gradient import weights_of
from models.readouts.interface import Readout, Training
from models.readouts.maps import Affine, Network
from models.readouts.recalibration import Recalibration
from models.readouts.scaling import Standard

#: Of the two parts of the distillation.
_FIRST_RATE, _RATE = 1e-3, 2e-3
_FIRST_BATCH = 128
#: Of answers that hardly depend on the truth; nothing is claimed of them.
_LEAST_GAIN = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class DistilledParts:
    """DistilledParts are what a fitted `Distilled` was made of, which the slow way needs.

    Attributes
    ----------
    drawing : Drawing
    space : FeatureSpace
    decoder : FeatureDecoder
    voxels : Standard
    """

    drawing: Drawing
    space: FeatureSpace
    decoder: FeatureDecoder
    voxels: Standard

    @property
    def weights(self) -> Tensor:
        """What each unit counts: (units,)."""
        return self.space.weights(self.decoder.worth)


@dataclass(frozen=True, slots=True)
class Distillation:
    """A Distillation is how the network learns.

    Attributes
    ----------
    pictures : int
        That the generator draws for it.
    first, updates : int
        Updates by known latents, and by the slow way's objective.
    batch, hidden : int
        Pictures of one update of the second kind, and units of each of the two hidden layers.
    """

    pictures: int = 3000
    first: int = 2000
    updates: int = 400
    batch: int = 32
    hidden: int = 256


class Distilled(Readout):
    """A Distilled is a feed-forward network that answers with the latent that reconstruction by gradient seeks.

    Its further options are those of `Distillation`. Its answers are as long as the slow way's, and no posterior means,
    which are shorter and draw paler pictures. What is uncertain is stated at the same length, so that the confidence is
    the cosine to be expected (`models.readouts.recalibration`).

    Parameters
    ----------
    generator : GeneratorPackage
        Whose latents are read; its prior is that of the pictures.
    architecture, weights : str
        Of the network whose features are decoded; see `models.networks.settings.NetworkSettings`. Empty weights are
        random ones.
    pooling : str
        ``mean`` or ``largest``, of that network.
    layers : sequence of str
        Whose units are decoded.
    units : int
        Of a layer, at most, chosen by chance.
    voxels, alpha : int, float
        Voxels of each unit, and the penalty of its ridge.
    steps, penalty : int, float
        Of the slow way, and what the latent's mean square costs in both.
    seed : int
        Of random weights, of the choice of units and of the distillation.
    device : str
        What it learns on, and where the slow way seeks: ``cpu`` or ``cuda``. Not run on a card yet.

    Attributes
    ----------
    parts_ : DistilledParts
        After `fit`.

    Raises
    ------
    ConfigError
        If an option is impossible, or the network's weights are not there.
    """

    parts_: DistilledParts

    def __init__(
        self,
        generator: GeneratorPackage,
        architecture: str = "small",
        weights: str = "convnet-faces",
        pooling: str = "mean",
        layers: tuple[str, ...] | list[str] = ("pool1", "pool2", "pool3"),
        units: int = 700,
        voxels: int = 100,
        alpha: float = 300.0,
        steps: int = 100,
        penalty: float = 0.1,
        seed: int = 0,
        device: str = "cpu",
        **distillation: Any,
    ) -> None:
        self.generator, self.layers = generator, tuple(layers)
        self.units, self.voxels, self.alpha, self.seed = units, voxels, alpha, seed
        self.device = device
        self.descent = Descent(steps, penalty=penalty)
        self.distillation = Distillation(**distillation)
        how = self.distillation
        given = {"layers": len(self.layers), "units": units, "voxels": voxels, "steps": steps}
        given |= {"pictures": how.pictures, "first": how.first, "updates": how.updates, "hidden": how.hidden}
        wrong = [f"{name} = {value}" for name, value in given.items() if value < 1]
        wrong += [f"batch = {how.batch}"] if how.batch < 2 else []
        wrong += [f"alpha = {alpha}"] if not alpha > 0 else []
        wrong += [f"penalty = {penalty}"] if not penalty >= 0 else []
        if wrong:
            raise ConfigError(
                f"expected {', '.join(given)} of at least 1, a batch of at least 2, alpha above 0 and a penalty of at "
                f"least 0, came {', '.join(wrong)}"
            )
        self.network = _network(architecture, weights, pooling, seed)
        self.network.require(self.layers)

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return what it needs."""
        return 20, "a distilled network", "features are decoded of held-out trials"

    def learn(self, training: Training) -> None:
        """Decode features, distil, and see what the network answers to the runs that were left out."""
        place = device_of(self.device)
        standard = Standard.of(training.brain)
        x, z = standard.forward(training.brain), np.asarray(training.latents, np.float64)
        self.network.to(place)
        drawing, d = Drawing(self.generator).to(place), training.latents.shape[1]
        pictures = drawing.draw(z)
        space = FeatureSpace(self.network, self.layers, pictures, most=self.units, seed=self.seed)
        units = space.of(pictures)
        decoder = FeatureDecoder.fit(x, units, z, training.runs, voxels=self.voxels, alpha=self.alpha)
        self.parts_ = DistilledParts(drawing, space, decoder, standard)
        kept, out = next(iter(held_out_folds(training.runs, z, 5)))
        with repeatable(place):
            student, seen = self._distil(decoder.held_out[kept] - units[kept])
        front = Affine(
            np.asarray(decoder.weights @ seen.axes, np.float32),
            np.asarray((decoder.offset - seen.mean) @ seen.axes, np.float64),
        )
        found = Network(weights_of(student), front)
        answered = np.asarray(Network(found.layers)(seen(decoder.held_out[out])), np.float64)
        recalibration = Recalibration.of(z[out], answered, np.zeros(d))
        self.collapse_ = recalibration.collapse
        self._fitted = FittedReadout(
            standard,
            Standard(np.zeros(d), np.ones(d)),
            found,
            recalibration.covariance / max(recalibration.gain, _LEAST_GAIN) ** 2,
            claims=not recalibration.collapse.collapsed,
            held_out=HeldOutLatents(z[out], answered),
        )

    def slow(self, brain: ArrayLike) -> NDArray[np.float32]:
        """Seek the latents of trials by gradient: (n, voxels) to (n, d). A large part of a second a trial: not live.

        Raises
        ------
        DataError
            If the readout is not fitted, or these are other voxels.
        """
        self._require_fit("parts_")
        parts = self.parts_
        matrix = as_matrix(brain, "brain data", "voxels")
        check_columns(matrix, len(parts.voxels.mean), "brain data", "voxels")
        wanted = parts.decoder(parts.voxels.forward(matrix))
        size = self.generator.spec.latent
        return match_latents(parts.drawing, parts.space, wanted, size, self.descent, weights=parts.weights)

    def _distil(self, errors: NDArray[np.float32]) -> tuple[nn.Sequential, "_Components"]:
        """Train the network on drawn pictures' features and decoding errors, (n, units); return what it sees too."""
        how, parts = self.distillation, self.parts_
        random = np.random.default_rng([self.seed, 3])
        latents = random.standard_normal((how.pictures, self.generator.spec.latent)).astype(np.float32)
        units = parts.space.of(parts.drawing.draw(latents))
        sample = (
            units
            + random.random((len(units), 1), np.float32) * errors[random.integers(0, len(errors), len(units))]
        )
        seen = _Components.of(sample, parts.weights.cpu().numpy(), latents.shape[1])
        place = self.network.device
        made = _MadeTrials(
            torch.from_numpy(units).to(place), torch.from_numpy(errors).to(place),
            torch.from_numpy(latents).to(place), seen, self.seed,
        )  # fmt: skip
        student = dense_layers(
            (seen.axes.shape[1], how.hidden, how.hidden, latents.shape[1]), bias=True, seed=self.seed
        ).to(place)
        first = torch.optim.Adam(student.parameters(), _FIRST_RATE)
        for _ in range(how.first):
            picture, error, share = made.draw(_FIRST_BATCH)
            _update(
                first, (student(made.seen(picture, error, share)) - made.latents[picture]).square().mean()
            )
        then = torch.optim.Adam(student.parameters(), _RATE)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(then, how.updates, 0.05 * _RATE)
        for _ in range(how.updates):
            picture, error, share = made.draw(how.batch)
            latent = student(made.seen(picture, error, share))
            missed = distance(
                parts.space(parts.drawing(latent)), made.wanted(picture, error, share), parts.weights
            )
            _update(then, (missed + self.descent.penalty * latent.square().mean(1)).mean())
            falling.step()
        return student.cpu().eval().requires_grad_(False), seen


def _update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


@dataclass(frozen=True, slots=True, eq=False)
class _Components:
    """_Components are the directions in which decoded features vary most, where units count as in the objective."""

    mean: NDArray[np.floating[Any]]
    axes: NDArray[np.floating[Any]]

    @classmethod
    def of(cls, wanted: NDArray[np.float32], weights: NDArray[np.float32], most: int) -> "_Components":
        mean, roots = wanted.mean(axis=0), np.sqrt(weights)
        rows = (wanted - mean) * roots
        # Of fewer rows than units, or the other way round: the smaller of the two squares.
        square = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
        values, vectors = np.linalg.eigh(square.astype(np.float64))
        order = np.argsort(values)[::-1][:most]
        order = order[values[order] > 1e-9 * max(float(values.max()), 1e-300)]
        if not len(order):  # no unit is decoded: one component that is always 0
            return cls(mean, np.zeros((len(mean), 1), np.float32))
        sizes = np.sqrt(values[order])
        axes = rows.T @ (vectors[:, order] / sizes) if len(rows) < rows.shape[1] else vectors[:, order]
        scaled = roots[:, None] * axes * (np.sqrt(len(rows)) / sizes)
        return cls(mean, np.asarray(scaled, np.float32))

    def __call__(self, wanted: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray((wanted - self.mean) @ self.axes, np.float32)


class _MadeTrials:
    """_MadeTrials are drawn pictures' units, each with a share of the error of a trial."""

    def __init__(self, units: Tensor, errors: Tensor, latents: Tensor, seen: _Components, seed: int) -> None:
        self._units, self._errors, self.latents = units, errors, latents
        axes = torch.from_numpy(seen.axes).to(units.device)
        self._of_units = (units - torch.from_numpy(np.asarray(seen.mean, np.float32)).to(units.device)) @ axes
        self._of_errors = errors @ axes
        self._random = torch.Generator().manual_seed(seed)

    def draw(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return a picture, an error and a share for each trial: (n,), (n,), (n, 1)."""
        drawn = (
            torch.randint(len(self._units), (n,), generator=self._random),
            torch.randint(len(self._errors), (n,), generator=self._random),
            torch.rand(n, 1, generator=self._random),
        )
        picture, error, share = (part.to(self._units.device) for part in drawn)
        return picture, error, share

    def seen(self, picture: Tensor, error: Tensor, share: Tensor) -> Tensor:
        """Return the components that the network sees."""
        return self._of_units[picture] + share * self._of_errors[error]

    def wanted(self, picture: Tensor, error: Tensor, share: Tensor) -> Tensor:
        """Return the units that are wanted."""
        return self._units[picture] + share * self._errors[error]


def _network(architecture: str, weights: str, pooling: str, seed: int) -> Convnet:
    given = {"architecture": architecture, "weights": weights or None, "pooling": pooling, "seed": seed}
    return open_network(check_settings(given, NetworkSettings, "the readout 'distilled'"), Path())

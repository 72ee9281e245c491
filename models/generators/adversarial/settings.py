"""What a training file says of the adversarial game, and what the game needs of the file of any kind."""

from typing import Annotated, Literal, Protocol

from pydantic import Field
from torch import nn

from models.generators.adversarial.averaging import Average
from models.generators.adversarial.losses import Loss
from models.generators.interface import ImageGenerator
from models.generators.settings import GeneratorFile
from models.settings import Count, Positive, Section, Share

Weight = Annotated[float, Field(ge=0, le=1e6)]


class GameSettings(Section):
    """How they play; every trick is a switch."""

    steps: Count = 20000
    """Updates of the generator in the adversarial game."""
    batch: Annotated[int, Field(ge=2, le=65_536)] = 64
    """Pictures of one update."""
    rate: Positive = 2e-4
    """Learning rate of the generator (Adam)."""
    critic_rate: Positive = 2e-4
    """Learning rate of the critic (Adam)."""
    betas: tuple[Share, Share] = (0.5, 0.999)
    """Decays of Adam's means of the gradient and of its square."""
    decay_rate_over: Share = 0.0
    """Last part of the game over which both rates fall to a tenth."""
    loss: Loss = "non-saturating"
    """What both play for."""
    critic_steps: Count = 1
    """Updates of the critic for each of the generator."""
    average: Average = "exponential"
    """How the generator's weights are averaged over updates; the average is shipped."""
    average_decay: Share = 0.999
    """Share of the old average at each update, of the exponential one."""
    orthogonal: Weight = 0.0
    """Weight of the orthogonal regularisation of the generator's kernels."""
    r1: Weight = 0.0
    """Weight of the penalty on the critic's slope at real pictures."""
    r1_every: Count = 16
    """It is computed every so many updates, and weighs as many times more."""
    warm_steps: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """Updates before the game in which the generator learns to redraw pictures from latents of their own."""
    warm_rate: Positive = 2e-3
    """Learning rate in those updates."""
    warm_from: Literal["components", "attributes"] = "components"
    """What their latents are made of; only drawn faces have attributes."""
    anchor: Weight = 0.0
    """Weight of that redrawing during the game, for half of each batch."""
    edges: Weight = 0.0
    """Weight of the pictures' slopes in redrawing, beside their values: eyes and mouths are few pixels, and steep."""


class Critic(nn.Module):
    """A network that tells drawn pictures from real ones: (n, 3, size, size) to (n,); high means real."""

    @property
    def architecture(self) -> dict[str, object]:
        """What two critics share when one can load the weights of the other."""
        raise NotImplementedError


class AdversarialFile(GeneratorFile, Protocol):
    """What the game needs of a training file."""

    game: GameSettings

    @property
    def latent(self) -> int:
        """Size of the latents."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what an update does."""
        ...

    def networks(self) -> tuple[ImageGenerator, Critic]:
        """Return both networks with the weights that they start from, by torch's own random state."""
        ...

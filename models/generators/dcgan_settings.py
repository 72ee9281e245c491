"""The training file of a DCGAN describes pictures, both networks, the tricks as switches, and the package."""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bci.config.session import SafeName
from models.drawings.face import NAMES
from models.generators.adversarial.settings import GameSettings
from models.generators.dcgan import CriticNorm, Dcgan, DcganCritic, Init, initialise, stage_channels
from models.generators.settings import PackageSettings, PictureSettings, RunSettings
from models.settings import Count, Section


class NetworkSettings(Section):
    """NetworkSettings describes both networks."""

    latent: Count = 100
    """Size of the latent space."""
    width: Count = 64
    """Channels of the generator's last stage; each stage before has twice as many."""
    size: Count = 64
    """Height and width of the pictures: a power of two."""
    critic_width: Count = 64
    """Channels of the critic's first stage."""
    critic_norm: CriticNorm = "batch"
    """How the critic's layers are normalised."""
    init: Init = "normal"
    """How the first weights are drawn."""

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        stage_channels(self.width, self.size)
        return self


class DcganConfig(Section):
    """A DcganConfig describes one DCGAN to train."""

    kind: Literal["dcgan"]
    name: SafeName
    """What the package is called."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of first weights, batches and pictures."""
    pictures: PictureSettings
    network: NetworkSettings = NetworkSettings()
    game: GameSettings = GameSettings()
    run: RunSettings = RunSettings()
    package: PackageSettings = PackageSettings()

    @model_validator(mode="after")
    def _attributes_are_those_of_faces(self) -> Self:
        if self.game.warm_from == "attributes":
            if self.pictures.source != "faces":
                raise ValueError("[game] warm_from = 'attributes' needs [pictures] source = 'faces'")
            if self.network.latent < len(NAMES):
                raise ValueError(f"faces have {len(NAMES)} attributes; [network] latent is at least that")
        return self

    @property
    def size(self) -> int:
        """Height and width of the pictures, pixels."""
        return self.network.size

    @property
    def latent(self) -> int:
        """Size of the latents."""
        return self.network.latent

    @property
    def fewest(self) -> int:
        """Smallest number of training pictures: one batch."""
        return self.game.batch

    def networks(self) -> tuple[Dcgan, DcganCritic]:
        """Return both networks with the weights that they start from, by torch's own random state."""
        asked = self.network
        generator = Dcgan(asked.latent, asked.width, asked.size)
        critic = DcganCritic(asked.critic_width, asked.size, asked.critic_norm)
        for each in (generator, critic):
            initialise(each, asked.init)
        return generator, critic

    @property
    def digest(self) -> str:
        """SHA-256 of all settings that an update depends on: without the interval of looks, device and package.

        Nor the number of updates, unless the rates depend on it: a run may be made longer.
        """
        learned = self.model_dump(mode="json", exclude={"run": {"look_every", "device"}, "package": True})
        if not self.game.decay_rate_over:
            del learned["game"]["steps"]
        return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()

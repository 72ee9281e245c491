"""A training file for a generator: pictures, both networks, the tricks as switches, and what is shipped.

A key that does not exist is an error that names it. The file as read goes into the package's provenance.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci.config.toml import load_settings
from models.drawings.face import NAMES
from models.generators.adversarial.averaging import Average
from models.generators.adversarial.losses import Loss
from models.generators.dcgan import CriticNorm, Init, stage_channels
from models.generators.rules import Rule
from models.settings import Count, Positive, Share

Weight = Annotated[float, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PictureSettings(_Section):
    """What is learned from."""

    source: Literal["faces", "characters", "folder"]
    path: str = ""
    """Of characters and folders: below the data root, or absolute."""
    number: Count = 12000
    """How many faces are drawn."""
    held_out: Count = 1000
    """How many pictures are kept for scores, never learned from."""
    pose: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of faces: how far they turn, tilt and come closer, of what they can; sets of photographs are aligned too."""

    @model_validator(mode="after")
    def _named_where_it_is_read(self) -> Self:
        if (self.source == "faces") != (not self.path):
            raise ValueError("path names the folder of characters or pictures; faces are drawn and have none")
        if self.source != "faces" and self.pose != 1.0:
            raise ValueError("pose is of drawn faces; other pictures are as they are")
        return self


class NetworkSettings(_Section):
    """Both networks."""

    latent: Count = 100
    width: Count = 64
    size: Count = 64
    critic_width: Count = 64
    critic_norm: CriticNorm = "batch"
    init: Init = "normal"

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        stage_channels(self.width, self.size)
        return self


class GameSettings(_Section):
    """How they play; every trick is a switch."""

    steps: Count = 20000
    """Updates of the generator in the adversarial game."""
    batch: Annotated[int, Field(ge=2)] = 64
    rate: Positive = 2e-4
    """Learning rate of the generator (Adam)."""
    critic_rate: Positive = 2e-4
    betas: tuple[Share, Share] = (0.5, 0.999)
    decay_rate_over: Share = 0.0
    """Last part of the game over which both rates fall to a tenth."""
    loss: Loss = "non-saturating"
    critic_steps: Count = 1
    """Updates of the critic for each of the generator."""
    average: Average = "exponential"
    average_decay: Share = 0.999
    orthogonal: Weight = 0.0
    """Weight of the orthogonal regularisation of the generator's kernels."""
    r1: Weight = 0.0
    """Weight of the penalty on the critic's slope at real pictures."""
    r1_every: Count = 16
    """It is computed every so many updates, and weighs as many times more."""
    warm_steps: Annotated[int, Field(ge=0)] = 0
    """Updates before the game in which the generator learns to redraw pictures from latents of their own."""
    warm_rate: Positive = 2e-3
    warm_from: Literal["components", "attributes"] = "components"
    """What their latents are made of; only drawn faces have attributes."""
    anchor: Weight = 0.0
    """Weight of that redrawing during the game, for half of each batch."""
    edges: Weight = 0.0
    """Weight of the pictures' slopes in redrawing, beside their values: eyes and mouths are few pixels, and steep."""


class RunSettings(_Section):
    """How it runs; nothing here but threads and precision changes what comes out."""

    threads: Count = 1
    """Threads of torch; part of the configuration because sums depend on it."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: mixed, on a GPU only."""
    look_every: Count = 500
    """Updates between two looks at pictures and monitors, each with a checkpoint."""


class PackageSettings(_Section):
    """What is shipped."""

    rule: Rule = "truncate"
    limit: Positive = 2.0
    """Of truncation, standard deviations."""
    half: bool = False
    """Store weights as float16; they are computed with as float32."""


class GeneratorConfig(_Section):
    """One generator to train."""

    kind: Literal["dcgan"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    title: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
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
    def digest(self) -> str:
        """SHA-256 of all that decides what an update does: not how often one looks, nor what is shipped.

        Nor the number of updates, unless the rates depend on it: a run may be made longer.
        """
        learned = self.model_dump(mode="json", exclude={"run": {"look_every"}, "package": True})
        if not self.game.decay_rate_over:
            del learned["game"]["steps"]
        return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()


def load_generator_config(path: Path) -> GeneratorConfig:
    """Read a training file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return load_settings(path, GeneratorConfig, "training")

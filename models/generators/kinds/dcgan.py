"""DCGAN, as a kind of generator: learned in a game against a critic."""

from pathlib import Path
from typing import Any

from models.generators.kind import GeneratorKind, Learned, Progress


def network() -> Any:
    """Return the class of the network."""
    from models.generators.dcgan import Dcgan

    return Dcgan


def settings() -> Any:
    """Return the model of its training file."""
    from models.generators.dcgan_settings import DcganConfig

    return DcganConfig


def learn(config: Any, source: Any, folder: Path, replicas: Any, progress: Progress) -> Learned:
    """Play the game."""
    from models.generators.adversarial.learning import learn_adversarially

    return learn_adversarially(config, source, folder, replicas, progress)


KIND = GeneratorKind(
    kind="dcgan",
    about="transposed convolutions, learned against a critic (Radford et al. 2016)",
    network=network,
    settings=settings,
    learn=learn,
)

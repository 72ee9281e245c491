"""Learning in a game: from pictures and a training file to the averaged generator that is shipped."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.drawings.face import NAMES
from models.generators.adversarial.replicas import Replicas
from models.generators.adversarial.running import run
from models.generators.adversarial.settings import AdversarialFile
from models.generators.adversarial.starting_latents import (
    attribute_directions,
    attribute_latents,
    component_latents,
)
from models.generators.kind import Learned
from models.generators.sources import Source


def learn_adversarially(
    config: AdversarialFile,
    source: Source,
    folder: Path,
    replicas: Replicas,
    progress: Callable[[float, str], None],
) -> Learned:
    """Play the game, from its first update or from the checkpoint in `folder`.

    Parameters
    ----------
    config : AdversarialFile
        What to do.
    source : Source
        What to learn from.
    folder : Path
        Of the run: checkpoint, sample grids, curve and event files.
    replicas : Replicas
        The processes that train together; the first of them records.
    progress : callable
        Takes the share done and a line of text.
    """
    latents = starting_latents(config, source)
    generator, history = run(config, source.train, latents, folder, replicas, progress)
    files: dict[str, bytes | str] = {}
    if config.game.warm_from == "attributes":
        directions = attribute_directions(len(NAMES), generator.latent_size, config.seed)
        table = {name: [round(float(v), 7) for v in row] for name, row in zip(NAMES, directions, strict=True)}
        files["attributes.json"] = json.dumps(table) + "\n"
    return Learned(generator, history, files)


def starting_latents(config: AdversarialFile, source: Source) -> NDArray[np.float32] | None:
    """Return the latents that training pictures are redrawn from, (n, d), or None where none are asked for."""
    game, size = config.game, config.latent
    if not (game.warm_steps or game.anchor):
        return None
    if game.warm_from == "attributes":
        assert source.attributes is not None
        return attribute_latents(source.attributes, size, config.seed)
    return component_latents(source.train, size, config.seed)

"""Latents: points in a generator's latent space, drawn while the session runs.

Pattern ``random`` shows standard normal points, each coordinate times ``spread``. Pattern ``direction`` shows points of
one straight line through the origin::

    z(k) = t(k) · √d · u        t(k) evenly spaced from -spread to spread, u a unit vector, k = 0 … points - 1

with d the size of the latent space. Points, direction and order are fixed by the seed, and the same in every session.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from stimuli.protocols.order import order
from stimuli.trials import Latent, Palette, Protocol, timed


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.experiment.LatentsSettings`.

    Raises
    ------
    ConfigError
        If the session's bundle has no generator of its own to draw latents with.
    """
    if not palette.latent:
        raise ConfigError(
            '[experiment] protocol "latents": expected a bundle with a generator graph, came one without, which '
            "cannot draw latents. Name another bundle in [decoder], or another protocol."
        )
    return _trials(spec, points(spec, palette.latent))


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be."""
    return int(spec["points"]) * int(spec["repeats"])


def points(spec: Mapping[str, Any], d: int) -> NDArray[np.float32]:
    """Return the points, (points, d) float32; their numbers are their rows.

    >>> line = points({"pattern": "direction", "points": 3, "spread": 1.0, "seed": 5}, 4)
    >>> np.linalg.norm(line, axis=1).round(6).tolist(), bool((line[0] == -line[2]).all())
    ([2.0, 0.0, 2.0], True)
    """
    random = np.random.default_rng(spec["seed"])
    if spec["pattern"] == "random":
        return np.asarray(spec["spread"] * random.standard_normal((spec["points"], d)), np.float32)
    direction = random.standard_normal(d)
    direction /= np.linalg.norm(direction)
    places = np.linspace(-spec["spread"], spec["spread"], spec["points"])
    return np.asarray(places[:, None] * np.sqrt(d) * direction, np.float32)


def _trials(spec: Mapping[str, Any], latents: NDArray[np.float32]) -> Protocol:
    for number in order(len(latents), spec["repeats"], spec["order"], spec["seed"]):
        yield timed(spec, number, f"{spec['pattern']}-{number}", Latent(latents[number]))

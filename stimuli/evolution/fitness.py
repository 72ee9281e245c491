"""A Fitness says how well the brain answered to a picture, of what the decoder read of it; more is better."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from stimuli.protocols.pictures import load_latents
from stimuli.trials import Palette, Reading

Fitness = Callable[[Reading], float]


def make_fitness(spec: Mapping[str, Any], palette: Palette) -> Fitness:
    """Return the fitness that a session file asks for.

    ``value`` is one number of the reading: a firing rate, band power or region average where the bundle gives that,
    else a coordinate of the latent. ``towards`` is the correlation of the reading with the latent of a named picture.

    Parameters
    ----------
    spec : mapping
        As `bci.config.experiment.EvolutionSettings`.
    palette : Palette
        How many values a reading has.

    Raises
    ------
    ConfigError
        If the reading has no such value, or the picture no known latent.
    """
    if spec["fitness"] == "value":
        place = int(spec["value"])
        if place >= palette.reading:
            raise ConfigError(
                f"[experiment] value = {place}: expected one of the {palette.reading} values that the bundle reads, "
                f"counted from 0. Give 0 to {palette.reading - 1}."
            )
        return lambda reading: float(reading.latent[place])
    folder, picture = Path(spec["folder"]), str(spec["picture"])
    (target,) = load_latents(folder, [picture], palette.reading)
    return lambda reading: correlation(reading.latent, target)


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the correlation of two latents, (d,); 0 where one of them is the same everywhere.

    >>> correlation(np.array([1.0, 2.0, 3.0], np.float32), np.array([2.0, 4.0, 6.0], np.float32))
    1.0
    """
    one, other = (np.asarray(v, np.float64) - np.mean(v, dtype=np.float64) for v in (a, b))
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return round(float(one @ other / size), 12) if size > 0 else 0.0

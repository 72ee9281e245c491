"""What draws a number in place of a bar: a generator, from the latent of its least to that of its largest value."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from models.generators.frozen import steered_by_number
from models.generators.steering import Steering, open_steering, place_of, read_latents
from models.systems.numbers.settings import NumbersConfig

#: File of a bundle: the graph that draws its number.
GRAPH = "drawing.onnx"

#: Names of the two latents.
_ENDS = ("low", "high")


@dataclass(frozen=True, slots=True, eq=False)
class NumberDrawing:
    """A NumberDrawing is a generator and the ends of the line on which a number leads it.

    Attributes
    ----------
    steering : Steering
        The generator.
    ends : (2, d) float32
        Latents of the least and of the largest number.
    """

    steering: Steering
    ends: NDArray[np.float32]

    def graph(self, low: float, high: float) -> bytes:
        """Return the graph that draws numbers from `low` to `high`."""
        return steered_by_number(self.steering.graph, self.ends, low, high)


def open_drawing(config: NumbersConfig, root: Path, folder: Path) -> NumberDrawing | None:
    """Return what draws the number of a training file; None for a bar.

    Parameters
    ----------
    config : NumbersConfig
    root : Path
        The data root.
    folder : Path
        Of the training file: where the generator's path starts.

    Raises
    ------
    ConfigError
        If the file of latents is not there, or lacks one that the generator draws.
    BundleError
        If the generator's package is not whole.
    """
    if config.draw is None:
        return None
    steering = open_steering(config.draw.generator, folder)
    place = place_of(config.draw.latents, root)
    known = steering.checked(read_latents(place), str(place))
    if missing := [name for name in _ENDS if name not in known]:
        raise ConfigError(
            f"draw: expected the latents low and high in {place}, came none of {' and '.join(missing)} among "
            f"{', '.join(sorted(known)[:6]) or 'none'}. Add it."
        )
    return NumberDrawing(steering, np.stack([known[name] for name in _ENDS]))

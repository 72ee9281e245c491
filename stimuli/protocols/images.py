"""Images: the pictures of a folder, each shown as often, in a random order that a seed fixes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stimuli.protocols.order import order
from stimuli.protocols.pictures import load_pictures, picture_paths
from stimuli.trials import Palette, Picture, Protocol, Trial


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.experiment.ImagesSettings`.

    Raises
    ------
    ConfigError
        If the folder holds no picture, or one that cannot be read; all are read before the first trial.
    """
    names, images = load_pictures(Path(spec["folder"]), palette.size)
    return _trials(spec, names, images)


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be, without reading the pictures."""
    return len(picture_paths(Path(spec["folder"]))) * int(spec["repeats"])


def _trials(spec: Mapping[str, Any], names: list[str], images: NDArray[np.uint8]) -> Protocol:
    for number in order(len(images), spec["repeats"], spec["order"], spec["seed"]):
        yield Trial(
            number,
            names[number],
            Picture(images[number]),
            stimulus_s=spec["stimulus_s"],
            feedback_s=spec["feedback_s"],
            blank_s=spec["blank_s"],
        )

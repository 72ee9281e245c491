"""Images: the pictures of a folder, each shown as often, in a random order that a seed fixes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stimuli.protocols.order import order
from stimuli.protocols.pictures import PictureSet, picture_paths
from stimuli.trials import Palette, Protocol


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.experiment.ImagesSettings`.

    Raises
    ------
    ConfigError
        If the folder holds no picture, or one that cannot be read; all are read before the first trial.
    """
    return _trials(spec, PictureSet.load(Path(spec["folder"]), palette.size))


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be, without reading the pictures."""
    return len(picture_paths(Path(spec["folder"]))) * int(spec["repeats"])


def _trials(spec: Mapping[str, Any], pictures: PictureSet) -> Protocol:
    for number in order(len(pictures.names), spec["repeats"], spec["order"], spec["seed"]):
        yield pictures.trial(spec, number)

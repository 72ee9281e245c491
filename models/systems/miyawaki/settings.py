"""A training file of multiscale local decoders: pictures, responses, scales, a regressor, how scales combine."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bci.config.paths import PathText
from bci.config.toml import load_settings
from models.settings import Count, DecoderFile, Positive, Section
from models.systems.miyawaki.bases import square_scales

#: What reads the contrast of a rectangle: voxels' weights, fitted to each, or those that receptive fields imply.
Regressor = Literal["omp", "linear", "bayesian", "logistic", "univariate", "receptive_fields"]


class PlantedData(Section):
    """A planted visual cortex; see `models.systems.miyawaki.planted`."""

    source: Literal["planted"] = "planted"
    """That it is planted."""
    voxels: Annotated[int, Field(ge=10, le=100_000)] = 1500
    """How many."""
    samples: Annotated[int, Field(ge=50, le=100_000)] = 1000
    """Random pictures that decoders are fitted to, in twenty runs."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 10
    """Responses to each figure that are scored."""
    snr: Positive = 0.05
    """Variance of a voxel's response over random pictures, by its noise variance."""


class FileData(Section):
    """Arrays (.npy): of random pictures to fit to, of figures to score."""

    source: Literal["files"]
    """That it lies in files."""
    voxels: PathText
    """(samples, voxels): responses, shifted by the delay of blood already."""
    pictures: PathText
    """(samples, side²): contrast of each pixel, 0 or 1."""
    runs: PathText
    """(samples,): the run of each; runs are held out whole."""
    test_voxels: PathText
    """(samples, voxels): responses to pictures that are scored."""
    test_pictures: PathText
    """(samples, side²): those pictures."""


class MiyawakiConfig(DecoderFile):
    """One training file."""

    kind: Literal["miyawaki"]
    name: str
    """What the bundle is called."""
    title: str = ""
    """One sentence about it."""
    seed: int = 0
    """Of a planted cortex, and of chance."""
    data: Annotated[PlantedData | FileData, Field(discriminator="source")] = PlantedData()
    scales: Annotated[tuple[tuple[int, int], ...], Field(min_length=1, max_length=16)] = square_scales(2)
    """Height and width of the rectangles of each scale, pixels."""
    regressor: Regressor = "omp"
    """What reads the contrast of a rectangle from voxels."""
    best: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Voxels that are kept for each rectangle, those that go with its contrast best."""
    coefficients: Literal["scales", "elements", "equal"] = "scales"
    """Whether a coefficient is learned for each scale, for each rectangle, or all count alike."""
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    """Folds of whole runs, of whose predictions coefficients are learned."""
    tr: Positive = 2.0
    """Seconds from volume to volume."""
    zoom: Count = 8
    """Pixels on the screen for each of the picture's."""


def load_miyawaki(path: Path) -> MiyawakiConfig:
    """Read a training file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return load_settings(path, MiyawakiConfig, "training")

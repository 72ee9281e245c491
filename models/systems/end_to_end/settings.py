"""A training file of end-to-end reconstruction: responses and pictures, sizes, the comparator, losses, learning."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from bci.config.paths import PathText
from bci.config.toml import check_settings, load_settings
from bci.io.shipped import locate
from models.insilico.settings import Cut, Participant, Timing
from models.networks.settings import NetworkSettings
from models.settings import Count, DecoderFile, Positive, Section, Share


class PlantedData(Section):
    """Planted voxels that answer the Gabor energy of drawn pictures; see `models.systems.end_to_end.planted`."""

    source: Literal["planted"] = "planted"
    """That they are planted."""
    side: Annotated[int, Field(ge=32, le=256, multiple_of=8)] = 64
    """Of a picture, pixels."""
    early: Count = 400
    """Voxels that answer one place."""
    higher: Count = 200
    """Voxels that answer the whole picture, wherever something lies."""
    samples: Annotated[int, Field(ge=64, le=100_000)] = 1500
    """Pictures that are fitted to, one response each."""
    test: Annotated[int, Field(ge=8, le=10_000)] = 40
    """Other pictures, which are scored."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 8
    """Responses to each of those."""
    snr: Positive = 0.5
    """Variance of a voxel's response over pictures, by its noise variance, in one response."""


class FileData(Section):
    """Arrays (.npy): responses and pictures, to fit to and to score."""

    source: Literal["files"]
    """That they lie in files."""
    voxels: PathText
    """(samples, voxels): a response a row."""
    pictures: PathText
    """(samples, side, side, 3) uint8: the picture of each."""
    test_voxels: PathText
    """(samples, voxels): responses that are scored."""
    test_pictures: PathText
    """(samples, side, side, 3) uint8: the picture of each."""
    regions: dict[str, PathText] = Field(default_factory=dict)
    """By a region's name, (voxels,) bool: which voxels are its own."""
    tr: Positive = 2.0
    """Seconds from row to row, for the bundle."""


class InsilicoData(Section):
    """The participant in silico looks at pictures that a generator draws; the bundle then runs live."""

    source: Literal["insilico"]
    """That they are answered in silico."""
    generator: PathText
    """Folder of the package that draws the pictures, from the file's own; or the name of a shipped one."""
    reference: PathText | None = None
    """Pictures (.npy) over which the participant's responses are scaled, those that sessions name in [source], from the
    file's own folder or shipped; the first training pictures when left out."""
    participant: Participant
    trials: Timing
    pipeline: tuple[dict[str, JsonValue], ...] = ()
    """Steps from signal to epoch, as a bundle holds them."""
    epoch: Cut


class SizeSettings(Section):
    """How much smaller than published the networks are."""

    generator: Annotated[float, Field(gt=0, le=1)] = 0.0625
    """Factor of the generator's units and maps; 1 is the published size."""
    discriminator: Annotated[float, Field(gt=0, le=1)] = 0.25
    """The same of the discriminator."""


class ComparatorSettings(NetworkSettings):
    """The network whose activations count, with its weights, and which of its layers."""

    layer: str | None = None
    """Its last pool when left out."""
    learned_from_planted: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Updates by which the small network learns what planted pictures show, others than those of the data, before it
    compares; 0 leaves its weights as they are."""
    power: Positive | None = None
    """Mean square over the training's pictures that activations are brought to; as they are when left out. Networks
    other than the published one have activations of other sizes, and without it their term another weight."""

    @model_validator(mode="after")
    def _learns_what_is_ours(self) -> Self:
        if self.learned_from_planted and (self.architecture != "small" or self.weights is not None):
            raise ValueError(
                f"learned_from_planted is of the small network without weights, came {self.architecture!r}"
                f"{'' if self.weights is None else ' with weights'}"
            )
        return self


class LossSettings(Section):
    """Weights of the three terms, as published; 0 leaves a term out."""

    image: Annotated[float, Field(ge=0, le=1e9)] = 2e-6
    """Of the squared error of pixels."""
    feature: Annotated[float, Field(ge=0, le=1e9)] = 0.01
    """Of the squared error of the comparator's activations."""
    adversarial: Annotated[float, Field(ge=0, le=1e9)] = 100.0
    """Of the discriminator's verdict."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not (self.image or self.feature or self.adversarial):
            raise ValueError("expected a loss with one term or more, came weights that are all 0")
        return self


class LearningSettings(Section):
    """How both networks learn; but for the number of updates, the batch and the rate, as published."""

    steps: Count = 1500
    """Updates; published: a million."""
    batch: Annotated[int, Field(ge=2, le=4096)] = 16
    """Responses at once; published: 64."""
    rate: Positive = 1e-3
    """Of Adam; published: 2e-4."""
    beta1: Share = 0.9
    """Of Adam."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 4e-4
    """Added to the gradient, times each weight."""
    halve_at: tuple[Share, ...] = (0.3, 0.5, 0.7, 0.9)
    """Shares of the updates at which the rate is halved."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the mean of the generator's weights that is kept in their place; 0, as published, the last ones."""
    low: Positive = 0.1
    """The discriminator's loss over the generator's: below it the discriminator stops."""
    resume: Positive = 0.5
    """Above it both learn again."""
    high: Positive = 10.0
    """Above it the generator stops."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low < self.resume < self.high:
            raise ValueError(
                f"expected low < resume < high, came {self.low:g}, {self.resume:g}, {self.high:g}"
            )
        return self


class EndToEndConfig(DecoderFile):
    """An EndToEndConfig is a training file of kind ``end-to-end``."""

    kind: Literal["end-to-end"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What the bundle is called."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of everything that is drawn at random."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What the networks learn on."""
    data: Annotated[PlantedData | FileData | InsilicoData, Field(discriminator="source")] = PlantedData()
    regions: tuple[str, ...] = ()
    """Names of the regions whose voxels are read; all voxels when left out."""
    size: SizeSettings = SizeSettings()
    comparator: ComparatorSettings = ComparatorSettings()
    losses: LossSettings = LossSettings()
    learning: LearningSettings = LearningSettings()


def parse_end_to_end(values: Mapping[str, Any], where: str) -> EndToEndConfig:
    """Read the training settings that a bundle carries.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    return check_settings(dict(values), EndToEndConfig, where)


def placed(data: InsilicoData, folder: Path) -> InsilicoData:
    """Return the data with its generator and reference where they are: in `folder`, or shipped."""
    places = {"generator": locate(data.generator, folder, "bundles")}
    if data.reference is not None:
        places["reference"] = locate(data.reference, folder, "stimuli")
    return data.model_copy(update=places)


def portable(config: EndToEndConfig) -> dict[str, Any]:
    """Return the settings as a bundle carries them: of files beside the training file, the names alone."""
    values = config.model_dump(mode="json")
    if isinstance(config.data, InsilicoData):
        values["data"]["generator"] = config.data.generator.name
        if (reference := config.data.reference) is not None:
            values["data"]["reference"] = f"{reference.parent.name}/{reference.name}"
    if config.comparator.weights is not None:
        values["comparator"]["weights"] = config.comparator.weights.name
    return values


def load_end_to_end(path: Path) -> EndToEndConfig:
    """Read a training file; paths of a generator and of weights start from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    config = load_settings(path, EndToEndConfig, "training")
    folder = path.resolve().parent
    changed: dict[str, Any] = {}
    if isinstance(config.data, InsilicoData):
        changed["data"] = placed(config.data, folder)
    if config.comparator.weights is not None:
        weights = locate(config.comparator.weights, folder, "bundles")
        changed["comparator"] = config.comparator.model_copy(update={"weights": weights})
    return config.model_copy(update=changed)

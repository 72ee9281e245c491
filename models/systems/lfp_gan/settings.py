"""A training file of LFP-GAN or EEG-GAN: the recording and its images, the networks, pretraining, the game."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bci.config.paths import PathText
from bci.config.toml import check_settings, load_settings
from models.settings import Count, Positive, Section, Share


class SurrogateData(Section):
    """A recording with a known spectrum, bursts and responses; see `models.systems.lfp_gan.surrogate`."""

    source: Literal["surrogate"] = "surrogate"
    """That it is made up."""
    images: Annotated[int, Field(ge=10, le=1000)] = 118
    """How many are shown."""
    repeats: Annotated[int, Field(ge=2, le=1000)] = 20
    """Of each image."""


class RecordedData(Section):
    """A recording whose markers name the images that were shown."""

    source: Literal["recording"]
    """That it was recorded, with markers."""
    path: PathText
    """Of the recording, below the data root."""
    images: PathText
    """(images, height, width) in a .npy, below the data root: uint8, or from 0 to 1."""
    marker: str = r"image (?P<image>\d+)"
    """Regular expression; its group ``image`` is the image's number, from 0."""
    rate: Positive | None = None
    """Samples per second, for files that do not say."""
    channels: tuple[str, ...] | None = None
    """Which channels; all when left out."""
    unit: str | None = None
    """Unit of the values, for files that do not say."""
    stream: str | None = None
    """Which stream of a file that holds several."""


class AllenData(Section):
    """Allen Neuropixels: one probe's file of local field potentials (NWB), and the session's, with what was shown."""

    source: Literal["allen"]
    """That it is of the Allen Institute's layout."""
    path: PathText
    """The probe's file, below the data root."""
    probe: str = ""
    """Number of the probe, such as 729445652."""
    session: PathText
    """The session's file, below the data root; it holds the presentations."""
    images: PathText
    """(images, height, width) in a .npy, below the data root, in order of the numbers of frames."""
    channels: tuple[str, ...] | None = None
    """Which channels, by their ids; all when left out."""


class NetworkSettings(Section):
    """Sizes of the networks."""

    layers: Literal[1, 2, 3, 6, 9] = 9
    """Of the signal's encoder and of its decoder; 9 is table 4.1."""
    width: Annotated[int, Field(ge=2, le=512)] = 20
    """Channels between layers of a signal's network."""
    image_width: Annotated[int, Field(ge=2, le=512)] = 8
    """Channels between layers of an image's network."""
    image_size: tuple[int, int] | None = None
    """Height and width that images are brought to; as they are when left out."""


class PretrainingSettings(Section):
    """How the autoencoders learn before the game; steps of 0 leave it out."""

    steps: Annotated[int, Field(ge=0, le=10_000_000)] = 2000
    """Updates of the signal's autoencoder."""
    image_steps: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    """Updates of the image's autoencoder."""
    windows: Annotated[int, Field(ge=64, le=1_000_000)] = 4000
    """Windows drawn at random from the whole recording, but for presentations of images that are tested on."""
    batch: Annotated[int, Field(ge=2, le=4096)] = 32
    """At once."""
    rate: Positive = 1e-3
    """Of Adam."""
    divergence: Annotated[float, Field(ge=0, le=1e3)] = 0.0
    """Weight of the divergence of the signal's code from a normal one: above 0 its autoencoder is variational, as the
    thesis proposes. 0 as in the thesis."""


class GameSettings(Section):
    """How generator and critic learn."""

    steps: Count = 3000
    """Updates of the generator."""
    batch: Annotated[int, Field(ge=2, le=4096)] = 32
    """Windows at once."""
    critic_steps: Annotated[int, Field(ge=1, le=100)] = 2
    """Updates of the critic for each."""
    rate: Positive = 1e-3
    """Of Adam, β 0 and .999, as in the thesis; it falls to a twentieth over the second half."""
    penalty: Positive = 10.0
    """Weight of the critic's penalty, which is scaled by the distance."""
    moments: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Weight of the squared error of mean spectra (in dB² over a hundred) and of correlations between channels. 0 as in
    the thesis: a critic with a bounded slope hardly sees frequencies that have little power."""
    responses: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Weight of the squared error of each image's mean window. 0 as in the thesis: a critic that sees one window and
    one image at a time hardly learns in few updates what they have to do with each other."""
    mismatched: Share = 0.0
    """Share of what the critic learns to refuse that is a measured window with the image of another (Reed et al. 2016).
    0 as in the thesis."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.98
    """The generator that is kept is a running mean of its weights with this memory; 0 for the last weights."""
    look: Count = 100
    """Updates from one look at the Fréchet distance to the next."""


class ProgressiveSettings(Section):
    """Blocks of EEG-GAN: the window doubles in length with each."""

    blocks: Annotated[int, Field(ge=2, le=10)] = 6
    """How many; published: 6."""
    maps: Annotated[int, Field(ge=2, le=512)] = 50
    """Channels within; published: 50."""
    latent: Annotated[int, Field(ge=1, le=4096)] = 200
    """Values of noise; published: 200."""
    fade: Share = 0.5
    """Share of a block's updates in which it is faded in; published: half of 4000 epochs."""


class ClassifierSettings(Section):
    """A network that names the image of a window; what it sees in windows is compared as well."""

    steps: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """Updates; 0 leaves it out."""
    features: Annotated[int, Field(ge=2, le=512)] = 32
    """Values that windows are compared by."""
    batch: Annotated[int, Field(ge=2, le=4096)] = 64
    """At once."""
    rate: Positive = 1e-3
    """Of Adam."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of features that an update leaves out."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of each label that is spread over all images."""


class LfpGanConfig(Section):
    """An LfpGanConfig is a training file of kind ``lfp-gan``."""

    kind: Literal["lfp-gan"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What the bundle is called."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of everything that is drawn at random."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What the networks learn on."""
    variant: Literal["lfp-gan", "eeg-gan"] = "lfp-gan"
    """LFP-GAN makes windows for an image; EEG-GAN grows block by block, and knows no image."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of images whose windows nothing learns from; published: 24 of 118."""
    data: Annotated[SurrogateData | RecordedData | AllenData, Field(discriminator="source")] = SurrogateData()
    networks: NetworkSettings = NetworkSettings()
    pretraining: PretrainingSettings = PretrainingSettings()
    game: GameSettings = GameSettings()
    progressive: ProgressiveSettings = ProgressiveSettings()
    classifier: ClassifierSettings = ClassifierSettings()

    @model_validator(mode="after")
    def _asks_nothing_of_images_where_none_is_known(self) -> Self:
        of_images = {"responses": self.game.responses, "mismatched": self.game.mismatched}
        asked = [f"game.{key} = {value:g}" for key, value in of_images.items() if value]
        if self.variant == "eeg-gan" and asked:
            raise ValueError(
                f"EEG-GAN knows no image, and {' and '.join(asked)} asks something of images. Leave it out, or say "
                'variant = "lfp-gan"'
            )
        return self


def parse_lfp_gan(values: Mapping[str, Any], where: str) -> LfpGanConfig:
    """Read the training settings that a bundle carries.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    return check_settings(dict(values), LfpGanConfig, where)


def load_lfp_gan(path: Path) -> LfpGanConfig:
    """Read a training file; paths of recordings start from the data root.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    return load_settings(path, LfpGanConfig, "training")

"""The ``[experiment]`` section describes the stimuli of each trial, with one settings model for each protocol.

``protocol`` says which; without it the pictures of a folder are shown. The protocols themselves, under the same names,
are the modules of `stimuli.protocols`.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from bci.config.adaptive import ExpectedInformationSettings
from bci.config.numbers import Seed
from bci.config.paths import PathText
from bci.config.protocol import Count, PictureFolderSettings, ProtocolSettings
from bci.config.protocols import (
    ImagerySettings,
    NeurofeedbackSettings,
    OddballSettings,
    OwnProtocolSettings,
    PerceptionSettings,
)
from bci.io.shipped import locate
from bci.memory.trial_parts import LONGEST_TEXT

OptimiserName = Literal["cma", "full_cma", "sphere_cma", "genetic", "random"]
_Words = Annotated[str, Field(min_length=1)]


class ImagesSettings(PictureFolderSettings):
    """The pictures of a folder, each shown as often, and time for feedback after each."""

    protocol: Literal["images"] = "images"
    repeats: Count = 1
    """How often each is shown."""
    order: Literal["random", "sorted"] = "random"
    """Random, each block of trials holding every picture once, or as the file names sort."""


class LatentsSettings(ProtocolSettings):
    """Points in the latent space of the session's generator, drawn by it while the session runs."""

    draws_latents: ClassVar[bool] = True

    protocol: Literal["latents"]
    pattern: Literal["random", "direction"] = "random"
    """"random": standard normal points. "direction": evenly spaced points of one straight line through the origin."""
    points: Count = 24
    """How many points."""
    repeats: Count = 1
    """How often each is shown."""
    order: Literal["random", "sorted"] = "random"
    """Random, each block of trials holding every point once, or by number: of a direction, from end to end."""
    spread: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Random: standard deviation of every coordinate. Direction: distance of both ends from the origin, in units of √d,
    the length of a typical standard normal latent of d coordinates."""
    drawn_by: PathText | None = None
    """A bundle whose generator draws the pictures; absent means the session's own. A session without a decoder, which
    collects answers to a generator's pictures, names it here."""
    seed: Seed = 0
    """Which points or which direction, and which random order."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the bundle where it is, beside the file or elsewhere."""
        drawn_by = None if self.drawn_by is None else locate(self.drawn_by, folder, "bundles")
        return self.model_copy(update={"drawn_by": drawn_by})


class StaircaseSettings(PictureFolderSettings):
    """Pictures whose contrast follows what is read of them: the lowest contrast at which they still can be read.

    Beside the pictures lies ``latents.json``, the latent of each by its name.
    """

    reads: ClassVar[bool] = True

    protocol: Literal["staircase"]
    start: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Contrast of the first trial; 1 is the picture as it is, 0 an even grey."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """What the contrast is multiplied by on the way down, and divided by on the way up."""
    down: Annotated[int, Field(ge=1, le=10)] = 2
    """How many pictures must be read in a row before the contrast goes down; one that is not read lets it go up. A
    picture counts as read when the reading is more like its latent than like that of another picture, drawn at
    random."""
    reversals: Annotated[int, Field(ge=2, le=1000)] = 8
    """After how many changes of direction the experiment ends."""
    trials: Count = 200
    """After how many trials it ends at the latest."""


class TextSettings(ProtocolSettings):
    """Words on the screen: cues of what to do, to imagine or to read."""

    protocol: Literal["text"]
    words: Annotated[tuple[_Words, ...], Field(min_length=1, max_length=10_000)]
    """What is written, one entry a stimulus; "\\n" begins a new line."""
    size_deg: Annotated[float, Field(gt=0, le=45)] = 1.5
    """Height of a line, degrees of visual angle."""
    repeats: Count = 1
    """How often each is shown."""
    order: Literal["random", "sorted"] = "random"
    """Random, each block of trials holding every entry once, or as they are listed."""
    seed: Seed = 0
    """Which random order."""

    @model_validator(mode="after")
    def _words_fit(self) -> Self:
        for words in self.words:
            if not words.strip() or len(words.encode()) > LONGEST_TEXT:
                raise ValueError(
                    f"words: expected 1 to {LONGEST_TEXT} bytes of text that can be seen, came {words[:40]!r}"
                )
        return self


class EvolutionSettings(ProtocolSettings):
    """Pictures of the session's generator that evolve: those that the brain answers to most have offspring."""

    draws_latents: ClassVar[bool] = True
    reads: ClassVar[bool] = True

    protocol: Literal["evolution"]
    optimisers: Annotated[tuple[OptimiserName, ...], Field(min_length=1, max_length=5)] = ("cma",)
    """What proposes the pictures; several take turns in every generation, each with a population of its own. "cma":
    covariance matrix adaptation with a variance for each coordinate; "full_cma": with all covariances, slow above some
    hundred coordinates; "sphere_cma": on a sphere; "genetic": a genetic algorithm; "random": the control."""
    population: Annotated[int, Field(ge=4, le=1000)] = 40
    """How many pictures each optimiser proposes in one generation."""
    generations: Annotated[int, Field(ge=1, le=10_000)] = 75
    """After how many generations the experiment ends."""
    references: Annotated[int, Field(ge=0, le=100)] = 5
    """How many random pictures are shown in each generation, always the same: they show what drifts or adapts, and
    leave time for the last of the others to be read."""
    spread: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Standard deviation of every coordinate in the first generation; of a generator's own latents it is 1."""
    fitness: Literal["value", "towards"] = "value"
    """What is to grow. "value": one of the values that the bundle reads. "towards": how like the reading is to the
    latent of a `picture`."""
    value: Annotated[int, Field(ge=0)] = 0
    """Which value, counted from 0."""
    folder: PathText | None = None
    """Towards: the folder of the picture, with ``latents.json``, the latent of each picture by its name."""
    picture: str | None = None
    """Towards: the name of the picture, without its suffix."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """How often a picture is shown of which nothing is read, before it counts as the mean of its generation."""
    drawn_by: PathText | None = None
    """Another bundle, whose generator draws the pictures; absent means the session's own. So a bundle that reads a
    firing rate, a band's power or a region's mean can be what pictures are selected by."""
    also_drawn_by: PathText | None = None
    """A bundle with a second generator: every optimiser searches its latent space too, in the same generations, so that
    the two generators can be compared. What it proposes there is called ``cma@2``."""
    seed: Seed = 0
    """Which random numbers the optimisers draw, and which order."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the paths where they are, beside the file or, of a bundle, elsewhere."""
        places = {
            "folder": self.folder and locate(self.folder, folder, "stimuli"),
            "drawn_by": None if self.drawn_by is None else locate(self.drawn_by, folder, "bundles"),
            "also_drawn_by": self.also_drawn_by and locate(self.also_drawn_by, folder, "bundles"),
        }
        return self.model_copy(update=places)

    @model_validator(mode="after")
    def _something_is_to_grow(self) -> Self:
        if len(set(self.optimisers)) < len(self.optimisers):
            raise ValueError(f"an optimiser is named twice: {', '.join(self.optimisers)}")
        if self.also_drawn_by is not None and len(self.optimisers) > 2:
            raise ValueError(
                "also_drawn_by: expected at most 2 optimisers, each of which then searches two spaces, came "
                f"{len(self.optimisers)}"
            )
        if self.fitness == "towards" and (self.folder is None or self.picture is None):
            raise ValueError(
                'fitness = "towards" needs the folder and the name of a picture: folder, picture'
            )
        return self


def _protocol_of(settings: Any) -> Any:
    name = (
        settings.get("protocol", "images")
        if isinstance(settings, dict)
        else getattr(settings, "protocol", None)
    )
    # A protocol of the experimenter's own is a file, or a module with a dot in its name.
    return "own" if isinstance(name, str) and "." in name else name


#: The ``[experiment]`` section.
ExperimentSettings = Annotated[
    Annotated[ImagesSettings, Tag("images")]
    | Annotated[LatentsSettings, Tag("latents")]
    | Annotated[StaircaseSettings, Tag("staircase")]
    | Annotated[TextSettings, Tag("text")]
    | Annotated[EvolutionSettings, Tag("evolution")]
    | Annotated[PerceptionSettings, Tag("perception")]
    | Annotated[ImagerySettings, Tag("imagery")]
    | Annotated[NeurofeedbackSettings, Tag("neurofeedback")]
    | Annotated[OddballSettings, Tag("oddball")]
    | Annotated[ExpectedInformationSettings, Tag("expected_information")]
    | Annotated[OwnProtocolSettings, Tag("own")],
    Discriminator(_protocol_of),
]

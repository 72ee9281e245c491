"""The ``[experiment]`` section describes the stimuli of each trial, with one settings model for each protocol.

``protocol`` says which; without it the pictures of a folder are shown. The protocols themselves, under the same names,
are the modules of `stimuli.protocols`.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from bci.config.numbers import Seed
from bci.config.paths import PathText
from bci.io.shipped import locate
from bci.memory.trial_parts import LONGEST_TEXT

_Seconds = Annotated[float, Field(ge=0, le=600)]
_Count = Annotated[int, Field(ge=1, le=100_000)]
OptimiserName = Literal["cma", "full_cma", "sphere_cma", "genetic", "random"]
KeyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9 ]{0,19}$")]
_Words = Annotated[str, Field(min_length=1)]
#: What a phase of an experiment may be called.
PhaseName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]


class KeySettings(BaseModel):
    """Keys of an experiment, by the names that are printed on them, in small letters: a, 1, space, return, left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answers: Annotated[tuple[KeyName, ...], Field(max_length=40)] = ("space",)
    """Keys by which the participant answers; they are recorded, and told to the protocol."""
    start: KeyName = "return"
    """Begins an experiment that waits for it."""
    pause: KeyName = "p"
    """Pauses, and goes on after a pause."""
    abort: KeyName = "q"
    """Ends the experiment at once."""
    operator: bool = True
    """Whether start, pause and abort are obeyed in the operator's window, the preview."""
    participant: bool = False
    """Whether they are obeyed in the participant's window."""

    @model_validator(mode="after")
    def _each_key_means_one_thing(self) -> Self:
        keys = (*self.answers, self.start, self.pause, self.abort)
        if len(set(keys)) < len(keys) or "escape" in keys:
            raise ValueError(
                f"each key means one thing, and escape closes the window; came {', '.join(keys)}"
            )
        return self


class ProtocolSettings(BaseModel):
    """ProtocolSettings holds the settings that all protocols share: the times of a trial.

    The display stamps every stimulus with its flip and publishes it as a marker ``stimulus <number> <name>``, which is
    recorded and around which a bundle may decode epochs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    draws_latents: ClassVar[bool] = False
    """Whether its stimuli are latents, which the session's bundle must draw."""

    protocol: str
    begin: Literal["auto", "order"] = "auto"
    """"auto" begins when everything is ready; "order" waits for the order to start, or for its key."""
    on_pause: Literal["finish", "repeat"] = "finish"
    """What a pause does to the trial under way: "finish" shows it to its end first, "repeat" cuts it short and shows it
    again afterwards."""
    keys: KeySettings = KeySettings()
    stimulus_s: Annotated[float, Field(gt=0, le=600)] = 0.5
    """How long a stimulus is shown."""
    feedback_s: _Seconds = 0.0
    """How long, after it, reconstructions are shown to the participant; 0 for never."""
    blank_s: _Seconds = 1.0
    """How long only the fixation target is shown before each stimulus."""
    lead_in_s: _Seconds = 2.0
    """How long, beside that, it is shown before the first one: filters settle, and so does the participant."""
    phases: Annotated[tuple[PhaseName, ...], Field(max_length=100)] = ()
    """Names of the experiment's phases: the protocol runs once in each, in this order. ``[display.decoders]`` may show
    the pictures of another decoder in each. Without names the experiment is one phase."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with paths that are relative to `folder`."""
        return self


class _PictureFolder(ProtocolSettings):
    """Settings of a protocol whose stimuli come from a folder of pictures."""

    folder: PathText
    """Folder of the pictures (PNG, JPEG, BMP, TIFF, WebP), or the name of a shipped one: faces."""
    seed: Seed = 0
    """Which random order."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the pictures' folder where it is, beside the file or elsewhere."""
        return self.model_copy(update={"folder": locate(self.folder, folder, "stimuli")})


class ImagesSettings(_PictureFolder):
    """The pictures of a folder, each shown as often, and time for feedback after each."""

    protocol: Literal["images"] = "images"
    repeats: _Count = 1
    """How often each is shown."""
    order: Literal["random", "sorted"] = "random"
    """Random, each block of trials holding every picture once, or as the file names sort."""


class LatentsSettings(ProtocolSettings):
    """Points in the latent space of the session's generator, drawn by it while the session runs."""

    draws_latents: ClassVar[bool] = True

    protocol: Literal["latents"]
    pattern: Literal["random", "direction"] = "random"
    """"random": standard normal points. "direction": evenly spaced points of one straight line through the origin."""
    points: _Count = 24
    """How many points."""
    repeats: _Count = 1
    """How often each is shown."""
    order: Literal["random", "sorted"] = "random"
    """Random, each block of trials holding every point once, or by number: of a direction, from end to end."""
    spread: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Random: standard deviation of every coordinate. Direction: distance of both ends from the origin, in units of √d,
    the length of a typical standard normal latent of d coordinates."""
    seed: Seed = 0
    """Which points or which direction, and which random order."""


class StaircaseSettings(_PictureFolder):
    """Pictures whose contrast follows what is read of them: the lowest contrast at which they still can be read.

    Beside the pictures lies ``latents.json``, the latent of each by its name.
    """

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
    trials: _Count = 200
    """After how many trials it ends at the latest."""


class TextSettings(ProtocolSettings):
    """Words on the screen: cues of what to do, to imagine or to read."""

    protocol: Literal["text"]
    words: Annotated[tuple[_Words, ...], Field(min_length=1, max_length=10_000)]
    """What is written, one entry a stimulus; "\\n" begins a new line."""
    size_deg: Annotated[float, Field(gt=0, le=45)] = 1.5
    """Height of a line, degrees of visual angle."""
    repeats: _Count = 1
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
    seed: Seed = 0
    """Which random numbers the optimisers draw, and which order."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with `folder` before the picture's folder, where that is relative."""
        return self if self.folder is None else self.model_copy(update={"folder": folder / self.folder})

    @model_validator(mode="after")
    def _something_is_to_grow(self) -> Self:
        if len(set(self.optimisers)) < len(self.optimisers):
            raise ValueError(f"an optimiser is named twice: {', '.join(self.optimisers)}")
        if self.fitness == "towards" and (self.folder is None or self.picture is None):
            raise ValueError(
                'fitness = "towards" needs the folder and the name of a picture: folder, picture'
            )
        return self


def _protocol_of(settings: Any) -> Any:
    if isinstance(settings, dict):
        return settings.get("protocol", "images")
    return getattr(settings, "protocol", None)


#: The ``[experiment]`` section.
ExperimentSettings = Annotated[
    Annotated[ImagesSettings, Tag("images")]
    | Annotated[LatentsSettings, Tag("latents")]
    | Annotated[StaircaseSettings, Tag("staircase")]
    | Annotated[TextSettings, Tag("text")]
    | Annotated[EvolutionSettings, Tag("evolution")],
    Discriminator(_protocol_of),
]

"""Settings of the protocols for perception, imagery, neurofeedback and oddballs, and of protocols of one's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bci.config.numbers import Seed
from bci.config.paths import PathText
from bci.config.protocol import Count, PictureFolderSettings, ProtocolSettings, Seconds
from bci.errors import ConfigError
from bci.io.shipped import locate
from bci.memory.trial_parts import LONGEST_TEXT

Lasting = Annotated[float, Field(gt=0, le=600)]
Words = Annotated[str, Field(max_length=LONGEST_TEXT // 4)]
_Degrees = Annotated[float, Field(gt=0, le=45)]


class PerceptionSettings(PictureFolderSettings):
    """The pictures of a folder in blocks, in counter-balanced orders, with jittered intervals and catch trials."""

    protocol: Literal["perception"]
    blocks: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many blocks."""
    repeats: Count = 1
    """How often each picture is shown in a block."""
    order: Literal["random", "first_order"] = "random"
    """"random": each repeat is a random order, no picture follows itself, and over repeats each picture stands as often
    early as late. "first_order": in a block each picture follows each other one, and itself, equally often; `repeats`
    is then the number of pictures, or a multiple of it."""
    jitter_s: Seconds = 0.0
    """Up to how much longer than `blank_s` the interval before a picture is, at random."""
    catch: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Which share of the trials of a block shows the picture of the trial before again, to be answered by a key. Not
    with "first_order", which repeats pictures itself."""
    answer_within_s: Lasting = 1.5
    """A key so soon after a catch trial is a hit."""
    instruction: Words = ""
    """What the participant reads before each block, until a key of `keys.answers` is pressed; empty for nothing."""
    instruction_s: Lasting = 30.0
    """After how long it goes on without a key."""
    size_deg: _Degrees = 1.0
    """Height of the instruction's lines, degrees of visual angle."""

    @model_validator(mode="after")
    def _no_catch_in_a_balanced_order(self) -> Self:
        if self.catch and self.order == "first_order":
            raise ValueError('catch: expected 0 with order = "first_order", which shows repeats of its own')
        return self


class ImagerySettings(ProtocolSettings):
    """A cue, a time to imagine it in, a rest; the cue is a word, or a picture that is seen first."""

    protocol: Literal["imagery"]
    words: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT // 4)], ...], Field(max_length=1000)
    ] = ()
    """What is to be imagined: the cues. Without them the cues are the names of the pictures in `folder`."""
    folder: PathText | None = None
    """Folder of pictures, or the name of a shipped one: faces. With it each cue is a picture, seen for `stimulus_s`."""
    stimulus_s: Lasting = 1.5
    """How long the cue is shown."""
    imagine_s: Lasting = 4.0
    """How long it is to be imagined."""
    rest_s: Lasting = 4.0
    """How long the rest after it is."""
    imagine_words: Annotated[Words, Field(min_length=1)] = "imagine"
    """What is written meanwhile."""
    rest_words: Annotated[Words, Field(min_length=1)] = "rest"
    """What is written in the rest."""
    size_deg: _Degrees = 1.5
    """Height of a line, degrees of visual angle."""
    repeats: Count = 10
    """How often each cue comes."""
    seed: Seed = 0
    """Which random order; each block holds every cue once."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the pictures' folder where it is, beside the file or elsewhere."""
        return (
            self
            if self.folder is None
            else self.model_copy(update={"folder": locate(self.folder, folder, "stimuli")})
        )

    @model_validator(mode="after")
    def _something_to_imagine(self) -> Self:
        if not self.words and self.folder is None:
            raise ValueError("nothing is to be imagined: give words, or a folder of pictures")
        if self.words and self.folder is not None:
            raise ValueError("the cues are words or the pictures of a folder; both were given")
        return self


class NeurofeedbackSettings(ProtocolSettings):
    """Blocks of regulating with feedback, and of rest: a value that the decoder reads drives what the participant sees.

    Control runs look the same to the participant and to the operator's preview: "sham" shows a surrogate, "yoked" what
    another session showed. ``feedback.csv`` in the session's folder says what was read and what was shown.
    """

    reads: ClassVar[bool] = True

    protocol: Literal["neurofeedback"]
    feedback: Literal["real", "sham", "yoked"] = "real"
    """Whose value is shown: the participant's, a random one that the seed fixes, or that of the session `yoked_to`."""
    yoked_to: PathText | None = None
    """Folder of the session whose feedback is shown."""
    value: Annotated[int, Field(ge=0)] = 0
    """Which of the values that the bundle reads, counted from 0."""
    low: float = 0.0
    """The value that is shown as nothing."""
    high: float = 1.0
    """The value that is shown as the most; below `low` where a smaller value is to be rewarded."""
    shows: Literal["bar", "disc", "direction", "folder"] = "bar"
    """A bar's height, a disc's area, a place on one straight line through the generator's latent space, or one of a
    folder's pictures in the order of their names."""
    folder: PathText | None = None
    """"folder": where the pictures are."""
    spread: Annotated[float, Field(gt=0, le=100)] = 1.0
    """"direction": distance of both ends from the origin, in units of the length of a typical latent."""
    update_s: Annotated[float, Field(ge=0.05, le=60)] = 0.2
    """Shortest time from one picture to the next."""
    fresh_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """A value older than this is not shown: the picture is then that of `low`."""
    blocks: Annotated[int, Field(ge=1, le=1000)] = 8
    """How many times rest and regulation."""
    rest_s: Lasting = 20.0
    """How long a block of rest is."""
    stimulus_s: Lasting = 30.0
    """How long a block of regulation is."""
    cue_s: Lasting = 2.0
    """How long `regulate_words` are shown before it."""
    regulate_words: Annotated[Words, Field(min_length=1)] = "regulate"
    """The cue to regulate."""
    rest_words: Annotated[Words, Field(min_length=1)] = "rest"
    """What is written in the rest."""
    size_deg: _Degrees = 1.5
    """Height of a line, degrees of visual angle."""
    seed: Seed = 0
    """Which surrogate, and which direction."""

    @property
    def draws_latents(self) -> bool:  # type: ignore[override]  # a constant of other protocols
        """Whether its pictures are latents, which the session's bundle must draw."""
        return self.shows == "direction"

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the folders where they are, beside the file or elsewhere."""
        found = {"folder": self.folder and locate(self.folder, folder, "stimuli")}
        return self.model_copy(update=found | {"yoked_to": self.yoked_to and locate(self.yoked_to, folder)})

    @model_validator(mode="after")
    def _all_is_there(self) -> Self:
        for key, other, needed in (("folder", "shows", "folder"), ("yoked_to", "feedback", "yoked")):
            if (getattr(self, key) is not None) != (getattr(self, other) == needed):
                raise ValueError(f'{key} belongs to {other} = "{needed}", and is needed there')
        if self.low == self.high:
            raise ValueError(f"low and high: expected two different values, came {self.low:g} twice")
        return self


class OddballSettings(ProtocolSettings):
    """Sequences of short flashes, one item of which is the target: words, or the pictures of a folder."""

    protocol: Literal["oddball"]
    words: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT // 4)], ...], Field(max_length=1000)
    ] = ()
    """The items."""
    folder: PathText | None = None
    """Folder of pictures that are the items, or the name of a shipped one."""
    items: Annotated[int, Field(ge=2, le=1000)] | None = None
    """How many of the folder's pictures are used, the first ones; absent means all."""
    stimulus_s: Lasting = 0.1
    """How long a flash is."""
    blank_s: Annotated[float, Field(ge=0.1, le=600)] = 0.1
    """From the end of a flash to the next one, at least 0.1 s."""
    targets: Annotated[int, Field(ge=1, le=10_000)] = 5
    """How many sequences, each with a target of its own."""
    repeats: Count = 10
    """How often each item flashes in a sequence."""
    spacing: Annotated[int, Field(ge=0, le=100)] = 1
    """At least so many flashes of other items lie between two flashes of one item."""
    cue: Annotated[Words, Field(min_length=1)] = "count"
    """What is written before a sequence, above the target, or before it where that is a picture."""
    cue_s: Lasting = 2.0
    """How long."""
    size_deg: _Degrees = 2.0
    """Height of a line, degrees of visual angle."""
    seed: Seed = 0
    """Which targets, and which random orders."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the pictures' folder where it is, beside the file or elsewhere."""
        return (
            self
            if self.folder is None
            else self.model_copy(update={"folder": locate(self.folder, folder, "stimuli")})
        )

    @model_validator(mode="after")
    def _some_items(self) -> Self:
        if bool(self.words) == (self.folder is not None):
            raise ValueError("the items are words or the pictures of a folder: give one of the two")
        if self.words and len(set(self.words)) < max(2, len(self.words)):
            raise ValueError("words: expected at least two, all different")
        if self.words and self.spacing >= len(self.words):
            raise ValueError(
                f"spacing: expected less than the number of items, {len(self.words)}, came {self.spacing}: an item can "
                "lie only so many others apart"
            )
        return self


class OwnProtocolSettings(ProtocolSettings):
    """A protocol of the experimenter's own: a Python file beside the session file, or a module that is installed.

    Its code runs when a session file that names it is checked or run, and at no other time. See docs/protocols.md.
    """

    protocol: Annotated[str, Field(pattern=r"^([^\x00-\x1f]+\.py|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+)$")]
    """The file, ``flicker.py``, or the module, ``my_lab.flicker``."""
    shows_latents: bool = False
    """Whether it shows latents, which the session's bundle must draw."""
    settings: Mapping[str, Any] = {}
    """What its own settings class takes."""

    @property
    def draws_latents(self) -> bool:  # type: ignore[override]  # a constant of other protocols
        """Whether its stimuli are latents, which the session's bundle must draw."""
        return self.shows_latents

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the path of the file, which lies beside the session file or below it."""
        if not self.protocol.endswith(".py"):
            return self
        root = folder.resolve()
        path = (root / self.protocol).resolve()
        if not path.is_relative_to(root):
            raise ConfigError(
                f"[experiment] protocol {self.protocol!r}: expected a file in the session file's folder, {root}, or "
                f"below it, came {path}. Copy it there: what a session file runs must be seen beside it."
            )
        return self.model_copy(update={"protocol": str(path)})

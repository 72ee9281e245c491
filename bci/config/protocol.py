"""ProtocolSettings is what the settings of all protocols share: times of a trial, orders, keys, the fixation task."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci.config.numbers import Seed
from bci.config.paths import PathText
from bci.io.shipped import locate

Seconds = Annotated[float, Field(ge=0, le=600)]
Count = Annotated[int, Field(ge=1, le=100_000)]
#: What a phase of an experiment may be called.
PhaseName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
KeyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9 ]{0,19}$")]


class KeySettings(BaseModel):
    """Keys of an experiment, by the names that are printed on them, in small letters: a, 1, space, return, left."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

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


class FixationTaskSettings(BaseModel):
    """A task that keeps the participant awake: the fixation target changes now and then, and a key answers each change.

    The changes come at random times, drawn from the seed, whatever is shown, but not in pauses. Changes and keys are
    recorded; ``events.json`` scores them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    change: Literal["dim", "red"] = "dim"
    """What the target's white cross becomes."""
    every_s: Annotated[
        tuple[Annotated[float, Field(gt=0, le=600)], Annotated[float, Field(gt=0, le=600)]], Field()
    ] = (
        4.0,
        12.0,
    )
    """Shortest and longest time from one change to the next."""
    change_s: Annotated[float, Field(gt=0, le=60)] = 0.3
    """How long a change lasts."""
    answer_within_s: Annotated[float, Field(gt=0, le=60)] = 1.5
    """A key so soon after a change is a hit; another one is a false alarm."""
    seed: Seed = 0
    """Which random times."""

    @model_validator(mode="after")
    def _changes_are_apart(self) -> Self:
        shortest, longest = self.every_s
        if not self.change_s + self.answer_within_s <= shortest <= longest:
            raise ValueError(
                f"every_s: expected two times, the shorter first, and no shorter than change_s + answer_within_s = "
                f"{self.change_s + self.answer_within_s:g}: an answer must belong to one change; came {shortest:g}, "
                f"{longest:g}"
            )
        return self


class ProtocolSettings(BaseModel):
    """ProtocolSettings holds the settings that all protocols share: the times of a trial.

    The display stamps every stimulus with its flip and publishes it as a marker ``stimulus <number> <name>``, which is
    recorded and around which a bundle may decode epochs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    draws_latents: ClassVar[bool] = False
    """Whether its stimuli are latents, which the session's bundle must draw."""
    reads: ClassVar[bool] = False
    """Whether it goes by what is read, so that a session that shows it must decode."""

    protocol: str
    begin: Literal["auto", "order"] = "auto"
    """"auto" begins when everything is ready; "order" waits for the order to start, or for its key."""
    on_pause: Literal["finish", "repeat"] = "finish"
    """What a pause does to the trial under way: "finish" shows it to its end first, "repeat" cuts it short and shows it
    again afterwards."""
    keys: KeySettings = KeySettings()
    fixation_task: FixationTaskSettings | None = None
    stimulus_s: Annotated[float, Field(gt=0, le=600)] = 0.5
    """How long a stimulus is shown."""
    feedback_s: Seconds = 0.0
    """How long, after it, reconstructions are shown to the participant; 0 for never."""
    blank_s: Seconds = 1.0
    """How long only the fixation target is shown before each stimulus."""
    lead_in_s: Seconds = 2.0
    """How long, beside that, it is shown before the first one: filters settle, and so does the participant."""
    phases: Annotated[tuple[PhaseName, ...], Field(max_length=100)] = ()
    """Names of the experiment's phases: the protocol runs once in each, in this order. ``[display.decoders]`` may show
    the pictures of another decoder in each. Without names the experiment is one phase."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with paths that are relative to `folder`."""
        return self


class PictureFolderSettings(ProtocolSettings):
    """Settings of a protocol whose stimuli come from a folder of pictures."""

    folder: PathText
    """Folder of the pictures (PNG, JPEG, BMP, TIFF, WebP), or the name of a shipped one: faces."""
    seed: Seed = 0
    """Which random order."""

    def placed(self, folder: Path) -> Self:
        """Return the same settings with the pictures' folder where it is, beside the file or elsewhere."""
        return self.model_copy(update={"folder": locate(self.folder, folder, "stimuli")})

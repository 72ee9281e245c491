"""A session file: what one experiment runs, in TOML, frozen and checked before anything starts.

Paths are relative to the file. A key that does not exist is an error that names it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci.config.display import DisplaySettings
from bci.config.limits import Limits
from bci.config.sources import (
    InSilicoSettings,
    Positive,
    ReplaySettings,
    SourceSettings,
)
from bci.config.toml import check_settings, read_toml
from bci.io.files.folder import NAME
from bci.memory.stream import BUFFER_MB

SafeName = Annotated[str, Field(pattern=NAME)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StreamSettings(_Section):
    """The Lab Streaming Layer stream that is decoded."""

    source_id: str | None = None
    """Its source id (`bci streams` lists them); not needed where [source] makes the stream."""
    timeout_s: Positive = 5.0
    """How long to look for it."""
    buffer_s: Annotated[float, Field(ge=2, le=600)] = 12.0
    """How long a sample stays readable in shared memory."""
    buffer_mb: Annotated[float, Field(ge=1, le=1_000_000)] = BUFFER_MB
    """The shared memory that its samples may take; what would take more is held for fewer seconds, never below 2."""
    markers: str | None = None
    """Source id of a marker stream to take along."""


class DecoderSettings(_Section):
    """The bundle that decodes, and where it computes."""

    bundle: Path
    """Folder of the bundle."""
    provider: Literal["cpu", "cuda"] = "cpu"
    """Asking for cuda where there is none is an error, never a silent change to the CPU."""
    audit: bool = False
    """Record a digest of every decoded window's samples as well (for certification; costs 1 ms per MB)."""


class PublishSettings(_Section):
    """Results offered to other tools over Lab Streaming Layer."""

    source_id: str
    """Source id of the stream of latents, confidence and provenance."""
    pixels: bool = False
    """Publish the pictures too, as a second stream."""


class PreviewSettings(_Section):
    """What the operator sees: each stimulus beside what was read of it. Never on the participant's screen."""

    kind: Literal["auto", "window", "file"] = "auto"
    """"window" opens one of its own, "file" keeps ``preview.png`` in the session's folder up to date and nothing else,
    "auto" opens a window where there is a second monitor. The file is written in any case."""
    monitor: int | str | None = None
    """Which monitor, by index or by name; absent means the first that is not the participant's, if there is one."""
    pairs: Annotated[int, Field(ge=1, le=200)] = 24
    """How many of the newest trials it shows."""


class ExperimentSettings(_Section):
    """What the participant is shown, trial by trial: the pictures of a folder, and time for feedback after each.

    The display stamps every stimulus with its flip and publishes it as a marker ``stimulus <number> <name>``, which is
    recorded and around which a bundle may decode epochs.
    """

    protocol: Literal["images"] = "images"
    """Which protocol."""
    folder: Path
    """Folder of the pictures: PNG, JPEG, BMP, TIFF, WebP."""
    repeats: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How often each is shown."""
    order: Literal["random", "sorted"] = "random"
    """Random, each block of trials holding every picture once, or as the file names sort."""
    seed: int = 0
    """Which random order."""
    stimulus_s: Annotated[float, Field(gt=0, le=600)] = 0.5
    """How long a picture is shown."""
    feedback_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    """How long, after it, reconstructions are shown to the participant; 0 for never."""
    blank_s: Annotated[float, Field(ge=0, le=600)] = 1.0
    """How long only the fixation target is shown before each picture."""
    lead_in_s: Annotated[float, Field(ge=0, le=600)] = 2.0
    """How long, beside that, it is shown before the first one: filters settle, and so does the participant."""


class RecordingSettings(_Section):
    """What happens when recording fails."""

    on_disk_error: Literal["stop", "continue"] = "stop"
    """When the disk refuses for longer than a few seconds: "stop" counts as the recorder's death, "continue" goes on
    without recording and counts what is lost. Either is said loudly."""
    if_lost: Literal["continue", "safe"] = "continue"
    """What the participant sees once the recorder is dead for good: the experiment, or the neutral picture."""


class SupervisionSettings(_Section):
    """What happens when a program dies or hangs."""

    restarts: Annotated[int, Field(ge=0, le=100)] = 3
    """How often each program is started again in one session; after that the session latches safe."""
    hung_after_s: Annotated[float, Field(ge=0.5, le=60)] = 3.0
    """Seconds without a heartbeat after which a program counts as hung; it is then killed and started again."""
    when_latched: Literal["hold", "end"] = "hold"
    """Latched safe, the session holds the neutral picture until it is ended; or it ends at once."""


class SessionConfig(_Section):
    """One experiment."""

    name: SafeName
    """Letters, digits, - and _; the session's folder is named after it."""
    network: Literal["machine", "lab"] = "lab"
    """Whether its streams are looked for on this machine alone or in the laboratory's network."""
    seconds: Positive | None = None
    """How long to run; absent means until stopped or the recording ends."""
    source: SourceSettings | None = None
    """Who makes the stream; absent means that an amplifier's own program does."""
    stream: StreamSettings = StreamSettings()
    decoder: DecoderSettings
    display: DisplaySettings = DisplaySettings()
    publish: PublishSettings | None = None
    experiment: ExperimentSettings | None = None
    preview: PreviewSettings | None = None
    recording: RecordingSettings = RecordingSettings()
    supervision: SupervisionSettings = SupervisionSettings()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _something_to_preview(self) -> "SessionConfig":
        if self.preview is not None and self.experiment is None:
            raise ValueError(
                "[preview] shows stimuli beside what was read of them, and there is no [experiment]"
            )
        return self

    @model_validator(mode="after")
    def _some_stream(self) -> "SessionConfig":
        if self.source is None and self.stream.source_id is None:
            raise ValueError(
                "which stream? Give [stream] source_id (bci streams lists what is there), or a [source] that makes one"
            )
        return self


def load_session(path: Path) -> SessionConfig:
    """Read a session file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return parse_session(read_toml(path, "session"), path.resolve().parent, str(path))


def parse_session(values: dict[str, Any], folder: Path, name: str) -> SessionConfig:
    """Check the values of a session file; paths in it are relative to `folder`, `name` is said in errors."""
    config = check_settings(values, SessionConfig, name)
    decoder = config.decoder.model_copy(update={"bundle": folder / config.decoder.bundle})
    source = config.source
    if isinstance(source, ReplaySettings):
        source = source.model_copy(update={"file": folder / source.file})
    if isinstance(source, InSilicoSettings) and source.reference is not None:
        source = source.model_copy(update={"reference": folder / source.reference})
    experiment = config.experiment
    if experiment is not None:
        experiment = experiment.model_copy(update={"folder": folder / experiment.folder})
    return config.model_copy(update={"decoder": decoder, "source": source, "experiment": experiment})

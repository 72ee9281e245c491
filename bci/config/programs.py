"""Sections of a session file on its programs and its participant: decoder, publish, preview, recording, supervision.

Streams, sources, display, experiment, control and page have modules of their own; `bci.config.session` joins all.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci.config.paths import PathText
from bci.config.sources import PartName
from bci.io.shipped import locate

#: What a participant or a visit may be called: a label as BIDS has it, too short and too plain to be a name or a date.
SubjectLabel = Annotated[str, Field(pattern=r"^[A-Za-z]{0,3}[0-9]{1,5}$")]


class SessionSection(BaseModel):
    """A SessionSection refuses keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class AdaptationSettings(SessionSection):
    """Scale and offset of a decoder's latents follow the trials whose stimuli have known latents, as they come."""

    latents: PathText | None = None
    """JSON with the latent of each stimulus by its name; absent means ``latents.json`` in the experiment's folder."""
    memory: Annotated[float, Field(gt=1, le=1e6)] = 60.0
    """Trials over which the past fades to 1/e."""
    trust: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    """Trials' worth of belief that nothing has changed."""
    scale: Literal["common", "each"] = "common"
    """One scale for all latents, or one for each."""
    begin: PathText | None = None
    """An earlier session's folder: begin with the scale and offset that fit it; absent means 1 and 0."""

    def placed(self, folder: Path) -> Self:
        """Return it with its files where they are: in `folder`, or under ``$BCI_DATA``."""
        names = ("latents", "begin")
        return self.model_copy(
            update={name: path and locate(path, folder) for name in names for path in (getattr(self, name),)}
        )


class DecoderSettings(SessionSection):
    """The bundle that decodes, and where it computes: one ``[decoder]``, or several ``[[decoder]]`` with names."""

    name: PartName | None = None
    """What it is called in this session; needed where there are several."""
    bundle: PathText
    """Folder of the bundle, or the name of a shipped one: alpha, hyper-insilico, hyper-insilico-fmri, fmri-hyper."""
    provider: Literal["cpu", "cuda"] = "cpu"
    """Asking for cuda where there is none is an error, never a silent change to the CPU."""
    device: int = Field(default=0, ge=0, le=63)
    """Which card, of those that CUDA sees, from 0: of provider cuda."""
    precision: Literal["float32", "tf32", "float16"] = "float32"
    """How the card computes, of provider cuda: "tf32" rounds what is multiplied to 10 bits, "float16" runs the bundle's
    float16 graphs. Either starts only where windows that the bundle holds are decoded as in float32, within limits."""
    gpu_mem_limit_mb: int | None = Field(default=None, ge=64)
    """The most memory of the card that its graphs may allocate, of provider cuda; absent means as much as they want."""
    audit: bool = False
    """Record a digest of every decoded window's samples as well (for certification; costs 1 ms per MB)."""
    unlike: Literal["refuse", "keep"] = "refuse"
    """What becomes of input unlike what the bundle was trained on: "refuse" makes it invalid, and the screen neutral;
    "keep" decodes it at a confidence no better than chance, for null runs."""
    repeats: Literal["single", "mean"] = "single"
    """What is decoded where a stimulus comes again: "single", each trial alone; "mean", at each repeat, the mean of its
    trials so far, and the reconstruction says of how many. Two stimuli are the same where their markers are."""
    stream: PartName | None = None
    """Name of the stream that it decodes; absent means the first."""
    physiology: PartName | None = None
    """Name of the stream with a pulse or a belt, for a bundle whose pipeline has a step `physiological_noise`."""
    adaptation: AdaptationSettings | None = None
    """Follow a drift of what is read; absent means off. Each change is recorded, and made again by `bci reproduce`."""
    markers: str | None = None
    """Source id or name of the marker stream that it cuts epochs around; absent means the first of its stream's, or the
    flips of an [experiment]."""
    events: Mapping[str, str] = {}
    """Where the session's markers are called otherwise than those that the bundle was trained on: a marker as the
    bundle knows it = the regular expression that the session's must match. Then epochs are cut around these alone."""

    @property
    def card(self) -> dict[str, Any]:
        """The fields of `bci.decoder.cuda.CardSettings`."""
        return {"device": self.device, "memory_mb": self.gpu_mem_limit_mb}

    @model_validator(mode="after")
    def _card_is_asked_for(self) -> Self:
        if self.provider != "cuda" and self.card != {"device": 0, "memory_mb": None}:
            raise ValueError(
                'device and gpu_mem_limit_mb are of a card: expected provider = "cuda", came "cpu"'
            )
        if self.provider != "cuda" and self.precision != "float32":
            raise ValueError(
                f'precision = "{self.precision}" is of a card: expected provider = "cuda", came "cpu". A processor '
                'computes in "float32"'
            )
        return self

    @model_validator(mode="after")
    def _repeats_are_learned_from_once(self) -> Self:
        if self.repeats == "mean" and self.adaptation is not None:
            raise ValueError(
                'repeats = "mean" reads a trial again with each repeat, and [decoder.adaptation] would learn from it '
                "each time. Leave one of them out"
            )
        return self

    def placed(self, folder: Path) -> Self:
        """Return it with its bundle and files where they are: in `folder`, shipped, or under ``$BCI_DATA``."""
        adaptation = self.adaptation and self.adaptation.placed(folder)
        bundle = locate(self.bundle, folder, "bundles")
        return self.model_copy(update={"bundle": bundle, "adaptation": adaptation})


class SubjectSettings(SessionSection):
    """Who takes part, by codes alone: no name, no date of birth, no address stands in a session's folder."""

    id: SubjectLabel
    """Code of the participant, up to three letters and then one to five digits: 01, S07, sub012."""
    session: SubjectLabel | None = None
    """Code of the visit, written in the same way."""


class PublishSettings(SessionSection):
    """Results offered to other tools over Lab Streaming Layer: one ``[publish]``, or one ``[[publish]]`` a decoder."""

    decoder: PartName | None = None
    """Name of the decoder whose results these are; absent means the first."""
    source_id: str
    """Source id of the stream of latents, confidence and provenance."""
    pixels: bool = False
    """Publish the pictures too, as a second stream."""
    volumes: bool = False
    """Of a decoder of volumes, publish the rows of voxels that it reads as BOLD-masked, and each trial's beta as
    BOLD-beta; source ids end with -masked and -beta."""


class PreviewSettings(SessionSection):
    """PreviewSettings describes the operator's preview of stimuli beside reconstructions."""

    kind: Literal["auto", "window", "file"] = "auto"
    """"window" opens one of its own, "file" keeps ``preview.png`` in the session's folder up to date and nothing else,
    "auto" opens a window where there is a second monitor. The file is written in any case."""
    monitor: int | str | None = None
    """Which monitor, by index or by name; absent means the first that is not the participant's, if there is one."""
    pairs: Annotated[int, Field(ge=1, le=200)] = 24
    """How many of the newest trials it shows."""


class RecordingSettings(SessionSection):
    """RecordingSettings decides what happens when recording fails."""

    on_disk_error: Literal["stop", "continue"] = "stop"
    """When the disk refuses for longer than a few seconds: "stop" counts as the recorder's death, "continue" goes on
    without recording and counts what is lost. Either is said loudly."""
    if_lost: Literal["continue", "safe"] = "continue"
    """What the participant sees once the recorder is dead for good: the experiment, or the neutral picture."""


class SupervisionSettings(SessionSection):
    """SupervisionSettings decides what happens when a program dies or hangs."""

    restarts: Annotated[int, Field(ge=0, le=100)] = 3
    """How often each program is started again in one session; after that the session latches safe."""
    hung_after_s: Annotated[float, Field(ge=0.5, le=60)] = 3.0
    """Seconds without a heartbeat after which a program counts as hung; it is then killed and started again."""
    when_latched: Literal["hold", "end"] = "hold"
    """Latched safe, the session holds the neutral picture until it is ended; or it ends at once."""

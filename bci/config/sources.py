"""The settings of a source, each listed once: what a session file may say, and the spec that its program is given.

A spec is the settings of the session file, and what the supervisor adds: the stream's source id, the consumer's ring.
"""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci.config.numbers import Lasting, Rate, Ratio, Seed, Speed, Wait
from bci.config.paths import PathText
from bci.signal.rates import FASTEST_HZ

#: What tells several streams, or several decoders, of one session apart; it becomes part of files' names.
PART_NAME = r"^[a-z][a-z0-9_]{0,19}$"
PartName = Annotated[str, Field(pattern=PART_NAME)]

#: Seconds to wait for a program that takes the samples: it is started after the source is ready, and loads a decoder.
CONSUMER_TIMEOUT_S = 300.0

#: As many as a stream may have to be received; see `bci.io.lsl.metadata`.
_MOST_VALUES_PER_S = 250e6


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


# -- what a session file may say -----------------------------------------------------------------------------


class _Source(_Section):
    feeds: PartName | None = None
    """Name of the [[stream]] that it makes; absent means the first."""


class SimulateSettings(_Source):
    """A simulated EEG with a planted state: eyes open, eyes closed, in turn."""

    kind: Literal["simulate"]
    seed: Seed = 0
    """Which of the simulated participants; the same seed gives the same samples."""
    seconds: Lasting | None = None
    """How long it lasts; absent means without end."""
    speed: Speed = 1.0
    """How many times faster than real time."""


class SinesSettings(_Source):
    """A signal of any rate and shape whose every sample is known: a sine in every channel."""

    kind: Literal["sines"]
    rate: Annotated[float, Field(ge=4, le=FASTEST_HZ)]
    """Samples per second."""
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=8)]
    """Shape of one sample: [64] for 64 channels."""
    channels: tuple[str, ...] = ()
    """Labels along the first axis."""
    unit: str = ""
    """Unit of the values."""
    speed: Speed = 1.0
    """How many times faster than real time."""

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        values = math.prod(self.shape)
        if values * self.rate > _MOST_VALUES_PER_S:
            raise ValueError(
                f"at most {_MOST_VALUES_PER_S:g} values a second can be sent, and shape {list(self.shape)} at "
                f"{self.rate:g} Hz are {values * self.rate:.3g}"
            )
        return self


class ReplaySettings(_Source):
    """A recorded session, played as a live stream."""

    kind: Literal["replay"]
    file: PathText
    """XDF, anything `mne.io.read_raw` opens, .npy or .npz."""
    speed: Speed | Literal["max"] = 1.0
    """How many times faster than real time; "max" is as fast as the decoder follows."""
    loop: bool = False
    """Start again at the end, until the session is stopped."""
    start: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    """Seconds of the recording to leave out at its beginning."""
    stop: Lasting | None = None
    """Second of the recording to end at; absent means its end."""
    rate: Rate | None = None
    """Samples per second, for files that do not say (.npy)."""
    channels: tuple[str, ...] | None = None
    """Channels to read, in this order; of a file that names none, labels for all."""
    unit: str | None = None
    """Unit of the values, for files that do not say."""
    stream: str | None = None
    """Which stream of an XDF file, by name."""
    events: PathText | None = None
    """A file of events (``-eve.fif``, BIDS ``events.tsv``, a table) in place of the recording's own markers; absent
    means the one beside it that is named like it, where the recording has none."""


class MadeSettings(_Source):
    """Signals that a trained generator makes, with a marker at each image they are made for, where it knows any."""

    kind: Literal["made"]
    model: PathText
    """Folder of a bundle of kind lfp-gan, found as a decoder's is."""
    seed: Seed = 0
    """The same seed gives the same samples."""
    seconds: Lasting | None = None
    """How long it lasts; absent means without end."""
    speed: Speed = 1.0
    """How many times faster than real time."""


Displacement = Annotated[float, Field(ge=-40, le=40)]


#: Where a head lies: three translations in millimetre, three turns in degree.
Position = tuple[Displacement, Displacement, Displacement, Displacement, Displacement, Displacement]


class ScanSettings(_Section):
    """How the head of a simulated participant is scanned."""

    voxel_mm: Annotated[float, Field(ge=3, le=12)] = 6.0
    """Size of the scan's voxels; at rest each voxel of the participant is one of them."""
    position: Position = (
        *(0.0, 0.0, 0.0),
        *(0.0, 0.0, 0.0),
    )
    """Where the head lies when the run begins: three translations in millimetre, three turns in degree."""
    motion_mm: Annotated[float, Field(ge=0, le=10)] = 0.2
    """How far it moves during the run, about a standard deviation along each axis."""
    noise_percent: Annotated[float, Field(ge=0, le=50)] = 0.3
    """Standard deviation of thermal noise, in the brain's brightness."""


class ScannerSettings(ScanSettings):
    """A simulated scanner around the participant: volumes are written as files, watched, and published as BOLD-raw."""

    files: Literal["mosaic", "enhanced", "slices"] = "mosaic"
    """DICOM: one mosaic or enhanced image a volume, or a file a slice."""
    folder: PathText | None = None
    """Where the files are written and watched; absent means the session's own folder."""


class InSilicoSettings(_Source):
    """A simulated participant who looks at what the display really flips, and answers."""

    kind: Literal["insilico"]
    modality: Literal["eeg", "lfp", "spikes", "fmri"] = "eeg"
    """What is recorded of it."""
    subject: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Whose anatomy, tuning and noise; a decoder fits the subject it was trained on."""
    session: Annotated[int, Field(ge=0, lt=100_000)] = 1
    """Another session has other noise, eye positions and lapses; decoders are trained on session 0."""
    snr: Ratio | None = None
    """Single-trial signal-to-noise ratio, a ratio of variances; 0 answers with noise alone."""
    units: Annotated[int, Field(ge=16, le=100_000)] | None = None
    """Early and higher units, or voxels; of spikes, channels."""
    tr: Annotated[float, Field(ge=0.05, le=3600)] = 1.5
    """Seconds from volume to volume, of fMRI."""
    rate: Rate | None = None
    """Samples per second of electrodes; of spikes, bins in which they are counted."""
    reference: PathText | None = None
    """Pictures (.npy, uint8) over which responses are scaled; a decoder's training names the same."""
    permute_channels: Seed | None = None
    """A null run: channels change places, in an order that this seed fixes, and keep their labels."""
    speed: Speed = 1.0
    """How many seconds of the participant pass in one of ours."""
    scanner: ScannerSettings | None = None
    """Of fMRI: its head lies in a scanner, and what comes are volumes; absent means rows of voxels."""

    @model_validator(mode="after")
    def _scanner_is_of_fmri(self) -> Self:
        if self.scanner is not None and self.modality != "fmri":
            raise ValueError(
                f'a scanner is for modality = "fmri", came {self.modality!r}. Leave one of them out'
            )
        return self


SourceSettings = Annotated[
    SimulateSettings | SinesSettings | InSilicoSettings | ReplaySettings | MadeSettings,
    Field(discriminator="kind"),
]


def simulated_modality(source: SourceSettings | None) -> str:
    """Return what a source of ours stands in for.

    >>> simulated_modality(MadeSettings(kind="made", model=Path("lfp-gan")))
    'LFP'
    >>> simulated_modality(InSilicoSettings(kind="insilico", modality="fmri"))
    'fMRI'
    """
    if isinstance(source, MadeSettings):
        return "LFP"
    kind = source.modality if isinstance(source, InSilicoSettings) else "eeg"
    return "fMRI" if kind == "fmri" else kind.upper()


# -- what a program is given ---------------------------------------------------------------------------------


class _Published(_Section):
    source_id: str
    """Source id of the stream."""
    ring: str | None = None
    """Name of the consumer's sample ring in shared memory."""
    consumer_timeout: Annotated[float, Field(ge=0, le=3600)] = CONSUMER_TIMEOUT_S
    """Seconds to wait for a program that takes the samples."""


class _Played(_Published):
    start: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    """Seconds of the recording to begin at."""
    stop: Lasting | None = None
    """Second of the recording to end at."""
    longest_gap: Annotated[float, Field(ge=0, le=1e7)] | None = None
    """Gaps of the recording are shortened to so many seconds of it."""
    marker_consumer: bool = False
    """Whether to wait for a program that takes the markers too."""
    followers: tuple[str, ...] = ("decode",)
    """The programs whose progress speed "max" follows."""


class SimulateSpec(SimulateSettings, _Played):
    """A SimulateSpec is the source program's specification of a simulated EEG."""


class SinesSpec(SinesSettings, _Played):
    """A SinesSpec is the source program's specification of known sines."""


class ReplaySpec(ReplaySettings, _Played):
    """A ReplaySpec is the source program's specification of a recording to play."""


class MadeSpec(MadeSettings, _Played):
    """A MadeSpec is the source program's specification of a signal that a trained generator makes."""


class InSilicoSpec(InSilicoSettings, _Published):
    """An InSilicoSpec is the in-silico program's specification; its numbers are never texts or truth values."""

    model_config = ConfigDict(strict=True)

    kind: Literal["insilico"] = "insilico"
    modality: Literal["eeg", "lfp", "spikes", "fmri"]
    reference: Annotated[Path, Field(strict=False)] | None = None
    background: Annotated[int, Field(ge=0, le=255)] | None = None
    """Grey level of the empty screen."""
    jitter_deg: float | None = None
    """Standard deviation of the eye's position, degrees."""
    lapse_rate: float | None = None
    """Share of looks answered by nothing."""
    adaptation: float | None = None
    """What an immediate repeat loses."""
    lag: Wait | None = None
    """Session seconds from the time of a sample until it is sent."""
    seconds: Lasting | None = None
    """Seconds of the participant's time until it ends; absent means without end."""

"""DisplaySettings is what an experimenter fixes about the screen: the ``[display]`` section of a session file."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci.config.numbers import Age, Centimetres
from bci.config.phosphenes import PhospheneSettings
from bci.errors import ConfigError

#: A picture made from sliding windows stays fresh for this many hops, or `FRESH_SECONDS` if that is longer.
FRESH_HOPS = 3
FRESH_SECONDS = 0.25
#: A stream counts as stalled after this many samples did not come, or `AGE_SECONDS` if that is longer.
AGE_SAMPLES = 3
AGE_SECONDS = 0.5

_Level = Annotated[int, Field(ge=0, le=255)]
_Degrees = Annotated[float, Field(gt=0, lt=180, allow_inf_nan=False)]
_Pixels = Annotated[int, Field(ge=1, le=4096)]
_Side = Annotated[int, Field(ge=16, le=16384)]
# Every wait of a program ends within 0.1 s, so a screen slower than 10 Hz could not beat its heart in time.
_Hertz = Annotated[float, Field(ge=10, le=1000, allow_inf_nan=False)]
_Exponent = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
_Table = Annotated[tuple[_Level, ...], Field(min_length=256, max_length=256)]


class DisplaySettings(BaseModel):
    """The ``[display]`` section of a session file.

    Sizes are degrees of visual angle; `viewing_distance_cm` and `screen_width_cm` turn them into pixels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: Literal["window", "headless"] = "window"
    """``window`` opens a screen; ``headless`` behaves the same without one and leaves pictures on disk."""

    decoder: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")] | None = None
    """Name of the decoder whose pictures are shown; absent means the first."""

    decoders: Mapping[str, str] = {}
    """In which phase of the ``[experiment]`` the pictures of another decoder are shown: names of decoders by the names
    of ``phases``. Its heartbeat and the age of its data count in that phase."""

    monitor: int | str = 0
    """Which monitor, by index or by name; for one that is not there, the error lists those that are."""

    full_screen: bool = False
    """Cover the whole monitor; the only mode in which every refresh is the display's own."""

    size_px: tuple[_Side, _Side] = (800, 600)
    """Width and height of the window, or of the headless screen, in pixels; not used in full screen."""

    refresh_hz: _Hertz = 60.0
    """Refresh rate: kept by a headless display, expected of (and measured on) a window."""

    viewing_distance_cm: Centimetres = 57.0
    """Eye to screen."""

    screen_width_cm: Centimetres = 53.0
    """Width of the monitor's lit area; of a headless display, the width that `size_px` stands for."""

    image_deg: _Degrees = 8.0
    """The picture's longer side."""

    picture_px: tuple[_Pixels, _Pixels] | None = None
    """Width and height of pictures in pixels, in a session without a decoder, which says it otherwise; absent means 256
    by 256. Pictures of other proportions are cut to it around the middle."""

    background: _Level = 128
    """Grey level around the picture, and of the neutral picture."""

    fixation: bool = True
    """Draw a fixation target in the middle, over every picture."""

    fixation_deg: _Degrees = 0.6
    """The fixation target's diameter."""

    photodiode: bool = False
    """Draw a patch that turns between white and black at every change of picture."""

    photodiode_corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-left"
    """Where the photodiode is taped."""

    photodiode_deg: _Degrees = 1.5
    """Side of the photodiode patch."""

    photodiode_stream: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Source id of the stream that the photodiode is in: the decoded one, where it is plugged into the amplifier, or
    one that `bci record` records meanwhile on this machine."""

    photodiode_channel: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Label of the photodiode's channel in that stream; not needed where it has one channel."""

    gamma: _Exponent | _Table | None = None
    """The screen's exponent, or a table of 256 levels, that every pixel is corrected by; none leaves them."""

    phosphenes: PhospheneSettings | None = None
    """Show pictures as phosphenes, as the bearer of a visual prosthesis would see them."""

    fresh_for: Age | None = None
    """Seconds after its newest sample arrived that a picture may be shown; none means 3 hops or 0.25 s,
    whichever is longer."""

    data_age_limit: Age | None = None
    """Seconds without new data after which the stream counts as stalled and the neutral picture is shown; none means
    three samples or 0.5 s, whichever is longer."""

    heartbeat_limit: Annotated[float, Field(ge=0.05, le=60, allow_inf_nan=False)] = 0.5
    """Seconds without a heartbeat of a watched program after which the neutral picture is shown."""

    draw_ahead_ms: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 5.0
    """How long before the expected flip a window takes and draws the newest picture: too short drops flips,
    longer shows older pictures."""

    max_png: Annotated[int, Field(ge=0, le=10_000)] = 40
    """Headless: how many changes of picture, from the first on, are written to ``frames/``. Their pictures are
    held in memory until the end."""

    contact_sheet: Annotated[int, Field(ge=0, le=200)] = 24
    """Headless: how many tiles ``contact_sheet.png`` has, of an experiment how many trials; 0 for none."""

    flip_markers: bool = False
    """Publish every change of picture as an LSL marker stream, stamped with its flip."""

    flip_stream: Annotated[str, Field(min_length=1, max_length=100)] = "bci-flips"
    """Source id of that marker stream."""

    @model_validator(mode="after")
    def _a_photodiode_has_something_to_see(self) -> Self:
        if self.photodiode_stream and not self.photodiode:
            raise ValueError(
                "a photodiode_stream is named, but no patch is drawn for it: set photodiode = true"
            )
        if self.photodiode_channel and not self.photodiode_stream:
            raise ValueError("a photodiode_channel is named, but not the photodiode_stream that it is in")
        return self

    def fresh_seconds_at(self, hop_seconds: float) -> float:
        """Return how long after its data arrived a picture may be shown: `fresh_for`, or 3 hops but at least 0.25 s.

        >>> DisplaySettings().fresh_seconds_at(0.5), DisplaySettings(fresh_for=0.4).fresh_seconds_at(0.5)
        (1.5, 0.4)
        """
        return self.fresh_for if self.fresh_for is not None else max(FRESH_HOPS * hop_seconds, FRESH_SECONDS)

    def data_age_seconds_at(self, sample_seconds: float) -> float:
        """Return after how long without data the stream counts as stalled, from the time between two samples.

        Raises
        ------
        ConfigError
            If the limit is so short that the screen would turn neutral between two samples.

        >>> DisplaySettings().data_age_seconds_at(0.004), DisplaySettings().data_age_seconds_at(1.5)
        (0.5, 4.5)
        """
        if self.data_age_limit is None:
            return max(AGE_SAMPLES * sample_seconds, AGE_SECONDS)
        if self.data_age_limit <= sample_seconds:
            raise ConfigError(
                f"expected a [display] data_age_limit longer than the {sample_seconds:g} s from sample to sample, "
                f"came {self.data_age_limit:g} s: the screen would turn neutral between them. Leave it out, and it is "
                f"{AGE_SAMPLES} samples or {AGE_SECONDS:g} s, whichever is longer."
            )
        return self.data_age_limit

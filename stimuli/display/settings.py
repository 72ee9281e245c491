"""A DisplaySpec is the specification of a display program: the session file's settings, and facts of this session."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bci.config.display import DisplaySettings
from bci.config.faults import describe_errors
from bci.errors import ConfigError

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FeedSpec(BaseModel):
    """A FeedSpec describes one decoder whose pictures a display shows, and what must be alive and young behind them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decoder: int = 0
    """The decoder's place in the session."""

    hop_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Seconds between two decoded windows; sets how long a picture stays fresh where `fresh_for` does not. 0 where
    nothing is decoded."""

    data_age_limit: _Seconds | None = None
    """Seconds without new data after which its stream counts as stalled; none means 0.5 s."""

    watch: tuple[str, ...] = ("acquire", "decode")
    """Programs whose heartbeat must be alive for a picture to be shown."""

    data_from: tuple[str, ...] = ("acquire",)
    """Programs whose newest data must be young enough for a picture to be shown."""


class OperatorWindow(BaseModel):
    """The operator's preview, as far as the participant's window must know: both may stand on one monitor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    monitor: int | str | None
    pairs: int


class DisplaySpec(DisplaySettings):
    """A DisplaySpec holds the settings of the session file, and facts that only the running session knows."""

    feeds: Annotated[tuple[FeedSpec, ...], Field(min_length=1)] = (FeedSpec(),)
    """The decoders whose pictures are shown: the first one's, but in phases of an experiment that name another."""

    engine: str = ""
    """Program that asks for stimuli; empty when there is no experiment and every fresh frame is shown."""

    fixation_change: Literal["dim", "red"] = "dim"
    """What the fixation target's cross becomes when an experiment lets it change."""

    keys: tuple[str, ...] = ()
    """Names of the keys that are recorded when they are pressed in the window."""

    caption: str = ""
    """What was shown: headline of the contact sheet, title of a window; never on the participant's screen."""

    operator: OperatorWindow | None = None
    """The operator's preview, where there is one: a window leaves room for its window."""

    @model_validator(mode="after")
    def _freshness_is_known(self) -> Self:
        if self.fresh_for is None and any(feed.hop_seconds is None for feed in self.feeds):
            raise ValueError("fresh_for is not set, and without a feed's hop_seconds it has no default")
        return self

    def fresh_seconds(self, feed: FeedSpec) -> float:
        """Return how long after its data arrived a picture of `feed` may be shown: `fresh_for`, or from its hop.

        >>> slow, fast = FeedSpec(hop_seconds=0.5), FeedSpec(hop_seconds=0.01)
        >>> spec = DisplaySpec(feeds=(slow, fast))
        >>> spec.fresh_seconds(slow), spec.fresh_seconds(fast)
        (1.5, 0.25)
        """
        # Checked above: one of the two is known.
        return self.fresh_seconds_at(feed.hop_seconds or 0.0)

    def data_age_seconds(self, feed: FeedSpec) -> float:
        """Return after how long without data the stream of `feed` counts as stalled: its limit, or 0.5 s."""
        return self.data_age_seconds_at(0.0) if feed.data_age_limit is None else feed.data_age_limit

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Check the specification that a display program received.

        Raises
        ------
        ConfigError
            Naming every key that is unknown or has an impossible value.
        """
        try:
            return cls.model_validate(dict(spec))
        except ValidationError as error:
            raise ConfigError(f"the display cannot be set up:\n{describe_errors(error, cls)}") from None

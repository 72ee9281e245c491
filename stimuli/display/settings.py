"""A DisplaySpec is the specification of a display program: the session file's settings, and facts of this session."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from bci.config.display import DisplaySettings
from bci.config.faults import describe_errors
from bci.errors import ConfigError

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class DisplaySpec(DisplaySettings):
    """A DisplaySpec holds the settings of the session file, and facts that only the running session knows."""

    hop_seconds: _Seconds | None = None
    """Seconds between two decoded windows; sets how long a picture stays fresh where `fresh_for` does not."""

    watch: tuple[str, ...] = ("acquire", "decode")
    """Programs whose heartbeat must be alive for a picture to be shown."""

    data_from: tuple[str, ...] = ("acquire",)
    """Programs whose newest data must be young enough for a picture to be shown."""

    engine: str = ""
    """Program that asks for stimuli; empty when there is no experiment and every fresh frame is shown."""

    caption: str = ""
    """What was shown: headline of the contact sheet, title of a window; never on the participant's screen."""

    @model_validator(mode="after")
    def _freshness_is_known(self) -> Self:
        if self.fresh_for is None and self.hop_seconds is None:
            raise ValueError("fresh_for is not set, and without hop_seconds it has no default")
        return self

    @property
    def fresh_seconds(self) -> float:
        """How long after its data arrived a picture may be shown: `fresh_for`, or 3 hops but at least 0.25 s.

        >>> DisplaySpec(hop_seconds=0.5).fresh_seconds, DisplaySpec(hop_seconds=0.01).fresh_seconds
        (1.5, 0.25)
        """
        # Checked above: one of the two is known.
        return self.fresh_seconds_at(self.hop_seconds or 0.0)

    @property
    def data_age_seconds(self) -> float:
        """After how long without data the stream counts as stalled: `data_age_limit`, or 0.5 s."""
        return self.data_age_seconds_at(0.0)

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

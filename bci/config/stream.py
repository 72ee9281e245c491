"""StreamSettings is the ``[stream]`` section of a session file: which stream of the network is meant."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bci.config.numbers import Wait
from bci.config.sources import PART_NAME
from bci.errors import ConfigError
from bci.io.lsl.address import Address
from bci.io.lsl.stated import Stated
from bci.memory.events import MARKER_UNCERTAINTY_LIMIT_S


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"printable text was expected, came {text!r}")
    return text


#: Megabytes that the samples of a stream take at most, by default: 6.5 s of 256 channels at 30 kHz, which bridges a
#: recorder that hangs (`hung_after_s` until it is found) and is started again.
_BUFFER_MB = 256.0

#: What a stream says of itself, as `bci streams` lists it.
Said = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_printable)]
_Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class MarkerSettings(_Section):
    """A stream of markers: a source id alone, or a table of what tells it from the others."""

    source_id: Said | None = None
    """Its source id (`bci streams` lists them)."""
    name: Said | None = None
    """Its name on the network."""
    type: Said | None = None
    """Its type on the network, such as "Markers"."""
    host: Said | None = None
    """The computer that it comes from."""

    @model_validator(mode="after")
    def _found_by_something(self) -> Self:
        if not any((self.source_id, self.name, self.type, self.host)):
            raise ValueError("a marker stream needs a source id, a name, a type or a host to be found by")
        return self

    @property
    def address(self) -> Address:
        """What the stream is found by."""
        return Address(self.source_id or "", self.name or "", self.type or "", self.host or "")


def _as_table(given: Any) -> Any:
    """Return markers as a list of tables: one source id, one table, or a list of either."""
    if given is None:
        return ()
    several = given if isinstance(given, list | tuple) else (given,)
    return tuple({"source_id": one} if isinstance(one, str) else one for one in several)


class StreamSettings(_Section):
    """A Lab Streaming Layer stream: one ``[stream]``, or several ``[[stream]]`` that have names."""

    name: Said | None = None
    """Of one [stream], its name on the network. Of several [[stream]], what each is called in this session (lower-case
    letters, digits and _); its name on the network is then `lsl_name`."""
    source_id: Said | None = None
    """Its source id (`bci streams` lists them); not needed where another word tells which stream is meant, or where
    [source] makes it."""
    lsl_name: Said | None = None
    """Its name on the network, where `name` is what it is called in this session."""
    type: Said | None = None
    """Its type on the network, such as "EEG"; for a device that gives all its streams one source id."""
    host: Said | None = None
    """The computer that it comes from, where two send streams that are otherwise alike."""
    channels: tuple[_Label, ...] = ()
    """Labels of all its channels, in its order; they take the place of what the stream says, or leaves out."""
    unit: Annotated[str, Field(max_length=40), AfterValidator(_printable)] = ""
    """Unit of its values, in place of the one that the stream states."""
    rename: Mapping[_Label, _Label] = Field(default_factory=dict)
    """The stream's label of a channel to its label here, ``rename = { A1 = "O1" }``; ``"#3"`` is the third channel,
    where that has none."""
    latency_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much later its stamps say that a sample was taken than it was, as ``bci latency --loopback`` measures it; it
    is subtracted from every stamp of the stream, live and in the recording."""
    gap_tolerance_s: Wait | None = None
    """By how much the time between two samples may exceed their period before samples count as missing; absent means
    what the stream's own jitter allows."""
    timeout_s: Wait = 5.0
    """How long to look for it."""
    buffer_s: Annotated[float, Field(ge=2, le=600)] = 12.0
    """How long a sample stays readable in shared memory."""
    buffer_mb: Annotated[float, Field(ge=1, le=1_000_000)] = _BUFFER_MB
    """The shared memory that its samples may take; what would take more is held for fewer seconds, never below 2. What
    that costs: a slow disk, or a program that is started again, is bridged for so long alone. 256 channels at 30 kHz
    take 39 MB a second."""
    markers: Annotated[tuple[MarkerSettings, ...], BeforeValidator(_as_table)] = ()
    """A marker stream to take along, or several: source ids, or tables such as ``{ name = "Crown Markers" }``."""
    marker_uncertainty_limit_s: Wait = MARKER_UNCERTAINTY_LIMIT_S
    """Markers of another computer whose time may be wrong by more, because the clocks could not be compared better, are
    marked ``uncertain``, counted, said to the operator, and left out of evaluation and calibration."""

    @property
    def part(self) -> str | None:
        """What it is called in this session; None where its name is that on the network alone."""
        return self.name if self.name is not None and re.fullmatch(PART_NAME, self.name) else None

    @property
    def marker_addresses(self) -> tuple[Address, ...]:
        """What the marker streams that are taken along are found by."""
        return tuple(marker.address for marker in self.markers)

    @property
    def marker_ids(self) -> tuple[str, ...]:
        """The same as text; of a stream that is found by its source id alone, that."""
        return tuple(map(str, self.marker_addresses))

    @property
    def stated(self) -> Stated:
        """What takes the place of what the stream says of itself."""
        return Stated(self.channels, self.unit, self.rename, self.latency_s)

    def address(self, *, alone: bool) -> Address | None:
        """Return what it is found by, None where nothing says; `alone` says that the session has no other stream."""
        name = self.lsl_name or (self.name if alone else None)
        words = (self.source_id or "", name or "", self.type or "", self.host or "")
        return Address(*words) if any(words) else None

    def require_made(self) -> None:
        """Refuse what only a stream of another program can need: this one is made by a [source].

        Raises
        ------
        ConfigError
            Naming the keys.
        """
        others = ("lsl_name", "type", "host", "channels", "unit", "rename", "latency_s")
        if given := [key for key in others if getattr(self, key)]:
            raise ConfigError(
                f"[stream] {', '.join(given)}: said of a stream that another program sends, and a [source] makes this "
                "one. Leave it out here, or leave out the [source]; what a recording does not say of itself is said in "
                "[source]"
            )

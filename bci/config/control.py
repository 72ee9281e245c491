"""ControlSettings is how a session can be commanded from outside: the ``[control]`` section of a session file."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bci.config.paths import PathText
from bci.io.shipped import locate

#: What a running session can be asked to change: keys of ``[display]`` that are limits in seconds.
Parameter = Literal["fresh_for", "data_age_limit", "heartbeat_limit"]

_Positive = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]

_EMBEDDED, _NONE = "embedded", "none"
_HOST = (
    r"(?P<host>[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})"
)


class ControlSettings(BaseModel):
    """The ``[control]`` section of a session file: who may command a running session over MQTT, and how far."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    broker: Annotated[str, Field(max_length=270)] = _NONE
    """"none"; "embedded", a broker of the session's own on this machine alone; or "host:port" of a laboratory's."""

    port: Annotated[int, Field(ge=1024, le=65535)] | None = None
    """Port of the embedded broker; absent means a free one, which ``control.json`` in the session's folder names."""

    tls: bool = False
    """Encrypt the connection to a laboratory's broker; needed beyond this machine."""

    ca: PathText | None = None
    """Certificate of the authority that signed the broker's; absent means those that this machine trusts."""

    username: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Login at a laboratory's broker; needed beyond this machine."""

    password_file: PathText | None = None
    """File whose first line is the password."""

    clock_skew_s: Annotated[float, Field(ge=0, le=10)] = 1.0
    """How far the clock of a command's sender may be ahead of this computer's, seconds."""

    health_hz: Annotated[float, Field(ge=0.1, le=10)] = 4.0
    """How often a second each node publishes its numbers."""

    bundles: PathText | None = None
    """Folder whose bundles may be loaded while the session runs, beside those that are shipped."""

    limits: Mapping[Parameter, tuple[_Positive, _Positive]] = {}
    """What may be changed while the session runs, and from which value to which: ``fresh_for = [0.1, 1.0]``. What is
    not listed cannot be changed."""

    @field_validator("broker")
    @classmethod
    def _a_place(cls, broker: str) -> str:
        if broker in (_EMBEDDED, _NONE):
            return broker
        place = re.fullmatch(_HOST, broker)
        if place is None or not 0 < int(place["port"]) < 65536:
            raise ValueError(f'expected "embedded", "none" or "host:port", came {broker[:60]!r}')
        return broker

    @field_validator("limits")
    @classmethod
    def _from_low_to_high(
        cls, limits: Mapping[Parameter, tuple[float, float]]
    ) -> Mapping[Parameter, tuple[float, float]]:
        for name, (low, high) in limits.items():
            if low > high:
                raise ValueError(f"{name}: expected the lower limit first, came [{low:g}, {high:g}]")
        return limits

    @model_validator(mode="after")
    def _nothing_open_to_the_network(self) -> Self:
        if not self.on or self.embedded:
            strange = [n for n in ("tls", "ca", "username", "password_file") if getattr(self, n)]
            if strange:
                raise ValueError(
                    f"{', '.join(strange)} belongs to a laboratory's broker, and broker is {self.broker!r}; the "
                    "embedded one is reached from this machine alone"
                )
        elif not is_loopback(self.host) and not (self.tls and self.username and self.password_file):
            raise ValueError(
                f"the broker {self.broker} is not on this machine: anyone in the network could command the session. "
                "Set tls = true, username and password_file; configs/mosquitto/ has a broker that asks for them"
            )
        if self.username and not self.password_file:
            raise ValueError("a username is given, but no password_file")
        if self.port is not None and not self.embedded:
            raise ValueError(f"port is of the embedded broker, and broker is {self.broker!r}")
        return self

    @property
    def on(self) -> bool:
        """Whether the session can be commanded at all."""
        return self.broker != _NONE

    @property
    def embedded(self) -> bool:
        """Whether the broker is the session's own."""
        return self.broker == _EMBEDDED

    @property
    def host(self) -> str:
        """Host of the broker."""
        return "127.0.0.1" if self.embedded else self.broker.rpartition(":")[0].strip("[]")

    @property
    def host_port(self) -> int | None:
        """Port of the broker; None for a free one."""
        return int(self.broker.rpartition(":")[2]) if self.on and not self.embedded else self.port

    def placed(self, folder: Path) -> Self:
        """Return it with its files where they are: in `folder`, or under ``$BCI_DATA``."""
        return self.model_copy(
            update={
                name: path and locate(path, folder)
                for name, path in (
                    ("ca", self.ca),
                    ("password_file", self.password_file),
                    ("bundles", self.bundles),
                )
            }
        )


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or number alone: no name server is asked.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("127.0.0.1.evil.org")
    (True, True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

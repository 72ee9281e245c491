"""PageSettings is where the operator's page of a session is served, and to whom: the ``[page]`` section."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bci.config.control import is_loopback
from bci.config.paths import PathText
from bci.io.shipped import locate

#: Where the page is looked for when nothing else is said.
PORT = 5006

_ORIGIN = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?"


class PageSettings(BaseModel):
    """The ``[page]`` section of a session file: the operator's page, in a browser, and ``/metrics`` beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    address: Annotated[str, Field(max_length=255)] = "127.0.0.1"
    """Address that it listens on. Beyond this machine it needs `password_file`, `certificate`, `key` and `origins`."""

    port: Annotated[int, Field(ge=1024, le=65535)] | None = None
    """Port; absent means 5006, or a free one where that is taken. The terminal and ``page.json`` name it."""

    password_file: PathText | None = None
    """File with the hash of the password, as `bci page --make-password FILE` writes it; absent means no login."""

    certificate: PathText | None = None
    """Certificate with which the connection is encrypted, PEM."""

    key: PathText | None = None
    """Private key of the certificate, PEM."""

    origins: tuple[str, ...] = ()
    """Names under which browsers reach it, "rig-2.lab:5006", beside this machine's own: others are refused."""

    seconds: Annotated[float, Field(ge=1, le=120)] = 10.0
    """How much of the signals it shows at once, seconds."""

    updates_hz: Annotated[float, Field(ge=0.5, le=20)] = 8.0
    """How often a second it draws them anew."""

    @field_validator("origins")
    @classmethod
    def _hosts(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(_ORIGIN, origin):
                raise ValueError(f'expected "host" or "host:port", came {origin[:60]!r}')
        return origins

    @model_validator(mode="after")
    def _nothing_open_to_the_network(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key belong together: expected both, or none")
        if not is_loopback(self.address) and not (
            self.password_file and self.certificate and self.key and self.origins
        ):
            raise ValueError(
                f"the address {self.address!r} is reached from the network: set password_file, certificate, key and "
                "origins. Or leave it out, and reach the page from elsewhere with ssh -L 5006:localhost:5006"
            )
        return self

    def placed(self, folder: Path) -> Self:
        """Return it with its files where they are: in `folder`, or under ``$BCI_DATA``."""
        names = ("password_file", "certificate", "key")
        return self.model_copy(
            update={name: path and locate(path, folder) for name in names for path in (getattr(self, name),)}
        )

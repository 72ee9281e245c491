"""A BrokerAddress is where a session's broker is and how one logs in; `connect` opens a connection to it."""

import logging
import socket
import ssl
from pathlib import Path
from typing import Any, Self

import aiomqtt
from pydantic import BaseModel, ConfigDict

from bci.config.control import ControlSettings, is_loopback
from bci.control.mqtt.ports import require_free
from bci.errors import ConfigError
from bci.io.files.regular import read_text, require_regular

#: Seconds after which a broker that does not answer counts as gone.
TIMEOUT = 5.0

#: Seconds from ping to ping: one and a half of it after a client has fallen silent, the broker publishes its last will.
KEEPALIVE = 5

#: Small messages are sent at once, not when what was sent before them is acknowledged: that takes up to 40 ms.
_AT_ONCE = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

#: What the library says of a connection that comes and goes is said by us, once.
_QUIET = logging.getLogger("bci.mqtt.library")
_QUIET.setLevel(logging.CRITICAL)


class BrokerAddress(BaseModel):
    """A BrokerAddress is written to ``control.json``; the password itself never is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int
    tls: bool = False
    ca: Path | None = None
    username: str | None = None
    password_file: Path | None = None

    def checked(self) -> Self:
        """Return it, if a connection to it can be opened without being open to the network.

        Raises
        ------
        ConfigError
            If it is beyond this machine, and not encrypted or without a login.
        """
        if not is_loopback(self.host) and not (self.tls and self.username and self.password_file):
            raise ConfigError(
                f"the broker {self.host}:{self.port} is not on this machine: expected TLS, a username and a password "
                "file. See docs/control.md."
            )
        return self

    def password(self) -> str | None:
        """Return the first line of the password file.

        Raises
        ------
        ConfigError
            If it cannot be read, or is empty.
        """
        if self.password_file is None:
            return None
        text = read_text(
            self.password_file,
            lambda words: ConfigError(f"cannot read the password file: {words}"),
            largest=4096,
        )
        if not (line := text.partition("\n")[0].strip()):
            raise ConfigError(f"expected a password in the first line of {self.password_file}; it is empty.")
        return line

    def encryption(self) -> ssl.SSLContext | None:
        """Return how the connection is encrypted; None where it is not.

        Raises
        ------
        ConfigError
            If the authority's certificate cannot be read.
        """
        if not self.tls:
            return None
        try:
            if self.ca is not None:
                require_regular(self.ca, ConfigError)
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError, ConfigError) as error:
            raise ConfigError(
                f"the certificate {self.ca} cannot be read: {error}. Name the authority's own."
            ) from None


def require_broker(settings: ControlSettings) -> None:
    """Try what a session's control needs before the session begins; whether a laboratory's broker answers is not asked.

    Raises
    ------
    ConfigError
        If the password file or the authority's certificate cannot be used.
    ProgramError
        If the port of the embedded broker is taken.
    """
    if not settings.embedded:
        address = BrokerAddress.model_validate(
            {"port": settings.host_port}
            | {key: getattr(settings, key) for key in ("host", "tls", "ca", "username", "password_file")}
        )
        address.checked().password()
        address.encryption()
    elif settings.port is not None:
        require_free(settings.host, settings.port, "the broker", "Leave [control] port out for a free one")


def connect(address: BrokerAddress, *, will: aiomqtt.Will | None = None, **options: Any) -> aiomqtt.Client:
    """Return a client, not yet connected, that speaks protocol 3.1.1 and starts afresh each time.

    Parameters
    ----------
    address : BrokerAddress
        The broker's.
    will : Will, optional
        What the broker publishes when the client falls silent.
    options : keywords
        Further ones of `aiomqtt.Client`.
    """
    return aiomqtt.Client(
        address.host,
        address.port,
        username=address.username,
        password=address.password(),
        tls_context=address.encryption(),
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=True,
        will=will,
        timeout=TIMEOUT,
        keepalive=KEEPALIVE,
        socket_options=[_AT_ONCE],
        logger=_QUIET,
        **options,
    )

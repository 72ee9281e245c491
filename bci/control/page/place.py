"""Where a page is served, and with what: a port that is free, a password, a certificate. None of it needs the page."""

import ssl
from pathlib import Path

from bci.config.page import PageSettings
from bci.control.mqtt.ports import require_free
from bci.control.page.password import PasswordHash
from bci.errors import ConfigError
from bci.io.files.regular import require_regular


def require_place(settings: PageSettings) -> None:
    """Try all that a page of these settings is served with, so that a session is refused before it begins.

    Raises
    ------
    ConfigError
        If its password file, certificate or key cannot be used.
    ProgramError
        If its port is taken.
    """
    password_of(settings)
    encryption_of(settings)
    if settings.port is not None:
        require_page_port(settings.address, settings.port)


def require_page_port(address: str, port: int) -> None:
    """Refuse a place where something else listens.

    Raises
    ------
    ProgramError
        If it is taken.
    """
    require_free(address, port, "the page", "Choose another port ([page] port, --page-port)")


def password_of(settings: PageSettings) -> PasswordHash | None:
    """Return the password that lets one in; None where nothing is asked for.

    Raises
    ------
    ConfigError
        As `PasswordHash.read`.
    """
    return PasswordHash.read(Path(settings.password_file)) if settings.password_file else None


def encryption_of(settings: PageSettings) -> ssl.SSLContext | None:
    """Return how the connection is encrypted; None where it is not.

    Raises
    ------
    ConfigError
        If certificate or key cannot be used.
    """
    if not settings.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        for path in (settings.certificate, settings.key):
            require_regular(Path(str(path)), ConfigError)
        # A key that asks for a word would ask the terminal, and wait.
        context.load_cert_chain(str(settings.certificate), str(settings.key), password=lambda: "")
    except (OSError, ssl.SSLError, ConfigError) as error:
        raise ConfigError(
            f"the page's certificate or key cannot be used: {error}. Both are PEM files, of one pair."
        ) from None
    return context

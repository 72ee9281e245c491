"""needing() turns a missing package into an error that names the extra to install."""

from collections.abc import Iterator
from contextlib import contextmanager

from bci.errors import ConfigError
from bci.io.installation import missing_extra

_OURS = ("bci", "models", "stimuli")


@contextmanager
def needing(extra: str, doing: str) -> Iterator[None]:
    """Say which extra to install when a package of it is missing.

    Parameters
    ----------
    extra : str
        The extra that the work inside needs.
    doing : str
        The work, in words: ``"training"``.

    Raises
    ------
    ConfigError
        If a module cannot be imported, unless it is one of this project's own.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        raise ConfigError(missing_extra(doing, error.name, [extra])) from None

"""What the operator's page needs beside the session's own packages: those of the extra ``page``."""

import importlib.util

from bci.errors import ConfigError


def require_page() -> None:
    """Check that the packages are there.

    Raises
    ------
    ConfigError
        If one is missing.
    """
    missing = [name for name in ("bokeh", "prometheus_client") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the operator's page needs {' and '.join(missing)}, expected beside this program. Install the extra: pip "
            "install 'closed-loop-bci[page]', or leave --page and [page] out."
        )

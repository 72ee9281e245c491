"""What the operator's page needs beside the session's own packages: those of the extra ``page``."""

from bci.io.installation import require_packages


def require_page() -> None:
    """Check that the packages are there.

    Raises
    ------
    ConfigError
        If one is missing.
    """
    packages = ("bokeh", "prometheus_client")
    require_packages("the operator's page", packages, "page", "leave --page and [page] out")

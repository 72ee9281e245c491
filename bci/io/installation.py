"""An installation is how this project came to this machine, a checkout or a wheel: the lines that mend it follow."""

import importlib.util
import json
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bci.errors import ConfigError

#: What the project is called by installers.
PROJECT = "closed-loop-bci"


def install_line(*extras: str) -> str:
    """Return the command that installs extras of this project beside what is there.

    Of a wheel it names the project, of a checkout its folder; inside of that folder, a dot.

    Parameters
    ----------
    extras : str
        Their names, as ``pyproject.toml`` has them.
    """
    folder = checkout()
    what = PROJECT if folder is None else "." if folder == Path.cwd() else str(folder)
    return f"pip install {'' if folder is None else '-e '}" + quoted(f"{what}[{','.join(extras)}]")


def checkout() -> Path | None:
    """Return the folder of the checkout that this project is used from; None where a wheel was installed."""
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file() and (root / "bci").is_dir():
        return root
    try:
        origin = json.loads(distribution(PROJECT).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))


def quoted(text: str, system: str = os.name) -> str:
    """Return text as one word of a command line: brackets mean something to a shell.

    >>> quoted(".[cpu]", "posix"), quoted(".[cpu]", "nt")
    ("'.[cpu]'", '".[cpu]"')
    """
    sign = '"' if system == "nt" else "'"
    return f"{sign}{text}{sign}"


def require_packages(doing: str, packages: Sequence[str], extra: str, otherwise: str) -> None:
    """Check that what an extra brings is there; nothing is imported.

    Parameters
    ----------
    doing : str
        What needs it, in words: ``"control over MQTT"``.
    packages : sequence of str
        Names to import.
    extra : str
        The extra that has them.
    otherwise : str
        What to do without it, behind "or".

    Raises
    ------
    ConfigError
        If one is missing.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{doing} needs {' and '.join(missing)}, expected beside this program: {install_line(extra)}. Or "
            f"{otherwise}."
        )


def missing_extra(doing: str, package: str | None, extras: Sequence[str]) -> str:
    """Return the sentence that says which package something needs, and the line that installs it."""
    return f"{doing} needs the package {package!r}, which is not installed: {install_line(*extras)}"

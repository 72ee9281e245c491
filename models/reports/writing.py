"""Writing a report's folder: ``index.html`` for people, ``report.json`` for machines."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bci.errors import ConfigError
from bci.io.files.folder import write_json, write_whole
from bci.io.files.page import document
from models.reports.style import STYLE

#: Names of the two files.
PAGE, REPORT = "index.html", "report.json"


def write_report(
    out: Path, title: str, parts: Iterable[str], report: Mapping[str, Any], also: str = ""
) -> Path:
    """Write both files and return the page's path; its last line names the other file, and `also`.

    Raises
    ------
    ConfigError
        If the folder cannot be made.
    """
    make(out)
    page = out / PAGE
    write_json(out / REPORT, {**report, "page": str(page)})
    footer = f"<footer>The same figures for machines: {REPORT} beside this page{also}.</footer>"
    write_whole(page, document(title, [*parts, footer], STYLE))
    return page


def make(out: Path) -> None:
    """Make the folder of a report.

    Raises
    ------
    ConfigError
        If it cannot be.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {out}: {error}. Name another with --out.") from None

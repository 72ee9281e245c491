"""Files named in settings are looked for beside the settings, among what is shipped, and under ``$BCI_DATA``.

What is shipped with the project: examples of settings (``configs``), bundles and sets of pictures. It lies beside the
package, in a checkout as in an installed wheel.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import bci
from bci.errors import nearest

_ROOT = Path(bci.__path__[0]).parent

Shipped = Literal["bundles", "configs", "stimuli"]

#: Where each kind of thing lies that comes with the project.
SHIPPED: dict[Shipped, Path] = {
    "bundles": _ROOT / "models" / "bundles",
    "configs": _ROOT / "configs",
    "stimuli": _ROOT / "models" / "stimuli",
}


def shipped_names(kind: Shipped) -> list[str]:
    """Return the names of what is shipped of a kind, without suffix."""
    folder = SHIPPED[kind]
    return sorted(p.stem for p in folder.iterdir() if p.name[0] not in "._") if folder.is_dir() else []


def locate(path: Path, folder: Path, kind: Shipped | None = None) -> Path:
    """Return where a file or folder is that settings in `folder` name.

    The first of these that is there: beside the settings, among what is shipped of `kind` by its name, under
    ``$BCI_DATA``. Where it is in none of them, the first.

    Parameters
    ----------
    path : Path
        As it is written; an absolute one is returned as it is.
    folder : Path
        Of the settings.
    kind : str, optional
        What is also looked for among what is shipped: ``"bundles"``, ``"configs"`` or ``"stimuli"``.
    """
    return next((place for place in _places(path, folder, kind) if place.exists()), folder / path)


def not_found(path: Path, kind: Shipped | None = None) -> str:
    """Return where a file was looked for in vain, and which name is nearest, as the end of an error's sentence."""
    names = [name for name in _names_in(path.parent) if name != path.name]
    near = nearest(path.name, names) or (nearest(path.stem, shipped_names(kind)) if kind else "")
    places = ["this folder" if path.parent == Path() else str(path.parent)] + ["what is shipped"] * bool(kind)
    data = os.environ.get("BCI_DATA")
    places += [f"$BCI_DATA ({data})"] if data else []
    return f"{' and '.join(places)} {'has' if len(places) == 1 else 'have'} none of that name{near}"


def _places(path: Path, folder: Path, kind: Shipped | None) -> Iterator[Path]:
    yield folder / path
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return
    if kind is not None:
        yield SHIPPED[kind] / path
    if data := os.environ.get("BCI_DATA"):
        yield Path(data) / path


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []

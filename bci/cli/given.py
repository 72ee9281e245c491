"""What a command is given: a path, the name of something shipped, or `last`.

Another kind of thing than the command takes is refused: the refusal says what it is, and which command wants it.
"""

import re
from pathlib import Path

from bci.cli.output import current
from bci.errors import ConfigError
from bci.io.files.kinds import (
    BUNDLE,
    CALIBRATION_FILE,
    CLUSTER_FILE,
    COMPARISON_FILE,
    FOLDERS,
    RECORD_FILE,
    RECORDED,
    RECORDING,
    SESSION,
    SESSION_FILE,
    TRAINING_FILE,
    Kind,
    is_run,
    kind_of,
    what_is,
)
from bci.io.shipped import SHIPPED, Shipped, locate, not_found, shipped_names

#: The word that stands for the newest folder, and where it is looked for.
LAST, _FOLDERS = "last", ("sessions", "recordings")

#: Kinds of files of settings.
SETTINGS = (SESSION_FILE, TRAINING_FILE, CALIBRATION_FILE, COMPARISON_FILE, CLUSTER_FILE, RECORD_FILE)
_SETTINGS = frozenset(SETTINGS)

#: Suffixes of a network's graph or weights.
_NETWORKS = (".onnx", ".safetensors")

#: How the name of a session's folder begins: date and time.
_STAMP = re.compile(r"\d{8}-\d{6}-")


def find_given(path: Path, verb: str, *kinds: Kind) -> Path:
    """Return where the file or folder is that an argument of a command means.

    Parameters
    ----------
    path : Path
        The argument: a path; the name of an example or a bundle that is shipped, such as ``demo`` or ``alpha``; or
        ``last``, the newest session of ``sessions`` (with `RECORDED`, also of ``recordings``) here, ``FOLDER/last``
        the newest in that folder.
    verb : str
        The command, as it is typed: ``"bci run"``.
    kinds : Kind
        What it takes.

    Raises
    ------
    ConfigError
        If there is no such thing, or it is of another kind; the message says of which, and what takes that.
    """
    if not path.exists():
        path = _elsewhere(path, kinds)
    kind = kind_of(path)
    if (kind in kinds and not (kind in FOLDERS and path.is_file())) or (
        kind is None and _may_be(path, kinds)
    ):
        return path
    takes = " or ".join(one.called for one in kinds)
    raise ConfigError(f"{path} is {what_is(path)}. `{verb}` takes {takes}.")


def find_run(path: Path, verb: str, *others: Kind) -> Path:
    """Return where a run of volumes is that an argument of a command means, or one of other kinds that it takes too.

    Raises
    ------
    ConfigError
        If there is no such thing, or it is of another kind; the message says of which, and what takes that.
    """
    place = locate(path, Path())
    if not place.exists():
        raise ConfigError(f"no such file or folder: {path}. Expected a run of volumes.")
    kind = kind_of(place)
    if kind is None or kind in others or is_run(place):
        return place
    raise ConfigError(
        f"{path} is {what_is(place)}. `{verb}` takes a run of volumes: DICOM or NIfTI files in a folder, or one."
    )


def find_network(path: Path, verb: str) -> Path:
    """Return where a file of a network is, a graph in ONNX or weights in safetensors; by its name, else its beginning.

    Raises
    ------
    ConfigError
        If there is no such file, or it is of another kind; the message says of which, and what takes that.
    """
    if path.is_file() and (path.suffix.casefold() in _NETWORKS or _begins_as_onnx(path)):
        return path
    raise ConfigError(
        f"{path} is {what_is(path)}. `{verb}` takes an ONNX file, or weights in safetensors with --architecture."
    )


def _begins_as_onnx(path: Path) -> bool:
    """Whether a file of no known kind begins as ONNX does: with the number of its version."""
    if kind_of(path) is not None:
        return False
    with path.open("rb") as file:
        return file.read(1) == b"\x08"


def _may_be(path: Path, kinds: tuple[Kind, ...]) -> bool:
    """Whether what is of no known kind may be damaged or unfinished, so that its reader knows more to say of it."""
    if path.is_dir():
        return BUNDLE in kinds and any(path.glob("*.onnx"))
    return RECORDING in kinds or (path.suffix.casefold() == ".toml" and bool(_SETTINGS & set(kinds)))


def _elsewhere(path: Path, kinds: tuple[Kind, ...]) -> Path:
    """Return where a thing is that is not at its path: by its name, or as the newest.

    Raises
    ------
    ConfigError
        If it is nowhere.
    """
    wanted = set(kinds)
    if path.name == LAST and wanted & {SESSION, RECORDED}:
        folder = newest(path.parent, kinds)
        current().say(f"{LAST} is {folder}")
        return folder
    if wanted & _SETTINGS and len(path.parts) in (1, 2) and path.parent in (Path(), Path("configs")):
        for name in (path.name, f"{path.name}.toml"):
            if (example := locate(Path(name), Path(), "configs")).is_file():
                return example
    if BUNDLE in wanted and (bundle := locate(path, Path(), "bundles")).exists():
        return bundle
    if RECORDING in wanted and (recording := locate(path, Path())).exists():
        return recording
    if path.with_name(path.name + ".partial").exists():
        return path  # a recording that was not finished
    for other in ("bundles", "configs"):  # a name of something else that is shipped is said to be that
        if len(path.parts) == 1 and path.stem in shipped_names(other):
            return next(thing for thing in SHIPPED[other].iterdir() if thing.stem == path.stem)
    kind: Shipped | None = "configs" if wanted & _SETTINGS else "bundles" if BUNDLE in wanted else None
    shipped = f" Shipped are: {', '.join(shipped_names(kind))}." if kind else ""
    what = "file" if wanted & (_SETTINGS | {RECORDING}) else "folder"
    raise ConfigError(f"there is no such {what}: {path}; {not_found(path, kind)}.{shipped}")


def newest(place: Path, kinds: tuple[Kind, ...]) -> Path:
    """Return the newest folder of these kinds in the usual folders of a place, or in the place itself.

    Raises
    ------
    ConfigError
        If there is none.
    """
    named = [name for name in _FOLDERS if name == "sessions" or RECORDED in kinds]
    found = [
        folder
        for above in (place, *(place / name for name in named))
        if above.is_dir()
        for folder in above.iterdir()
        if _STAMP.match(folder.name) and kind_of(folder) in kinds
    ]
    if not found:
        where = " or ".join(f"{place / name}" for name in named)
        raise ConfigError(
            f"{place / LAST}: expected a session in {where}, came none. Run one (`bci demo`), or name its folder."
        )
    return max(found, key=lambda folder: (folder.name[:15], folder.stat().st_mtime_ns))

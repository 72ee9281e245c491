"""A session's folder is made new, under a safe name; its pages and JSON files are written whole."""

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bci.errors import ConfigError, DiskError

#: Names that may become part of a path: they cannot leave the folder, nor be an option or a device.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


def safe_name(name: str, what: str) -> str:
    """Return `name` if it can safely become part of a path.

    Parameters
    ----------
    name : str
        The name.
    what : str
        The option or setting it comes from, for the error: ``"--name"``.

    Raises
    ------
    ConfigError
        If the name has other characters or is too long.

    Examples
    --------
    >>> safe_name("pilot-3", "--name")
    'pilot-3'
    >>> safe_name("../pilot", "--name")
    Traceback (most recent call last):
    bci.errors.ConfigError: --name '../pilot': up to 64 letters, digits, - and _ were expected, neither - nor _ first
    """
    if "\n" in name or not re.match(NAME, name):
        raise ConfigError(
            f"{what} {name!r}: up to 64 letters, digits, - and _ were expected, neither - nor _ first"
        )
    return name


def path_name(name: str) -> str:
    r"""Return a name from a file of a stranger as the name of a file: one that cannot leave the folder.

    >>> path_name("faces 2"), path_name("../../x\n"), path_name("")
    ('faces_2', '_x_', 'unnamed')
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64] or "unnamed"


def make_folder(out: Path, name: str) -> Path:
    """Make a new folder ``<date>-<time>-<name>`` under `out`; never an existing one, nor outside of `out`."""
    safe_name(name, "the session's name")
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for suffix in ("", *(f"-{i}" for i in range(2, 100))):
        folder = out / f"{stamp}-{name}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(
                f"cannot make the session's folder {folder}: {error}. Name another with --out."
            ) from None
        return folder
    raise ConfigError(f"{out} holds a hundred sessions of this second; name another folder with --out")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON file whole or not at all; NaN becomes null. `durable` as in `write_whole`.

    Raises
    ------
    DiskError
        As `write_whole`.
    """
    write_whole(path, json.dumps(plain(value), indent=1, ensure_ascii=False), durable=durable)


def write_whole(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a file, text as UTF-8, whole or not at all: beside its place, then flush, fsync, rename.

    What means nothing any more after a loss of power need not be `durable`: it does not wait for the disk.

    Raises
    ------
    DiskError
        If the disk does not take it; then nothing of it is left.
    """
    partial = path.with_suffix(".partial")
    try:
        with writing(path):
            # Made new: what lies there may be a link of a stranger's folder to a file elsewhere.
            partial.unlink(missing_ok=True)
        with writing(path), partial.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        with writing(path):
            partial.replace(path)
    except DiskError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk says while a file is written into a `DiskError` that names the file."""
    try:
        yield
    except OSError as error:
        raise DiskError.of(path, error) from None


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: NumPy scalars as numbers, NaN as None, paths as text.

    >>> import numpy as np
    >>> plain({"a": np.float32(0.5), "b": [float("nan")]})
    {'a': 0.5, 'b': [None]}
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    # Without importing NumPy, which takes longer than what most commands do with this.
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)

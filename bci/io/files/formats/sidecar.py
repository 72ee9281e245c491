"""A Sidecar is the small YAML file beside an array that states its rate and the names of its columns.

Only these two are read, from nested keys, scalars and lists; all else in the file is ignored.
"""

from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError

_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A Sidecar holds the rate and column names from the YAML beside an array; None or empty where it has none.

    Attributes
    ----------
    name : str
        The file's name.
    rate : float or None
        Samples per second: ``acquisition: samplingrate``.
    sensors : tuple of str
        Column names: ``acquisition: sensors``.
    """

    name: str
    rate: float | None
    sensors: tuple[str, ...]


def read_sidecar(array: Path) -> Sidecar | None:
    """Read the ``.yml`` or ``.yaml`` of the same name beside `array`; None when there is none.

    Raises
    ------
    RecordingError
        If it is not such a file.
    """
    for suffix in (".yml", ".yaml"):
        path = array.with_suffix(suffix)
        if path.is_file():
            return _parse(path)
    return None


def _parse(path: Path) -> Sidecar:
    if path.stat().st_size > _LARGEST:
        raise RecordingError(
            f"{path.name} beside the array is {path.stat().st_size} bytes: not a description"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecordingError(f"{path.name} beside the array is not text") from None
    rate: float | None = None
    sensors: list[str] = []
    above: list[tuple[int, str]] = []  # the keys that a line lies under, with their indents
    for number, line in enumerate(text.splitlines(), 1):
        body = line.split(" #")[0].strip()
        if not body or body.startswith(("#", "---")):
            continue
        indent = len(line) - len(line.lstrip())
        item = body.startswith("- ")
        # A list may stand at the indent of the key it belongs to.
        while above and (indent < above[-1][0] if item else indent <= above[-1][0]):
            above.pop()
        where = tuple(key for _, key in above)
        if item:
            if where == ("acquisition", "sensors"):
                sensors.append(_scalar(body[2:]))
            continue
        key, _, value = body.partition(":")
        above.append((indent, key))
        if (*where, key) == ("acquisition", "sensors") and value.strip().startswith("["):
            sensors += [_scalar(name) for name in value.strip().strip("[]").split(",")]
        elif (*where, key) == ("acquisition", "samplingrate"):
            try:
                rate = float(value)
            except ValueError:
                raise RecordingError(
                    f"{path.name}, line {number}: the rate is a number, got {value.strip()!r}"
                ) from None
    return Sidecar(path.name, rate, tuple(sensors))


def _scalar(text: str) -> str:
    return text.strip().strip("'\"")

"""The header of a BrainVision recording (.vhdr), and the sections of lines ``key=value`` that its files consist of.

BrainVision Core Data Format 1.0: a header, the samples in a file of their own, and a file of markers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError
from bci.io.files.formats.words import decode_text
from bci.io.files.regular import LARGEST_TEXT, require_regular
from bci.signal.rates import is_plausible
from bci.signal.units import unit_name

#: NumPy's names of the formats of samples.
_TYPES = {"INT_16": "<i2", "UINT_16": "<u2", "INT_32": "<i4", "IEEE_FLOAT_32": "<f4"}
_BIG_ENDIAN = frozenset({"yes", "true", "1"})
_MOST_CHANNELS = 1 << 16
_MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Described:
    """A Described is one channel as the header describes it.

    Attributes
    ----------
    label, unit : str
        Its label, ``""`` where it is not described; its unit in this project's spelling.
    resolution : float
        A stored number times this is in `unit`.
    """

    label: str
    unit: str
    resolution: float


@dataclass(frozen=True, slots=True)
class BrainVisionHeader:
    """A BrainVisionHeader describes the samples of a recording.

    Attributes
    ----------
    rate : float
        Samples per second.
    channels : tuple of Described
        In order.
    dtype : str
        NumPy's name of a stored number; empty where numbers are stored as text.
    multiplexed : bool
        Whether the channels of one sample stand together.
    data, markers : Path
        The file of samples, the file of markers; the second may not be there.
    """

    rate: float
    channels: tuple[Described, ...]
    dtype: str
    multiplexed: bool
    data: Path
    markers: Path | None


def read_header(path: Path, defects: list[str]) -> BrainVisionHeader:
    """Read a header.

    Parameters
    ----------
    path : Path
        The .vhdr.
    defects : list of str
        Takes sentences on what is not as it should be.

    Raises
    ------
    RecordingError
        If it is none, lacks what is needed, or names files outside its own folder.
    """
    sections, _ = read_sections(path)
    common, binary = sections.get("common infos", {}), sections.get("binary infos", {})
    n = _positive(path, common, "NumberOfChannels", _MOST_CHANNELS)
    interval = _positive(path, common, "SamplingInterval", 1e12)
    rate = _MICROSECONDS / interval
    if n != int(n) or not is_plausible(rate):
        raise RecordingError(
            f"{path.name} states {n:g} channels every {interval:g} µs, which cannot be played"
        )
    is_text = common.get("dataformat", "BINARY").upper() == "ASCII"
    stored = binary.get("binaryformat", "INT_16").upper()
    if not is_text and stored not in _TYPES:
        raise RecordingError(f"{path.name}: expected samples of {', '.join(_TYPES)}, came {stored!r}")
    dtype = "" if is_text else _TYPES[stored]
    if binary.get("usebigendianorder", "no").casefold() in _BIG_ENDIAN:
        dtype = dtype.replace("<", ">")
    data = _beside(path, common.get("datafile", ""), (".eeg", ".dat"), "DataFile", defects)
    if data is None:
        raise RecordingError(
            f"{path.name} names {common.get('datafile', '')!r} as its samples, which is not there: put it beside it"
        )
    markers = common.get("markerfile", "")
    return BrainVisionHeader(
        rate=rate,
        channels=_channels(sections.get("channel infos", {}), int(n)),
        dtype=dtype,
        multiplexed=common.get("dataorientation", "MULTIPLEXED").upper() != "VECTORIZED",
        data=data,
        markers=_beside(path, markers, (".vmrk",), "MarkerFile", defects) if markers else None,
    )


def read_sections(path: Path) -> tuple[dict[str, dict[str, str]], str]:
    """Return a file's sections, keys in lower case, and the encoding found for one that names none that holds.

    Raises
    ------
    RecordingError
        If it is no BrainVision text file.
    """
    require_regular(path, RecordingError, largest=LARGEST_TEXT)
    content = path.read_bytes()
    if not re.match(rb"\W*Brain ?Vision", content[:64]):
        raise RecordingError(f"{path.name} cannot be read: it does not begin like a BrainVision file")
    page = re.search(rb"^Codepage=([\w-]+)", content, re.MULTILINE | re.IGNORECASE)
    named = page[1].decode() if page else ""
    text, encoding = decode_text(content, named)
    sections: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("[") and words.endswith("]"):
            section = words[1:-1].casefold()
            if section == "comment":  # free text to the end
                break
        elif "=" in words and not words.startswith(";"):
            key, _, value = words.partition("=")
            sections.setdefault(section, {}).setdefault(key.strip().casefold(), value.strip())
    return sections, encoding if encoding not in (named, "utf-8", "utf-8-sig") else ""


def words_of(value: str) -> list[str]:
    r"""Return the fields of a value; a comma within one is written \1."""
    return [field.replace("\\1", ",") for field in value.split(",")]


def _channels(rows: Mapping[str, str], n: int) -> tuple[Described, ...]:
    channels = []
    for i in range(n):
        if (row := rows.get(f"ch{i + 1}")) is None:
            channels.append(Described("", "", 1.0))
            continue
        label, _, resolution, unit, *_ = [*words_of(row), "", "", ""]
        try:
            step = float(resolution or 1.0)
        except ValueError:
            step = 0.0
        # The format's own default is microvolt.
        channels.append(Described(label.strip(), unit_name(unit) if unit.strip() else "uV", step))
    return tuple(channels)


def _beside(path: Path, name: str, suffixes: Sequence[str], what: str, defects: list[str]) -> Path | None:
    """Return the file that a header names; after a renaming, the one that is called like the header."""
    named = path.parent / name.replace("$b", path.stem)
    if name and not named.resolve().is_relative_to(path.parent.resolve()):
        raise RecordingError(
            f"{path.name} names {name} as its {what}, outside its own folder: refused. Put the files side by side."
        )
    if name and named.exists():
        require_regular(named, RecordingError)
        return named
    for suffix in suffixes:
        other = path.with_suffix(suffix)
        if other.is_file():
            defects.append(
                f"the header's {what} is {name or 'not stated'} and not there; {other.name} is read"
            )
            return other
    if what == "MarkerFile":
        defects.append(f"the header's {what} is {name} and not there: no markers are played")
    return None


def _positive(path: Path, section: Mapping[str, str], key: str, most: float) -> float:
    text = section.get(key.casefold(), "")
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise RecordingError(f"{path.name}: {key} is {text!r}; a number above 0 was expected")
    return value

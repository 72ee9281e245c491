"""A LoadedBundle is one that a decoder loaded while its session ran; ``swaps.json`` lists them, in order.

::

    swaps.json  swaps.alpha.json     of each decoder: where the bundle was, its hash, what ran it; written before it ran
    marks.csv   swapped              first: the sample its pipeline began with, count: its first frame, value: which
    frames.csv  bundle               of each frame: which; 0 is the one that the decoder began with (environment.json)

A bundle in the list without a mark was loaded and never took over: the session ended before its filters had settled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.io.files.folder import write_json
from bci.io.files.regular import read_json
from bci.session.tables import table_file


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle that was loaded while the session ran.

    Attributes
    ----------
    path : str
        Its folder.
    name, hash : str
        What it is called, and its identity.
    environment : mapping
        What ran it: provider, its options, machine (see `bci.decoder.onnx.OnnxDecoder.environment`).
    """

    path: str
    name: str
    hash: str
    environment: Mapping[str, Any]


def swaps_path(folder: Path, decoder: str | None = None) -> Path:
    """Return where the list is; of the first decoder when none is named.

    >>> swaps_path(Path("s"), "alpha").name
    'swaps.alpha.json'
    """
    return folder / table_file("swaps", decoder).replace(".csv", ".json")


def read_swaps(folder: Path, decoder: str | None = None) -> list[LoadedBundle]:
    """Return the bundles that a decoder loaded while its session ran; the first of them is number 1.

    Raises
    ------
    RecordingError
        If the list is damaged.
    """
    path = swaps_path(folder, decoder)
    if not path.is_file():
        return []

    def refuse(words: str) -> RecordingError:
        return RecordingError(f"{path}: {words.rstrip('.')}. Expected the list that the decoder wrote.")

    entries = read_json(path, refuse)
    try:
        return [
            LoadedBundle(str(one["path"]), str(one["name"]), str(one["hash"]), dict(one["environment"]))
            for one in entries
        ]
    except (TypeError, KeyError, ValueError) as error:
        raise refuse(f"an entry is not whole ({error})") from None


def write_swaps(folder: Path, loaded: Sequence[LoadedBundle], decoder: str | None = None) -> None:
    """Write the list anew, aside, and put it in its place; DiskError where that cannot be."""
    write_json(swaps_path(folder, decoder), [asdict(one) for one in loaded])

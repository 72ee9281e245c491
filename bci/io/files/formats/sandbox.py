"""A trial reads the headers and indices of a file once, in a capped child, before this process opens it.

``python -m bci.io.files.formats.sandbox`` answers one request (see `bci.io.files.capped`). It imports only what
the file's format needs: its start is what opening a file costs, about 0.05 s for XDF and 0.6 s for what MNE reads.
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.io.files.capped import Limits, answer, ask, nothing

#: A file of so many bytes that our own readers have judged, XDF's chunks or an EDF's header, is read without a trial:
#: whatever stands in it, that takes less than 100 MB and a second or two.
SMALL = 1 << 20

#: What the trial of a file may use: so many bytes and so many for each of the file's, and so many seconds of processor
#: time, with one more for every 10 MB. MNE with all it imports maps 1 GiB; readers that load a file hold it some times
#: over.
BASE_BYTES = 2 << 30
PER_BYTE = 8
SECONDS = 30.0
_BYTES_PER_S = 10e6


def try_file(kind: str, path: Path, size: int, meanwhile: Callable[[], None] = nothing) -> dict[str, Any]:
    """Read a file's headers and indices in a capped child; return what was found.

    Parameters
    ----------
    kind : str
        ``"xdf"``, or ``"mne"`` for whatever `mne.io.read_raw` opens.
    path : Path
        The file, or the folder for formats that are one.
    size : int
        How large it and the files that belong to it are, bytes.
    meanwhile : callable
        Called while the child works.

    Returns
    -------
    dict
        Of an XDF file, the fields of `bci.io.files.xdf.chunks.CheckedChunks`.

    Raises
    ------
    RecordingError
        If it is refused there, changes meanwhile, or wants more memory or time than it may have.
    """
    before = _identity(path)
    found = _tried(kind, path, size, before, meanwhile)
    if _identity(path) != before:
        raise RecordingError(
            f"{path.name} changed while it was read. Open it when the program that writes it is done."
        )
    return found


@lru_cache(maxsize=64)
def _tried(
    kind: str, path: Path, size: int, identity: tuple[int, ...], meanwhile: Callable[[], None]
) -> dict[str, Any]:
    """Try a file; one that stays as it is needs no second trial."""
    limits = Limits(
        memory=BASE_BYTES + PER_BYTE * size,
        seconds=SECONDS + size / _BYTES_PER_S,
        expected="a file whose headers can be read",
        advice="It is damaged, or made to do harm: do not open it.",
    )

    def refuse(words: str) -> RecordingError:
        return RecordingError(words if path.name in words else f"{path.name}: {words}")

    request = {"kind": kind, "path": str(path.resolve())}
    return ask("bci.io.files.formats.sandbox", request, limits, refuse, meanwhile)


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Read the file of a request."""
    path = Path(request["path"])
    if request["kind"] == "xdf":
        from bci.io.files.xdf.chunks import check_chunks

        return asdict(check_chunks(path))
    from bci.io.files.formats.mne_raw import try_raw

    try_raw(path)
    return {}


def _identity(path: Path) -> tuple[int, ...]:
    status: os.stat_result = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


if __name__ == "__main__":
    answer(handle)

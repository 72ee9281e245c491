"""A sandbox run reads a file's headers and indices once in a capped child process, before this process opens the file.

``python -m bci.io.files.formats.sandbox`` answers one request (see `bci.io.files.capped`). It imports only what
the file's format needs, since opening a file waits for its start: about 0.05 s for XDF and 0.6 s for MNE's formats.
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.io.files.capped import ChildLimits, answer, ask, nothing

#: A file up to so many bytes whose structure our own readers checked (XDF's chunks, an EDF's header) needs no sandbox
#: run: whatever its content, reading it takes less than 100 MB and a second or two.
SMALL = 1 << 20

#: Caps on a sandbox run: so many bytes and so many for each of the file's; so many seconds of processor time, with
#: one more for every 10 MB. MNE with all its imports maps 1 GiB; readers that load a file hold several copies of it.
BASE_BYTES = 2 << 30
PER_BYTE = 8
SECONDS = 30.0
_BYTES_PER_S = 10e6


def try_file(kind: str, path: Path, size: int, meanwhile: Callable[[], None] = nothing) -> dict[str, Any]:
    """Read a file's headers and indices in a capped child process; return the child's findings.

    Parameters
    ----------
    kind : str
        ``"xdf"``, ``"nwb"``, or ``"mne"`` for whatever `mne.io.read_raw` opens.
    path : Path
        The file, or the folder for formats that are one.
    size : int
        Size of the file and of the files that belong to it, bytes.
    meanwhile : callable
        Called once while the child works.

    Returns
    -------
    dict
        Of an XDF file, the fields of `bci.io.files.xdf.chunks.CheckedChunks`; of an NWB file, what
        `bci.io.files.formats.nwb.describe` says.

    Raises
    ------
    RecordingError
        If the child refuses the file or exceeds its memory or time, or the file changes meanwhile.
    """
    before = _identity(path)
    findings = _sandbox_run(kind, path, size, before, meanwhile)
    if _identity(path) != before:
        raise RecordingError(
            f"{path.name} changed while it was read. Open it when the program that writes it is done."
        )
    return findings


@lru_cache(maxsize=64)
def _sandbox_run(
    kind: str, path: Path, size: int, identity: tuple[int, ...], meanwhile: Callable[[], None]
) -> dict[str, Any]:
    """Make the sandbox run of a file; an unchanged file is not run again."""
    limits = ChildLimits(
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
    """Read the file that a request names, in the child process."""
    path = Path(request["path"])
    if request["kind"] == "xdf":
        from bci.io.files.xdf.chunks import check_chunks

        return asdict(check_chunks(path))
    if request["kind"] == "nwb":
        from bci.io.files.formats.nwb import describe

        return describe(path)
    from bci.io.files.formats.mne_raw import try_raw

    try_raw(path)
    return {}


def _identity(path: Path) -> tuple[int, ...]:
    status: os.stat_result = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


if __name__ == "__main__":
    answer(handle)

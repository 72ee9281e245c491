"""Streams of an XDF file on the clock of the machine that recorded it, as `pyxdf` puts them there."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.io.files.formats.logs import collected
from bci.io.files.regular import require_regular
from bci.io.files.xdf.chunks import check_chunks


def load_stream(
    path: Path,
    wanted: Callable[[Mapping[str, Any]], bool],
    *,
    break_s: float,
    break_samples: int,
    until: int | None = None,
) -> dict[str, Any] | None:
    """Return what pyxdf gives of one stream of numbers; None where the file does not hold it, or no sample of it.

    A file whose recorder was killed is read as far as it is whole.

    Parameters
    ----------
    path : Path
        An XDF file.
    wanted : callable
        Takes pyxdf's brief description of a stream; the first for which it is true is loaded.
    break_s, break_samples
        Stamps that are further apart than both begin a new segment: pyxdf fits a line through each, and a line through
        a gap would shift every stamp.
    until : int, optional
        Bytes of the file that are read; all that is whole when absent.

    Raises
    ------
    RecordingError
        If the file cannot be read.
    """
    import pyxdf

    require_regular(path, RecordingError)
    try:
        sound = check_chunks(path).sound
        with path.open("rb") as file:
            content = file.read(sound if until is None else min(sound, until))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error}") from None
    try:
        with collected(pyxdf.pyxdf.logger.name):
            chosen = [
                info["stream_id"]
                for info in pyxdf.resolve_streams(io.BytesIO(content))
                if info["channel_format"] != "string" and wanted(info)
            ]
            if not chosen:
                return None
            loaded, _ = pyxdf.load_xdf(
                io.BytesIO(content),
                select_streams=chosen[:1],
                jitter_break_threshold_seconds=break_s,
                jitter_break_threshold_samples=break_samples,
            )
    except Exception as error:  # pyxdf meets damage with any exception there is
        raise RecordingError(f"{path.name} cannot be read by pyxdf: {error}") from error
    return dict(loaded[0]) if len(loaded[0]["time_series"]) else None

"""True onset of a session: its flips beside what a photodiode recorded, in the session's own recording or in another.

Without a photodiode nothing can be said about light, and that is what is said.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.logs import collected
from bci.io.files.xdf.chunks import check_chunks
from bci.session.photodiode import Onset, Seconds, onset
from bci.session.recorded import read_table, recordings

#: Stamps further apart than both begin a new segment: pyxdf fits a line through each, and a line through a gap of
#: tenths of a second would shift every stamp by as much.
_BREAK_S, _BREAK_SAMPLES = 0.05, 5


def true_onset(
    session: Path, file: Path | None = None, stream: str | None = None, channel: str | None = None
) -> Onset:
    """Return what a photodiode says about the time from a session's flips to light.

    Parameters
    ----------
    session : Path
        The session's folder.
    file : Path, optional
        Another XDF file, recorded meanwhile on the same machine (`bci record`), that the photodiode's stream is in;
        by default the session's own recording.
    stream, channel : str, optional
        The photodiode's source id and label; by default what the session's ``[display]`` section says.

    Raises
    ------
    RecordingError
        If the session or the file cannot be read, or does not hold that stream or channel.
    """
    try:
        display = json.loads((session / "config.json").read_text(encoding="utf-8"))["display"]
        shown = read_table(session, "shown")
    except (OSError, ValueError, KeyError) as error:
        raise RecordingError(f"{session} is not a whole session: {error}") from None
    stream = stream or display.get("photodiode_stream")
    channel = channel or display.get("photodiode_channel")
    if not display.get("photodiode"):
        return Onset.unknown("no patch was drawn for a photodiode ([display] photodiode = true draws one)")
    if stream is None:
        return Onset.unknown("no photodiode was recorded ([display] photodiode_stream names its stream)")
    paths = [file] if file is not None else recordings(session)
    found = [piece for path in paths if (piece := read_light(path, stream, channel)) is not None]
    if not found and file is None:
        return Onset.unknown(
            f"the photodiode's stream {stream!r} is not in the session's recording. Record it meanwhile with "
            "`bci record`, on the same machine, and name that file with --photodiode"
        )
    if not found:
        raise RecordingError(
            f"the photodiode's stream {stream!r} was expected in {paths[0]} and is not there. "
            "Name its source id with --photodiode-stream."
        )
    light, times = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    flips = np.array([float(row["flip"]) for row in shown])
    measured = onset(light, times, flips)
    if len(flips) and measured.outside == len(flips):
        raise RecordingError(
            f"the photodiode was recorded from {times[0]:.3f} to {times[-1]:.3f} s, the flips are from {flips[0]:.3f} "
            f"to {flips[-1]:.3f} s: not at the same time, or not by the same clock. Record both on one machine."
        )
    return measured


def read_light(path: Path, stream: str, channel: str | None) -> tuple[NDArray[Any], Seconds] | None:
    """Return a photodiode's signal and its times on the clock of the machine that recorded it; None where it is not.

    Parameters
    ----------
    path : Path
        An XDF file.
    stream : str
        Source id, or name.
    channel : str, optional
        Label; needed where the stream has several channels.

    Raises
    ------
    RecordingError
        If the file cannot be read, or has no such channel.
    """
    import pyxdf

    try:
        sound = check_chunks(path).sound
        with path.open("rb") as file:
            content = file.read(sound)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error}") from None
    try:
        with collected(pyxdf.pyxdf.logger.name):
            chosen = [
                info["stream_id"]
                for info in pyxdf.resolve_streams(io.BytesIO(content))
                if stream in (info["source_id"], info["name"]) and info["channel_format"] != "string"
            ]
            if not chosen:
                return None
            loaded, _ = pyxdf.load_xdf(
                io.BytesIO(content),
                select_streams=chosen[:1],
                jitter_break_threshold_seconds=_BREAK_S,
                jitter_break_threshold_samples=_BREAK_SAMPLES,
            )
    except Exception as error:  # pyxdf meets damage with any exception there is
        raise RecordingError(f"{path.name} cannot be read by pyxdf: {error}") from error
    samples = loaded[0]["time_series"]
    if not len(samples):
        return None
    column = _column(path, loaded[0]["info"], channel, samples.shape[1])
    return samples[:, column], np.asarray(loaded[0]["time_stamps"], np.float64)


def _column(path: Path, info: dict[str, Any], channel: str | None, n: int) -> int:
    """Return which channel is the photodiode's."""
    described = ((info.get("desc") or [None])[0] or {}).get("channels") or [None]
    labels = [str((c.get("label") or [""])[0] or "") for c in (described[0] or {}).get("channel", [])]
    if channel is None and n == 1:
        return 0
    if channel is None or labels.count(channel) != 1:
        raise RecordingError(
            f"{path.name}: of the {n} channels of stream {info['name'][0]!r} ({', '.join(labels[:12]) or 'no labels'}) "
            f"the photodiode's label was expected, {channel!r} came. Set [display] photodiode_channel."
        )
    return labels.index(channel)

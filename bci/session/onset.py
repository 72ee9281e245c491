"""True onset of a session: its flips beside what a photodiode recorded, in the session's own recording or in another.

Without a photodiode nothing can be said about light, and that is what is said.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.session.photodiode import Onset, Seconds, onset
from bci.session.recorded import RecordedSession
from bci.session.session_time import load_stream

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
    recorded = RecordedSession.read(session)
    display = recorded.config.get("display") or {}
    shown = recorded.table("shown")
    stream = stream or display.get("photodiode_stream")
    channel = channel or display.get("photodiode_channel")
    if not display.get("photodiode"):
        return Onset.unknown("no patch was drawn for a photodiode ([display] photodiode = true draws one)")
    if stream is None:
        return Onset.unknown("no photodiode was recorded ([display] photodiode_stream names its stream)")
    paths = [file] if file is not None else recorded.recordings
    pieces = [piece for path in paths if (piece := read_light(path, stream, channel)) is not None]
    if not pieces and file is None:
        return Onset.unknown(
            f"the photodiode's stream {stream!r} is not in the session's recording. Record it meanwhile with "
            "`bci record`, on the same machine, and name that file with --photodiode"
        )
    if not pieces:
        raise RecordingError(
            f"the photodiode's stream {stream!r} was expected in {paths[0]} and is not there. "
            "Name its source id with --photodiode-stream."
        )
    light, times = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
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
    loaded = load_stream(
        path,
        lambda info: stream in (info["source_id"], info["name"]),
        break_s=_BREAK_S,
        break_samples=_BREAK_SAMPLES,
    )
    if loaded is None:
        return None
    samples = loaded["time_series"]
    column = _column(path, loaded["info"], channel, samples.shape[1])
    return samples[:, column], np.asarray(loaded["time_stamps"], np.float64)


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

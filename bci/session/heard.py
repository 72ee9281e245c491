"""RecordedPhysiology is what each volume of a session heard of a pulse and a belt, by what was recorded of both."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.session.recorded import RecordedSession
from bci.signal.beside import Heard
from bci.signal.labels import find_channels
from bci.signal.pipeline import RunningPipeline
from bci.signal.types import Times
from bci.signal.volumes.physiological_noise import COLUMNS, COUNT, FIRST, NEWEST


def hear_again(session: RecordedSession, decoder: str | None, pipeline: RunningPipeline) -> None:
    """Let a pipeline hear what a session's decoder heard, if a step of it wants to.

    Raises
    ------
    RecordingError
        If the session did not record what it heard.
    """
    kernel = pipeline.beside.kernel
    if kernel is None:
        return
    ran = session.ran(decoder)
    if ran.physiology is None:
        raise RecordingError(
            f"{session.folder}: its bundle hears a pulse or breathing; expected [decoder] physiology in config.json, "
            "came none. Was the file edited?"
        )
    stream = session.stream(ran.physiology or None)
    rows = session.stream(f"physiology:{decoder}" if session.canonical(decoder) else "physiology")
    traces = _joined(list(stream.pieces()), stream.signal.shape[0])
    told = np.concatenate([np.zeros((0, len(COLUMNS))), *(part for _, part in rows.pieces())])
    by_volume = {int(row[0]): row for row in told}
    places = find_channels(stream.signal, kernel.labels)
    pipeline.beside.hears_with = partial(_hear, by_volume, traces[:, places], stream.signal.rate)


def _hear(
    by_volume: dict[int, NDArray[np.float64]],
    traces: NDArray[np.float64],
    rate: float,
    first: int,
    times: Times,
) -> list[Heard]:
    heard = []
    for volume in range(first, first + len(times)):
        row = by_volume.get(volume)
        if row is None:  # the decoder died over it
            heard.append(Heard(0, traces[:0], rate, np.nan))
            continue
        begin, count, newest_s = (row[COLUMNS.index(name)] for name in (FIRST, COUNT, NEWEST))
        heard.append(Heard(int(begin), traces[int(begin) : int(begin + count)], rate, float(newest_s)))
    return heard


def _joined(pieces: list[tuple[int, NDArray[np.generic]]], channels: int) -> NDArray[np.float64]:
    """Return samples at the places of their counts, NaN where none was recorded."""
    end = max((first + len(part) for first, part in pieces), default=0)
    out = np.full((end, channels), np.nan)
    for first, part in pieces:
        out[first : first + len(part)] = part
    return out

"""Recorded sessions of our own: what was flipped, and the samples around each flip, as trials.

A session's folder says in ``shown.csv`` which pixels came on the screen when, and holds every sample in its
recording. Each change to a picture is a trial; pictures of the same pixels are one stimulus. The samples go through
a pipeline and are cut by `bci.signal.epochs`, as they are live.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError, RecordingError
from bci.session.recorded import RecordedSession
from bci.signal.epochs import epochs
from bci.signal.pipeline import Pipeline
from bci.signal.types import Event, Signal, Window
from models.datasets.trials import Stimuli, Trials

#: Samples handed to the pipeline at once; the result does not depend on it.
_CHUNK = 4096


def load_sessions(
    folders: Sequence[Path],
    pipeline: Pipeline,
    *,
    start: float,
    stop: float,
    subject: str,
    latents: Mapping[str, ArrayLike] | None = None,
    generator: str = "",
    kinds: Sequence[str] = ("stimulus",),
) -> Trials:
    """Return the trials of one participant's sessions; each session is a run.

    Parameters
    ----------
    folders : sequence of Path
        What `bci run` printed.
    pipeline : Pipeline
        What the samples pass.
    start, stop : float
        Seconds around each flip.
    subject : str
        Whose sessions.
    latents : mapping, optional
        The latent of each picture, by the digest of its pixels (`bci.memory.frames.image_digest`). Pictures that a
        decoder drew bring their own.
    generator : str
        Whose latents.
    kinds : sequence of str
        Which changes of the screen are trials: ``"stimulus"``, ``"frame"``.

    Returns
    -------
    trials : Trials
        Rows are epochs, samples × channels in one row. `facts` counts the trials left out, by reason: ``incomplete``
        (a gap, or the recording began or ended), ``unsettled`` or ``bad``.

    Raises
    ------
    DataError
        If a folder is no whole session, sessions do not fit each other, or a picture has no latent.
    """
    rows: list[NDArray[Any]] = []
    shown: list[str] = []
    runs: list[int] = []
    by_name: dict[str, NDArray[np.float32]] = {
        digest: np.asarray(latent, np.float32) for digest, latent in (latents or {}).items()
    }
    left_out = {"incomplete": 0, "unsettled": 0, "bad": 0}
    simulated: set[bool] = set()
    signals: dict[Signal, Path] = {}
    for run, folder in enumerate(folders):
        try:
            session = RecordedSession.read(folder)
            flips = _flips(session, kinds, by_name)
            signal = replace(session.signal(), dtype="float32")
            chunks = list(_chunks(session, signal))
            is_simulated = session.simulated
        except RecordingError as error:
            raise DataError(str(error)) from None
        signals.setdefault(signal, folder)
        if len(signals) > 1:
            (one, a), (other, b) = list(signals.items())[:2]
            raise DataError(f"expected sessions of one signal, came {one} in {a} and {other} in {b}.")
        simulated.add(is_simulated)
        cut = {
            epoch.event.code: epoch.window
            for epoch in epochs(chunks, flips, pipeline, start=start, stop=stop)
        }
        for marker in flips:
            window = cut.get(marker.code)
            reason = "incomplete" if window is None else "" if window.settled else "unsettled"
            if window is not None and window.bad.any():
                reason = "bad"
            if reason:
                left_out[reason] += 1
                continue
            assert window is not None
            rows.append(window.samples.reshape(-1))
            shown.append(marker.text)
            runs.append(run)
    if not rows:
        raise DataError(
            f"expected trials of kind {', '.join(kinds)} in {len(folders)} session(s), came none that can be used "
            f"({', '.join(f'{n} {why}' for why, n in left_out.items())})."
        )
    if len(simulated) > 1:
        raise DataError("expected sessions that are all recorded or all simulated, came both.")
    names = tuple(dict.fromkeys(shown))
    missing = [name for name in names if name not in by_name]
    if missing:
        raise DataError(
            f"expected a latent for each of {len(names)} pictures, came {len(names) - len(missing)}; none for "
            f"{missing[0]}. Pass those of the generator that drew them, by the digest of their pixels."
        )
    sizes = {by_name[name].shape for name in names}
    if len(sizes) > 1:
        raise DataError(f"expected latents of one size, came {sorted(sizes)}.")
    place = {name: i for i, name in enumerate(names)}
    return Trials(
        brain=np.stack(rows),
        shown=np.array([place[name] for name in shown], np.int64),
        stimuli=Stimuli(names, np.stack([by_name[name] for name in names]), generator=generator),
        subject=subject,
        runs=np.array(runs, np.int64),
        simulated=simulated.pop(),
        facts={"sessions": [folder.name for folder in folders], "left_out": left_out},
    )


def _flips(
    session: RecordedSession, kinds: Sequence[str], latents: dict[str, NDArray[np.float32]]
) -> list[Event]:
    """Return the flips that are trials, numbered, and add the latents of decoded frames to `latents`."""
    read: dict[tuple[str | None, int], str] = {}
    if "frame" in kinds:
        for feed in session.feeds:
            read |= {(feed, int(row["frame"])): row["latent"] for row in session.table("frames", feed)}
    flips = []
    for row in session.table("shown"):
        if row["kind"] not in kinds:
            continue
        frame = session.fed_by(row), int(row["frame"])
        if row["kind"] == "frame" and row["digest"] not in latents and frame in read:
            latents[row["digest"]] = np.array(json.loads(read[frame]), np.float32)
        flips.append(Event(float(row["flip"]), row["digest"], code=int(row["change"])))
    return flips


def _chunks(session: RecordedSession, signal: Signal) -> Iterator[Window]:
    """Yield the session's samples in session time; a recorder that was restarted is no gap."""
    at = 0
    for stretch in session.stream().stretches():
        values = np.asarray(stretch.samples, np.float32).reshape(-1, *signal.shape)
        for first in range(0, len(values), _CHUNK):
            part = values[first : first + _CHUNK]
            finite = np.isfinite(part)
            bad = ~finite.reshape(len(part), *signal.flag_shape, -1).all(axis=-1)
            yield Window(
                signal,
                at,
                np.where(finite, part, 0),
                stretch.times[first : first + _CHUNK],
                bad,
                at + len(part) - 1,
                reset="" if first else stretch.reset,
            )
            at += len(part)

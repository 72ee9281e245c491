"""Recorded sessions of our own: what was flipped, and the samples around each flip, as trials.

A session's folder says in ``shown.csv`` which pixels came on the screen when, and holds every sample in its
recording. Each change to a picture is a trial; pictures of the same pixels are one stimulus. The samples go through
a pipeline and are cut by `bci.signal.epochs`, as they are live.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyxdf
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from bci.signal.epochs import epochs
from bci.signal.pipeline import Pipeline
from bci.signal.types import Event, Signal, Window
from models.datasets.trials import Stimuli, Trials

#: Samples handed to the pipeline at once; the result does not depend on it.
_CHUNK = 4096

#: Stamps further apart than this are a gap, seconds.
_GAP_S = 0.5


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
    found: dict[str, NDArray[np.float32]] = {
        digest: np.asarray(latent, np.float32) for digest, latent in (latents or {}).items()
    }
    left_out = {"incomplete": 0, "unsettled": 0, "bad": 0}
    simulated: set[bool] = set()
    signals: dict[Signal, Path] = {}
    for run, folder in enumerate(folders):
        flips = _flips(folder, kinds, found)
        signal, chunks, is_simulated = _samples(folder)
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
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"expected a latent for each of {len(names)} pictures, came {len(names) - len(missing)}; none for "
            f"{missing[0]}. Pass those of the generator that drew them, by the digest of their pixels."
        )
    sizes = {found[name].shape for name in names}
    if len(sizes) > 1:
        raise DataError(f"expected latents of one size, came {sorted(sizes)}.")
    place = {name: i for i, name in enumerate(names)}
    return Trials(
        brain=np.stack(rows),
        shown=np.array([place[name] for name in shown], np.int64),
        stimuli=Stimuli(names, np.stack([found[name] for name in names]), generator=generator),
        subject=subject,
        runs=np.array(runs, np.int64),
        simulated=simulated.pop(),
        facts={"sessions": [folder.name for folder in folders], "left_out": left_out},
    )


def _flips(folder: Path, kinds: Sequence[str], latents: dict[str, NDArray[np.float32]]) -> list[Event]:
    """Return the flips that are trials, numbered, and add the latents of decoded frames to `latents`."""
    frames: dict[int, str] = {}
    if "frame" in kinds:
        frames = {int(row["frame"]): row["latent"] for row in _table(folder, "frames")}
    flips = []
    for row in _table(folder, "shown"):
        if row["kind"] not in kinds:
            continue
        if row["kind"] == "frame" and row["digest"] not in latents and int(row["frame"]) in frames:
            latents[row["digest"]] = np.array(json.loads(frames[int(row["frame"])]), np.float32)
        # Numbered in the order of the table: a display that was started again counts from 0 again.
        flips.append(Event(float(row["flip"]), row["digest"], code=len(flips)))
    return flips


def _table(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of a table and its continuations."""
    paths = sorted(folder.glob(f"{name}*.csv"), key=lambda path: (len(path.name), path.name))
    if not paths:
        raise DataError(f"{folder} is not a whole session: expected {name}.csv, came none.")
    rows: list[dict[str, str]] = []
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            rows += csv.DictReader(file)
    return rows


def _samples(folder: Path) -> tuple[Signal, Iterator[Window], bool]:
    """Return the session's signal, its samples in session time, and whether they are simulated."""
    paths = sorted(folder.glob("recording*.xdf"), key=lambda path: (len(path.name), path.name))
    if not paths:
        raise DataError(f"{folder} is not a whole session: expected recording.xdf, came none.")
    loaded = [_decoded(path) for path in paths]
    info = loaded[0]["info"]
    described = ((info.get("desc") or [None])[0] or {}) if info.get("desc") else {}
    channels = ((described.get("channels") or [None])[0] or {}).get("channel") or []
    labels = tuple(str((channel.get("label") or [""])[0]) for channel in channels)
    count = loaded[0]["time_series"].shape[1]
    signal = Signal(
        str(info["name"][0]),
        float(info["nominal_srate"][0]),
        (count,),
        labels if len(labels) == count and all(labels) else (),
        str(((channels[0].get("unit") or [""])[0]) if channels else ""),
        "float32",
    )
    signal = Signal(
        signal.name,
        signal.rate,
        signal.shape,
        signal.channels,
        {"microvolts": "uV"}.get(signal.unit, signal.unit),
    )
    return signal, _chunks(signal, loaded), (described.get("simulated") or ["false"])[0] == "true"


def _decoded(path: Path) -> dict[str, Any]:
    """Return the one regular stream of a recording of ours: the first, by its manifest."""
    manifest = path.with_name(path.name + ".manifest.json")
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))["streams"][0]["stream"]
        # By default pyxdf draws a line through gaps of less than 500 samples.
        streams, _ = pyxdf.load_xdf(
            str(path),
            select_streams=[told],
            jitter_break_threshold_seconds=_GAP_S,
            jitter_break_threshold_samples=1,
        )
        return dict(streams[0])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(
            f"{path} cannot be read with its manifest: {error}. Run `bci verify` on it."
        ) from None


def _chunks(signal: Signal, loaded: Sequence[Mapping[str, Any]]) -> Iterator[Window]:
    at = 0
    for stream in loaded:
        times = np.asarray(stream["time_stamps"], np.float64)
        samples = np.asarray(stream["time_series"], np.float32)
        for low, last in stream["info"]["segments"]:
            for first in range(int(low), int(last) + 1, _CHUNK):
                part = slice(first, min(first + _CHUNK, int(last) + 1))
                values = samples[part]
                finite = np.isfinite(values)
                reset = ("gap" if at else "start") if first == low else ""
                yield Window(
                    signal,
                    at,
                    np.where(finite, values, 0),
                    times[part],
                    ~finite,
                    at + len(values) - 1,
                    reset=reset,
                )
                at += len(values)

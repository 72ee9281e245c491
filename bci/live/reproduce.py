"""Reproduction: decodes what a session recorded, offline, and compares every reconstruction with what was made live.

The same windows, the same decoder, the resets that the live decoder marked, at the same samples. On the same machine
with the same libraries the result must be equal, bit for bit; elsewhere latents may differ by `TOLERANCE` of
their size. Pictures are compared by the digest of their pixels.
"""

import csv
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyxdf
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.errors import BundleMismatch, RecordingError
from bci.io.frames import image_digest
from bci.signal.clock import LslClock
from bci.signal.types import Signal, Window
from bci.signal.windows import windows

#: What latents may differ by in another environment, relative to their size.
TOLERANCE = 1e-4

#: Samples handed to the pipeline at a time; the result does not depend on it.
_CHUNK = 4096


@dataclass(frozen=True)
class Recorded:
    """What a session left of itself.

    Attributes
    ----------
    folder : Path
        The session's folder.
    config, environment : mapping
        As written when it ran.
    frames : sequence of mapping
        Rows of ``frames.csv``.
    resets : mapping of int to str
        Count of the sample that the live pipeline was reset at: why.
    """

    folder: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    frames: Sequence[Mapping[str, str]]
    resets: Mapping[int, str]


def read_session(folder: Path) -> Recorded:
    """Read a session's folder.

    Raises
    ------
    RecordingError
        If something of it is missing.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        frames = _rows(folder / "frames.csv")
        marks = _rows(folder / "marks.csv")
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{folder} is not a whole session: {error}. Expected the folder that `bci run` or `bci demo` printed."
        ) from None
    resets = {
        int(mark["first"]): mark["detail"]
        for mark in marks
        if mark["source"] == "decode" and mark["kind"] == "pipeline_reset"
    }
    return Recorded(folder, config, environment, frames, resets)


def reproduce(folder: Path, bundle_path: Path | None = None) -> dict[str, Any]:
    """Decode a recorded session again and compare.

    Parameters
    ----------
    folder : Path
        The session's folder.
    bundle_path : Path, optional
        Where its bundle is now, if not where it was.

    Returns
    -------
    dict
        ``frames`` (recorded reconstructions), ``equal`` (those whose latent, confidence, picture and validity are the
        same to the bit), ``missing`` (those whose samples were not recorded), ``max_difference`` (largest
        difference of a latent, relative to its size), ``same_environment``, ``differing`` (what of the environment
        differs: then and now), ``within_tolerance``, ``times_real_time``.

    Raises
    ------
    RecordingError
        If the session is not whole.
    BundleMismatch
        If the bundle is not the one that the session ran.
    """
    session = read_session(folder)
    clock = LslClock()
    bundle = Bundle.load(bundle_path or session.config["decoder"]["bundle"])
    ran = session.environment["bundle"]["hash"]
    if bundle.hash != ran:
        raise BundleMismatch(
            f"the session ran bundle {ran[:12]}, {bundle.folder} holds {bundle.hash[:12]}. "
            "Name the one it ran with --bundle."
        )
    decoder = OnnxDecoder(bundle, clock=clock, provider=session.config["decoder"]["provider"])
    decoder.warm_up()
    signal, pieces = recorded_samples(folder)
    wanted = {int(row["last_sample"]): row for row in session.frames}
    equal, worst, found = 0, 0.0, 0
    began = clock.now()
    samples = sum(len(piece) for _, piece in pieces)
    cut = windows(
        _chunks(signal, pieces, session.resets),
        bundle.adapt(signal),
        length=bundle.length,
        hop=bundle.hop,
        copy=False,
    )
    for window in cut:
        row = wanted.get(window.last_sample)
        if row is None:
            continue
        found += 1
        frame = decoder.decode(window)
        latent = np.array(json.loads(row["latent"]), np.float32)
        same = (
            np.array_equal(latent, frame.latent, equal_nan=True)
            and np.array_equal(float(row["confidence"]), frame.confidence, equal_nan=True)
            and row["digest"] == image_digest(frame.image)
            and bool(int(row["valid"])) == frame.valid
        )
        equal += same
        worst = max(worst, _difference(latent, frame.latent))
    took = clock.now() - began
    differing = _differing(session.environment.get("decoder", {}), decoder.environment)
    missing = len(wanted) - found
    return {
        "session": str(folder),
        "frames": len(wanted),
        "equal": equal,
        "missing": missing,
        "max_difference": worst,
        "same_environment": not differing,
        "differing": differing,
        "within_tolerance": missing == 0 and worst <= TOLERANCE,
        "times_real_time": samples / signal.rate / took if took > 0 else float("nan"),
    }


def recorded_samples(folder: Path) -> tuple[Signal, list[tuple[int, NDArray[Any]]]]:
    """Return the signal of a session's recording, and its samples: (count of the first, samples) per piece.

    Counts are the rig's own: where samples were lost before they could be recorded, a new piece begins.

    Raises
    ------
    RecordingError
        If the recording or its manifest is missing, or they do not fit each other.
    """
    pieces: list[tuple[int, NDArray[Any]]] = []
    signal: Signal | None = None
    for path in sorted(folder.glob("recording*.xdf"), key=lambda p: (len(p.name), p.name)):
        manifest = json.loads(path.with_name(path.name + ".manifest.json").read_text(encoding="utf-8"))
        told = manifest["streams"][0]
        loaded, _ = pyxdf.load_xdf(
            str(path),
            select_streams=[told["stream"]],
            synchronize_clocks=False,
            dejitter_timestamps=False,
        )
        info = loaded[0]["info"]
        samples = np.ascontiguousarray(loaded[0]["time_series"])
        signal = _signal(info, samples)
        counted = sum(end - first for first, end in told["segments"])
        if counted != len(samples):
            raise RecordingError(
                f"{path.name}: its manifest counts {counted} samples, {len(samples)} can be read. "
                "Run `bci verify` on it."
            )
        at = 0
        for first, end in told["segments"]:
            pieces.append((int(first), samples[at : at + end - first]))
            at += end - first
    if signal is None:
        raise RecordingError(f"{folder} holds no finished recording (recording.xdf)")
    return signal, pieces


def _signal(info: Mapping[str, Any], samples: NDArray[Any]) -> Signal:
    described = (info["desc"][0] or {}).get("channels", [None])[0] or {}
    channels = [
        (str((c.get("label") or [""])[0] or ""), str((c.get("unit") or [""])[0] or ""))
        for c in described.get("channel", [])
    ]
    labels = tuple(label for label, _ in channels) if all(label for label, _ in channels) else ()
    unit = channels[0][1] if channels else ""
    return Signal(
        str(info["name"][0]),
        float(info["nominal_srate"][0]),
        samples.shape[1:],
        labels,
        "uV" if unit in ("microvolts", "µV") else unit,
        str(samples.dtype),
    )


def _chunks(
    signal: Signal, pieces: Sequence[tuple[int, NDArray[Any]]], resets: Mapping[int, str]
) -> Iterator[Window]:
    """Feed recorded samples, each reset of the live pipeline at its sample."""
    for first, samples in pieces:
        end = first + len(samples)
        edges = sorted({first, end, *(r for r in resets if first < r < end), *range(first, end, _CHUNK)})
        for a, b in itertools.pairwise(edges):
            part = samples[a - first : b - first]
            bad = np.zeros((len(part), signal.shape[0]), bool)
            times = np.arange(a, b) / signal.rate
            yield Window(signal, a, part, times, bad, b - 1, reset=resets.get(a, ""))


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the largest difference relative to the larger size; infinite where only one is a number."""
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return float("inf")
    both = ~np.isnan(one)
    if not both.any():
        return 0.0
    a, b = one[both].astype(np.float64), other[both].astype(np.float64)
    size = max(float(np.abs(a).max()), float(np.abs(b).max()), 1e-12)
    return float(np.abs(a - b).max()) / size


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what of two environments differs: name -> [then, now]."""
    now = json.loads(json.dumps(dict(now), default=str))
    return {
        key: [then.get(key), now.get(key)] for key in sorted({*then, *now}) if then.get(key) != now.get(key)
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))

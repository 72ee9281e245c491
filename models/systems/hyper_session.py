"""A closed-loop session of `models.systems.hyper`, scored: what was seen beside what was read of it."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bci.decoder.bundle import Bundle
from bci.decoder.quantiser import Quantiser
from bci.errors import RecordingError
from models.systems.hyper import identify

#: Below this a session says something about the pictures.
_LEVEL = 0.05

_SIDE, _GAP, _PER_ROW = 96, 10, 8


@dataclass(frozen=True, eq=False)
class Reading:
    """One trial of a session.

    Attributes
    ----------
    name : str
        Of the stimulus.
    latent : (d,) float32
        What was read.
    confidence : float
        NaN for none.
    """

    name: str
    latent: NDArray[np.float32]
    confidence: float


def evaluate_session(folder: Path, out: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """Score a session in which stimuli of known latents were shown.

    Parameters
    ----------
    folder : Path
        The session's; its ``[experiment]`` folder holds ``latents.json`` beside the pictures.
    out : Path, optional
        Where ``session.json`` and ``pairs.png`` are written; the session's folder when absent.
    seed : int
        Of the pairings of chance.

    Returns
    -------
    dict
        ``headline``; ``trials``; what `models.systems.hyper.identify` returns; ``confidence`` (mean); ``pairs`` (the
        picture).

    Raises
    ------
    RecordingError
        If the folder is no such session.
    """
    config, stimuli = _config(folder)
    latents = json.loads((stimuli / "latents.json").read_text(encoding="utf-8"))
    readings = read_trials(folder)
    unknown = sorted({reading.name for reading in readings} - set(latents))
    if unknown or not readings:
        raise RecordingError(
            f"{folder}: expected epochs of the stimuli in {stimuli}, came {unknown or 'none'}. Name another session."
        )
    names = sorted({reading.name for reading in readings})
    if len(names) < 2:
        raise RecordingError(f"{folder}: one picture alone cannot be told from others; show more")
    predicted = np.stack([reading.latent for reading in readings])
    candidates = np.array([latents[name] for name in names], np.float32)
    which = np.array([names.index(reading.name) for reading in readings])
    result = identify(predicted, candidates, which, np.random.default_rng(seed))
    informed = result["two_way_p"] < _LEVEL
    said = (
        f"two-way identification {result['two_way']:.1%} (chance {result['two_way_chance'][0]:.1%} to "
        f"{result['two_way_chance'][1]:.1%}, p {result['two_way_p']:.4f})"
    )
    out = out or folder
    out.mkdir(parents=True, exist_ok=True)
    pairs = out / "pairs.png"
    _draw_pairs(config, stimuli, readings, pairs)
    report = {
        "headline": f"{'single trials tell the pictures apart' if informed else 'no information'}: {said}",
        "simulated": bool(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["simulated"]),
        "trials": len(readings),
        **result,
        "confidence": float(np.mean([reading.confidence for reading in readings])),
        "pairs": str(pairs),
    }
    plain = {key: None if isinstance(v, float) and not np.isfinite(v) else v for key, v in report.items()}
    (out / "session.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    return report


def read_trials(folder: Path) -> list[Reading]:
    """Return what was read of each stimulus, in order, from the tables that the recorder wrote.

    Raises
    ------
    RecordingError
        If epochs and reconstructions do not fit each other.
    """
    marks = [row for row in _rows(folder, "marks") if row["kind"] == "epoch"]
    frames = _rows(folder, "frames")
    if len(marks) != len(frames):
        raise RecordingError(
            f"{folder}: {len(marks)} epochs and {len(frames)} reconstructions; was the session cut off?"
        )
    readings = []
    for mark, frame in zip(marks, frames, strict=True):
        found = re.fullmatch(r"stimulus \d+ (.*)", mark["detail"])
        if found and frame["valid"] == "1":
            latent = np.array(json.loads(frame["latent"]), np.float32)
            readings.append(Reading(found[1], latent, float(frame["confidence"])))
    return readings


def _config(folder: Path) -> tuple[dict[str, Any], Path]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stimuli = Path((config.get("experiment") or {})["folder"])
    except (OSError, ValueError, KeyError) as error:
        raise RecordingError(f"{folder} is no session of an experiment: {error}") from None
    if not (stimuli / "latents.json").is_file():
        raise RecordingError(
            f"{folder}: {stimuli} holds no latents.json, so nobody knows what should have been read"
        )
    return config, stimuli


def _rows(folder: Path, table: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted(folder.glob(f"{table}*.csv"), key=lambda p: (len(p.name), p.name)):
        with path.open(newline="", encoding="utf-8") as file:
            rows += csv.DictReader(file)
    return rows


def _draw_pairs(config: dict[str, Any], stimuli: Path, readings: list[Reading], path: Path) -> None:
    """Draw what was seen above what was read, for the first trials."""
    bundle = Bundle.load(config["decoder"]["bundle"])
    generator = bundle.spec.graph("generator")
    if generator is None:
        raise RecordingError(
            f"bundle {bundle.name!r} has no generator of its own; its pictures cannot be drawn"
        )
    import onnxruntime

    session = onnxruntime.InferenceSession(bundle.read(generator.file), providers=["CPUExecutionProvider"])
    quantise = Quantiser(bundle.spec.image)
    shown = readings[: 3 * _PER_ROW]
    rows = -(-len(shown) // _PER_ROW)
    pair = 2 * _SIDE + 18 + _GAP
    sheet = Image.new(
        "RGB", (_PER_ROW * (_SIDE + _GAP) + _GAP + 60, rows * (pair + _GAP) + _GAP + 30), "white"
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 8), "SIMULATED participant, single trials: seen above, read below", fill="black")
    for number, reading in enumerate(shown):
        left = 60 + (number % _PER_ROW) * (_SIDE + _GAP)
        top = 30 + (number // _PER_ROW) * (pair + _GAP)
        (planes,) = session.run(["image"], {"latent": reading.latent[None]})
        read = quantise(planes[0])
        if number % _PER_ROW == 0:
            draw.text((_GAP, top + _SIDE // 2), "seen", fill="black")
            draw.text((_GAP, top + _SIDE + _SIDE // 2), "read", fill="black")
        with Image.open(stimuli / f"{reading.name}.png") as seen:
            sheet.paste(seen.convert("RGB").resize((_SIDE, _SIDE)), (left, top))
        if read is not None:
            sheet.paste(Image.fromarray(read).resize((_SIDE, _SIDE)), (left, top + _SIDE + 4))
        if np.isfinite(reading.confidence):
            draw.text((left, top + 2 * _SIDE + 6), f"confidence {reading.confidence:.2f}", fill="black")
    sheet.save(path)

"""Sessions without a decoder, made at once: pictures of two kinds were shown, and their answers lie in the recording.

Cats are answered by a wave on the first channel, dogs on the second, 0.1 to 0.3 s after the flip. The sender's clock is
ahead of the rig's.
"""

import csv
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.control.environment import describe_environment
from bci.io.files.folder import write_json
from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.memory.frames import image_digest
from bci.session.tables import MARK_FIELDS, SHOWN_FIELDS
from bci.signal.clock import ManualClock
from bci.signal.types import Signal
from stimuli.protocols.pictures import load_pictures
from stimuli.trial_table import FIELDS

RATE, START, OFFSET = 100.0, 5000.0, -7.5
SIDE = 8
CHANNELS = ("O1", "Oz", "O2")
STIMULUS_S, EVERY_S, FIRST_S = 0.2, 0.5, 2.0


def pictures(folder: Path, each: int = 2, kinds: Collection[str] = ("cats", "dogs")) -> Path:
    """Write pictures of each kind into a folder of its own below `folder`; return that."""
    random = np.random.default_rng(3)
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for i in range(each):
            image = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(image).save(folder / kind / f"{i:02}.png")
    return folder


def flips(trials: int) -> NDArray[np.float64]:
    """Return when each trial was flipped, session seconds."""
    return START + FIRST_S + EVERY_S * np.arange(trials) + 0.0013


def collected_session(
    folder: Path,
    stimuli: Path,
    trials: int = 24,
    *,
    aborted: Collection[int] = (),
    gap_at: float | None = None,
    subject: str = "S01",
    seed: int = 0,
    answer: float = 8.0,
    channels: tuple[str, ...] = CHANNELS,
    unit: str = "uV",
    latents: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Make a session in a new folder; return it.

    Parameters
    ----------
    folder, stimuli : Path
        Its folder, and that of its pictures.
    trials : int
        How many; pictures come in a random order.
    aborted : collection of int
        Trials that were cut short.
    gap_at : float, optional
        Where 0.3 s of samples are missing, seconds after the first sample.
    subject, seed, answer, channels, unit
        Who, which noise, how large the answers are, and what the stream says.
    latents : mapping, optional
        By the name of a picture what the answer is mixed of, in place of its kind; (channels,) numbers.
    config : mapping, optional
        Sections of the session file that are others.
    """
    folder.mkdir(parents=True)
    names, images = load_pictures(stimuli, (SIDE, SIDE))
    random = np.random.default_rng(seed)
    order = np.concatenate([random.permutation(len(names)) for _ in range(-(-trials // len(names)))])[:trials]
    when = flips(trials)
    n = round((when[-1] - START + 1.5) * RATE)
    samples = random.normal(0, 4, (n, len(channels))).astype("f4")
    seconds = START + np.arange(n) / RATE
    for flip, which in zip(when, order, strict=True):
        wave = np.where((seconds > flip + 0.1) & (seconds < flip + 0.3), answer, 0.0)
        if latents is None:
            samples[:, 0 if names[which].startswith("cats") else 1] += wave
        else:
            samples += np.outer(wave, np.asarray(latents[names[which]]))
    _record(folder / "recording.xdf", samples, seconds, channels, unit, gap_at)
    shown = [_flip(0, "fixation", -1, START, "between trials", "")]
    for trial, (flip, which) in enumerate(zip(when, order, strict=True)):
        digest = image_digest(images[which])
        shown.append(_flip(len(shown), "stimulus", int(which), flip, names[which], digest, trial))
        shown.append(_flip(len(shown), "fixation", -1, flip + STIMULUS_S, "between trials", ""))
    _table(folder / "shown.csv", SHOWN_FIELDS, shown)
    _table(folder / "marks.csv", MARK_FIELDS, [])
    rows = [
        {
            "trial": trial, "stimulus": which, "name": names[which],
            "ending": "aborted" if trial in aborted else "shown", "planned": flip - 0.004, "onset": flip,
            "until": flip + STIMULUS_S, "confidence": math.nan, "type": "stimulus",
            "file": f"{stimuli.name}/{names[which]}.png",
        }
        for trial, (flip, which) in enumerate(zip(when, order, strict=True))
    ]  # fmt: skip
    _table(folder / "trials.csv", FIELDS, rows)
    stream = {"source_id": "amp"}
    experiment = {"protocol": "images", "folder": str(stimuli.resolve()), "stimulus_s": STIMULUS_S}
    display = {"kind": "headless", "picture_px": [SIDE, SIDE]}
    values = {
        "name": "collected", "stream": stream, "decoder": None, "display": display, "experiment": experiment,
        "subject": {"id": subject, "session": "1"},
    }  # fmt: skip
    write_json(folder / "config.json", {**values, **(config or {})})
    write_json(folder / "environment.json", describe_environment())
    write_json(folder / "summary.json", {"session": str(folder), "status": "done", "simulated": False})
    return folder


def _record(
    path: Path,
    samples: NDArray[np.float32],
    seconds: NDArray[np.float64],
    channels: tuple[str, ...],
    unit: str,
    gap_at: float | None,
) -> None:
    clock = ManualClock(START)
    info = StreamInfo(
        Signal("amp", RATE, (len(channels),), channels, unit), "amp", "uid-1", "bench", kind="EEG"
    )
    kept = np.ones(len(samples), bool)
    if gap_at is not None:
        kept = (seconds < START + gap_at) | (seconds >= START + gap_at + 0.3)
    samples, seconds = samples[kept], seconds[kept]
    late = np.random.default_rng(1).uniform(0, 0.004, len(seconds))
    with XdfWriter(path, clock) as writer:
        stream = writer.add_stream(info)
        for first in range(0, len(samples), 50):
            part = slice(first, first + 50)
            clock.advance(0.5)
            writer.write(stream, samples[part], seconds[part] - OFFSET + late[part])
            if first % 500 == 0:
                writer.clock_offset(stream, clock.now(), OFFSET)
            writer.tick()


def _flip(
    change: int, kind: str, frame: int, flip: float, reason: str, digest: str, trial: int = -1
) -> dict[str, Any]:
    return {
        "change": change, "kind": kind, "frame": frame, "flip": flip, "reason": reason, "digest": digest,
        "flipped": flip, "trial": trial,
    }  # fmt: skip


def _table(path: Path, fields: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)

"""Neurofeedback: blocks of rest, and of regulation in which a value that is read drives what is seen.

::

    "rest" ──> "regulate" ──> the value as a bar, a disc, a place on a line of latents or a picture ──> "rest" ──> …
                                 ▲
                                 └── real: what the decoder reads; sham: a surrogate; yoked: what another session showed

The share that is shown is :math:`(value - low) / (high - low)`, between 0 and 1. A surrogate is a slow random course
between them, an Ornstein-Uhlenbeck process through a normal distribution's function, fixed by seed and block. In a
control run nothing is shown either while nothing fresh is read: it goes blank when the real one would. A yoked run
shows the shares that the other session showed, whatever values stood for them there.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.io.files.regular import read_json
from stimuli.feedback_table import FeedbackRow, read_feedback
from stimuli.protocols.latents import points
from stimuli.protocols.level import level_picture
from stimuli.protocols.pictures import PictureSet
from stimuli.trials import Drawn, Latent, Live, Palette, Picture, Protocol, Text, timed

#: How slow a surrogate is: time constant and step, seconds.
_TAU_S, _STEP_S = 3.0, 0.05

#: Places on a line of latents that are told apart.
_STEPS = 41

#: Gives the share to show, 0 to 1, of the block, the share that was read, and seconds since the block began.
Course = Callable[[int, float, float], float]


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.protocols.NeurofeedbackSettings`.

    Raises
    ------
    ConfigError
        If the bundle reads no such value, or cannot draw latents that are to be shown; or if a folder's pictures, or
        the feedback of the session to be yoked to, cannot be read.
    """
    if spec["value"] >= palette.reading:
        raise ConfigError(
            f'[experiment] value: protocol "neurofeedback" shows value {spec["value"]}, counted from 0, and the bundle '
            f"reads {palette.reading}. Name one of these."
        )
    return _trials(spec, _course(spec), _look(spec, palette))


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be: rest, cue and regulation count each."""
    return 3 * int(spec["blocks"])


def _trials(spec: Mapping[str, Any], course: Course, look: Callable[[float], Picture | Latent]) -> Protocol:
    size = spec["size_deg"]
    for block in range(int(spec["blocks"])):
        rest, cue = (Text(spec[words], size) for words in ("rest_words", "regulate_words"))
        yield timed(spec, 0, "rest", rest, kind="rest", stimulus_s=spec["rest_s"], feedback_s=0.0)
        yield timed(spec, 1, "cue", cue, kind="cue", stimulus_s=spec["cue_s"], feedback_s=0.0, blank_s=0.0)
        live = Live(_drawer(spec, block, course, look), spec["update_s"], spec["fresh_s"])
        yield timed(spec, 2, "regulate", live, kind="regulate", feedback_s=0.0, blank_s=0.0)


def _drawer(
    spec: Mapping[str, Any], block: int, course: Course, look: Callable[[float], Picture | Latent]
) -> Callable[[NDArray[np.float32] | None, float], Drawn]:
    """Return what draws the feedback of one block."""
    low, span, which = float(spec["low"]), float(spec["high"]) - float(spec["low"]), int(spec["value"])

    def draw(reading: NDArray[np.float32] | None, since: float) -> Drawn:
        if reading is None:
            return Drawn(look(0.0), math.nan, math.nan)
        read = float(reading[which])
        share = course(block, min(1.0, max(0.0, (read - low) / span)), since)
        return Drawn(look(share), low + span * share, read)

    return draw


# -- whose value ---------------------------------------------------------------------------------------------


def _course(spec: Mapping[str, Any]) -> Course:
    if spec["feedback"] == "sham":
        shams: dict[int, NDArray[np.float64]] = {}

        def sham(block: int, share: float, since: float) -> float:
            if block not in shams:
                shams[block] = surrogate(int(spec["seed"]), block, float(spec["stimulus_s"]))
            return float(shams[block][min(len(shams[block]) - 1, max(0, int(since / _STEP_S)))])

        return sham
    if spec["feedback"] == "yoked":
        return _yoked(spec)
    return lambda block, share, since: share


def surrogate(seed: int, block: int, seconds: float) -> NDArray[np.float64]:
    """Return the course of a sham block, (n,) between 0 and 1, a value every 0.05 s.

    >>> course = surrogate(0, 0, 600.0)
    >>> len(course), bool(0.4 < course.mean() < 0.6), bool(np.abs(np.diff(course)).max() < 0.4)
    (12001, True, True)
    """
    random = np.random.default_rng((seed & 0xFFFFFFFF, block, 2))
    kept = math.exp(-_STEP_S / _TAU_S)
    steps = random.standard_normal(int(seconds / _STEP_S) + 1)
    x = np.empty_like(steps)
    x[0] = steps[0]
    for i in range(1, len(x)):
        x[i] = kept * x[i - 1] + math.sqrt(1 - kept * kept) * steps[i]
    return np.array([0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in x])


def _yoked(spec: Mapping[str, Any]) -> Course:
    """Return the courses that another session showed, block by block; after its last block from the first again."""
    blocks: dict[int, list[FeedbackRow]] = {}
    for row in read_feedback(Path(spec["yoked_to"])):
        if not math.isnan(row.shown):
            blocks.setdefault(row.trial, []).append(row)
    if not blocks:
        raise ConfigError(
            f"[experiment] yoked_to {spec['yoked_to']}: expected the folder of a session whose feedback.csv says what "
            "was shown, came none that does. Name another."
        )
    courses = [
        (np.array([row.since for row in rows]), np.array([row.shown for row in rows]))
        for _, rows in sorted(blocks.items())
    ]
    low, high = _limits_of(Path(spec["yoked_to"]), spec)

    def yoked(block: int, share: float, since: float) -> float:
        times, values = courses[block % len(courses)]
        place = max(0, int(np.searchsorted(times, since, side="right")) - 1)
        return min(1.0, max(0.0, (float(values[place]) - low) / (high - low)))

    return yoked


def _limits_of(folder: Path, spec: Mapping[str, Any]) -> tuple[float, float]:
    """Return the values that a session showed as nothing and as the most; those of this one where it says none."""
    path = folder / "config.json"
    config = read_json(path, ConfigError) if path.is_file() else {}
    experiment = config.get("experiment") if isinstance(config, dict) else None
    own = (
        spec if not isinstance(experiment, dict) else {key: spec[key] for key in ("low", "high")} | experiment
    )
    try:
        low, high = float(own["low"]), float(own["high"])
    except (TypeError, ValueError):
        low = high = math.nan
    if not math.isfinite(high - low) or low == high:
        raise ConfigError(
            f"[experiment] yoked_to {folder}: expected two different numbers as low and high in its config.json, came "
            f"{own['low']!r} and {own['high']!r}. Name another session."
        )
    return low, high


# -- how it looks --------------------------------------------------------------------------------------------


def _look(spec: Mapping[str, Any], palette: Palette) -> Callable[[float], Picture | Latent]:
    """Return what makes a picture, or a latent, of a share from 0 to 1."""
    if spec["shows"] == "folder":
        images = PictureSet.load(Path(spec["folder"]), palette.size).images
        return lambda share: Picture(images[round(share * (len(images) - 1))])
    if spec["shows"] == "direction":
        if not palette.latent:
            raise ConfigError(
                '[experiment] shows = "direction": expected a bundle with a generator graph, came one without, which '
                "cannot draw latents. Name another bundle in [decoder], or show a bar."
            )
        line = points(
            {"pattern": "direction", "points": _STEPS, "spread": spec["spread"], "seed": spec["seed"]},
            palette.latent,
        )
        return lambda share: Latent(line[round(share * (_STEPS - 1))])
    return lambda share: Picture(level_picture(share, spec["shows"], palette.size))

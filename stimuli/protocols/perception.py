"""Perception: the pictures of a folder in blocks, in counter-balanced orders, with instructions and catch trials.

::

    instruction ──> picture, picture, picture again (catch), picture … ──> instruction ──> …      a block, and the next

Order, intervals and catch trials are fixed by the seed; each block has its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stimuli.protocols.order import balanced, first_order
from stimuli.protocols.pictures import PictureSet, picture_paths
from stimuli.trials import Palette, Protocol, Text, Trial, timed


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.protocols.PerceptionSettings`.

    Raises
    ------
    ConfigError
        If the folder holds no picture, or one that cannot be read; all are read before the first trial.
    """
    return _trials(spec, PictureSet.load(Path(spec["folder"]), palette.size))


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be, instructions among them, without reading the pictures."""
    n = len(picture_paths(Path(spec["folder"])))
    return sum(
        bool(spec["instruction"]) + len(_block(spec, n, block)) for block in range(int(spec["blocks"]))
    )


def _block(spec: Mapping[str, Any], n: int, block: int) -> list[tuple[int, bool]]:
    """Return picture and whether it is a catch trial, for each trial of a block; none where there are no pictures."""
    if not n:
        return []
    random = np.random.default_rng((int(spec["seed"]) & 0xFFFFFFFF, block))
    if spec["order"] == "first_order":
        cycles = -(-int(spec["repeats"]) // n)
        return [(number, False) for number in first_order(n, cycles, random)]
    numbers = balanced(n, int(spec["repeats"]), random)
    caught = round(len(numbers) * spec["catch"] / (1 - spec["catch"]))
    after = set(random.choice(len(numbers), caught, replace=False).tolist())
    return [
        trial
        for place, number in enumerate(numbers)
        for trial in [(number, False)] + [(number, True)] * (place in after)
    ]


def _trials(spec: Mapping[str, Any], pictures: PictureSet) -> Protocol:
    for block in range(int(spec["blocks"])):
        if spec["instruction"]:
            yield _instruction(spec, len(pictures.names))
        yield from _shown(spec, pictures, block)


def _shown(spec: Mapping[str, Any], pictures: PictureSet, block: int) -> Protocol:
    random = np.random.default_rng((int(spec["seed"]) & 0xFFFFFFFF, block, 1))
    for number, catch in _block(spec, len(pictures.names), block):
        blank = spec["blank_s"] + random.uniform(0.0, spec["jitter_s"])
        yield pictures.trial(spec, number, kind="catch" if catch else "stimulus", blank_s=blank)


def _instruction(spec: Mapping[str, Any], number: int) -> Trial:
    return timed(
        spec,
        number,
        "instruction",
        Text(spec["instruction"], spec["size_deg"]),
        kind="instruction",
        stimulus_s=spec["instruction_s"],
        feedback_s=0.0,
        until_answer=True,
    )

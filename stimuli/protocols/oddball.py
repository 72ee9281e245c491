"""Oddball: short flashes of several items, of which one is the target of each sequence.

::

    "count" and the target ──> flash, flash, flash … every item `repeats` times ──> the next target

The target is written, or shown after the cue where the items are pictures. Every `n` flashes hold each of `n` items
once, and two flashes of one item lie at least `spacing` others apart. Markers read ``stimulus 3 target D`` and
``stimulus 1 nontarget B``: a training file tells the classes by them. Decoded around their flips, readings come after
the next flashes have begun, and are told with later outcomes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import ConfigError
from stimuli.protocols.order import spaced
from stimuli.protocols.pictures import PictureSet, picture_paths
from stimuli.trials import Palette, Picture, Protocol, Stimulus, Text, timed


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.protocols.OddballSettings`.

    Raises
    ------
    ConfigError
        If the items are pictures and there are too few of them, or one cannot be read.
    """
    if spec["folder"] is None:
        names = list(spec["words"])
        stimuli: list[Stimulus] = [Text(word, spec["size_deg"]) for word in names]
        return _trials(spec, names, stimuli, [""] * len(names))
    pictures = PictureSet.load(Path(spec["folder"]), palette.size)
    n = spec["items"] or len(pictures.names)
    if not max(2, spec["spacing"] + 1) <= n <= len(pictures.names):
        raise ConfigError(
            f'[experiment] protocol "oddball": {n} of the {len(pictures.names)} pictures in {spec["folder"]} with '
            f"spacing {spec['spacing']}: expected at least two items, no more than there are, and more than the spacing"
        )
    stimuli = [Picture(image) for image in pictures.images[:n]]
    return _trials(spec, pictures.names[:n], stimuli, pictures.files[:n])


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be: for each target a cue, of pictures the target too, and the flashes."""
    n, cues = len(spec["words"]), 1
    if spec["folder"] is not None:
        n, cues = spec["items"] or len(picture_paths(Path(spec["folder"]))), 2
    return int(spec["targets"]) * (cues + n * int(spec["repeats"]))


def _trials(spec: Mapping[str, Any], names: list[str], stimuli: list[Stimulus], files: list[str]) -> Protocol:
    random = np.random.default_rng(int(spec["seed"]) & 0xFFFFFFFF)
    n = len(names)
    # Targets in random order, each as often as it goes before one comes again.
    targets = [int(i) for _ in range(-(-spec["targets"] // n)) for i in random.permutation(n)]
    for target in targets[: spec["targets"]]:
        changes = {"kind": "cue", "stimulus_s": spec["cue_s"], "feedback_s": 0.0}
        pictured = isinstance(stimuli[target], Picture)
        # A picture's name says nothing to the participant, who must see it.
        words = Text(spec["cue"] if pictured else f"{spec['cue']}\n{names[target]}", spec["size_deg"])
        yield timed(spec, target, f"cue {names[target]}", words, blank_s=1.0, **changes)
        if pictured:
            yield timed(spec, target, f"cue {names[target]}", stimuli[target], file=files[target], **changes)
        for place, item in enumerate(spaced(n, int(spec["repeats"]), int(spec["spacing"]), random)):
            kind = "target" if item == target else "nontarget"
            changes = {"blank_s": 1.0} if place == 0 else {}
            yield timed(
                spec, item, f"{kind} {names[item]}", stimuli[item], kind=kind, file=files[item], **changes
            )

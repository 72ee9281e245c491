"""Text: words on the screen, each shown as often, in a random order that a seed fixes."""

from collections.abc import Mapping
from typing import Any

from stimuli.protocols.order import order
from stimuli.trials import Palette, Protocol, Text, timed


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials; the name of a stimulus is its words in one line.

    Spec: as `bci.config.experiment.TextSettings`.
    """
    for number in order(len(spec["words"]), spec["repeats"], spec["order"], spec["seed"]):
        words = spec["words"][number]
        yield timed(spec, number, " ".join(words.split()), Text(words, spec["size_deg"]))


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be."""
    return len(spec["words"]) * int(spec["repeats"])

r"""Staircase: the contrast of pictures follows what is read of them, down to where they can just be read.

A picture counts as read when what was read of it is more like its own latent than like that of another picture of the
set, by the correlation of their values; which other one is drawn at random for each trial. That is right by chance in
half of the trials. After ``down`` pictures read in a row the contrast is multiplied by ``factor``, after one that is
not read it is divided by it: a transformed up-down method, which settles where a picture is read with probability
:math:`p`, :math:`p^{down} = 1/2`; for ``down = 2`` that is 0.707 (Levitt 1971, J. Acoust. Soc. Am. 49, 467-477). The
contrast of a picture is its distance from mid grey:

.. math:: shown = 128 + c \cdot (picture - 128)

An answer may come late, with a later outcome: the contrast then changes from the next trial on. A trial that was
aborted is asked for again; one of which nothing was read, because its epoch was lost or invalid, is no answer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from stimuli.protocols.order import order
from stimuli.protocols.pictures import load_latents, load_pictures
from stimuli.trials import Ending, Palette, Picture, Protocol, timed

_GREY = 128


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.experiment.StaircaseSettings`.

    Raises
    ------
    ConfigError
        If the pictures cannot be read, there are fewer than two, or their latents are not known.
    """
    folder = Path(spec["folder"])
    names, images = load_pictures(folder, palette.size)
    if len(names) < 2:
        raise ConfigError(
            f'[experiment] protocol "staircase": expected at least 2 pictures in {folder}, came {len(names)}: '
            "one alone cannot be told from others."
        )
    return _trials(spec, names, images, load_latents(folder, names, palette.reading))


def count(spec: Mapping[str, Any]) -> None:
    """Return None: the answers decide how many trials there are."""
    return None


def faded(image: NDArray[np.uint8], contrast: float) -> NDArray[np.uint8]:
    """Return a picture, (height, width, 3) uint8, at a contrast from 0 (even grey) to 1 (as it is).

    >>> faded(np.array([0, 128, 255], np.uint8), 0.5).tolist()
    [64, 128, 192]
    """
    return np.rint(_GREY + contrast * (image.astype(np.float64) - _GREY)).astype(np.uint8)


class Staircase:
    """The contrast, and the answers that move it.

    Parameters
    ----------
    start, factor, down : float, float, int
        As in `bci.config.experiment.StaircaseSettings`.

    Attributes
    ----------
    contrast : float
        Of the next trial.
    reversals : int
        How often the direction has changed.

    Examples
    --------
    >>> stairs = Staircase(start=1.0, factor=0.5, down=2)
    >>> for read in (True, True, True, True, False):
    ...     stairs.answer(read)
    >>> stairs.contrast, stairs.reversals
    (0.5, 1)
    """

    def __init__(self, start: float, factor: float, down: int) -> None:
        self.contrast, self.reversals = start, 0
        self._factor, self._down = factor, down
        self._in_a_row = self._direction = 0

    def answer(self, read: bool) -> None:
        """Take in one answer: whether a picture was read."""
        self._in_a_row = self._in_a_row + 1 if read else 0
        if not read:
            self._turn(1)
            self.contrast = min(1.0, self.contrast / self._factor)
        elif self._in_a_row == self._down:
            self._in_a_row = 0
            self._turn(-1)
            self.contrast *= self._factor

    def _turn(self, direction: int) -> None:
        self.reversals += self._direction == -direction
        self._direction = direction


def told_apart(
    reading: NDArray[np.float32], latents: NDArray[np.float32], number: int, random: np.random.Generator
) -> bool:
    """Whether a reading, (d,), is more like latent `number` of `latents`, (n, d), than like a random other one.

    >>> latents = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    >>> told_apart(np.array([0.9, 0.2, 0.1], np.float32), latents, 0, np.random.default_rng(0))
    True
    """
    other = (number + 1 + int(random.integers(len(latents) - 1))) % len(latents)
    # A reading of equal values is like nothing: its correlation is no number, and it is not told apart.
    with np.errstate(invalid="ignore", divide="ignore"):
        own, foil = (np.corrcoef(reading, latents[which])[0, 1] for which in (number, other))
    return bool(own > foil)


def _trials(
    spec: Mapping[str, Any], names: list[str], images: NDArray[np.uint8], latents: NDArray[np.float32]
) -> Protocol:
    stairs = Staircase(spec["start"], spec["factor"], spec["down"])
    # As many blocks as the longest experiment can need, and one for the picture that it would go on with.
    numbers = order(len(images), spec["trials"] // len(images) + 2, "random", spec["seed"])
    number = next(numbers)
    shown: dict[int, int] = {}
    for _ in range(spec["trials"]):
        outcome = yield timed(
            spec,
            number,
            f"{names[number]} {stairs.contrast:.3g}",
            Picture(faded(images[number], stairs.contrast)),
        )
        if outcome.ending is Ending.SHOWN:
            shown[outcome.trial] = number
            number = next(numbers)
        for reading in outcome.readings:
            if reading.trial in shown:
                # A generator of each trial's own: it does not matter when its answer comes.
                random = np.random.default_rng((spec["seed"] & 0xFFFFFFFF, reading.trial))
                stairs.answer(told_apart(reading.latent, latents, shown[reading.trial], random))
        if stairs.reversals >= spec["reversals"]:
            return

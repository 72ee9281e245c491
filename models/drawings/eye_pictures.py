"""Sets of drawn eyes, with the latents that they were drawn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.drawings.eye import FACTORS, draw


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """A Pictures holds drawn eyes and their latents.

    Attributes
    ----------
    latents : (n, d) float32
        In the ranges of the generator.
    images : (n, size, size, 3) uint8
        sRGB.
    """

    latents: NDArray[np.float32]
    images: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.latents)


def draw_eyes(
    n: int,
    start: Sequence[float],
    end: Sequence[float],
    *,
    size: int,
    rng: np.random.Generator,
    progress: Callable[[float, str], None],
) -> Pictures:
    """Draw eyes: every other one on the path from `start` to `end`, the rest anywhere in `FACTORS`.

    Parameters
    ----------
    n : int
        Number of pictures.
    start, end : sequence of float
        The path that the decoder will show: closure, gaze_x, gaze_y, light.
    size : int
        Height and width in pixels.
    rng : numpy.random.Generator
        Draws the latents.
    progress : callable
        Takes the share done and a line of text.
    """
    low = np.array([factor[1] for factor in FACTORS])
    high = np.array([factor[2] for factor in FACTORS])
    latents = rng.uniform(low, high, (n, len(FACTORS)))
    # Equal steps shifted by one draw: closer to uniform than n draws are.
    t = (np.arange(0, n, 2) / n + rng.uniform()) % 1.0
    latents[::2] = np.asarray(start) + t[:, None] * (np.asarray(end) - np.asarray(start))
    images = np.empty((n, size, size, 3), np.uint8)
    for i, latent in enumerate(latents):
        images[i] = draw(*(float(value) for value in latent), size=size)
        if (i + 1) % 50 == 0 or i + 1 == n:
            progress((i + 1) / n, f"drawing {i + 1} of {n} pictures")
    return Pictures(latents.astype(np.float32), images)

"""Reconstruction by gradient as rows of the table of all brain readers: the slow way, and the distilled network."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.datasets.reader_trials import Lesson
from models.readouts.distilled import Distilled
from models.systems.reader import PictureReader

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: The network whose features are decoded, and the voxels of each of its units.
WEIGHTS, VOXELS = "convnet-faces", 200
#: Pictures drawn for the distillation, and its updates by known latents and by the slow way's objective.
DRAWN, FIRST, UPDATES = 3000, 2000, 400


def readers() -> tuple[PictureReader, ...]:
    """Return both."""
    how = f"features of {WEIGHTS}, which learned drawn faces, are decoded unit by unit"
    return (
        PictureReader(
            "by gradient",
            f"Shen et al. (2019, PLoS CB): {how}, and the latent is sought whose picture has them; not live",
            read_by_gradient,
        ),
        PictureReader(
            "distilled",
            f"the same, by a network distilled from it in {FIRST} and {UPDATES} updates, which runs live",
            read_distilled,
        ),
    )


def read_by_gradient(lesson: Lesson, brain: Floats) -> Pictures:
    """Seek the latents of trials by gradient, and draw them."""
    return _drawn(lesson, _readout(lesson).slow(brain))


def read_distilled(lesson: Lesson, brain: Floats) -> Pictures:
    """Draw the latents that the distilled network answers with, at their own length."""
    return _drawn(lesson, _readout(lesson).predict(brain))


@lru_cache(maxsize=1)
def _readout(lesson: Lesson) -> Distilled:
    """Fit both ways at once: the slow one seeks what the distilled one learned to answer."""
    readout = Distilled(
        lesson.package(),
        weights=WEIGHTS,
        voxels=VOXELS,
        seed=lesson.seed,
        pictures=lesson.scaled(DRAWN, 100),
        first=lesson.scaled(FIRST, 50),
        updates=lesson.scaled(UPDATES, 10),
    )
    readout.fit(lesson.brain, lesson.latents, runs=lesson.runs)
    return readout


def _drawn(lesson: Lesson, latents: NDArray[np.floating]) -> Pictures:
    pictures: Pictures = lesson.package().draw(np.asarray(latents, np.float32))
    return pictures

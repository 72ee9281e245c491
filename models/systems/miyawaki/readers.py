"""Multiscale local decoders as a reader of grey pictures, for the table of all brain readers."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import DataError
from models.datasets.reader_trials import Lesson
from models.systems.miyawaki.bases import Bases, make_bases, square_scales
from models.systems.miyawaki.combination import equal, learn_scales
from models.systems.miyawaki.regressors import fit_decoders
from models.systems.reader import PictureReader

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: Height and width of what is read, as published, and the voxels that a local decoder keeps.
SIDE, BEST = 10, 100


def readers() -> tuple[PictureReader, ...]:
    """Return the one."""
    about = (
        f"Miyawaki et al. (2008): Bayesian ridge to the brightness of patches of four scales in {SIDE} × {SIDE} "
        "pixels, combined by coefficients learned on runs held out; grey"
    )
    return (PictureReader("multiscale", about, read_multiscale, best_of_multiscale),)


def read_multiscale(lesson: Lesson, brain: Floats) -> Pictures:
    """Read patches, and combine them.

    Raises
    ------
    DataError
        If there is one run only.
    """
    bases, shown = make_bases(SIDE, square_scales(2)), _grey(lesson.pictures)
    x, wanted = np.asarray(lesson.brain, np.float64), bases.contrasts(shown)
    if len(np.unique(lesson.runs)) < 2:
        raise DataError("expected trials of two runs or more, of which some are held out, came one run.")
    held = lesson.runs == lesson.runs.max()
    part = fit_decoders("bayesian", x[~held], wanted[~held], best=BEST)
    combination = learn_scales(bases, part(x[held]), shown[held])
    decoders = fit_decoders("bayesian", x, wanted, best=BEST)
    return _pictures(combination(decoders(np.asarray(brain, np.float64))))


def best_of_multiscale(lesson: Lesson, pictures: Pictures) -> Pictures:
    """Return pictures of the true brightness of every pixel, at this size and grey."""
    alone: Bases = make_bases(SIDE, ((1, 1),))
    return _pictures(equal(alone)(alone.contrasts(_grey(pictures))))


def _grey(pictures: Pictures) -> Floats:
    box = Image.Resampling.BOX
    small = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), box), np.float64) for one in pictures]
    rows: Floats = np.stack(small).mean(-1).reshape(len(small), -1) / 255.0
    return rows


def _pictures(rows: Floats) -> Pictures:
    grey = np.round(255 * np.clip(rows, 0, 1)).astype(np.uint8).reshape(-1, SIDE, SIDE, 1)
    return np.repeat(grey, 3, axis=3)

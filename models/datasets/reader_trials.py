"""ReaderTrials are what systems are compared on: trials with their pictures to learn from, others to read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.trials import Trials

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class ReaderTrials:
    """ReaderTrials are trials of one set.

    Attributes
    ----------
    learn, test : Trials
        Of stimuli with pictures and latents; each by its own stimuli.
    generator : Path
        Package of the generator whose latents these are.
    about : str
        Source and size, in words.
    ceiling : str
        Noise ceiling of the test responses, in words.
    likelihoods : (n, k) float64, or None
        Of each test picture in each test trial, by the one who knows the participant: the oracle.
    block : (n,) int64
        Blocks of test trials that are resampled where there are too few pictures to resample.
    """

    learn: Trials
    test: Trials
    generator: Path
    about: str
    ceiling: str
    likelihoods: NDArray[np.float64] | None = None
    block: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A Lesson is what a reader learns from.

    Attributes
    ----------
    brain : (n, voxels) float64
        A trial a row.
    pictures : (n, side, side, 3) uint8
        What was shown in each, at the side at which pictures are compared.
    latents : (n, d) float32
        Of these pictures, of the generator that drew them.
    runs : (n,) int64
        Which run each trial is of.
    others : (m, side, side, 3) uint8
        Further pictures of the generator, to which there are no responses.
    generator : Path
        Its package.
    seed : int
    effort : float
        1 as configured; less for a quick look: updates and dreams are so many fewer.
    """

    brain: NDArray[np.float64]
    pictures: Pictures
    latents: NDArray[np.float32]
    runs: NDArray[np.int64]
    others: Pictures
    generator: Path
    seed: int = 0
    effort: float = 1.0

    def package(self) -> Any:
        """Return the generator, loaded and verified."""
        from models.generators.package import GeneratorPackage

        return GeneratorPackage.load(self.generator)

    def scaled(self, count: int, least: int = 1) -> int:
        """Return a count of updates or dreams at this effort."""
        return max(least, round(count * self.effort))

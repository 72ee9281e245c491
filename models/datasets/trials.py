"""Trials hold brain responses, the stimulus of each, runs and repeats; readouts are fitted on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Stimuli:
    """Stimuli holds the stimuli of an experiment, each once, as latents, images or both.

    Attributes
    ----------
    generator : str
        Generator whose latents these are; empty when there are none.
    latents : (m, d) float32, or None
        In that generator's space.
    images : (m, h, w, 3) uint8, or None
        As shown.
    names : tuple of str
        One per stimulus.

    Raises
    ------
    DataError
        If there are neither latents nor images, or their numbers differ.
    """

    names: tuple[str, ...]
    latents: Floats | None = None
    images: NDArray[np.uint8] | None = None
    generator: str = ""

    def __post_init__(self) -> None:
        counts = {"names": len(self.names)}
        if self.latents is not None:
            counts["latents"] = len(self.latents)
        if self.images is not None:
            counts["images"] = len(self.images)
        if len(set(counts.values())) > 1:
            counted = ", ".join(f"{n} {what}" for what, n in counts.items())
            raise DataError(
                f"expected one of each for every stimulus, came {counted}. Pair them before they are used."
            )
        if self.latents is None and self.images is None:
            raise DataError("expected latents or images of the stimuli, came neither.")
        if self.latents is not None and (self.latents.ndim != 2 or not np.isfinite(self.latents).all()):
            raise DataError(
                f"expected finite latents of shape (stimuli, d), came {self.latents.shape}"
                f"{'' if np.isfinite(self.latents).all() else ' with NaN or infinity'}."
            )

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """A Trials holds one brain response per trial, and the stimulus that each answers.

    Attributes
    ----------
    brain : (n, voxels) float32 or float64
        One row per trial: betas, or the features of an epoch.
    shown : (n,) int
        Index of each trial's stimulus.
    stimuli : Stimuli
        The stimuli that were shown.
    subject : str
        The subject; voxels of one subject do not correspond to those of another.
    runs : (n,) int, or None
        Number of each trial's run; None when the data do not state it.
    repeats : (n,) int
        How many presentations each row averages.
    simulated : bool
        Whether the responses were simulated.
    facts : mapping
        Origin of the data, for the report.

    Raises
    ------
    DataError
        If the parts do not fit each other, or a response is not finite.
    """

    brain: Floats
    shown: NDArray[np.int64]
    stimuli: Stimuli
    subject: str
    runs: NDArray[np.int64] | None = None
    repeats: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    simulated: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.brain.ndim != 2 or not self.brain.size:
            raise DataError(f"expected answers of shape (trials, voxels), came {self.brain.shape}.")
        n = len(self.brain)
        if not self.repeats.size:
            object.__setattr__(self, "repeats", np.ones(n, np.int64))
        for name in ("shown", "runs", "repeats"):
            values = getattr(self, name)
            if values is not None and values.shape != (n,):
                raise DataError(
                    f"expected {name} of each of {n} trials, came an array of shape {values.shape}. "
                    "Stimuli and trials must match in number."
                )
        if self.shown.min() < 0 or self.shown.max() >= len(self.stimuli):
            raise DataError(
                f"expected trials that show stimuli 0 to {len(self.stimuli) - 1}, came {self.shown.min()} to "
                f"{self.shown.max()}."
            )
        if self.repeats.min() < 1:
            raise DataError(f"expected rows that average at least 1 presentation, came {self.repeats.min()}.")
        finite = np.isfinite(self.brain)
        if not finite.all():
            rows, columns = np.flatnonzero(~finite.all(axis=1)), np.flatnonzero(~finite.all(axis=0))
            raise DataError(
                f"expected finite answers, came NaN or infinity in {len(rows)} of {n} trials (first: {rows[0]}) and "
                f"{len(columns)} of {self.brain.shape[1]} voxels (first: {columns[0]}). Leave out either."
            )

    def __len__(self) -> int:
        return len(self.brain)

    @property
    def latents(self) -> Floats:
        """The latent of every trial's stimulus: (n, d).

        Raises
        ------
        DataError
            If the stimuli have none.
        """
        if self.stimuli.latents is None:
            raise DataError(f"expected stimuli with latents, came {len(self.stimuli)} with images alone.")
        return np.asarray(self.stimuli.latents[self.shown])

    def select(self, which: ArrayLike) -> Self:
        """Return some of the trials, by a mask or by their numbers; the stimuli stay as they are."""
        rows = np.arange(len(self))[np.asarray(which)]
        return replace(
            self,
            brain=self.brain[rows],
            shown=self.shown[rows],
            runs=None if self.runs is None else self.runs[rows],
            repeats=self.repeats[rows],
        )

    def averaged(self) -> Self:
        """Return one row per stimulus, the mean of its presentations, with their number; runs are dropped."""
        shown, place = np.unique(self.shown, return_inverse=True)
        repeats = np.bincount(place, weights=self.repeats).astype(np.int64)
        brain = np.zeros((len(shown), self.brain.shape[1]))
        np.add.at(brain, place, self.brain * self.repeats[:, np.newaxis])
        brain /= repeats[:, np.newaxis]
        return replace(self, brain=brain.astype(self.brain.dtype), shown=shown, runs=None, repeats=repeats)

    def folds(self) -> Iterator[tuple[Self, Self]]:
        """Yield (training, test) for every run held out, with no stimulus in both.

        Raises
        ------
        DataError
            If the trials have no runs, or a run shares all its stimuli with the others.
        """
        runs = np.unique(self.runs) if self.runs is not None else np.zeros(0)
        if len(runs) < 2:
            raise DataError(f"expected trials of two runs or more to hold one out, came {len(runs)}.")
        for run in runs:
            held = self.runs == run
            learn = ~held & ~np.isin(self.shown, self.shown[held])
            if not learn.any():
                raise DataError(
                    f"run {run} shares its stimuli with every other trial: holding it out leaves nothing to learn "
                    f"from ({held.sum()} of {len(self)} trials are in it). Hold out stimuli instead of runs."
                )
            yield self.select(learn), self.select(held)

    def check_generator(self, generator: str, d: int) -> None:
        """Refuse a generator other than the one whose latents these are.

        Raises
        ------
        DataError
            If the generator's name or the size of its latents differs; the error states both.
        """
        own = self.latents.shape[1]
        if (self.stimuli.generator and generator != self.stimuli.generator) or d != own:
            raise DataError(
                f"expected latents of the generator {generator!r} with {d} dimensions, came those of "
                f"{self.stimuli.generator or 'an unnamed one'!r} with {own}."
            )

    def check_subject(self, subject: str, voxels: int) -> None:
        """Refuse a mask or a readout that is not this subject's.

        Raises
        ------
        DataError
            If the subject or the number of voxels differs; the error states both.
        """
        if subject != self.subject or voxels != self.brain.shape[1]:
            raise DataError(
                f"expected subject {subject!r} with {voxels} voxels, came {self.subject!r} with "
                f"{self.brain.shape[1]}. A mask belongs to one subject."
            )

"""A Population is one participant's visual cortex: early and higher units behind one eye's optics.

Its answer to a picture is a function of three things only: the picture's pixels, where the eye points, and the
participant's number.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bci.sim.cortex.early import EarlyUnits
from bci.sim.cortex.gaze import Eye, Pictures, Spectra
from bci.sim.cortex.higher import HigherUnits
from bci.sim.cortex.reference import reference_pictures
from bci.sim.seeds import numbered
from bci.sim.threads import one_thread

Drives = NDArray[np.float32]

_EARLY, _HIGHER = 21, 22
_BATCH = 32


class Population:
    """A Population holds early and higher units, scaled by their variance over reference pictures.

    Parameters
    ----------
    subject : int
        Number of the participant, which fixes the units.
    early, higher : int
        How many units of each kind; the early ones come first.
    eye : Eye
        The eye whose retinal images the units answer.
    reference : (n, h, w, 3) uint8, optional
        Pictures over which every unit's response has variance 1; by default `reference_pictures`.

    Attributes
    ----------
    is_early : (units,) bool
        True for early units.
    reference : (pictures, units) float32
        Drives of the reference pictures.
    mean : (units,) float32
        Mean drive over the reference pictures.

    Raises
    ------
    ValueError
        If there are fewer than 8 reference pictures.
    """

    def __init__(
        self, subject: int, early: int, higher: int, eye: Eye, reference: Pictures | None = None
    ) -> None:
        pictures = reference_pictures() if reference is None else reference
        if len(pictures) < 8:
            raise ValueError(f"units are scaled over at least 8 reference pictures, got {len(pictures)}")
        self.eye = eye
        self._early = EarlyUnits(early, numbered(subject, _EARLY, 0))
        self._higher = HigherUnits(higher, numbered(subject, _HIGHER, 0))
        self.is_early = np.arange(early + higher) < early
        straight = np.zeros((len(pictures), 2))
        spectra = [eye.look(pictures[a:b], straight[a:b]) for a, b in _batches(len(pictures))]
        self._higher.settle(np.concatenate(spectra))
        blank = np.full((1, 8, 8, 3), eye.background, np.uint8)
        self._rest = self._respond(eye.look(blank, straight[:1]))[0]
        responses = np.concatenate([self._respond(batch) for batch in spectra]) - self._rest
        spread = responses.std(axis=0)
        # A unit that none of the pictures drives stays silent.
        self._scale = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0).astype(np.float32)
        self.reference: Drives = responses * self._scale
        self.mean: Drives = self.reference.mean(axis=0)

    def __len__(self) -> int:
        return len(self.is_early)

    def drive(self, pictures: Pictures, gaze: NDArray[np.float64]) -> Drives:
        """Return how far pictures drive every unit from its rest.

        Parameters
        ----------
        pictures : (n, h, w, 3) uint8
            As flipped.
        gaze : (n, 2) float64
            Degrees right and down of the middle.

        Returns
        -------
        drives : (n, units) float32
            In standard deviations over the reference pictures; 0 for the empty screen.
        """
        drives = np.empty((len(pictures), len(self)), np.float32)
        with one_thread():
            for low, high in _batches(len(pictures)):
                spectra = self.eye.look(pictures[low:high], gaze[low:high])
                drives[low:high] = (self._respond(spectra) - self._rest) * self._scale
        return drives

    def _respond(self, spectra: Spectra) -> Drives:
        return np.concatenate([self._early.respond(spectra), self._higher.respond(spectra)], axis=1)


def _batches(n: int) -> Iterator[tuple[int, int]]:
    return ((low, min(low + _BATCH, n)) for low in range(0, n, _BATCH))

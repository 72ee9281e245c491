"""An Observer turns what the screen shows into drives of a cortex: the eye jitters, attention lapses, repeats adapt.

Its input are pictures as they were flipped and the times of the flips; its output are drives of its population. A look
is a change to a picture that shows something. The empty screen ends a look; the same pixels again are no change.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.sim.cortex.adaptation import Adaptation, RememberedLooks
from bci.sim.cortex.gaze import Pictures
from bci.sim.cortex.population import Population
from bci.sim.seeds import numbered

Drives = NDArray[np.float32]

_LAPSE = 31


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A Moment is the observer's state at one look: all that the answer depends on besides the picture.

    Attributes
    ----------
    number : int
        Number of the look, from 0.
    time : float
        Seconds since the participant began.
    gaze : (2,) float64
        Where the eye pointed, degrees.
    lapsed : bool
        Whether attention lapsed, so that the look is not answered.
    memory : RememberedLooks
        The earlier looks that the observer still remembered.
    """

    number: int
    time: float
    gaze: NDArray[np.float64]
    lapsed: bool
    memory: RememberedLooks


class Observer:
    """An Observer is the seeing part of one participant, in front of one screen.

    Parameters
    ----------
    population : Population
        The cortex.
    session : int
        Number of the session, which fixes eye positions and lapses.
    lapse_rate : float
        Share of looks that are not answered.
    adaptation : Adaptation, optional
        How much weaker repeats are answered.

    Attributes
    ----------
    looks, lapses : int
        Counted so far.
    """

    def __init__(
        self,
        population: Population,
        session: int = 0,
        lapse_rate: float = 0.02,
        adaptation: Adaptation | None = None,
    ) -> None:
        if not 0 <= lapse_rate <= 1:
            raise ValueError(f"a lapse rate is 0 to 1, got {lapse_rate}")
        self.population = population
        self.session = session
        self.lapse_rate = lapse_rate
        self.adaptation = adaptation or Adaptation(population.mean)
        self.reset()

    def reset(self) -> None:
        """Begin the session again: nothing seen, nothing remembered."""
        self.looks = self.lapses = 0
        self._memory = RememberedLooks()
        self._current: Pictures | None = None

    def see(self, picture: Pictures, time: float) -> tuple[Moment | None, Drives] | None:
        """Take a change of the screen.

        Parameters
        ----------
        picture : (h, w, 3) uint8
            What was flipped.
        time : float
            When, seconds since the participant began.

        Returns
        -------
        None
            If nothing changed for the eye.
        moment, drive
            The look (None for the empty screen) and its drive (units,), which is 0 for the empty screen and lapses.
        """
        if self._current is not None and np.array_equal(self._current, picture):
            return None
        empty = self.population.eye.blank(picture)
        if empty and (self._current is None or self.population.eye.blank(self._current)):
            self._current = picture.copy()
            return None
        self._current = picture.copy()
        if empty:
            return None, np.zeros(len(self.population), np.float32)
        moment = self._attend(time)
        return moment, self._answer(moment, self.population.drive(picture[None], moment.gaze[None])[0])

    def watch(self, pictures: Pictures, onsets: NDArray[np.float64]) -> tuple[list[Moment], Drives]:
        """Take many looks at once, each ended by an empty screen: equal to `see` but for rounding.

        Parameters
        ----------
        pictures : (n, h, w, 3) uint8
            None of them empty.
        onsets : (n,) float64
            Seconds since the participant began, ascending.

        Returns
        -------
        moments : list of Moment
        drives : (n, units) float32
        """
        first = self.looks
        gaze = np.array([self.population.eye.gaze(first + i) for i in range(len(pictures))]).reshape(-1, 2)
        drives = self.population.drive(pictures, gaze)
        moments = []
        for i, time in enumerate(onsets):
            moment = self._attend(float(time))
            drives[i] = self._answer(moment, drives[i])
            moments.append(moment)
        self._current = None
        return moments, drives

    def imagine(self, pictures: Pictures, moment: Moment) -> Drives:
        """Return the drives (n, units) that other pictures would have caused at that moment, had it not lapsed."""
        drives = self.population.drive(pictures, np.broadcast_to(moment.gaze, (len(pictures), 2)))
        drives *= self.adaptation.gain(drives, moment.time, moment.memory)[:, np.newaxis]
        return drives

    def _attend(self, time: float) -> Moment:
        number = self.looks
        lapsed = bool(numbered(self.session, _LAPSE, number).random() < self.lapse_rate)
        self.looks += 1
        self.lapses += lapsed
        return Moment(number, time, self.population.eye.gaze(number), lapsed, self._memory)

    def _answer(self, moment: Moment, drive: Drives) -> Drives:
        """Remember a look by its drive, and return what repetition leaves of it."""
        if moment.lapsed:
            return np.zeros_like(drive)
        self._memory = self.adaptation.remember(drive, moment.time, moment.memory)
        adapted: Drives = drive * self.adaptation.gain(drive[np.newaxis], moment.time, moment.memory)[0]
        return adapted

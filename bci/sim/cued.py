"""A CuedParticipant simulates the EEG of a person who follows the cues, a reaction time later."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Event
from bci.sim.eeg import STATES, AlphaSimulator

#: Seconds between a cue and the eyes' movement.
REACTION_S = 0.6


class CuedParticipant(AlphaSimulator):
    """EEG whose planted state follows cues.

    Parameters
    ----------
    cues : sequence of Event
        In order, seconds from the start. Those that say one of `STATES` are followed, the others are only played.
    seconds : float
        Length.
    seed : int
        Which participant.
    rate : float
        Samples per second.
    heeds : bool
        False for a participant who ignores the cues and changes state at a pace of its own: a null run.

    Examples
    --------
    >>> participant = CuedParticipant([Event(2.0, "eyes closed"), Event(5.0, "eyes open")], seconds=8.0)
    >>> participant.state([1.9, 2.5, 2.7, 5.5, 5.7]).tolist()
    [0, 0, 1, 1, 0]
    """

    def __init__(
        self,
        cues: Sequence[Event],
        seconds: float,
        seed: int = 0,
        rate: float = 160.0,
        *,
        heeds: bool = True,
    ) -> None:
        self._cues = tuple(cues)
        self._heeds = heeds
        followed = [(cue.time + REACTION_S, STATES.index(cue.text)) for cue in cues if cue.text in STATES]
        before = [0, *(state for _, state in followed)]
        # A cue for the state that the eyes are already in changes nothing.
        self._turns = np.array(
            [time for (time, state), previous in zip(followed, before, strict=False) if state != previous]
        )
        super().__init__(seed, seconds, rate)
        self.name = f"simulated participant, seed {seed}"

    def _markers(self, start: float, stop: float) -> Iterator[Event]:
        return (cue for cue in self._cues if start <= cue.time < stop)

    def _changes(self, start: float, stop: float) -> tuple[int, NDArray[np.float64]]:
        return (1, self._turns) if self._heeds else super()._changes(start, stop)

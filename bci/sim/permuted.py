"""A PermutedParticipant makes a null run: a participant answers as always, but its channels are permuted.

A decoder reads the answer from particular channels, so it should read nothing here. The channels' labels are not
permuted, so that no other part of the line differs.
"""

import numpy as np
from numpy.typing import NDArray

from bci.sim.cortex.gaze import Pictures
from bci.sim.participant import Participant


class PermutedParticipant:
    """A PermutedParticipant is a `bci.sim.participant.Participant` whose channels are permuted.

    Parameters
    ----------
    participant : Participant
        The participant that answers.
    seed : int
        Fixes the order, which stays the same over resets.

    Attributes
    ----------
    order : (channels,) int
        The inner participant's channel that stands in each place.
    """

    simulated = True

    def __init__(self, participant: Participant, seed: int) -> None:
        self.inner = participant
        self.signal, self.kind, self.observer = participant.signal, participant.kind, participant.observer
        self.subject, self.snr, self.dead_time = participant.subject, participant.snr, participant.dead_time
        self.order = np.random.default_rng(seed).permutation(self.signal.shape[0])

    @property
    def late(self) -> int:
        """Changes seen too late for samples already read."""
        return self.inner.late

    @late.setter
    def late(self, value: int) -> None:
        self.inner.late = value

    def reset(self) -> None:
        """Begin the session again."""
        self.inner.reset()

    def see(self, picture: Pictures, time: float) -> None:
        """Take a change of the screen, flipped `time` seconds after sample 0."""
        self.inner.see(picture, time)

    def read(self, n: int) -> NDArray[np.float32]:
        """Return the next `n` samples (n, channels), each channel in another's place."""
        return np.ascontiguousarray(self.inner.read(n)[:, self.order])

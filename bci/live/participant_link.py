"""A ParticipantLink joins a simulated participant to the screen and a stream: it sees flips and sends samples."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.live.ring_reader import RingReader
from bci.memory.ring import Columns, Ring
from bci.sim.participant import Participant

#: Samples are sent in chunks of this many seconds of real time, and of at most this many seconds of signal.
_CHUNK_S, _MOST_S = 0.02, 2.0
#: By default samples are sent this long after their time, seconds.
LAG = 0.05
#: Samples that are sent this long after they were due count as late, seconds.
LATE = 0.05


class SampleOutlet(Protocol):
    """A SampleOutlet sends samples: a `bci.io.lsl.source.LslOutlet`."""

    def push(self, samples: NDArray[Any], times: NDArray[np.float64]) -> None:
        """Send samples (n, channels) with their session times (n,)."""
        ...


class ParticipantLink:
    """A ParticipantLink joins one participant to a shown ring and an outlet.

    Parameters
    ----------
    participant : Participant
        The participant; its session begins at `zero`.
    ring : Ring
        A ring of `bci.memory.frames.shown_columns`. The picture on the screen at `zero` is seen, earlier ones are not.
    outlet : SampleOutlet
        Sends the samples.
    zero : float
        Session time of sample 0.
    speed : float
        Seconds of the participant's time in one of the session's.
    lag : float
        Session seconds between a sample's time and its sending.
    samples : int, optional
        Number of samples to send; endless when absent.

    Attributes
    ----------
    sent, late : int
        Samples sent, and those sent more than `LATE` after they were due.
    latest : float
        Longest delay of a sample after it was due, seconds.
    changes : int
        Changes of the screen seen.
    """

    def __init__(
        self,
        participant: Participant,
        ring: Ring,
        outlet: SampleOutlet,
        zero: float,
        *,
        speed: float = 1.0,
        lag: float = LAG,
        samples: int | None = None,
    ) -> None:
        self.participant, self.zero, self.speed, self.lag = participant, zero, speed, lag
        self.sent = self.late = self.changes = 0
        self.latest = 0.0
        self._samples = samples
        self._outlet = outlet
        self._rate = participant.signal.rate
        self._reader = RingReader("shown", ring, self._see, most=4, first=max(0, ring.count - 1))

    @property
    def done(self) -> bool:
        """Whether all samples have been sent."""
        return self._samples is not None and self.sent >= self._samples

    @property
    def lost(self) -> int:
        """Changes of the screen that were overwritten before they were seen."""
        return self._reader.lost

    @property
    def next_due(self) -> float:
        """Session time at which the next samples should be sent."""
        step = max(1, round(_CHUNK_S * self.speed * self._rate))
        return self.zero + (self.sent + step - 1) / self._rate / self.speed + self.lag

    def step(self, now: float) -> None:
        """See new flips and send the samples that are due at session time `now`."""
        # The time was read before the ring, so every flip before `now - lag` is in the ring by now.
        self._reader()
        due = math.floor((now - self.lag - self.zero) * self.speed * self._rate) + 1
        due = due if self._samples is None else min(due, self._samples)
        most = max(1, round(_MOST_S * self._rate))
        if now < self.next_due and due - self.sent < most and due != self._samples:
            return
        n = min(due - self.sent, most)
        if n <= 0:
            return
        times = self.zero + np.arange(self.sent, self.sent + n) / self._rate / self.speed
        behind = now - self.lag - times
        self._outlet.push(self.participant.read(n), times)
        self.sent += n
        self.late += int((behind > LATE + _CHUNK_S).sum())
        self.latest = max(self.latest, float(behind.max()))

    def facts(self) -> dict[str, Any]:
        """Return the counts that a session's summary holds."""
        observer = self.participant.observer
        return {
            "sent": self.sent,
            "late": self.late,
            "latest_s": self.latest,
            "changes": self.changes,
            "changes_late": self.participant.late,
            "changes_lost": self.lost,
            "looks": observer.looks,
            "lapses": observer.lapses,
        }

    def _see(self, columns: Columns, first: int) -> None:
        for image, shown in zip(columns["image"], columns["shown"], strict=True):
            self.participant.see(image, (float(shown["flip"]) - self.zero) * self.speed)
            self.changes += 1

"""A Watch stands between the screen and a stream: what was flipped goes in, what the participant answers goes out."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.live.ring_reader import RingReader
from bci.memory.ring import Columns, Ring
from bci.sim.participant import Participant

#: Samples leave together, this many seconds of real time's worth, and at most this many seconds of signal at once.
_CHUNK_S, _MOST_S = 0.02, 2.0
#: By default samples leave this long after their time, seconds.
LAG = 0.05
#: Samples that leave this much later than they should count as late, seconds.
LATE = 0.05


class Outlet(Protocol):
    """Where samples go: a `bci.io.lsl.source.LslOutlet`."""

    def push(self, samples: NDArray[Any], times: NDArray[np.float64]) -> None:
        """Send samples (n, channels) with their session times (n,)."""
        ...


class Watch:
    """One participant between a shown ring and an outlet.

    Parameters
    ----------
    participant : Participant
        Who looks; begins at `zero`.
    ring : Ring
        A ring of `bci.memory.frames.shown_columns`. What it shows at `zero` is seen; what came before that is not.
    outlet : Outlet
        Where the samples go.
    zero : float
        Session time of sample 0.
    speed : float
        Seconds of the participant's time in one of the session's.
    lag : float
        Session seconds between a sample's time and its leaving.
    samples : int, optional
        After how many to stop; endless when absent.

    Attributes
    ----------
    sent, late : int
        Samples sent, and those that left more than `LATE` after they should.
    latest : float
        Most that one left after it should, seconds.
    changes : int
        Changes of the screen seen.
    """

    def __init__(
        self,
        participant: Participant,
        ring: Ring,
        outlet: Outlet,
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
        """Whether all samples have left."""
        return self._samples is not None and self.sent >= self._samples

    @property
    def lost(self) -> int:
        """Changes of the screen that were overwritten before they were seen."""
        return self._reader.lost

    @property
    def next_due(self) -> float:
        """Session time at which the next samples should leave."""
        step = max(1, round(_CHUNK_S * self.speed * self._rate))
        return self.zero + (self.sent + step - 1) / self._rate / self.speed + self.lag

    def step(self, now: float) -> None:
        """See what was flipped and send what is due at session time `now`."""
        # First the time, then the ring: whatever was flipped before `now - lag` is in it by now.
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
        """Return what a session's summary should know."""
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

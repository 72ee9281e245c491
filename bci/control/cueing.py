"""Cueing presents cues to a participant, one by one, and marks the time of each."""

from collections.abc import Callable, Mapping, Sequence

from bci.io.lsl.markers import MarkerOutlet
from bci.signal.clock import Clock
from bci.signal.types import Event


class Cueing:
    """A Cueing presents one sequence of cues; pass it to `record_streams` as `observe`.

    It begins with the first sample that was received, so that no cue comes before the recording.

    Parameters
    ----------
    cues : sequence of Event
        In order, seconds after the first one; the last one ends it.
    clock : Clock
        The session clock.
    outlet : MarkerOutlet
        Sends a marker with each cue.
    ready_s : float
        Seconds before the first one.
    tell : callable
        Presents a cue to the participant.
    look : callable
        Called each time with the seconds that remain, for the operator.

    Attributes
    ----------
    told : int
        Cues presented so far.
    """

    def __init__(
        self,
        cues: Sequence[Event],
        clock: Clock,
        outlet: MarkerOutlet,
        *,
        ready_s: float,
        tell: Callable[[Event], None],
        look: Callable[[float], None] = lambda left: None,
    ) -> None:
        self.told = 0
        self._cues = tuple(cues)
        self._clock = clock
        self._outlet = outlet
        self._ready_s = ready_s
        self._tell, self._look = tell, look
        self._zero: float | None = None

    def __call__(self, counts: Mapping[str, int]) -> bool:
        """Present the cues that are due; return whether the last one has been presented."""
        now = self._clock.now()
        if self._zero is None:
            if not counts["received"]:
                return False
            self._zero = now + self._ready_s
        while self.told < len(self._cues) and now >= self._zero + self._cues[self.told].time:
            cue = self._cues[self.told]
            self._tell(cue)
            self._outlet.push(Event(self._clock.now(), cue.text))
            self.told += 1
        self._look(max(0.0, self._zero + self._cues[-1].time - now))
        return self.over

    @property
    def over(self) -> bool:
        """Whether the last cue has been presented."""
        return self.told == len(self._cues)

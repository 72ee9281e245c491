"""Cueing tells a participant what to do, cue by cue, and marks the moment at which each was told."""

from collections.abc import Callable, Mapping, Sequence

from bci.io.lsl.markers import MarkerOutlet
from bci.signal.clock import Clock
from bci.signal.types import Event


class Cueing:
    """One sequence of cues at work; give it to `record_streams` as `observe`.

    It begins with the first sample that was received, so that no cue is told before something is recorded.

    Parameters
    ----------
    cues : sequence of Event
        In order, seconds after the first one; the last one ends it.
    clock : Clock
        The session clock.
    outlet : MarkerOutlet
        Where each cue is marked, as it is told.
    ready_s : float
        Seconds before the first one.
    tell : callable
        Tells a cue to the participant.
    look : callable
        Called each time with the seconds that remain; what an operator sees.

    Attributes
    ----------
    told : int
        Cues told so far.
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
        """Tell what is due; return whether the last cue has been told."""
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
        """Whether the last cue has been told."""
        return self.told == len(self._cues)

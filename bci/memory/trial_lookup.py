"""A TrialLookup finds the trial of an experiment that a flip marker belongs to, by the flip's own stamp."""

from bci.errors import Overrun
from bci.memory.ring import Ring
from bci.signal.types import Shown

#: Flips that are remembered: markers come within seconds of theirs.
_REMEMBERED = 4096


class TrialLookup:
    """A TrialLookup remembers the trials of the flips that a display has written into its shown ring.

    A flip marker is stamped with the flip itself, and the display writes the flip into the ring before it sends the
    marker: so the flip of every marker received is in the ring, with the same stamp to the last bit. Another sender's
    marker has no flip, and no trial.

    Parameters
    ----------
    shown : Ring
        A ring of `bci.memory.frames.shown_columns`.
    """

    def __init__(self, shown: Ring) -> None:
        self._shown = shown
        self._at = shown.oldest
        self._trials: dict[float, int] = {}

    def __call__(self, raw: float) -> int:
        """Return the trial of the stimulus that was flipped at `raw`, the sender's stamp; -1 when there is none."""
        self._look()
        return self._trials.get(raw, -1)

    def _look(self) -> None:
        while self._at < self._shown.count:
            try:
                record = self._shown.read(self._at, self._at + 1)["shown"][0]
            except Overrun as overrun:
                self._at = overrun.first + overrun.lost
                continue
            self._at += 1
            if record["kind"] == Shown.STIMULUS:
                self._trials[float(record["flip"])] = int(record["trial"])
                if len(self._trials) > _REMEMBERED:
                    del self._trials[next(iter(self._trials))]

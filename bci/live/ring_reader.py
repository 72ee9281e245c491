"""A RingReader empties one ring, each sample once and in order, as long as somebody takes what it reads."""

from collections.abc import Callable

from bci.errors import Overrun
from bci.memory.ring import Columns, Ring

#: Takes a copy of a ring's columns, from a given count on.
Take = Callable[[Columns, int], None]


class RingReader:
    """One reader of one ring that may lag, and counts what it lost by lagging.

    Parameters
    ----------
    name : str
        What the ring holds.
    ring : Ring
        What to empty.
    take : callable
        Given copies, oldest first.
    most : int, optional
        Longest copy, samples; by default the ring's longest window.
    first : int
        Count to begin at.

    Attributes
    ----------
    rows, lost : int
        Samples handed on, and samples that were overwritten before they could be.
    """

    def __init__(self, name: str, ring: Ring, take: Take, *, most: int | None = None, first: int = 0) -> None:
        self.name = name
        self.rows = 0
        self.lost = 0
        self._ring = ring
        self._take = take
        self._most = min(most or ring.max_window, ring.max_window)
        self._at = first

    @property
    def behind(self) -> int:
        """Samples that wait in the ring."""
        return self._ring.count - self._at

    def __call__(
        self,
        room: Callable[[], bool] = lambda: True,
        on_lost: Callable[[str, int, int], None] = lambda name, first, lost: None,
    ) -> None:
        """Hand on all that is there.

        Parameters
        ----------
        room : callable
            Asked before each copy; where there is no room the rest stays in the ring.
        on_lost : callable
            Told (name, first, lost) when samples were overwritten before they were read.
        """
        ring = self._ring
        end = ring.count
        while self._at < end and room():
            upto = min(end, self._at + self._most)
            try:
                copy = ring.read(self._at, upto)
            except Overrun as overrun:
                resume = min(end, overrun.first + overrun.lost)
                self.lost += resume - self._at
                on_lost(self.name, self._at, resume - self._at)
                self._at = resume
                continue
            self._take(copy, self._at)
            self.rows += upto - self._at
            self._at = upto

"""A RingReader reads one ring, each sample once and in order, and passes copies to a function."""

from collections.abc import Callable

from bci.errors import Overrun
from bci.memory.ring import Columns, Ring

#: Takes a copy of a ring's columns, from a given count on.
Take = Callable[[Columns, int], None]


class RingReader:
    """A RingReader reads one ring; it may lag, and counts the samples that it lost by lagging.

    Parameters
    ----------
    name : str
        The ring's name, for `on_lost`.
    ring : Ring
        The ring to read.
    take : callable
        Called with copies, oldest first.
    most : int, optional
        Longest copy, samples; by default the ring's longest window.
    first : int
        Count to begin at.

    Attributes
    ----------
    rows, lost : int
        Samples passed to `take`, and samples that were overwritten before.
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
        """Pass on all samples in the ring that were not passed before.

        Parameters
        ----------
        room : callable
            Called before each copy; where it returns False the other samples stay in the ring.
        on_lost : callable
            Called with (name, first, lost) when samples were overwritten before they were read.
        """
        ring = self._ring
        end = ring.count
        while self._at < end and room():
            copy_end = min(end, self._at + self._most)
            try:
                copy = ring.read(self._at, copy_end)
            except Overrun as overrun:
                resume = min(end, overrun.first + overrun.lost)
                self.lost += resume - self._at
                on_lost(self.name, self._at, resume - self._at)
                self._at = resume
                continue
            self._take(copy, self._at)
            self.rows += copy_end - self._at
            self._at = copy_end

"""A Held keeps samples that were received while it is open whether others are missing before them.

They lie behind the ring's count, in places that the next claim may move: so they are copied, and put back in front of
what comes next. That is rare: behind a loss, and where a sample is later than any before.
"""

from typing import Any

from numpy.typing import NDArray

Places = dict[str, NDArray[Any]]


class Held:
    """A Held is empty at first.

    Attributes
    ----------
    n : int
        How many samples it keeps.
    """

    def __init__(self) -> None:
        self.n = 0
        self._columns: Places = {}

    def put_back(self, places: Places) -> Places:
        """Write the kept samples to the first of claimed places; return the places behind them."""
        if not self.n:
            return places
        for name, column in self._columns.items():
            places[name][: self.n] = column
        return {name: place[self.n :] for name, place in places.items()}

    def keep(self, places: Places, first: int, end: int) -> None:
        """Keep what lies at `first` to `end` of claimed places, and nothing else."""
        self.n = end - first
        if self.n:
            self._columns = {name: place[first:end].copy() for name, place in places.items()}

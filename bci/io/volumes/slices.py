"""The SliceAssembler makes volumes of single slices, each from a file of its own, in whatever order they come."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from bci.io.volumes.volume import ImagingSeries, SliceImage, Volume

#: Two slices nearer than this are at one place, millimetres.
_SAME_PLACE = 0.05

#: Volumes of a run that are under way at a time, at most; the oldest is given as it is when there are more.
_MOST_OPEN = 16


@dataclass(slots=True)
class _Open:
    """A volume of which some slices are there."""

    slices: dict[float, SliceImage] = field(default_factory=dict)
    heard: float = 0.0


class SliceAssembler:
    """A SliceAssembler puts the slices of one run where they belong.

    A volume is given when all its slices are there; one that lacks some is given when a later volume has begun and
    nothing of it has come for `patience`, or when nothing of the run has come for a TR and `patience`.

    Parameters
    ----------
    patience : float
        Seconds to wait for a slice.
    most_open : float
        Volumes that are under way at a time, at most; of files on disk that may be all of a run.

    Attributes
    ----------
    doubles : int
        Slices that came more than once.
    """

    def __init__(self, patience: float, most_open: float = _MOST_OPEN) -> None:
        self._most_open = most_open
        self.patience = patience
        self._open: dict[int, _Open] = {}
        self._given: set[int] = set()
        self._heights: list[float] = []
        self._counted: dict[float, int] = {}
        self._names: set[str] = set()
        self._size = 0
        self.doubles = 0

    def offer(self, image: SliceImage, now: float) -> Iterator[Volume]:
        """Take a slice, and yield the volume that it completes."""
        if image.identity in self._names:
            self.doubles += 1
            return
        self._names.add(image.identity)
        height = self._place(image)
        index = image.index
        if index < 0:
            # Nothing in the file tells its volume: it is the next of its place.
            index = self._counted[height] = self._counted.get(height, -1) + 1
        if index in self._given:
            self.doubles += 1
            return
        volume = self._open.setdefault(index, _Open())
        volume.slices.setdefault(height, image)
        volume.heard = now
        self._size = self._size or image.slices
        if not self._size and len(self._open) > 2:
            # Two volumes have begun behind the first: what came of places by now are all.
            self._size = len(self._heights)
        if self._size:
            yield from self._complete()
        if len(self._open) > self._most_open:
            yield from self._give(min(self._open))

    def tick(self, now: float) -> Iterator[Volume]:
        """Yield the volumes whose last slices are not waited for any longer."""
        for index in sorted(self._open):
            volume = self._open[index]
            tr = next(iter(volume.slices.values())).series.tr
            wait = (
                self.patience
                if max(self._open) > index or self._later(index)
                else self.patience + max(tr, 0.0)
            )
            if not now - volume.heard < wait:
                yield from self._give(index)

    def _later(self, index: int) -> bool:
        return bool(self._given) and max(self._given) > index

    def _place(self, image: SliceImage) -> float:
        """Return the height of the place that a slice is at, one of those known."""
        for height in self._heights:
            if abs(height - image.height) < _SAME_PLACE:
                return height
        self._heights = sorted([*self._heights, image.height])
        return image.height

    def _complete(self) -> Iterator[Volume]:
        for index in sorted(self._open):
            if len(self._open[index].slices) >= self._size:
                yield from self._give(index)

    def _give(self, index: int) -> Iterator[Volume]:
        slices = self._open.pop(index).slices
        self._given.add(index)
        if self._size and len(self._heights) != self._size:
            return  # the places of the slices are not all known yet, so that no volume of it can be laid out
        lowest = next(iter(slices.values()))
        series = self._series(lowest)
        data = np.zeros(series.shape, series.dtype)
        absent = np.ones(len(self._heights), bool)
        for z, height in enumerate(self._heights):
            if height in slices:
                data[:, :, z] = slices[height].data
                absent[z] = not slices[height].whole
        names = min(image.identity for image in slices.values())
        times = [image.acquired for image in slices.values() if np.isfinite(image.acquired)]
        yield Volume(
            series, index, data, f"{series.uid}/{names}", min(times, default=float("nan")),
            absent if absent.any() else None,
        )  # fmt: skip

    def _series(self, image: SliceImage) -> ImagingSeries:
        """Return the run with the size and the affine of a whole volume, from one of its slices."""
        affine = image.series.affine.copy()
        step = affine[:3, 2]
        normal = step / np.linalg.norm(step)
        places = np.array(self._heights)
        spacing = float(np.diff(places).mean()) if len(places) > 1 else float(np.linalg.norm(step))
        affine[:3, 3] += normal * (places[0] - image.height)
        affine[:3, 2] = normal * spacing
        shape = (*image.series.shape[:2], len(places))
        times = image.order if len(image.order) == len(places) else ()
        return replace(image.series, shape=shape, affine=affine, slice_times=times)

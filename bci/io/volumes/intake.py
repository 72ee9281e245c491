"""The Intake takes images as they come and says what became of each: which run it belongs to, its place, its status.

A new series begins a new run at once when none is under way, when that one is complete, or when nothing of it has come
for three TRs. Until then its volumes are foreign; those that came last are kept, and take their places when it begins,
which takes two of them, or one that comes when the run before is over.
"""

import math
from collections import deque
from dataclasses import replace

from bci.errors import ConfigError
from bci.io.volumes.gate import PlacedVolume, VolumeGate, VolumeStatus
from bci.io.volumes.slices import SliceAssembler
from bci.io.volumes.volume import ImagingSeries, SliceImage, Volume

#: So many TRs without a volume end a run when another series has begun.
OVER_TRS = 3.0

#: Volumes of a series that may begin are kept: so many at most, and so many bytes.
_MOST_KEPT, _MOST_KEPT_BYTES = 16, 256e6

#: Seconds that a slice waits for others before the TR is known.
_SLICE_PATIENCE_S = 1.0


class Intake:
    """An Intake turns images into placed volumes, run after run; it waits for nothing and reads no clock.

    Parameters
    ----------
    tr : float, optional
        Seconds from volume to volume, in place of what the files say.
    patience : float, optional
        Seconds that a volume waits for one before it; absent means half a TR.
    delay : float, optional
        Seconds from the beginning of a volume's acquisition until its file is there; absent means one TR.
    speed : float
        How many times faster than real time volumes come.
    first_number : int, optional
        Number of a run's first file, where volumes are numbered by their files' names; absent means 0 where a run
        begins with that, else 1.

    Attributes
    ----------
    unreadable : int
        Files that could not be read.
    """

    def __init__(
        self,
        *,
        tr: float | None = None,
        patience: float | None = None,
        delay: float | None = None,
        speed: float = 1.0,
        first_number: int | None = None,
    ) -> None:
        self._tr, self._patience, self._delay, self._speed = tr, patience, delay, speed
        self._first_number = first_number
        self._base = 0
        self._gate: VolumeGate | None = None
        self._ended: set[str] = set()
        self._kept: deque[tuple[Volume, float]] = deque()
        self._assemblers: dict[str, SliceAssembler] = {}
        self.unreadable = 0

    @property
    def series(self) -> ImagingSeries | None:
        """The run that is under way; None before the first."""
        return None if self._gate is None else self._gate.series

    @property
    def patience(self) -> float:
        """Seconds that a volume waits for one before it; a second before the first run."""
        if self._patience is not None:
            return self._patience
        return _SLICE_PATIENCE_S if self._gate is None else self._gate.tr / 2

    def offer(self, piece: Volume | SliceImage, now: float) -> list[PlacedVolume]:
        """Take an image; return what is decided by it.

        Raises
        ------
        ConfigError
            If a run begins whose TR is not known.
        """
        if isinstance(piece, Volume):
            return self._take(piece, now)
        assembler = self._assemblers.setdefault(piece.series.uid, SliceAssembler(self.patience))
        assembler.patience = self.patience
        doubles = assembler.doubles
        placed = [one for volume in assembler.offer(piece, now) for one in self._take(volume, now)]
        if assembler.doubles > doubles:
            placed.append(
                PlacedVolume(
                    self.series, -1, piece.index, VolumeStatus.DUPLICATE, None, now, note="a slice came again"
                )
            )
        return placed

    def give_up(self, note: str, now: float) -> list[PlacedVolume]:
        """Take the news that an image came and cannot be read, in words that name no person."""
        self.unreadable += 1
        return [PlacedVolume(self.series, -1, -1, VolumeStatus.PARTIAL, None, now, note=note)]

    def tick(self, now: float) -> list[PlacedVolume]:
        """Return what is decided by the time that has passed."""
        placed = []
        for assembler in list(self._assemblers.values()):
            for volume in assembler.tick(now):
                placed += self._take(volume, now)
        if self._gate is not None:
            placed += self._gate.tick(now)
        # One stray volume begins no run behind the back of one that is over; a second says that it goes on.
        if len({volume.index for volume, _ in self._kept}) > 1 and self._is_over(now):
            placed += self._take_over(now)
        return placed

    # -- its parts ---------------------------------------------------------------------------------------

    def _take(self, volume: Volume, now: float) -> list[PlacedVolume]:
        gate = self._gate
        if gate is None:
            gate = self._begin(volume)
        elif volume.series.uid != gate.series.uid:
            if volume.series.uid in self._ended:
                note = "of a run that is over"
                return [
                    PlacedVolume(gate.series, -1, volume.index, VolumeStatus.FOREIGN, volume, now, note=note)
                ]
            self._keep(volume, now)
            if self._is_over(now):
                return self._take_over(now)
            note = f"of another series, {volume.series.number or 'without a number'}"
            return [PlacedVolume(gate.series, -1, volume.index, VolumeStatus.FOREIGN, volume, now, note=note)]
        return gate.offer(replace(volume, index=volume.index - self._base), now)

    def _keep(self, volume: Volume, now: float) -> None:
        """Keep a volume of a series that may become the run; only those of one series are."""
        if self._kept and self._kept[0][0].series.uid != volume.series.uid:
            self._kept.clear()
        self._kept.append((volume, now))
        while (
            len(self._kept) > _MOST_KEPT or sum(kept.data.nbytes for kept, _ in self._kept) > _MOST_KEPT_BYTES
        ):
            self._kept.popleft()

    def _is_over(self, now: float) -> bool:
        gate = self._gate
        assert gate is not None
        return gate.complete or now - gate.heard > OVER_TRS * gate.tr

    def _take_over(self, now: float) -> list[PlacedVolume]:
        assert self._gate is not None
        placed = self._gate.finish(now)
        self._ended.add(self._gate.series.uid)
        self._assemblers.pop(self._gate.series.uid, None)
        kept, self._kept = list(self._kept), deque()
        gate = self._begin(min((volume for volume, _ in kept), key=lambda volume: volume.index))
        for volume, arrived in kept:
            placed += gate.offer(replace(volume, index=volume.index - self._base), arrived)
        gate.heard = now
        return placed

    def _begin(self, volume: Volume) -> VolumeGate:
        series = volume.series if self._tr is None else replace(volume.series, tr=self._tr)
        if not (math.isfinite(series.tr) and series.tr > 0):
            raise ConfigError(
                f"the images of series {series.number or series.kind} do not say their TR; expected --tr SECONDS."
            )
        self._base = 0
        if series.numbered:
            self._base = self._first_number if self._first_number is not None else min(1, volume.index)
        tr = series.tr / self._speed
        patience = tr / 2 if self._patience is None else self._patience
        self._gate = VolumeGate(series, patience, tr if self._delay is None else self._delay, self._speed)
        return self._gate

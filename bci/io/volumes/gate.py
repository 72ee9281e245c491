"""The VolumeGate gives every volume of a run its place and its status; no status ever moves another volume's place.

A stream of volumes has one sample for each place of the run, from 0 on, whether its volume came or not. So the sequence
number of a sample is the volume's index, and what an experiment planned for a volume stays there.

::

    came                                        status       in the stream
    whole, in time                              ok           the volume
    more than a TR behind the pace of the run   late         the volume
    after its place was given up                late         no: the place holds a gap already
    some slices or the end of its file missing  partial      what came, the rest NaN
    again                                       duplicate    no
    of another series or geometry               foreign      no
    not, while later ones did                   gap          NaN
"""

import math
from dataclasses import dataclass
from enum import IntEnum

from bci.io.volumes.volume import ImagingSeries, Volume

#: So many places at most are filled at once; a volume further ahead is not believed.
MOST_GAP = 1000

#: Volumes that wait for one before them: so many, and so many bytes.
_MOST_HELD, _MOST_HELD_BYTES = 32, 256e6

#: Less than this is this machine's own doing, and late for no one, however fast a run is played; seconds.
_LEAST_LATE_S = 0.25

#: By how much of a TR a scanner's own times may differ from it before they are not believed.
_TIME_TOLERANCE = 0.2


class VolumeStatus(IntEnum):
    """A VolumeStatus says how a volume came; a sample of the stream of particulars bears its number."""

    OK = 0
    LATE = 1
    DUPLICATE = 2
    GAP = 3
    PARTIAL = 4
    FOREIGN = 5

    @property
    def word(self) -> str:
        """The status as a word: ``"ok"``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class PlacedVolume:
    """A PlacedVolume is what became of one volume, or of one place of the run.

    Attributes
    ----------
    series : ImagingSeries
        The run that it was judged by.
    seq : int
        Its sample in the stream, -1 where it is in none.
    index : int
        Its place in the run as the sender says; -1 where that could not be read.
    status : VolumeStatus
        How it came.
    volume : Volume or None
        What came; None for a gap and for what could not be read.
    arrived : float
        Session seconds at which it was read; of a gap, at which it was given up.
    stamp : float
        Session seconds at which its acquisition began; NaN where it is in no stream.
    note : str
        More in words, or nothing.
    """

    series: ImagingSeries | None
    seq: int
    index: int
    status: VolumeStatus
    volume: Volume | None
    arrived: float
    stamp: float = math.nan
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Point:
    """A volume by which others are dated."""

    index: int
    acquired: float
    stamp: float
    arrived: float


class VolumeGate:
    """A VolumeGate orders the volumes of one run; it waits for nothing and reads no clock.

    A volume's stamp is that of the first, and the scanner's own times since then where they agree with the TR, else
    whole TRs. The first volume began `delay` before it was read.

    Parameters
    ----------
    series : ImagingSeries
        The run; its TR must be known.
    patience : float
        Seconds that a volume waits for one before it.
    delay : float
        Seconds from the beginning of a volume's acquisition until it was read, of the first.
    speed : float
        How many times faster than real time volumes come.

    Attributes
    ----------
    next : int
        The place that is filled next.
    heard : float
        When something of the run came last; NaN before.
    """

    def __init__(self, series: ImagingSeries, patience: float, delay: float, speed: float = 1.0) -> None:
        self.series = series
        self.next = 0
        self.heard = math.nan
        self.tr = series.tr / speed
        self._speed = speed
        self._patience = patience
        self._delay = delay
        self._held: dict[int, tuple[Volume, float]] = {}
        self._missing: set[int] = set()
        self._times_said = False
        self._paced: _Point | None = None
        self._dated: _Point | None = None

    @property
    def complete(self) -> bool:
        """Whether every volume that the scanner promised has its place."""
        return 0 < self.series.total <= self.next

    def offer(self, volume: Volume, now: float) -> list[PlacedVolume]:
        """Take a volume; return what is decided by it, in the order of the stream."""
        if differences := self.series.differences(volume.series):
            return [self._aside(VolumeStatus.FOREIGN, volume, now, "; ".join(differences))]
        if not 0 <= volume.index < self.next + MOST_GAP:
            return [
                self._aside(
                    VolumeStatus.FOREIGN, volume, now, f"place {volume.index}, while {self.next} is next"
                )
            ]
        self.heard = now
        if volume.index < self.next:
            return [self._behind(volume, now)]
        if volume.index in self._held:
            held, when = self._held[volume.index]
            if not held.whole and volume.whole:
                self._held[volume.index] = (volume, when)
            return [self._aside(VolumeStatus.DUPLICATE, volume, now)]
        self._held[volume.index] = (volume, now)
        placed = self._drain()
        nbytes = sum(held.data.nbytes for held, _ in self._held.values())
        if len(self._held) > _MOST_HELD or nbytes > _MOST_HELD_BYTES:
            placed += self._give_up(now)
        return placed

    def tick(self, now: float) -> list[PlacedVolume]:
        """Return what is decided by the time that has passed: places whose volumes are waited for no longer."""
        placed: list[PlacedVolume] = []
        while self._held and now - min(when for _, when in self._held.values()) >= self._patience:
            placed += self._give_up(now)
        return placed

    def finish(self, now: float) -> list[PlacedVolume]:
        """Return all that is still held: the run is over."""
        placed: list[PlacedVolume] = []
        while self._held:
            placed += self._give_up(now)
        return placed

    # -- its parts ---------------------------------------------------------------------------------------

    def _behind(self, volume: Volume, now: float) -> PlacedVolume:
        if volume.index not in self._missing:
            return self._aside(VolumeStatus.DUPLICATE, volume, now)
        self._missing.discard(volume.index)
        status = VolumeStatus.LATE if volume.whole else VolumeStatus.PARTIAL
        return self._aside(status, volume, now, "its place was given up")

    def _aside(self, status: VolumeStatus, volume: Volume, now: float, note: str = "") -> PlacedVolume:
        return PlacedVolume(self.series, -1, volume.index, status, volume, now, note=note)

    def _give_up(self, now: float) -> list[PlacedVolume]:
        """Fill the places before the first volume that is held."""
        placed = []
        for index in range(self.next, min(self._held)):
            self._missing.add(index)
            placed.append(self._place(index, VolumeStatus.GAP, None, now))
        return placed + self._drain()

    def _drain(self) -> list[PlacedVolume]:
        placed = []
        while self.next in self._held:
            volume, arrived = self._held.pop(self.next)
            behind = self._behind_pace(volume.index, arrived)
            late = behind > max(self.tr, _LEAST_LATE_S)
            status = VolumeStatus.LATE if late else VolumeStatus.OK
            note = f"{behind:.2f} s behind the pace of the run" if late else ""
            if not volume.whole:
                assert volume.absent is not None
                status, note = VolumeStatus.PARTIAL, f"{int(volume.absent.sum())} slices are missing"
            if not self._times_said and self.series.times_differ(volume.series):
                self._times_said = True
                note = f"{note}; " if note else ""
                note += "other slice times than the first volume's, which the stream's description holds"
            placed.append(self._place(volume.index, status, volume, arrived, note))
        return placed

    def _behind_pace(self, index: int, arrived: float) -> float:
        """Return by how much a volume came later than the last one in time lets expect, seconds."""
        if self._paced is None:
            return 0.0
        return arrived - self._paced.arrived - (index - self._paced.index) * self.tr

    def _place(
        self, index: int, status: VolumeStatus, volume: Volume | None, arrived: float, note: str = ""
    ) -> PlacedVolume:
        acquired = math.nan if volume is None else volume.acquired
        stamp = self._date(index, acquired, arrived)
        if volume is not None:
            self._dated = _Point(index, acquired, stamp, arrived)
            if status is VolumeStatus.OK or self._paced is None:
                self._paced = self._dated
        self.next = index + 1
        return PlacedVolume(self.series, index, index, status, volume, arrived, stamp, note)

    def _date(self, index: int, acquired: float, arrived: float) -> float:
        if self._dated is None:
            # The first volume that is there dates the places before it as well.
            if self._held:
                first = min(self._held)
                arrived = self._held[first][1]
            else:
                first = index
            stamp = arrived - self._delay - (first - index) * self.tr
            self._dated = _Point(index, math.nan, stamp, arrived)
            return stamp
        whole = (index - self._dated.index) * self.series.tr
        since = acquired - self._dated.acquired
        if since < -43200:
            since += 86400  # midnight has passed
        believed = abs(since - whole) <= _TIME_TOLERANCE * self.series.tr
        return self._dated.stamp + (since if believed else whole) / self._speed

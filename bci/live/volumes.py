"""A VolumeNode takes images from a source, gives them their places, and publishes run after run."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Protocol

from bci.io.volumes.gate import PlacedVolume, VolumeStatus
from bci.io.volumes.intake import Intake
from bci.io.volumes.outlet import VolumeOutlet
from bci.io.volumes.volume import ImagingSeries, SliceImage, Volume
from bci.memory.closing import Closing
from bci.signal.clock import Clock

log = logging.getLogger("bci.volumes")

#: Real seconds between two looks where nothing wakes the node.
WAIT_S = 0.05

#: Seconds that a run's first volumes wait for a consumer: Lab Streaming Layer sends none what came before it connected.
CONSUMER_WAIT_S = 3.0

#: Seconds that they then wait for one of the records too: a consumer of both connects one after the other.
_BOTH_S = 1.0

#: Seconds that a run's streams stay after their last volume before the next run's take their place.
_LINGER_S = 1.0

#: Bytes of volumes that wait for a consumer at most.
_MOST_WAITING = 512e6


class ImageSource(Protocol):
    """An ImageSource gives images as they come; text says what came and cannot be read."""

    def poll(self) -> Iterator[Volume | SliceImage | str]:
        """Yield what has come since the last time."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait at most so many real seconds for more."""
        ...


class VolumeNode(Closing):
    """A VolumeNode publishes the volumes of a source.

    Parameters
    ----------
    source : ImageSource
        Where images come from.
    intake : Intake
        What gives them their places.
    clock : Clock
        The session clock.
    source_id : str
        What the streams' source ids begin with.
    speed : float
        How many times faster than real time volumes come.
    consumer_wait : float
        Seconds that a run's first volumes wait for a consumer.
    exact_id : bool
        Whether the streams of the one run have just that source id; else each run adds its own to it.
    tell : callable, optional
        Called with each placed volume; without it, those that are not ok are logged.

    Attributes
    ----------
    counts : Counter of VolumeStatus
        How often each status was given.
    sent : int
        Samples of ``BOLD-raw`` that were pushed.
    runs : int
        Runs that were begun.
    """

    def __init__(
        self,
        source: ImageSource,
        intake: Intake,
        clock: Clock,
        *,
        source_id: str = "bci-volumes",
        speed: float = 1.0,
        consumer_wait: float = CONSUMER_WAIT_S,
        exact_id: bool = False,
        tell: Callable[[PlacedVolume], None] | None = None,
    ) -> None:
        self._source, self._intake, self._clock = source, intake, clock
        self._source_id, self._speed, self._consumer_wait = source_id, speed, consumer_wait
        self._tell, self._exact_id = tell, exact_id
        self._waiting: deque[PlacedVolume] = deque()
        self._bytes = 0
        self._pushed = self._opened = clock.now()
        self._met = False
        self._seen: float | None = None
        self.outlet: VolumeOutlet | None = None
        self.counts: Counter[VolumeStatus] = Counter()
        self.sent = self.runs = 0

    def run(self, go_on: Callable[[], bool]) -> None:
        """Publish until `go_on`, asked at least every 0.05 s, says False."""
        while go_on():
            self.step()
            self._source.wait(WAIT_S)

    def step(self) -> None:
        """Take what has come, and send what can be sent."""
        for piece in self._source.poll():
            now = self._clock.now()
            told = (
                self._intake.give_up(piece, now) if isinstance(piece, str) else self._intake.offer(piece, now)
            )
            self._take(told)
            self._send(now)
        now = self._clock.now()
        self._take(self._intake.tick(now))
        self._send(now)

    def announce(self, series: ImagingSeries) -> bool:
        """Put a run's streams on the network before its first volume; return whether a consumer came in time."""
        outlet = self.open(series)
        while not self._is_met(outlet, self._clock.now()):
            self._clock.sleep_until(self._clock.now() + WAIT_S)
        return outlet.has_consumers

    def open(self, series: ImagingSeries) -> VolumeOutlet:
        """Put a run's streams on the network, those of the run before away; its first volumes wait for a consumer."""
        return self._open(series, self._clock.now())

    def linger(self) -> None:
        """Give the last volumes time to be decided and to arrive."""
        until = self._clock.now() + max(_LINGER_S, 2 * self._intake.patience)
        while self._clock.now() < until:
            self.step()
            self._clock.sleep_until(self._clock.now() + WAIT_S)

    def close(self) -> None:
        """Send what still waits, and take the streams from the network."""
        while self._waiting:
            self._push(self._waiting.popleft())
        if self.outlet is not None:
            self.outlet.close()
            self.outlet = None

    # -- its parts ---------------------------------------------------------------------------------------

    def _take(self, placed: list[PlacedVolume]) -> None:
        for one in placed:
            self.counts[one.status] += 1
            self._waiting.append(one)
            self._bytes += 0 if one.volume is None else one.volume.data.nbytes
            if one.status is not VolumeStatus.OK and self._tell is None:
                log.warning(
                    "volume %d: %s%s", one.index, one.status.word, f" ({one.note})" if one.note else ""
                )
            if self._tell is not None:
                self._tell(one)

    def _send(self, now: float) -> None:
        """Push what waits, once its streams are there and have a consumer, or have waited for one long enough."""
        while self._waiting:
            series = self._waiting[0].series
            if series is not None and (self.outlet is None or self.outlet.series.uid != series.uid):
                if self.outlet is not None and now - self._pushed < _LINGER_S:
                    return
                self._open(series, now)
            outlet = self.outlet
            if outlet is not None and not self._is_met(outlet, now):
                return
            self._push(self._waiting.popleft())
            self._pushed = now

    def _is_met(self, outlet: VolumeOutlet, now: float) -> bool:
        """Whether volumes need not wait for consumers any longer."""
        if self._met:
            return True
        if self._seen is None and outlet.has_consumers:
            self._seen = now
        both = self._seen is not None and (outlet.has_consumers_of_both or now - self._seen >= _BOTH_S)
        self._met = both or now - self._opened >= self._consumer_wait or self._bytes >= _MOST_WAITING
        return self._met

    def _open(self, series: ImagingSeries, now: float) -> VolumeOutlet:
        if self.outlet is not None:
            self.outlet.close()
        self.outlet = VolumeOutlet(series, self._source_id, self._speed, exact_id=self._exact_id)
        self._opened, self._met, self._seen = now, False, None
        self.runs += 1
        log.info(
            "series %d: %s volumes of %s every %g s on %s",
            series.number, series.kind, "×".join(map(str, series.shape)), series.tr, self.outlet.source_id,
        )  # fmt: skip
        return self.outlet

    def _push(self, placed: PlacedVolume) -> None:
        self._bytes -= 0 if placed.volume is None else placed.volume.data.nbytes
        outlet = self.outlet
        if outlet is None or placed.series is None or placed.series.uid != outlet.series.uid:
            return
        outlet.push(placed)
        self.sent += placed.seq >= 0

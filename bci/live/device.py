"""A DevicePlayer publishes a board as live LSL streams: electrodes, what it measures beside them, and its markers."""

from collections.abc import Callable

from bci.errors import StreamError
from bci.io.devices.amplifier import Amplifier, Group, Handed
from bci.io.devices.packets import Packets
from bci.io.lsl.markers import MarkerOutlet
from bci.io.lsl.outlet import LslOutlet
from bci.memory.closing import Closing
from bci.signal.clock import Clock
from bci.signal.types import Event

#: Seconds between two looks at a board; and without a sample for so long it is silent.
LOOK_S, SILENT_S = 0.01, 2.0


class DevicePlayer(Closing):
    """A DevicePlayer is one board on the network, visible until it is closed.

    Parameters
    ----------
    open_board : callable
        Opens the board; called again when it has fallen silent.
    clock : Clock
        The session clock.
    source_id : str
        Name of the stream of electrodes; the others end in ``-accel`` and the like, markers in ``-markers``.

    Attributes
    ----------
    sent, markers : int
        Samples of each stream and markers sent.
    reopened : int
        How often the board was opened again.
    """

    def __init__(self, open_board: Callable[[], Amplifier], clock: Clock, source_id: str) -> None:
        self._open, self._clock = open_board, clock
        self._board: Amplifier | None = open_board()
        self.groups: list[Group] = self._board.groups
        self._packets = Packets(self._board.rate)
        names = [source_id, *(f"{source_id}-{group.name}" for group in self.groups[1:])]
        self._outlets = [
            LslOutlet(group.signal, name, kind=group.kind)
            for group, name in zip(self.groups, names, strict=True)
        ]
        self._marks = MarkerOutlet(f"{self.groups[0].signal.name} markers", f"{source_id}-markers")
        self._heard = clock.now()
        self._past_lost = self._past_resets = 0
        self.sent = self.markers = self.reopened = 0

    @property
    def lost(self) -> int:
        """Samples that the board counted and did not deliver."""
        return self._past_lost + self._packets.lost

    @property
    def resets(self) -> int:
        """How often the board began to count anew, so that what was lost there is not known."""
        return self._past_resets + self._packets.resets

    @property
    def silent(self) -> float:
        """Seconds since the newest sample."""
        return self._clock.now() - self._heard

    def look(self) -> None:
        """Send what has come; open the board again when nothing has come for long.

        Raises
        ------
        StreamError
            If it cannot be opened again; the next look tries once more.
        """
        if self._board is None:
            self._reopen()
        assert self._board is not None  # or it was not opened
        try:
            handed = self._board.take()
        except StreamError:
            self._drop()
            raise
        if len(handed.arrivals):
            self._heard = self._clock.now()
            self._send(handed)
        elif self.silent > SILENT_S:
            self._drop()

    def _send(self, handed: Handed) -> None:
        times = self._packets(handed.counter, handed.arrivals)
        for group, outlet in zip(self.groups, self._outlets, strict=True):
            outlet.push(handed.table[list(group.rows)].T, times)
        for place, text in handed.markers:
            self._marks.push(Event(float(times[place]), text))
        self.sent += len(times)
        self.markers += len(handed.markers)

    def _drop(self) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None

    def _reopen(self) -> None:
        self._board = self._open()
        self.reopened += 1
        self._heard = self._clock.now()
        # A board counts from anew; what was not delivered meanwhile shows in the stamps.
        self._past_lost, self._past_resets = self.lost, self.resets
        self._packets = Packets(self._board.rate)

    def close(self) -> None:
        """Let the board go and take the streams from the network."""
        self._drop()
        for outlet in (*self._outlets, self._marks):
            outlet.close()

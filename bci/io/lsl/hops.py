"""CompiledHops receives a stream's regular hops in compiled code, as `LslSource.pull_into` does in Python."""

import ctypes
from typing import Self

from bci.io.lsl.inlet import Inlet
from bci.io.lsl.patience import Patience
from bci.io.lsl.stamps import Stamps
from bci.memory.board import Row
from bci.memory.hot import BEFORE, PULLED, Compiled, Hops, address, compiled
from bci.memory.ring import Ring
from bci.memory.stream import Grid
from bci.signal.clock import Clock


class CompiledHops:
    """A CompiledHops belongs to one connection and the ring that it is written into.

    Attributes
    ----------
    record : Hops
        What it works on; ``heard``, ``looked`` and ``behind`` are the source's, ``n``, ``room``, ``error`` and
        ``last_now`` say of a hop that was pulled and is not plain what `Inlet.pull` and the clock said.
    """

    def __init__(self, library: Compiled, ring: Ring, inlet: Inlet) -> None:
        self._library = library
        record = self.record = Hops()
        self._at = ctypes.addressof(record)
        wakeups = ring.semaphores
        self._wakeups = (ctypes.c_void_p * len(wakeups))(*wakeups)
        record.words, record.slots = ring.addresses()
        record.wakeups, record.readers = ctypes.addressof(self._wakeups), len(wakeups)
        record.capacity, record.max_window = ring.capacity, ring.max_window
        for name in ("samples", "times", "raw", "arrived"):
            setattr(record, name, address(ring.array(name)))
        samples = ring.array("samples")
        record.channels, record.sample_bytes = samples[0].size, samples[0].nbytes
        record.float_bytes = samples.itemsize if samples.dtype.kind == "f" else 0
        record.pull, record.available, record.inlet = inlet.native

    @classmethod
    def of(cls, ring: Ring, inlet: Inlet, clock: Clock) -> Self | None:
        """Return what receives the hops, or None where Python has to: see `bci.memory.hot`."""
        library = compiled()
        if library is None or not getattr(clock, "is_machines", False) or 0 in ring.semaphores:
            return None
        return cls(library, ring, inlet)

    def end_at(self, quantum: int, grid: Grid | None) -> None:
        """State where hops end; see `LslSource`."""
        self.record.quantum = quantum
        if grid is not None:
            self.record.grid_start, self.record.grid_step = grid.start, grid.step

    def show_on(self, row: Row) -> None:
        """Write the counts of samples, when the newest came, and the beat of the heart into a program's row."""
        record = self.record
        record.row_samples, record.row_data = row.address("samples"), row.address("data")
        record.row_beat = row.address("beat")

    def run(self, stamps: Stamps, patience: Patience, timeout: float, lasting: float) -> bool | None:
        """Receive hops for `lasting` seconds, one at least, while they are plain.

        Returns
        -------
        bool or None
            None where nothing was received, and Python is to; else whether a hop more was pulled that is not plain.
        """
        record = self.record
        if not stamps.lend(record):
            return None
        patience.lend(record)
        record.timeout, record.lasting = timeout, lasting
        record.hops = record.taken = 0
        why = self._library.hops(self._at)
        if record.taken:
            stamps.take_back(record)
        elif why == BEFORE:
            return None
        return bool(why == PULLED)

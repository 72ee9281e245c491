"""Copies are what a decoder of volumes reads, for other tools: BOLD-masked, rows of voxels, and BOLD-beta, of trials.

The decoder puts them into shared memory when its pictures are out, and the publish program sends them. Nothing of a
session reads them or waits for them. Both have the voxels in the mask's order, and then their sequence numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.copied import BETA, MASKED, role_of
from bci.io.lsl.outlet import LslOutlet
from bci.live.ring_reader import RingReader
from bci.memory.closing import Closing
from bci.memory.program import Program
from bci.memory.ring import Columns
from bci.memory.stream import Stream
from bci.signal.pipeline import RunningPipeline
from bci.signal.types import Flags, Samples, Window


class Copies:
    """The copies that one decoder makes; without a stream in shared memory for one, none.

    Parameters
    ----------
    program : Program
        The decode program.
    """

    def __init__(self, program: Program) -> None:
        self._clock = program.clock
        opened = {name: role_of(name) for name in (MASKED, BETA) if program.has(role_of(name))}
        self._streams = {name: program.stream(role) for name, role in opened.items()}
        self._next = 0
        self._rows: list[tuple[int, NDArray[np.float32]]] = []

    def connect(self, pipeline: RunningPipeline) -> None:
        """Copy the rows of a pipeline; where two bundles run at once, those of the one that gives a volume's first."""
        if MASKED in self._streams:
            pipeline.tap_rows(self._keep)

    def _keep(self, first: int, samples: Samples, bad: Flags | None) -> None:
        self._rows.append((first, unknown_where(samples, bad)))

    def write(self, chunk: Window) -> None:
        """Write the rows of a chunk that the pipeline has run."""
        for first, rows in self._rows:
            for place, row in enumerate(rows):
                volume = first + place
                # Nothing is copied twice: neither by two bundles at once, nor when a run is run again.
                if volume >= max(self._next, chunk.first):
                    self._put(MASKED, row, (volume,), float(chunk.times[volume - chunk.first]))
                    self._next = volume + 1
        self._rows.clear()

    def beta(self, window: Window) -> None:
        """Write the beta of a trial: the epoch that was decoded."""
        if BETA in self._streams and window.event is not None:
            row = unknown_where(window.samples, window.bad)[0]
            self._put(BETA, row, (window.first, window.event.trial), float(window.times[-1]))

    def _put(self, copied: str, row: NDArray[np.float32], numbers: tuple[int, ...], time: float) -> None:
        stamp = np.array([time])
        samples = np.concatenate([row, np.array(numbers, np.float32)])[np.newaxis]
        self._streams[copied].samples.write(
            samples=samples, times=stamp, raw=stamp, arrived=np.array([self._clock.now()])
        )

    def finish(self) -> None:
        """Say that nothing more comes."""
        for stream in self._streams.values():
            stream.samples.finish()


def unknown_where(samples: Samples, bad: Flags | None) -> NDArray[np.float32]:
    """Return rows (n, voxels) with NaN for what must not be trusted; the caller's own."""
    rows = np.array(samples, np.float32)
    if bad is not None:
        rows[bad] = np.nan
    return rows


class PublishedCopies(Closing):
    """The copies on the network, as far as their streams are in shared memory.

    Parameters
    ----------
    program : Program
        The publish program.
    source_id : str
        What their source ids begin with.
    facts : mapping
        What the description of each says, by its name.
    """

    def __init__(self, program: Program, source_id: str, facts: Mapping[str, Mapping[str, Any]]) -> None:
        self._outlets: list[LslOutlet] = []
        self._readers: list[RingReader] = []
        self._streams: list[Stream] = []
        for copied, described in facts.items():
            stream = program.stream(role_of(copied))
            outlet = LslOutlet(
                stream.signal,
                f"{source_id}-{copied}",
                kind="fMRI",
                speed=float(described["speed"]),
                exact_stamps=True,
                extra={key: str(value) for key, value in described.items()},
            )
            self._outlets.append(outlet)
            self._streams.append(stream)
            self._readers.append(RingReader(copied, stream.samples, self._sender(outlet)))

    @staticmethod
    def _sender(outlet: LslOutlet) -> Any:
        def send(columns: Columns, first: int) -> None:
            outlet.push(columns["samples"], columns["times"])

        return send

    def send(self) -> int:
        """Send what has come; return how many rows were overwritten before they could be sent."""
        for reader in self._readers:
            reader()
        return sum(reader.lost for reader in self._readers)

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return all(
            stream.samples.finished and not reader.behind
            for stream, reader in zip(self._streams, self._readers, strict=True)
        )

    def close(self) -> None:
        """Take the streams from the network."""
        for outlet in self._outlets:
            outlet.close()

"""A stalled recorder is the record program on a disk that does not answer for some seconds.

Writes and syncs of all its files wait, as they do behind a controller that resets or a network share that hangs.
Only the layer below the recorder is another; everything else is the program itself.
"""

import time
from functools import partial
from pathlib import Path

from bci.io.files.disk import AppendFile, DiskFile
from bci.live import record
from bci.memory.program import Program

#: How long the disk does not answer, and how long after the first samples that begins, seconds.
STALL_S, AFTER_S = 5.0, 2.5

#: What is longer than any header: samples.
_SAMPLES = 1 << 16


class _Disk:
    """A _Disk opens files that wait while the disk stalls."""

    def __init__(self) -> None:
        self.stalls = float("inf")

    def open(self, path: Path) -> DiskFile:
        disk = self

        class Stalling(AppendFile):
            def append(self, piece: bytes) -> None:
                if len(piece) >= _SAMPLES and disk.stalls == float("inf"):
                    disk.stalls = time.monotonic() + AFTER_S
                disk.wait()
                super().append(piece)

            def sync(self) -> None:
                disk.wait()
                super().sync()

        return Stalling(path)

    def wait(self) -> None:
        """Return when the disk answers."""
        over = time.monotonic() - self.stalls
        if 0 <= over < STALL_S:
            time.sleep(STALL_S - over)


def main(program: Program) -> None:
    """Record as `bci.live.record` does."""
    record.Recorder = partial(record.Recorder, open_file=_Disk().open)  # type: ignore[assignment,misc]
    record.main(program)

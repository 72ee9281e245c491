"""Disks that are full or stall when told to."""

import errno
import threading
from pathlib import Path

from bci.io.files.disk import AppendFile


class FullDisk:
    """Files on a disk with room for `room` bytes in all; a piece too long is written in part."""

    def __init__(self, room: int) -> None:
        self.room = room

    def open(self, path: Path) -> "AppendFile":
        disk, file = self, AppendFile(path)
        raw = file._file

        class Limited:
            def write(self, piece: memoryview) -> int:
                if disk.room <= 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                written = raw.write(piece[: disk.room])
                disk.room -= written
                return written

            def truncate(self, size: int) -> None:
                disk.room += raw.seek(0, 2) - size
                raw.truncate(size)

            seek, fileno, close = raw.seek, raw.fileno, raw.close

        file._file = Limited()  # type: ignore[assignment]
        return file


class StallingDisk:
    """Files whose syncs and writes take as long as `flowing` is not set."""

    def __init__(self) -> None:
        self.flowing = threading.Event()
        self.flowing.set()
        self.waiting = threading.Event()

    def open(self, path: Path) -> "AppendFile":
        disk = self

        class Stalling(AppendFile):
            def append(self, piece: bytes) -> None:
                disk.wait()
                super().append(piece)

            def sync(self) -> None:
                disk.wait()
                super().sync()

        return Stalling(path)

    def wait(self) -> None:
        if not self.flowing.is_set():
            self.waiting.set()
            assert self.flowing.wait(60), "the test never let the disk go on"

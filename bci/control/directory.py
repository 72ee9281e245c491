"""A Directory says what the rings of a running session are called in shared memory: ``live.json`` in its folder.

With it another program of this computer can look at a session that runs, without having been started by it. The
supervisor writes it as rings are made, and removes it when the session has ended.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bci.errors import RecordingError
from bci.io.files.folder import write_json
from bci.io.files.regular import read_text
from bci.signal.types import Signal

FILE = "live.json"


@dataclass(frozen=True)
class StreamPlace:
    """Where the rings of one stream are, and what the samples are.

    Attributes
    ----------
    segment : str
        Name of its segment of shared memory.
    signal : Signal
        What the samples are.
    source_id : str
        What its sender is called.
    speed : float
        How many times faster than its rate it is played.
    """

    segment: str
    signal: Signal
    source_id: str
    speed: float = 1.0


@dataclass(frozen=True)
class Directory:
    """A Directory lists what a session has in shared memory.

    Attributes
    ----------
    board : str
        Segment of its board.
    rings : mapping of str to str
        Segments of its rings, by their names in the line.
    streams : mapping of str to StreamPlace
        Its streams of samples, by their names in the line.
    """

    board: str
    rings: Mapping[str, str]
    streams: Mapping[str, StreamPlace]

    def write(self, folder: Path) -> None:
        """Write it into a session's folder, whole or not at all; what it names is gone after a loss of power.

        Raises
        ------
        DiskError
            If the disk refuses.
        """
        write_json(folder / FILE, asdict(self), durable=False)

    @classmethod
    def read(cls, folder: Path) -> "Directory | None":
        """Return that of a session's folder; None where the session does not run.

        Raises
        ------
        RecordingError
            If the file is not as a session writes it.
        """
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            return _reader().validate_python(json.loads(read_text(path, RecordingError, largest=1 << 22)))
        except (ValueError, ValidationError) as error:
            raise RecordingError(f"{path} is not as a session writes it: {str(error)[:200]}") from None

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove that of a session that has ended."""
        (folder / FILE).unlink(missing_ok=True)


def _reader() -> "TypeAdapter[Directory]":
    return TypeAdapter(Directory)

"""A run played at its pace: as volumes for a node, or as files that are written into a folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

from bci.io.volumes.nifti import is_nifti, nifti_bytes
from bci.io.volumes.run_on_disk import files_by_place, volumes_of
from bci.io.volumes.volume import SliceImage, Volume
from bci.signal.clock import Clock

#: Place of a volume, name of a file, and what gives its content.
Paced = tuple[int, str, Callable[[], bytes]]


class PlayedVolumes:
    """PlayedVolumes gives the volumes of a run at their pace, each at the end of its TR: an image source.

    Parameters
    ----------
    volumes : iterator of Volume
        The run, in order.
    clock : Clock
        The session clock.
    tr : float
        Session seconds from volume to volume.

    Attributes
    ----------
    given : int
        Volumes so far.
    over : bool
        Whether the run has ended.
    """

    def __init__(self, volumes: Iterator[Volume], clock: Clock, tr: float) -> None:
        self._volumes, self._clock, self._tr = volumes, clock, tr
        self._next = next(volumes, None)
        self.begin()
        self.given = 0
        self.over = self._next is None

    def begin(self) -> None:
        """Begin now: the first volume is given one TR from here."""
        self._begun = self._clock.now()

    def poll(self) -> Iterator[Volume | SliceImage | str]:
        """Yield the volumes whose time has come."""
        while self._next is not None and self._clock.now() >= self._due(self._next):
            volume, self._next = self._next, next(self._volumes, None)
            self.over = self._next is None
            self.given += 1
            yield volume

    def wait(self, seconds: float) -> None:
        """Wait at most so many seconds, no longer than until the next volume."""
        until = self._clock.now() + seconds
        self._clock.sleep_until(until if self._next is None else min(until, self._due(self._next)))

    def _due(self, volume: Volume) -> float:
        return self._begun + (volume.index + 1) * self._tr


def paced_contents(run: Path, number: int | None = None) -> tuple[float, list[Paced]]:
    """Return the TR that a run states, and its files: each with the place of its volume, in that order.

    Files of one volume or slice are given as they are, with every tag that they carry. A file of all volumes is given
    as one NIfTI file for each.

    Raises
    ------
    RecordingError
        If the run cannot be read.
    """
    first = next(volumes_of(run, number), None)
    tr = float("nan") if first is None else first.series.tr
    if first is not None and run.is_file() and is_nifti(run):
        return tr, [
            (volume.index, f"vol_{volume.index + 1:05d}.nii", _nifti_of(volume)) for volume in volumes_of(run)
        ]
    return tr, [(place, file.name, file.read_bytes) for place, file in files_by_place(run, number)]


def copy_at_pace(contents: list[Paced], folder: Path, tr: float, clock: Clock) -> Iterator[Path]:
    """Write files into a folder, those of each volume at the end of its TR; yield each when it is written."""
    begun = clock.now()
    for place, name, content in contents:
        data = content()
        clock.sleep_until(begun + (place + 1) * tr)
        (folder / name).write_bytes(data)
        yield folder / name


def _nifti_of(volume: Volume) -> Callable[[], bytes]:
    def content() -> bytes:
        return nifti_bytes(volume.data, volume.series.affine, volume.series.tr)

    return content

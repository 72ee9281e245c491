"""A simulated scanner writes a run of volumes into a folder, volume after volume, and can be told what goes wrong.

It waits for nothing: `step` writes what is due by a clock, so that a test turns it by hand.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
from numpy.typing import NDArray

from bci.io.volumes.volume import ImagingSeries
from bci.signal.clock import Clock
from bci.sim.scanner.dicom import write_enhanced, write_mosaic, write_slices
from bci.sim.scanner.phantom import phantom

Format = Literal["mosaic", "enhanced", "slices", "nifti"]

#: What can go wrong with a volume's files.
Fault = Literal["missing", "duplicate", "truncated", "half-written", "late", "swapped", "foreign", "burst"]

_nifti: Any = nibabel.Nifti1Image

#: Seconds, in TRs: until the other half of a file is written; by which a volume is late.
_HALF_TRS, _LATE_TRS = 0.3, 2.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A Delivery is a piece of a file that is written at a time.

    Attributes
    ----------
    due : float
        Seconds since the beginning of the run.
    name : str
        The file, relative to the folder.
    content : bytes
        What is appended to it.
    index : int
        Place of the volume.
    """

    due: float
    name: str
    content: bytes
    index: int


class SimulatedScanner:
    """A SimulatedScanner writes volumes as files, each at the end of its TR.

    Parameters
    ----------
    folder : Path
        Where to; files of a run go into a folder of the series' number.
    series : ImagingSeries
        The run; `series.total` volumes.
    clock : Clock
        The session clock; the run begins when the scanner is made.
    kind : str
        Format of the files.
    values : callable, optional
        Values of a volume by series and index, (x, y, z) from 0 to 4095; absent means those of a phantom.
    faults : mapping of int to str
        What goes wrong, by the place of the volume.
    speed : float
        How many times faster than real time.
    seed : int
        Of the order in which files of slices are written.

    Attributes
    ----------
    deliveries : list of Delivery
        What is written, in order.
    written : dict of int to float
        When the last file of each volume was whole, session seconds.
    """

    def __init__(
        self,
        folder: Path,
        series: ImagingSeries,
        clock: Clock,
        *,
        kind: Format = "mosaic",
        values: Callable[[ImagingSeries, int], NDArray[Any]] = phantom,
        faults: Mapping[int, Fault] | None = None,
        speed: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.folder = folder
        self._clock = clock
        self._begun = clock.now()
        self._tr = series.tr / speed
        self._cut = int(0.3 * 2 * np.prod(series.shape))
        self._rng = np.random.default_rng(seed)
        self.deliveries = self._plan(series, kind, values, dict(faults or {}))
        self.written: dict[int, float] = {}
        self._done = 0
        (folder / f"{series.number:06d}").mkdir(parents=True, exist_ok=True)

    @property
    def over(self) -> bool:
        """Whether all is written."""
        return self._done == len(self.deliveries)

    @property
    def next_due(self) -> float:
        """Session time of what is written next; infinite when all is."""
        return float("inf") if self.over else self._begun + self.deliveries[self._done].due

    def step(self) -> int:
        """Write what is due by now; return how many pieces."""
        before = self._done
        while not self.over and self._clock.now() >= self.next_due:
            delivery = self.deliveries[self._done]
            with (self.folder / delivery.name).open("ab") as file:
                file.write(delivery.content)
            self.written[delivery.index] = self._clock.now()
            self._done += 1
        return self._done - before

    # -- its parts ---------------------------------------------------------------------------------------

    def _plan(
        self,
        series: ImagingSeries,
        kind: Format,
        values: Callable[[ImagingSeries, int], NDArray[Any]],
        faults: dict[int, Fault],
    ) -> list[Delivery]:
        planned: list[Delivery] = []
        for index in range(series.total):
            fault, due = faults.get(index), (index + 1) * self._tr
            if fault == "swapped":
                due += 1.2 * self._tr  # behind its successor
            elif fault == "late":
                due += _LATE_TRS * self._tr
            elif fault == "burst":
                due = (
                    1 + max(i for i in range(index, series.total) if self._in_burst(i, index, faults))
                ) * self._tr
            if fault != "missing":
                files = encode(series, index, values(series, index), kind)
                planned += self._write(files, due, index, fault)
            if fault == "foreign":
                other = replace(series, uid=f"{series.uid}.9", number=series.number, total=1)
                files = encode(other, 0, values(series, 0), kind)
                planned += [
                    Delivery(due + 0.01 * self._tr, re.sub(r"/\d+_\d+_", "/other_", name), content, -1)
                    for name, content in files
                ]
        return sorted(planned, key=lambda delivery: delivery.due)

    @staticmethod
    def _in_burst(index: int, first: int, faults: Mapping[int, Fault]) -> bool:
        return all(faults.get(between) == "burst" for between in range(first, index + 1))

    def _write(
        self, files: Sequence[tuple[str, bytes]], due: float, index: int, fault: Fault | None
    ) -> list[Delivery]:
        order = self._rng.permutation(len(files)) if len(files) > 1 else range(len(files))
        each = 0.2 * self._tr / len(files)  # the slices of a volume are written in the last fifth of its TR
        parts: list[Delivery] = []
        for place, chosen in enumerate(order):
            name, content = files[chosen]
            when = due - each * (len(files) - 1 - place)
            half, broken = len(content) - self._cut // len(files), place == len(files) - 1
            if fault == "truncated" and broken:
                parts.append(Delivery(when, name, content[:half], index))
            elif fault == "half-written" and broken:
                parts.append(Delivery(when, name, content[:half], index))
                parts.append(Delivery(when + _HALF_TRS * self._tr, name, content[half:], index))
            else:
                parts.append(Delivery(when, name, content, index))
            if fault == "duplicate":
                parts.append(
                    Delivery(when + 0.1 * self._tr, re.sub(r"(\d+)(\.\w+)$", r"0\1\2", name), content, index)
                )
        return parts


def encode(series: ImagingSeries, index: int, data: NDArray[Any], kind: Format) -> list[tuple[str, bytes]]:
    """Return the files of a volume: their names, relative to a folder of runs, and contents."""
    stem = f"{series.number:06d}/001_{series.number:06d}_{index + 1:06d}"
    if kind == "mosaic":
        return [(f"{stem}.dcm", write_mosaic(series, index, data))]
    if kind == "enhanced":
        return [(f"{stem}.dcm", write_enhanced(series, {index: data}))]
    if kind == "slices":
        files = write_slices(series, index, data, "GE")
        return [(f"{stem}_{z + 1:03d}.dcm", content) for z, content in enumerate(files)]
    image: Any = _nifti(np.asarray(data, np.int16), series.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = series.tr
    return [(f"{stem}.nii", image.to_bytes())]

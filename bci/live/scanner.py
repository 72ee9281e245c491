"""The scanner program: a simulated participant looks at what the display flips, and volumes of its head become files.

It reads the ring of what was shown, pixels and flip stamps and nothing else, and writes what a scanner would, each
volume at the end of its TR. It sends nothing: its folder is watched (`bci.live.watched`) as a real scanner's is. For
the same flips `bci.sim.scanner.scanned.scan` gives the same volumes, unless a change was late or lost; both are
counted.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.config.sources import InSilicoSpec, ScannerSettings
from bci.errors import ConfigError
from bci.io.volumes.volume import ImagingSeries
from bci.live.insilico import open_participant, read_spec
from bci.live.participant_link import ParticipantLink
from bci.memory.program import Program
from bci.memory.ring import LONGEST_WAIT
from bci.sim.scanner.scanned import ScannedParticipant, scan_series
from bci.sim.scanner.scanner import Format, encode


def main(program: Program) -> None:
    """Look and write files until the supervisor says stop.

    Spec: `bci.config.sources.InSilicoSpec` with a ``scanner``. Opens the ring of role ``shown``. One that is started
    again begins its participant anew and goes on with the number of the next volume.

    Ready facts: ``folder``, ``files``. Report: ``started``, the session time of volume 0; at the end
    `bci.live.participant_link.ParticipantLink.facts`.

    Raises
    ------
    ConfigError
        If the spec is no scanned participant's, or a figure is out of its range.
    """
    spec = read_spec(program.spec)
    scanner = scanner_of(spec)
    scanned = scanned_participant(spec)
    before, tr = program.inherited["samples"], spec.tr / spec.speed
    folder = folder_of(scanner, program.folder)
    files = ScanFiles(folder, series_of(spec), scanner.files, before)
    program.ready(folder=str(folder), files=scanner.files)
    ring, slot = program.ring("shown"), program.slot("shown")
    samples = None if spec.seconds is None else max(1, round(spec.seconds / spec.tr))
    link = ParticipantLink(
        scanned, ring, files, program.clock.now(), speed=spec.speed, lag=tr, samples=samples
    )
    program.report(started=link.zero)
    going = True
    while going and not link.done:
        left = link.next_due - program.clock.now()
        ring.wait(ring.count + 1, min(LONGEST_WAIT, max(0.0, left)), slot=slot)
        link.step(program.clock.now())
        program.row["samples"] = before + link.sent
        going = program.tick()
    program.report(**link.facts())
    while going:
        program.clock.sleep_until(program.clock.now() + 0.05)
        going = program.tick()


def scanner_of(spec: InSilicoSpec) -> ScannerSettings:
    """Return the scanner of a spec.

    Raises
    ------
    ConfigError
        If it has none.
    """
    if spec.scanner is None:
        raise ConfigError(
            "expected a participant with a [source.scanner], came one without. Give it that section."
        )
    return spec.scanner


def scanned_participant(spec: InSilicoSpec) -> ScannedParticipant:
    """Put the participant that a spec describes into its scanner.

    Raises
    ------
    ConfigError
        If a figure is out of its range, or it has more voxels than its head.
    """
    how = scanner_of(spec).model_dump(exclude={"files", "folder"})
    return ScannedParticipant(open_participant(spec), spec.session, **how)


def series_of(spec: InSilicoSpec) -> ImagingSeries:
    """Return what the files of a spec's scanner say of its run; its identifier follows from the stream's."""
    return scan_series(scanner_of(spec).voxel_mm, spec.tr, spec.source_id)


def folder_of(scanner: ScannerSettings, session: Path) -> Path:
    """Return the folder of a scanner's files, which is made: the session's own where none is named."""
    folder = scanner.folder or session / "scanner"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class ScanFiles:
    """ScanFiles writes volumes into a folder, as an outlet of a `ParticipantLink`.

    Parameters
    ----------
    folder : Path
        Where to; the files of the run go into a folder of the series' number.
    series : ImagingSeries
        The run.
    files : str
        Their format.
    first : int
        Place of the first volume.
    """

    def __init__(self, folder: Path, series: ImagingSeries, files: Format, first: int = 0) -> None:
        self._folder, self._series, self._files, self._next = folder, series, files, first
        (folder / f"{series.number:06d}").mkdir(exist_ok=True)

    def push(self, samples: NDArray[Any], times: NDArray[np.float64]) -> None:
        """Write volumes (n, x, y, z) int16; their times are those of their files."""
        for volume in samples:
            for name, content in encode(self._series, self._next, volume, self._files):
                (self._folder / name).write_bytes(content)
            self._next += 1

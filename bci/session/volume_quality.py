"""A run of volumes, on disk or in a session's recording, is surveyed as a decoder would see it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, RecordingError
from bci.io.files.kinds import SESSION, kind_of
from bci.io.files.recording import open_recording
from bci.io.files.run import load_run, read_design
from bci.io.volumes.quality_page import write_quality
from bci.io.volumes.reference import BRAIN, VOLUME
from bci.io.volumes.run_on_disk import volumes_of
from bci.session.recorded import RecordedSession
from bci.signal.run import Design, Run
from bci.signal.volumes.physiology import Physiology
from bci.signal.volumes.realign import brain
from bci.signal.volumes.rigid import Affine, voxel_sizes_mm
from bci.signal.volumes.survey import Surveyed, VolumeSurvey

Volumes = Iterator[NDArray[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class VolumeRun:
    """A VolumeRun is a run that can be surveyed.

    Attributes
    ----------
    name : str
        What it is called.
    volumes : list of (x, y, z) arrays
        One for each place; NaN throughout where none came.
    tr_s : float
    run : Run
        Reference volume, affine, masks, and the design where there is one.
    mask : str
        Name of the brain's mask.
    slice_times_s : tuple of float
        When each slice is taken, from the beginning of its volume; empty where that is not known.
    physiology : Physiology or None
        Pulse and breathing on the run's time.
    """

    name: str
    volumes: Sequence[NDArray[np.floating[Any]]]
    tr_s: float
    run: Run
    mask: str = "brain"
    slice_times_s: tuple[float, ...] = ()
    physiology: Physiology | None = None

    @classmethod
    def on_disk(
        cls, path: Path, masks: Path | None, place: int, tr: float | None, series: int | None
    ) -> Self:
        """Read a run of files.

        Parameters
        ----------
        path : Path
            A folder of DICOM or NIfTI files, or a 4-D NIfTI file.
        masks : Path or None
            A folder that `bci volumes reference` has written; without it volume `place` is the reference, and the brain
            is found in it.
        place : int
        tr : float or None
            Seconds, where the files do not say.
        series : int or None
            Number of the series, where a folder holds several.

        Raises
        ------
        BciError
            If it cannot be read, or the masks are of another grid.
        """
        recording = open_recording(
            path, rate=None if tr is None else 1.0 / tr, stream=None if series is None else str(series)
        )
        volumes = list(recording.read(0, recording.n or 0))
        # A multiband run's first volume may state the times of a single-band one.
        first = [volume.series for volume in islice(volumes_of(path, series), 2)][-1]
        if masks is not None:
            run = run_of_folder(masks)
        else:
            if place >= len(volumes) or not np.isfinite(volumes[place]).all():
                raise ConfigError(
                    f"{path} has no whole volume at place {place}: choose another with --volume"
                )
            run = run_of_volume(volumes[place], first.affine)
        times = tuple(float(time) for time in first.slice_times)
        return cls(path.name, volumes, 1.0 / recording.signal.rate, run, slice_times_s=times)

    @classmethod
    def in_session(cls, folder: Path) -> Self:
        """Read what a session recorded.

        Raises
        ------
        RecordingError
            If its first stream holds no volumes, or its ``[run]`` no reference volume and no mask.
        """
        session = RecordedSession.read(folder)
        signal, run = session.signal(), session.run
        if len(signal.shape) != 3:
            raise RecordingError(
                f"{folder} recorded {signal.name!r}, samples of shape {signal.shape}: expected volumes (x, y, z). "
                "bci quality looks at channels."
            )
        if run.reference is None or run.affine is None or not run.masks:
            raise RecordingError(
                f"{folder}: expected a reference volume and a mask in the session's [run], came none. Survey the run's "
                "own files."
            )
        volumes: list[NDArray[np.floating[Any]]] = []
        nothing = np.full(signal.shape, np.nan, np.float32)
        for first, samples in session.pieces():
            volumes += [nothing] * (first - len(volumes))
            volumes += list(samples.reshape(-1, *signal.shape))
        mask = "brain" if "brain" in run.masks else max(run.masks, key=lambda name: int(run.mask(name).sum()))
        return cls(folder.name, volumes, 1.0 / signal.rate, run, mask)

    def with_design(self, path: Path) -> "VolumeRun":
        """Return it with the events of a table: onset, duration, trial_type."""
        return self.with_events(read_design(path))

    def with_events(self, design: Design) -> "VolumeRun":
        """Return it with other planned events."""
        return replace(self, run=replace(self.run, design=design))

    def with_physiology(
        self, path: Path, pulse: str | None, breath: str | None, start_s: float, stream: str | None = None
    ) -> "VolumeRun":
        """Return it with a recorded pulse and a trace of breathing.

        Parameters
        ----------
        path : Path
            Any recording, such as one of `bci record`.
        pulse, breath : str or None
            Labels of their channels.
        start_s : float
            Seconds in the recording at which the run's first volume began.
        stream : str, optional
            Which stream of the recording.

        Raises
        ------
        BciError
            If it cannot be read or has no such channel, or they are no pulse and no breathing.
        """
        recording = open_recording(path, stream=stream)
        signal, samples = recording.signal, recording.read(0, recording.n or 0).astype(np.float64)
        traces = []
        for label in (pulse, breath):
            if label is not None and label not in signal.channels:
                there = ", ".join(signal.channels) or "no labels"
                raise ConfigError(f"{path}: expected a channel {label!r}, came {there}")
            traces.append(None if label is None else samples[:, signal.channels.index(label)])
        return replace(self, physiology=Physiology(signal.rate, start_s, *traces))

    def _nuisance(self) -> NDArray[np.float64] | None:
        """Return the regressors of its physiology (volumes, slices, k); at mid-volume where slices have no times."""
        if self.physiology is None:
            return None
        times = self.slice_times_s or (self.tr_s / 2.0,) * self.volumes[0].shape[2]
        return self.physiology.columns(len(self.volumes), self.tr_s, times)

    @property
    def planned(self) -> Design:
        """Its planned events; ConfigError where there is none."""
        if self.run.design is None:
            raise ConfigError(f"{self.name}: expected a design, came none. Give --design FILE.")
        return self.run.design

    @property
    def reference(self) -> NDArray[np.float32]:
        """The reference volume on whose grid its masks lie."""
        return np.asarray(
            self.run.aligned_to()[0] if self.run.trained is None else self.run.trained.reference
        )

    @property
    def regions(self) -> tuple[str, ...]:
        """Masks that lie within the brain's, in order; a decoder's own mask alone, where that is no brain's."""
        within = np.asarray(self.run.mask(self.mask), bool)
        inside = tuple(
            name for name in self.run.masks if name != self.mask and (self.run.mask(name) & within).any()
        )
        return inside or (() if self.mask == "brain" else (self.mask,))

    @property
    def grid(self) -> Affine:
        """From the masks' voxels to millimetre of their own session."""
        trained = self.run.trained
        return np.asarray(self.run.aligned_to()[1] if trained is None else trained.affine)

    def survey(self, contrasts: Sequence[str] = ()) -> Surveyed:
        """Return what it showed; by default every condition of its design is a contrast."""
        design = self.run.design
        asked = contrasts or (sorted(set(design.conditions)) if design is not None else [])
        survey = VolumeSurvey(
            self.run,
            len(self.volumes),
            self.tr_s,
            mask=self.mask,
            regions=self.regions,
            contrasts=asked,
            physiology=self._nuisance(),
        )
        for volume in self.volumes:
            survey.add(volume)
        return survey.finish()

    def write(self, out: Path, found: Surveyed) -> dict[str, Any]:
        """Write the report into a folder; see `bci.io.volumes.quality_page`."""
        regions = {name: np.asarray(self.run.mask(name), bool) for name in self.regions}
        return write_quality(out, self.name, found, self.grid, regions)


def read_volumes(
    path: Path,
    *,
    masks: Path | None = None,
    place: int = 1,
    tr: float | None = None,
    series: int | None = None,
) -> VolumeRun:
    """Read a run from its files, or from a session's folder."""
    if kind_of(path) is SESSION:
        return VolumeRun.in_session(path)
    return VolumeRun.on_disk(path, masks, place, tr, series)


def run_of_folder(folder: Path) -> Run:
    """Return the reference volume and the masks that `bci volumes reference` has written into a folder.

    Raises
    ------
    ConfigError
        If they are not there, or do not fit each other.
    """
    if not (folder / VOLUME).is_file() or not (folder / BRAIN).is_file():
        raise ConfigError(
            f"{folder}: expected {VOLUME} and {BRAIN}, came neither or one. `bci volumes reference RUN --out "
            f"{folder.name}` writes them."
        )
    others = sorted(path for path in folder.glob("*.nii.gz") if path.name != VOLUME)
    return load_run(
        reference=folder / VOLUME, masks={path.name.removesuffix(".nii.gz"): path for path in others}
    )


def run_of_volume(volume: NDArray[np.floating[Any]], affine: Affine) -> Run:
    """Return a run whose reference is a volume, and whose brain is found in it."""
    reference = np.asarray(volume, np.float32)
    return Run(reference=reference, affine=affine, masks={"brain": brain(reference, voxel_sizes_mm(affine))})

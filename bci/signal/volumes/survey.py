"""A VolumeSurvey says how a run of volumes went: motion, change from volume to volume, steadiness, what answers.

It runs the steps that a decoder runs, one volume after the other: `MotionCorrection`, `Dvars`, `MarkSpikes`, and an
`IncrementalGlm` with drift, motion and, where they are given, physiology and the response to each condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, DataError
from bci.signal.pipeline import Pipeline
from bci.signal.run import Design, Run
from bci.signal.step import Step
from bci.signal.types import Signal, Window
from bci.signal.volumes.dvars import Dvars
from bci.signal.volumes.motion import COLUMNS, FAULT, MotionCorrection, motion_regressors
from bci.signal.volumes.nuisance import MarkSpikes
from bci.signal.volumes.responses import ResponseGrid, drifts
from bci.signal.volumes.running import RunningMoments
from bci.signal.volumes.slice_glms import SliceGlms

Array = NDArray[np.float64]
Map = NDArray[np.float32]

#: A voxel that could not be trusted in more of the volumes has no place in a map.
MOST_UNTRUSTED = 0.1

_AT = {name: place for place, name in enumerate(COLUMNS)}


@dataclass(frozen=True, eq=False)
class Contrast:
    """A Contrast is what one condition, or a difference of two, does to each voxel: maps (x, y, z), NaN elsewhere.

    Attributes
    ----------
    effect : (x, y, z) float32
        In percent of the voxel's mean.
    t : (x, y, z) float32
    """

    effect: Map
    t: Map


@dataclass(frozen=True, eq=False)
class Surveyed:
    """What a run of n volumes showed.

    Attributes
    ----------
    tr_s : float
    motion : (n, 10) float64
        `bci.signal.volumes.motion.COLUMNS`; NaN where no volume came.
    dvars : (n,) float64
        In percent of the brain's mean.
    missing, lost, spikes : (n,) bool
        Volumes that did not come, those whose motion is not corrected, and those at which head or picture jumped.
    regions : mapping of str to (n,) float64
        Each region's course, in percent of its mean; NaN where it is not known.
    mean, tsnr, cleaned : (x, y, z) float32
        Of each voxel the mean, its mean over standard deviation, and the same without drift, motion and what else the
        model holds; NaN outside the mask. `cleaned` is NaN everywhere where the volumes do not tell the model's columns
        apart.
    fitted : int
        Volumes that the model was fitted to.
    freedom : int
        Degrees of freedom that it left.
    contrasts : mapping of str to Contrast
        By their names, as they were asked for.
    words : tuple of str
        What could not be said, and why.
    physiology : bool
        Whether the model holds columns of pulse or breathing.
    """

    tr_s: float
    motion: Array
    dvars: Array
    missing: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    spikes: NDArray[np.bool_]
    regions: Mapping[str, Array]
    mean: Map
    tsnr: Map
    cleaned: Map
    fitted: int
    freedom: int
    contrasts: Mapping[str, Contrast] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    physiology: bool = False

    @property
    def displacement(self) -> Array:
        """Framewise displacement of each volume, (n,), millimetre."""
        return np.asarray(self.motion[:, _AT["framewise_displacement"]])

    def figures(self) -> dict[str, float | int | None]:
        """Return the run in numbers; None where there is no value."""
        moved, turned = self.motion[~self.lost, :3], np.degrees(self.motion[~self.lost, 3:6])
        numbers = {
            "displacement_median_mm": _of(np.nanmedian, self.displacement),
            "displacement_most_mm": _of(np.nanmax, self.displacement),
            "translation_most_mm": _of(np.nanmax, np.abs(moved)),
            "rotation_most_deg": _of(np.nanmax, np.abs(turned)),
            "dvars_median_percent": _of(np.nanmedian, self.dvars),
            "tsnr_median": _of(np.nanmedian, self.tsnr),
            "tsnr_cleaned_median": _of(np.nanmedian, self.cleaned),
        }
        counts = {
            "volumes": len(self.dvars),
            "missing": int(self.missing.sum()),
            "lost": int(self.lost.sum()),
        }
        return {**counts, "spikes": int(self.spikes.sum()), "fitted": self.fitted, **numbers}


def _of(measure: object, values: NDArray[np.floating]) -> float | None:
    assert callable(measure)
    return float(measure(values)) if np.isfinite(values).any() else None


class VolumeSurvey:
    """A VolumeSurvey takes a run's volumes in order.

    Parameters
    ----------
    run : Run
        With a reference volume, its affine, and masks.
    volumes : int
        How many the run has.
    tr_s : float
        Seconds from volume to volume.
    mask : str
        Name of the mask of the brain.
    regions : sequence of str
        Names of masks whose courses are wanted.
    contrasts : sequence of str
        Conditions of the run's design, ``"faces"``, or differences of two, ``"faces-houses"``.
    physiology : (volumes, slices, k) array, optional
        Regressors of each slice, along the third axis of the volumes (`physiology.Physiology.columns`).

    Raises
    ------
    ConfigError
        If the run lacks something, or its design a condition.
    """

    def __init__(
        self,
        run: Run,
        volumes: int,
        tr_s: float,
        *,
        mask: str = "brain",
        regions: Sequence[str] = (),
        contrasts: Sequence[str] = (),
        physiology: Array | None = None,
    ) -> None:
        reference = run.aligned_to()[0]
        self._mask = np.asarray(run.mask(mask), bool)
        voxels = int(self._mask.sum())
        self._signal = Signal("BOLD-raw", 1.0 / tr_s, reference.shape)
        steps: list[Step] = [MotionCorrection(mask, voxels), Dvars(), MarkSpikes()]
        self._running = Pipeline(steps).for_run(run).start(self._signal)
        self._regions = {name: self._within(run, name) for name in regions}
        self._courses: dict[str, list[float]] = {name: [] for name in regions}
        conditions, columns = _responses(run.design, volumes, tr_s)
        self._wanted = {name: _weights(name, conditions) for name in contrasts}
        steady = [np.ones((volumes, 1)), drifts("polynomial", volumes, tr_s), columns]
        self._steady = np.column_stack(steady)
        slices = np.nonzero(self._mask)[2]
        if physiology is not None and physiology.shape[:2] != (volumes, self._mask.shape[2]):
            raise ConfigError(
                f"expected physiology of {volumes} volumes of {self._mask.shape[2]} slices, came {physiology.shape}"
            )
        self._glm = SliceGlms(self._steady.shape[1] + 6, slices, physiology)
        self._moments = RunningMoments(voxels)
        self._tr_s, self._volumes, self._heard = tr_s, volumes, physiology is not None
        self._motion: list[Array] = []
        self._changes: list[float] = []
        self._states: list[tuple[bool, bool, bool]] = []

    def _within(self, run: Run, name: str) -> NDArray[np.intp]:
        region = np.asarray(run.mask(name), bool)
        if region.shape != self._mask.shape or not (region & self._mask).any():
            raise ConfigError(
                f"expected voxels of region {name!r} within the brain's mask, on its grid, came none. Look at both "
                "over the reference volume."
            )
        return np.flatnonzero(region[self._mask])

    def add(self, volume: NDArray[np.floating]) -> None:
        """Take the next volume (x, y, z); NaN throughout where none came."""
        place = len(self._states)
        if place >= self._volumes:
            raise DataError(f"expected a run of {self._volumes} volumes, came more of them")
        missing = not bool(np.isfinite(volume).any())
        chunk = Window(
            self._signal, place, np.asarray(volume, np.float32)[None], np.array([place * self._tr_s]),
            np.zeros((1, *self._signal.shape), bool), place, reset="" if place else "start",
        )  # fmt: skip
        out = self._running(chunk)
        motion, change = (np.asarray(side.samples[0], np.float64) for side in self._running.take_sides(chunk))
        row, flags = out.samples[0].astype(np.float64), out.bad[0]
        lost = bool(motion[_AT[FAULT]]) and not missing
        spike = bool(flags.all()) and not lost and not missing
        self._motion.append(np.full(len(COLUMNS), np.nan) if missing else motion)
        self._changes.append(np.nan if missing else float(change[0]))
        self._states.append((missing, lost, spike))
        for name, within in self._regions.items():
            known = ~flags[within]
            self._courses[name].append(float(row[within][known].mean()) if known.mean() > 0.5 else np.nan)
        if missing or lost or spike:
            return
        self._moments.add(row, flags)
        self._glm.add(place, np.concatenate([self._steady[place], motion_regressors(motion[None])[0]]), row)

    def finish(self) -> Surveyed:
        """Return what the run showed."""
        mean, spread = self._moments.mean, self._moments.spread()
        trusted = self._moments.counts >= (1.0 - MOST_UNTRUSTED) * max(self._glm.volumes, 1)
        trusted &= (spread > 0) & (mean > 0)
        freedom, words = self._glm.degrees_of_freedom, []
        cleaned = np.full(len(mean), np.nan)
        contrasts = {}
        try:
            remaining = np.sqrt(self._glm.residual_variance())
            cleaned = np.divide(mean, remaining, out=cleaned, where=remaining > 0)
            contrasts = {name: self._contrast(weights, trusted) for name, weights in self._wanted.items()}
        except DataError as error:
            words.append(f"the model has no answer: {error}")
        steadiness = np.divide(mean, spread, out=np.full(len(mean), np.nan), where=spread > 0)
        missing, lost, spikes = (np.array(column, bool) for column in zip(*self._states, strict=True))
        brightness = float(mean[trusted].mean()) if trusted.any() else np.nan
        return Surveyed(
            self._tr_s,
            np.array(self._motion),
            100.0 * np.array(self._changes) / brightness,
            missing,
            lost,
            spikes,
            {name: _percent(np.array(course)) for name, course in self._courses.items()},
            self._map(mean, trusted),
            self._map(steadiness, trusted),
            self._map(cleaned, trusted),
            self._glm.volumes,
            freedom,
            contrasts,
            tuple(words),
            self._heard,
        )

    def _contrast(self, weights: Array, trusted: NDArray[np.bool_]) -> Contrast:
        whole = np.zeros(self._steady.shape[1] + 6)
        whole[self._steady.shape[1] - len(weights) : self._steady.shape[1]] = weights
        effect, t = self._glm.contrast(whole)
        percent = 100.0 * effect / np.where(trusted, self._moments.mean, 1.0)
        return Contrast(self._map(percent, trusted), self._map(t, trusted))

    def _map(self, values: Array, trusted: NDArray[np.bool_]) -> Map:
        out = np.full(self._mask.shape, np.nan, np.float32)
        out[self._mask] = np.where(trusted, values, np.nan)
        return out


def _percent(course: Array) -> Array:
    middle = np.nanmean(course) if np.isfinite(course).any() else np.nan
    return np.asarray(100.0 * (course / middle - 1.0))


def _responses(design: Design | None, volumes: int, tr_s: float) -> tuple[list[str], Array]:
    """Return the conditions of a design, and the response to all events of each: (volumes, conditions)."""
    if design is None:
        return [], np.zeros((volumes, 0))
    grid = ResponseGrid(volumes, tr_s)
    conditions = sorted(set(design.conditions))
    columns = np.zeros((volumes, len(conditions)))
    for onset, duration, condition in zip(design.onsets, design.durations, design.conditions, strict=True):
        columns[:, conditions.index(condition)] += grid.column(float(onset), float(duration))
    return conditions, columns


def _weights(contrast: str, conditions: Sequence[str]) -> Array:
    """Return the weight of each condition.

    >>> _weights("faces-houses", ["faces", "houses", "rest"]).tolist()
    [1.0, -1.0, 0.0]
    """
    one, _, other = (contrast, "", "") if contrast in conditions else contrast.partition("-")
    unknown = [name for name in (one, other) if name and name not in conditions]
    if unknown or not one:
        raise ConfigError(
            f"contrast {contrast!r}: expected a condition or a difference of two, as {' or '.join(conditions[:2])}; "
            f"the design has {', '.join(conditions) or 'no condition'}."
        )
    return np.array([float(name == one) - float(name == other) for name in conditions])

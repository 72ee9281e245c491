"""A ScannedParticipant lies in a simulated scanner: its voxels have places in a head, and the head moves.

At rest each voxel of the participant is one voxel of the scan, at the back of the head. When the head moves, brightness
and BOLD move with it: the head is drawn anew from its formula, and what its voxels answer is interpolated between
their places by cubic splines. Measured values are rounded to integers, as scanners store them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bci.errors import ConfigError
from bci.io.volumes.outlet import RAW
from bci.io.volumes.volume import ImagingSeries
from bci.signal.types import Signal
from bci.signal.volumes.rigid import Affine, grid_points, matrix_of, moved
from bci.sim.cortex.gaze import Pictures
from bci.sim.participant import Participant
from bci.sim.scanner.head import head, head_affine, head_volume
from bci.sim.seeds import numbered, session_seed

Volume = NDArray[np.int16]

#: Reach of the scan, millimetre: the head and room for it to lie elsewhere.
FIELD_MM = (170.0, 205.0, 150.0)

#: The part of the head that can answer: half axes of an ellipsoid inside the brain's edge, millimetre.
_GREY_MM = np.array([60.0, 78.0, 52.0])

#: Half axes of the ellipsoid beyond which nothing shines, millimetre.
_HEAD_MM = np.array([90.0, 112.0, 80.0])

#: What a scanner makes of a brightness of 1, and the largest value that it stores.
_GAIN, _LARGEST = 3.0, 4095

#: Brightness of the brain, in whose hundredths thermal noise is given.
_BRAIN = 500.0

#: Numbers of draws: the head's motion, and thermal noise.
_MOTION, _THERMAL = 43, 44

#: Periods of the head's motion, seconds, and the radius at which its turns count as millimetre.
_PERIODS_S, _RADIUS_MM = np.array([41.0, 97.0, 263.0]), 50.0


def scan_shape(voxel_mm: float) -> tuple[int, int, int]:
    """Return how many voxels of a size reach over `FIELD_MM`.

    >>> scan_shape(6.0)
    (28, 34, 25)
    """
    x, y, z = (round(reach / voxel_mm) for reach in FIELD_MM)
    return x, y, z


def voxel_places(voxels: int, voxel_mm: float) -> NDArray[np.int64]:
    """Return where a participant's voxels are in a scan of its head at rest: (voxels, 3) indices, those furthest back.

    Raises
    ------
    ConfigError
        If the head has not so many of that size.
    """
    shape = scan_shape(voxel_mm)
    affine = head_affine(shape, (voxel_mm,) * 3)
    points = grid_points(shape, affine)
    inside = np.flatnonzero(np.linalg.norm(points / _GREY_MM, axis=1) < 1.0)
    if len(inside) < voxels:
        raise ConfigError(
            f"expected at most {len(inside)} voxels of a participant in a head at {voxel_mm:g} mm, came {voxels}. Scan "
            "smaller voxels, or give it fewer units."
        )
    order = inside[np.lexsort((points[inside, 0], points[inside, 2], points[inside, 1]))][:voxels]
    return np.stack(np.unravel_index(np.sort(order), shape), axis=1)


class ScannedParticipant:
    """A ScannedParticipant gives volumes of a participant's head; it is a `Participant` whose samples are (x, y, z).

    Parameters
    ----------
    participant : Participant
        What answers, in percent of each voxel's mean; its session begins with volume 0.
    session : int
        Its number fixes motion and thermal noise.
    voxel_mm : float
        Size of the scan's voxels.
    position : sequence of float
        Where the head lies at volume 0: three translations in millimetre and three turns in degree, as
        `rigid.PARAMETERS` orders them.
    motion_mm : float
        How far it moves during the run, about a standard deviation along each axis; turns are as long on a circle of
        50 mm. At volume 0 it has not moved.
    noise_percent : float
        Standard deviation of thermal noise, in the brain's brightness.

    Attributes
    ----------
    places : (voxels, 3) int64
        Indices of its voxels in a scan of the head at rest.
    shape, affine
        Of the scan.
    """

    simulated = True
    kind = "fMRI"

    def __init__(
        self,
        participant: Participant,
        session: int,
        *,
        voxel_mm: float = 6.0,
        position: Sequence[float] = (0.0,) * 6,
        motion_mm: float = 0.2,
        noise_percent: float = 0.3,
    ) -> None:
        self.inner, self.observer = participant, participant.observer
        self.subject, self.snr, self.dead_time = participant.subject, participant.snr, participant.dead_time
        self.shape = scan_shape(voxel_mm)
        self.affine = head_affine(self.shape, (voxel_mm,) * 3)
        self.places = voxel_places(participant.signal.shape[0], voxel_mm)
        self.signal = Signal(RAW, participant.signal.rate, self.shape)
        self.lie(position)
        self._points = grid_points(self.shape, self.affine)
        self._to_voxels = np.linalg.inv(self.affine)
        self._seed = session_seed(participant.subject, session)
        self._noise = np.float32(noise_percent / 100.0 * _BRAIN * _GAIN)
        rng = numbered(self._seed, _MOTION, 0)
        self._waves = rng.normal(0.0, motion_mm / np.sqrt(len(_PERIODS_S)), (6, len(_PERIODS_S)))
        self._waves[3:] /= _RADIUS_MM
        self._phases = rng.uniform(0.0, 2.0 * np.pi, (6, len(_PERIODS_S)))
        # The part of the grid in which anything answers, with two voxels around it for the splines.
        self._low = np.maximum(self.places.min(axis=0) - 2, 0)
        self._part = tuple(self.places.max(axis=0) + 3 - self._low)
        self._number = 0

    @property
    def late(self) -> int:
        """Changes seen too late for volumes already read."""
        return self.inner.late

    @late.setter
    def late(self, value: int) -> None:
        self.inner.late = value

    def lie(self, position: Sequence[float]) -> None:
        """Lie elsewhere from the next volume on, as `position` says it: after a pause, say."""
        self._position = np.concatenate([np.asarray(position[:3], np.float64), np.radians(position[3:])])

    def reset(self) -> None:
        """Begin the session again at volume 0, where the head lies now."""
        self.inner.reset()
        self._number = 0

    def see(self, picture: Pictures, time: float) -> None:
        """Take a change of the screen, flipped `time` seconds after volume 0."""
        self.inner.see(picture, time)

    def read(self, n: int) -> Volume:
        """Return the next `n` volumes: (n, x, y, z) int16."""
        return np.stack([self._measure() for _ in range(n)]) if n else np.empty((0, *self.shape), np.int16)

    def pose(self, number: int) -> Affine:
        """Return where the head lies at a volume: (4, 4), from its own millimetres to the scanner's."""
        time = number / self.signal.rate
        angles = 2.0 * np.pi * time / _PERIODS_S + self._phases
        away = (self._waves * (np.sin(angles) - np.sin(self._phases))).sum(axis=1)
        return matrix_of(self._position + away, np.zeros(3))

    def mask(self) -> NDArray[np.bool_]:
        """Return which voxels of a scan of the head at rest answer: (x, y, z) bool, in the order of `places`."""
        mask = np.zeros(self.shape, bool)
        mask[tuple(self.places.T)] = True
        return mask

    def anatomy(self) -> NDArray[np.float32]:
        """Return the head as it lies at volume 0, without noise: (x, y, z) float32."""
        return head_volume(self.shape, self.affine, self.pose(0)) * np.float32(_GAIN)

    def _measure(self) -> Volume:
        percent = self.inner.read(1)[0]
        here = moved(self._points, np.linalg.inv(self.pose(self._number)))
        values = np.zeros(len(here))
        within = np.linalg.norm(here / _HEAD_MM, axis=1) < 1.0
        values[within] = head(here[within]) * _GAIN
        places = moved(here, self._to_voxels) - self._low
        near = np.all((places > -1) & (places < self._part), axis=1)
        change = np.zeros(self._part)
        change[tuple((self.places - self._low).T)] = percent / 100.0 - 1.0
        values[near] *= 1.0 + ndimage.map_coordinates(change, places[near].T, order=3)
        rng = numbered(self._seed, _THERMAL, self._number)
        values += self._noise * rng.standard_normal(len(values), np.float32)
        self._number += 1
        return np.clip(np.rint(values), 0, _LARGEST).astype(np.int16).reshape(self.shape)


def scan(
    participant: ScannedParticipant, changes: Iterable[tuple[Pictures, float]], volumes: int
) -> Iterator[Volume]:
    """Yield the volumes (x, y, z) that a live session with these flips would have given; see `participant.record`."""
    participant.reset()
    rate, given = participant.signal.rate, 0
    for picture, time in changes:
        while given < min(volumes, int(time * rate)):
            yield participant.read(1)[0]
            given += 1
        participant.see(picture, time)
    while given < volumes:
        yield participant.read(1)[0]
        given += 1


def scan_series(voxel_mm: float, tr: float, name: str) -> ImagingSeries:
    """Return what the files of a run say of it; the unique identifier is made of a name that no other run has."""
    shape = scan_shape(voxel_mm)
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:12])
    affine = head_affine(shape, (voxel_mm,) * 3)
    return ImagingSeries(f"2.25.{number}", shape, affine, tr, "int16", number=1)

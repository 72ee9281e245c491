"""The VolumeOutlet publishes a run over Lab Streaming Layer: ``BOLD-raw``, its volumes; ``BOLD-meta``, how they came.

The two are joined by sequence number, never by time: sample ``n`` of the run is place ``n``, and a record of
particulars says with ``seq`` which one it means. A consumer that connected late, or lost samples, finds the number of a
sample by its stamp as sent, which the record repeats bit for bit.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from bci.io.lsl.outlet import LslOutlet
from bci.io.volumes.gate import PlacedVolume
from bci.io.volumes.volume import ImagingSeries
from bci.memory.closing import Closing
from bci.signal.types import Signal

#: Names and types of the two streams.
RAW, META = "BOLD-raw", "BOLD-meta"
RAW_KIND, META_KIND = "fMRI", "fMRI-meta"

#: Columns of a record of particulars. ``index`` is the place that the sender says, ``present`` the share of slices that
#: came; times are seconds, ``acquired`` of the scanner's day, ``arrived`` and ``stamp`` of the session; motion is the
#: sender's, in millimetres and degrees, NaN where it sent none. Where the first volume says when its slices are taken,
#: a column for each follows, along z, with what the volume itself says: ``slice_0``, seconds.
META_COLUMNS = (
    "seq", "status", "index", "present", "acquired", "arrived", "stamp",
    "motion_x", "motion_y", "motion_z", "motion_rx", "motion_ry", "motion_rz",
)  # fmt: skip


class VolumeOutlet(Closing):
    """The two streams of one run, on the network until they are closed.

    Parameters
    ----------
    series : ImagingSeries
        The run.
    source_id : str
        What the streams' source ids begin with; each run has its own.
    speed : float
        How many times faster than real time volumes come.
    exact_id : bool
        Whether the run has just that source id, of a node that has one run.

    Attributes
    ----------
    signal : Signal
        What ``BOLD-raw`` carries: float32 volumes (x, y, z), NaN where nothing was measured.
    """

    def __init__(
        self, series: ImagingSeries, source_id: str, speed: float = 1.0, *, exact_id: bool = False
    ) -> None:
        self.series = series
        run = source_id if exact_id else run_source_id(source_id, series)
        self.source_id, self.meta_source_id = run, f"{run}-meta"
        self.signal = Signal(RAW, 1 / series.tr, series.shape)
        facts = describe(series) | {"meta_source_id": self.meta_source_id}
        self._raw = LslOutlet(self.signal, run, kind=RAW_KIND, speed=speed, exact_stamps=True, extra=facts)
        slices = range(series.shape[2] if series.slice_times else 0)
        columns = (*META_COLUMNS, *(f"slice_{z}" for z in slices))
        particulars = Signal(META, 0.0, (len(columns),), columns, dtype="float64")
        self._meta = LslOutlet(
            particulars, self.meta_source_id, kind=META_KIND, speed=speed, exact_stamps=True,
            extra={"raw_source_id": run, "series_uid": series.uid},
        )  # fmt: skip

    @property
    def has_consumers(self) -> bool:
        """Whether a consumer receives the volumes now."""
        return self._raw.has_consumers

    @property
    def has_consumers_of_both(self) -> bool:
        """Whether volumes and records are both received now."""
        return self._raw.has_consumers and self._meta.has_consumers

    def push(self, placed: PlacedVolume) -> None:
        """Send the record of a volume, then the volume, where it is in the stream."""
        stamp = placed.stamp if placed.seq >= 0 else placed.arrived
        times = _slice_times_of(placed, self.series)
        self._meta.push(np.concatenate([record_of(placed), times])[np.newaxis], [stamp])
        if placed.seq >= 0:
            self._raw.push(values_of(placed, self.series.shape)[np.newaxis], [stamp])

    def close(self) -> None:
        """Take both streams from the network."""
        self._raw.close()
        self._meta.close()


def run_source_id(source_id: str, series: ImagingSeries) -> str:
    """Return the source id of a run's ``BOLD-raw``: another one for each series, and the same each time."""
    return f"{source_id}-{hashlib.sha256(series.uid.encode()).hexdigest()[:10]}"


def values_of(placed: PlacedVolume, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return what stands in the stream for a volume: (x, y, z) float32, NaN where nothing was measured."""
    if placed.volume is None:
        return np.full(shape, np.nan, np.float32)
    values = np.array(placed.volume.data, np.float32)
    if placed.volume.absent is not None:
        values[:, :, placed.volume.absent] = np.nan
    return values


def record_of(placed: PlacedVolume) -> NDArray[np.float64]:
    """Return the record of a volume: (len(META_COLUMNS),) float64."""
    volume = placed.volume
    present = 0.0 if volume is None else 1.0 if volume.absent is None else 1.0 - float(volume.absent.mean())
    acquired = math.nan if volume is None else volume.acquired
    motion = volume.motion if volume is not None and volume.motion else (math.nan,) * 6
    facts = (placed.seq, placed.status, placed.index, present, acquired, placed.arrived, placed.stamp)
    return np.array([*facts, *motion], np.float64)


def _slice_times_of(placed: PlacedVolume, series: ImagingSeries) -> NDArray[np.float64]:
    """Return when a volume's slices were taken as it says itself: (z,), NaN where it does not; (0,) of no such run."""
    if not series.slice_times:
        return np.empty(0)
    times = () if placed.volume is None else placed.volume.series.slice_times
    return np.array(times if len(times) == series.shape[2] else [math.nan] * series.shape[2], np.float64)


def describe(series: ImagingSeries) -> dict[str, str]:
    """Return what the description of ``BOLD-raw`` says of a run, as text; numbers are separated by spaces.

    ``affine`` has four rows of four, from indices (x, y, z) to millimetres in RAS+; ``order`` says that z runs fastest
    in a sample, as in an array (x, y, z) of C order.
    """
    return {
        "series_uid": series.uid,
        "series_number": str(series.number),
        "tr": repr(series.tr),
        "affine": " ".join(repr(float(value)) for value in series.affine.reshape(-1)),
        "space": "RAS+ mm",
        "order": "C, axes x y z",
        "slice_times": " ".join(repr(time) for time in series.slice_times),
        "volumes_promised": str(series.total),
        "read_from": series.kind,
        "sequence": "sample n is place n of the run; NaN where nothing was measured",
    }

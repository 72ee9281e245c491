"""What a run on disk is: read from the first volume to the last, and said in numbers."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.io.volumes.run_on_disk import volumes_of


def summarise(run: Path, number: int | None = None) -> dict[str, Any]:
    """Return what a run holds: its size, affine, TR, slice times, which places are missing, what else is not right.

    Raises
    ------
    RecordingError
        If it cannot be read, or holds no volume.
    """
    indices, partial, spacing, faults = [], [], [], []
    first = before = second = None
    low, high = math.inf, -math.inf
    changed = 0
    for volume in volumes_of(run, number):
        first, second = first or volume, second or (volume if first else None)
        faults += [f"volume {volume.index}: {words}" for words in first.series.differences(volume.series)]
        changed += first.series.times_differ(volume.series)
        indices.append(volume.index)
        if not volume.whole:
            partial.append(volume.index)
        low, high = min(low, float(volume.data.min())), max(high, float(volume.data.max()))
        if before is not None and volume.index == before.index + 1:
            spacing.append(volume.acquired - before.acquired)
        before = volume
    if first is None:
        raise RecordingError(
            f"{run} holds no whole volume" + ("." if number is None else f" of series {number}.")
        )
    # A multiband run's first volume may state the times of its single-band reference.
    series, timed = first.series, (second or first).series
    if changed:
        of_first = timed.times_differ(series)
        faults.append(
            f"{changed} volumes have other slice times than the first"
            + ("; the second's are given" if of_first else "")
        )
    there = set(indices)
    measured = [value for value in spacing if math.isfinite(value) and value > 0]
    return {
        "series": series.number,
        "kind": series.kind,
        "volumes": len(there),
        "promised": series.total or None,
        "missing": sorted(set(range(max(there) + 1)) - there),
        "partial": partial,
        "doubles": len(indices) - len(there),
        "shape": list(series.shape),
        "voxel_mm": np.linalg.norm(series.affine[:3, :3], axis=0).round(4).tolist(),
        "affine": series.affine.round(4).tolist(),
        "tr": series.tr if math.isfinite(series.tr) else None,
        "spacing_s": float(np.median(measured)) if measured else None,
        "slice_times": [round(time, 4) for time in timed.slice_times],
        "values": [low, high],
        "dtype": series.dtype,
        "faults": faults,
    }

"""Values of DICOM tags in our units: directions, seconds, times of day."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray


def directions(orientation: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return unit vectors along a row, along a column, and from slice to slice: their cross product."""
    values = np.asarray(orientation, float)
    row, column = values[:3], values[3:]
    normal: NDArray[np.float64] = np.cross(row, column)
    return row, column, normal / np.linalg.norm(normal)


def seconds_of(milliseconds: Any) -> float:
    """Return a time that DICOM gives in milliseconds in seconds; NaN where it is missing, zero or no number."""
    return float(milliseconds) / 1000 if milliseconds else float("nan")


def time_of_day(text: Any) -> float:
    """Return the seconds since midnight of a DICOM time, or date and time; NaN where there is none.

    >>> time_of_day("20000101120905.225000"), time_of_day("120905.225"), time_of_day("")
    (43745.225, 43745.225, nan)
    """
    found = re.fullmatch(r"(?:\d{8})?(\d{2})(\d{2})(\d{2}(?:\.\d+)?)(?:[+-]\d{4})?", str(text or "").strip())
    if found is None:
        return float("nan")
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def acquired_at(dataset: Any) -> float:
    """Return the scanner's time of day at the acquisition, seconds; NaN where it is not said."""
    return time_of_day(dataset.get("AcquisitionDateTime") or dataset.get("AcquisitionTime"))

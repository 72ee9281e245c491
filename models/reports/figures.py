"""Figures of a report as text: scores, shares, intervals, p; a dash where there is none, for JSON holds NaN as null."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

#: Where there is no figure.
NONE = "–"


def number(value: float | None) -> str:
    """Return a score in three places; a dash where there is none: JSON holds NaN as null."""
    return NONE if value is None or math.isnan(value) else f"{value:.3f}"


def spread(row: Mapping[str, Any]) -> str:
    """Return the interval of a row of the table."""
    low, high = number(row["low"]), number(row["high"])
    return NONE if NONE in (low, high) else f"{low} to {high}"


def share(value: float | None, places: int = 1) -> str:
    """Return a share as percent; a dash where there is none."""
    return NONE if value is None or math.isnan(value) else f"{value:.{places}%}".replace("%", " %")


def between(interval: Sequence[float | None] | None) -> str:
    """Return an interval of shares."""
    if interval is None:
        return ""
    low, high = (share(end) for end in interval)
    return NONE if NONE in (low, high) else f"{low} to {high}"


def p_value(p: float | None) -> str:
    """Return p in few digits; nothing where no test was made."""
    if p is None or math.isnan(p):
        return ""
    if p < 1e-4:
        return "&lt; 0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.2f}"

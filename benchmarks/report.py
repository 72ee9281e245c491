"""A report holds the machine it was measured on, its tables, and one machine-readable last line."""

import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def machine_facts(packages: Iterable[str] = ()) -> dict[str, Any]:
    """Return what a reader needs to place the figures: processor, cores, platform, library versions."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("numpy", "pylsl", *packages)},
    }


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def percentiles(values: ArrayLike, points: Sequence[float] = (50, 95, 99)) -> dict[str, float]:
    """Return ``{"p50": …, "p95": …, "p99": …, "max": …, "n": …}``; NaN where there are no values."""
    values = np.asarray(values, float)
    if not len(values):
        return {f"p{point:g}": float("nan") for point in points} | {"max": float("nan"), "n": 0}
    cuts = np.percentile(values, points)
    named = {f"p{point:g}": float(cut) for point, cut in zip(points, cuts, strict=True)}
    return named | {"max": float(values.max()), "n": len(values)}


def median_range(values: Sequence[float]) -> dict[str, float]:
    """Return the median of the rounds with its range."""
    return {"median": float(np.median(values)), "low": float(np.min(values)), "high": float(np.max(values))}


def progress(text: str) -> None:
    """Print progress on stderr: a benchmark takes minutes."""
    print(text, file=sys.stderr, flush=True)


def print_machine(facts: Mapping[str, Any]) -> None:
    """Print the machine in two lines."""
    print(f"{facts['cpu']}, {facts['cores']} cores, {facts['platform']}, Python {facts['python']}")
    print(", ".join(f"{name} {number}" for name, number in facts["versions"].items()))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table with aligned columns, ready for the README."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def print_last_line(summary: Mapping[str, Any]) -> None:
    """Print the summary as one line of JSON; NaN and infinities become null."""
    print(json.dumps(_plain(summary), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value

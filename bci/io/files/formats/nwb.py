"""Neurodata Without Borders (NWB, HDF5): one electrical series of a file, block by block, and what a session showed.

A file may hold the series of several probes; which is meant is said by its name, or its probe's number or name.
Voltages come in microvolts. Time stamps of the file are kept: a probe's own clock is corrected in them, so its rate
is not exactly the nominal one. HDF5 is read by a library in C, so a capped child reads structure and stamps first
(see `bci.io.files.formats.sandbox`). Links into other files are not followed.
"""

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError, nearest
from bci.io.files.formats.file import FileRecording, agree, listed, unique
from bci.io.files.formats.sandbox import try_file
from bci.io.installation import missing_extra
from bci.signal.rates import is_plausible
from bci.signal.types import Signal, Times
from bci.signal.units import unit_name

ELECTRODES = "general/extracellular_ephys/electrodes"
#: A step between stamps is a gap from so many periods on.
_GAP = 1.5
#: Stamps that are looked at together, and series that a file may hold.
_AT_ONCE, _MOST_SERIES = 1 << 20, 256
_VOLTS = {"v", "volt", "volts"}


def open_nwb(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open one electrical series of a file, without loading it.

    Parameters
    ----------
    path : Path
    rate, channels, unit
        Must agree with the file where it states them. The rate is that of its stamps, and is not asked for.
    stream : str, optional
        Name of the series, or number or name of the probe; needed where there are several.

    Raises
    ------
    RecordingError
        If the file is no NWB, is damaged, h5py is not installed, or it is not said which series is meant.
    """
    series = choose_series(path, series_of(path), stream, needed=False)
    defects: list[str] = list(series["defects"])
    labels = unique(series["channels"], defects)
    agree(path.name, "channels", tuple(channels) if channels is not None else None, labels)
    scale, stated = series["scale"], unit_name(series["unit"])
    if series["unit"].strip().casefold() in _VOLTS:
        scale, stated = scale * 1e6, "uV"
    if stated:
        agree(path.name, "unit", unit_name(unit) if unit is not None else None, stated)
    if rate is not None and abs(rate / series["rate"] - 1) > 1e-3:
        agree(path.name, "rate", rate, series["rate"])
    reader = _Reader(path, series["place"], scale)
    return FileRecording(
        name=f"{path.name}, {series['name']}",
        signal=Signal(
            series["name"], series["rate"], (len(labels),), labels, stated or unit_name(unit or "")
        ),
        n=series["n"],
        block=reader.block,
        defects=tuple(defects),
        segments=tuple((low, high) for low, high in series["segments"]),
        # Stamps are only ever sliced, and these are read from the file when they are.
        stamps=_Stamps(reader, series["begins"]) if series["stamped"] else None,  # type: ignore[arg-type]
        header={"begins": [series["begins"]], "type": ["LFP"]},
    )


def series_of(path: Path) -> list[dict[str, Any]]:
    """Return what a file says of each of its electrical series; see `describe`.

    Raises
    ------
    RecordingError
        If it cannot be read, or holds none.
    """
    _require_h5py()
    found: list[dict[str, Any]] = try_file("nwb", path, path.stat().st_size)["series"]
    if not found:
        raise RecordingError(
            f"{path.name}: expected an NWB file with an electrical series, came one without."
        )
    return found


def choose_series(
    path: Path, found: Sequence[dict[str, Any]], named: str | None, *, needed: bool
) -> dict[str, Any]:
    """Return the series that is meant.

    Raises
    ------
    RecordingError
        If none is named though that is `needed` or there are several, or none or several are called so; all are named.
    """
    there = listed([_in_words(one) for one in found], 12)
    if not named:
        if len(found) == 1 and not needed:
            return found[0]
        raise RecordingError(
            f"{path.name}: expected the name of one probe or series, came none; it holds {there}."
        )
    fitting = [one for one in found if named in _names(one)]
    if len(fitting) == 1:
        return fitting[0]
    known = [name for one in found for name in _names(one)]
    raise RecordingError(
        f"{path.name}: expected one of its probes or series, came {named!r}{nearest(named, known)}; it holds {there}."
    )


def presentations_of(path: Path, table: str) -> list[tuple[float, int]]:
    """Return when each image of a table of presentations was shown, seconds on the session's clock, and its number.

    Rows without an image (number -1, the blank ones) are left out.

    Raises
    ------
    RecordingError
        If the file cannot be read, or has no such table; those it has are named.
    """
    _require_h5py()
    tables: dict[str, list[list[float]]] = try_file("nwb", path, path.stat().st_size)["presentations"]
    if table not in tables:
        raise RecordingError(
            f"{path.name}: expected a table of presentations intervals/{table}, came "
            f"{listed(sorted(tables)) or 'none with frames'}. Name the session's file."
        )
    return [(time, int(frame)) for time, frame in tables[table] if frame >= 0]


def describe(path: Path) -> dict[str, Any]:
    """Read the structure and the stamps of a file; in a capped child.

    Returns
    -------
    dict
        ``series``: of each its ``name``, ``place``, ``probes``, ``n``, ``channels``, ``rate``, ``unit``, ``scale``,
        ``begins`` (seconds on the session's clock), ``stamped``, ``segments``, ``defects``. ``presentations``: by
        table, the start and the frame of each row.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            series: list[dict[str, Any]] = []
            for room in ("acquisition", "processing"):
                if isinstance(file.get(room), h5py.Group):
                    _visit(file[room], file, series)
            return {"series": series, "presentations": _tables(file)}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise RecordingError(f"{path.name}: expected an NWB file (HDF5), came: {error}.") from None


def _visit(group: Any, file: Any, series: list[dict[str, Any]], depth: int = 0) -> None:
    import h5py

    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            continue
        one = group.get(name)
        if not isinstance(one, h5py.Group) or len(series) >= _MOST_SERIES:
            continue
        if _text(one.attrs.get("neurodata_type", "")) == "ElectricalSeries" and "data" in one:
            if not any(known["place"] == one.name for known in series):
                series.append(_describe_series(one, file))
        elif depth < 3:
            _visit(one, file, series, depth + 1)


def _describe_series(one: Any, file: Any) -> dict[str, Any]:
    data = one["data"]
    if data.external or data.is_virtual:
        raise RecordingError(f"{one.name}: expected data inside the file, came data in others")
    if data.ndim not in (1, 2) or data.dtype.kind not in "iuf":
        raise RecordingError(
            f"{one.name}: expected data (samples, channels) of numbers, came {data.dtype} {data.shape}"
        )
    n, width = int(data.shape[0]), int(data.shape[1]) if data.ndim == 2 else 1
    labels, probes = _electrodes(one, file, width)
    name = one.name.rpartition("/")[2]
    facts = {
        "name": name, "place": one.name, "n": n, "channels": labels, "probes": probes, "defects": [],
        "unit": _text(data.attrs.get("unit", "")), "scale": float(data.attrs.get("conversion", 1.0)),
    }  # fmt: skip
    if "timestamps" in one:
        return {**facts, "stamped": True, **_look_at(one["timestamps"], n, one.name, facts["defects"])}
    start = one["starting_time"]
    rate = float(start.attrs["rate"])
    if not (rate and is_plausible(rate)):
        raise RecordingError(f"{one.name}: expected a rate, came {rate:g} Hz")
    return {**facts, "stamped": False, "rate": rate, "begins": float(start[()]), "segments": [[0, n]]}


def _look_at(stamps: Any, n: int, place: str, defects: list[str]) -> dict[str, Any]:
    """Return the rate of stamps, where they begin, and runs without a gap."""
    if stamps.shape != (n,) or n < 2:
        raise RecordingError(f"{place}: expected a time stamp for each of {n} samples, came {stamps.shape}")
    first = np.asarray(stamps[: min(n, _AT_ONCE)], np.float64)
    period = float(np.median(np.diff(first)))
    if not period > 0 or not is_plausible(1 / period):
        raise RecordingError(f"{place}: expected time stamps that rise, came a median step of {period:g} s")
    edges, back, before = [0], 0, float(first[0])
    for low in range(0, n, _AT_ONCE):
        part = np.asarray(stamps[low : low + _AT_ONCE], np.float64)
        steps = np.diff(part, prepend=before)
        away = (steps > _GAP * period) | (steps < 0) | ~np.isfinite(part)
        back += int((steps < 0).sum())
        away[0] &= low > 0
        edges += (low + np.flatnonzero(away)).tolist()
        before = float(part[-1])
    if back:
        defects.append(f"time stamps fall back {back} times: a gap is made there")
    ends = [*edges[1:], n]
    rate = 1 / period
    nominal = round(rate)
    # Stamps are rounded, so that their median step is off by parts in a million.
    rate = float(nominal) if nominal and abs(rate / nominal - 1) < 1e-3 else rate
    return {
        "rate": rate, "begins": float(first[0]),
        "segments": [[low, high] for low, high in zip(edges, ends, strict=True) if high > low],
    }  # fmt: skip


def _electrodes(one: Any, file: Any, width: int) -> tuple[list[str], list[str]]:
    """Return the labels of a series' channels, and the probes that they lie on."""
    numbered = [str(k + 1) for k in range(width)]
    table = file.get(ELECTRODES)
    if table is None or "electrodes" not in one or "id" not in table:
        return numbered, []
    rows = np.asarray(one["electrodes"][()], np.int64).ravel()
    ids = np.asarray(table["id"][()])
    if len(rows) != width or rows.min() < 0 or rows.max() >= len(ids):
        return numbered, []
    probes = [_text(value) for value in table["group_name"][()][rows]] if "group_name" in table else []
    return [str(int(value)) for value in ids[rows]], sorted(set(probes))


def _tables(file: Any) -> dict[str, list[list[float]]]:
    tables: dict[str, list[list[float]]] = {}
    intervals = file.get("intervals")
    for name in intervals if intervals is not None else ():
        one = intervals[name]
        frames = one.get("frame", one.get("frame_index"))
        if name.endswith("_presentations") and frames is not None and frames.dtype.kind in "iuf":
            times, numbers = (np.asarray(side[()], np.float64) for side in (one["start_time"], frames))
            good = np.isfinite(times) & np.isfinite(numbers)
            tables[name] = np.column_stack([times, numbers])[good].tolist()
    return tables


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _names(one: dict[str, Any]) -> list[str]:
    """Return by what a series may be called: probe_729445652_lfp_data is also 729445652."""
    name = one["name"]
    parts = name.split("_")
    number = [parts[1]] if parts[0] == "probe" and len(parts) > 2 else []
    return [name, *number, *(f"probe_{part}" for part in number), *one["probes"]]


def _in_words(one: dict[str, Any]) -> str:
    on = f" on {', '.join(one['probes'])}" if one["probes"] else ""
    return f"{one['name']}{on} ({len(one['channels'])} channels at {one['rate']:g} Hz)"


def _require_h5py() -> None:
    if importlib.util.find_spec("h5py") is None:
        raise RecordingError(missing_extra("reading NWB", "h5py", ["nwb"]))


class _Reader:
    """Reads blocks of one series through one open file."""

    def __init__(self, path: Path, place: str, scale: float) -> None:
        self._path, self._place, self._scale = path, place, scale

    @cached_property
    def group(self) -> Any:
        import h5py

        return h5py.File(self._path, "r")[self._place]

    def block(self, first: int, end: int) -> NDArray[np.generic]:
        try:
            values = np.asarray(self.group["data"][first:end], np.float64) * self._scale
        except OSError as error:
            raise RecordingError(f"{self._path.name} cannot be read: {error}") from None
        return values.reshape(end - first, -1)


class _Stamps:
    """Stamps of a file, from its first sample, read where they are asked for."""

    def __init__(self, reader: _Reader, begins: float) -> None:
        self._reader, self._begins = reader, begins

    def __getitem__(self, part: slice) -> Times:
        return np.asarray(self._reader.group["timestamps"][part], np.float64) - self._begins

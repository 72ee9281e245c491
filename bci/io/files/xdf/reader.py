"""An XDF file, Lab Streaming Layer's recording format, is read here: one regular stream as signal, others as markers.

pyxdf reads the file and synchronises the clocks; jitter is removed here (`bci.io.files.xdf.times`), since pyxdf lays
its line across every hole shorter than a second. pyxdf trusts every length in the file and parses any XML, so
`bci.io.files.xdf.chunks` walks the file first, in a capped child.
"""

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.io.files.checksums import ChunkSum, read_sums, sums_path
from bci.io.files.formats.file import UNKNOWN_GAP_S, FileRecording, agree, nested, text_at
from bci.io.files.formats.logs import collected
from bci.io.files.formats.sandbox import SMALL, try_file
from bci.io.files.xdf.chunks import CheckedChunks, check_chunks
from bci.io.files.xdf.times import taken
from bci.signal.types import Event, Signal, Times, code_of
from bci.signal.units import unit_name

#: A true rate this far from the nominal one is worth a sentence.
_RATE_TOLERANCE = 0.01


def open_xdf(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open an XDF file; its samples are loaded into memory.

    The signal's rate is the stream's nominal one, its stamps are those that pyxdf gives after clock
    synchronisation and removal of jitter, and its segments are pyxdf's: a gap or a reset of the sender's
    clock starts a new one. Irregular streams of strings, and irregular ones of one number per sample, become
    markers.

    Parameters
    ----------
    path : Path
        The file.
    rate, unit
        Must agree with the file where it states them.
    channels : sequence of str, optional
        Names, for a stream that has none.
    stream : str, optional
        Name, source id or stream id of the signal; needed when there are several regular streams.

    Raises
    ------
    RecordingError
        If the file is damaged, claims more than it holds, or does not have that stream.
    """
    walk = _walk(path)
    defects = list(walk.defects)
    loaded = _load(path, walk.sound, defects)
    chosen = _choose(path, loaded, stream)
    info = chosen["info"]
    nominal = float(info["nominal_srate"][0])
    labels, stated = _channels(chosen, defects)
    agree(path.name, "rate", rate, nominal)
    if labels:
        agree(path.name, "channels", tuple(channels) if channels is not None else None, labels)
    else:
        labels = _given(path, channels, int(info["channel_count"][0]))
    if stated:
        agree(path.name, "unit", unit_name(unit) if unit is not None else None, stated)

    speed = _speed(info)
    samples, stamps = chosen["time_series"], np.array(chosen["time_stamps"], np.float64)
    try:
        times, segments = taken(
            stamps,
            nominal * speed,
            exact=text_at(info, "desc", "bci", "exact_stamps") == "1",
            known=_jumps(path, int(info["stream_id"]), len(stamps)),
        )
    except RecordingError as error:
        raise RecordingError(f"{path.name}: {error}") from None
    _put_in_order(path, times, segments, defects)
    effective = _rate(times, segments, nominal * speed)
    if abs(effective / (nominal * speed) - 1) > _RATE_TOLERANCE:
        defects.append(
            f"nominal {nominal:g} Hz, but {effective / speed:.3f} Hz by its stamps; the stamps are played"
        )
    zero = float(times[0])
    markers: list[Event] = []
    for other in loaded:
        if other is not chosen and not _is_own(other["info"]):
            markers += _markers(other, zero, speed, defects)
    signal = Signal(
        text_at(info, "name") or path.stem,
        nominal,
        (samples.shape[1],),
        labels,
        stated or unit_name(unit or ""),
    )
    return FileRecording(
        name=path.name,
        signal=signal,
        n=len(samples),
        block=lambda first, end: samples[first:end],
        markers=tuple(markers),
        defects=tuple(defects),
        segments=segments,
        stamps=(times - zero) * speed,
        header=_plain(info),
        simulated=_says(info, "simulated") == "true",
    )


def _walk(path: Path) -> CheckedChunks:
    """Check the chunks before pyxdf reads them; in a capped child where that could need much memory."""
    size = path.stat().st_size
    if size <= SMALL:
        return check_chunks(path)
    facts = try_file("xdf", path, size, meanwhile=_import_pyxdf)
    return CheckedChunks(int(facts["sound"]), tuple(facts["defects"]))


def _import_pyxdf() -> None:
    import pyxdf as pyxdf


def _jumps(path: Path, stream: int, n: int) -> list[int]:
    """Return the samples before which the recorder's own count jumps, if its checksums count all `n` of them."""
    jumps: list[int] = []
    at = following = 0
    for line in read_sums(sums_path(path)) if sums_path(path).is_file() else ():
        if isinstance(line, ChunkSum) and line.stream == stream and line.samples:
            if at and line.first != following:
                jumps.append(at)
            at, following = at + line.samples, line.first + line.samples
    return jumps if at == n else []


def _rate(times: Times, segments: Sequence[tuple[int, int]], nominal: float) -> float:
    """Return samples per second, holes left out."""
    lasted = sum(float(times[end - 1] - times[first]) for first, end in segments)
    return (len(times) - len(segments)) / lasted if lasted > 0 else nominal


def _put_in_order(path: Path, stamps: Times, segments: Sequence[tuple[int, int]], defects: list[str]) -> None:
    """Add the gaps to `defects`; where the clock fell back, move the later samples behind the earlier ones."""
    for first, end in segments:
        if not np.all(np.diff(stamps[first:end]) > 0):  # also where one is not a number
            raise RecordingError(f"{path.name}: the stamps of samples {first} to {end} do not increase")
    for (_, end), (first, _) in itertools.pairwise(segments):
        gap = float(stamps[first] - stamps[end - 1])
        if gap > 0:
            defects.append(f"a gap of {gap:.3f} s, or a reset of the sender's clock, after sample {end - 1}")
            continue
        stamps[first:] += UNKNOWN_GAP_S - gap
        defects.append(
            f"after sample {end - 1} the stamps fall back by {-gap:.3f} s and the file does not say how long the "
            f"gap was; {UNKNOWN_GAP_S:g} s are put there, and markers behind it are not where they were"
        )


def _load(path: Path, sound: int, defects: list[str]) -> list[dict[str, Any]]:
    import pyxdf

    # Jitter is not pyxdf's to remove: it would lay its line across holes.
    with path.open("rb") as file:
        # A file that was cut short is given to pyxdf up to its last whole chunk.
        whole = sound == path.stat().st_size
        source: Any = file if whole else io.BytesIO(file.read(sound))
        try:
            with collected(pyxdf.pyxdf.logger.name) as said:
                streams, _ = pyxdf.load_xdf(source, dejitter_timestamps=False)
        except Exception as error:  # pyxdf raises exceptions of all types on damaged files
            raise RecordingError(f"{path.name} cannot be read by pyxdf: {error}") from error
    # That one also comes for every stream without clock offsets; the gaps are said in our own words.
    defects += [f"pyxdf: {words}" for words in said if "clock-segments differ" not in words]
    return list(streams)


def _choose(path: Path, streams: Sequence[dict[str, Any]], wanted: str | None) -> dict[str, Any]:
    regular = [s for s in streams if _is_signal(s)]
    if wanted is not None:
        selected = [s for s in regular if wanted in _names(s["info"])]
    else:
        selected = regular
    if len(selected) == 1:
        return selected[0]
    known = ", ".join(f"{s['info']['name'][0]!r} (id {s['info']['stream_id']})" for s in regular)
    raise RecordingError(
        f"{path.name} has {len(selected)} regular streams with samples{f' called {wanted!r}' if wanted else ''}, "
        f"expected one; there are: {known or 'none'}. Say which one to play (--stream, by name or id)."
    )


def _is_own(info: Mapping[str, Any]) -> bool:
    """Whether a stream was recorded of the rig itself: marks, decisions, latents, flips."""
    name = text_at(info, "name")
    return (
        name.startswith("bci-") and text_at(info, "source_id") == name and bool(nested(info, "desc", "bci"))
    )


def _speed(info: Mapping[str, Any]) -> float:
    """Return the playing speed that a stream's header states, in times real time."""
    try:
        speed = float(text_at(info, "desc", "bci", "speed") or 1)
    except ValueError:
        return 1.0
    return speed if 0 < speed < math.inf else 1.0


def _plain(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream's header as it stands in the file, nested; without what pyxdf adds."""
    own = ("stream_id", "effective_srate", "segments", "clock_segments")
    return {name: value for name, value in info.items() if name not in own}


def _is_signal(stream: Mapping[str, Any]) -> bool:
    info = stream["info"]
    return (
        float(info["nominal_srate"][0]) > 0
        and info["channel_format"][0] != "string"
        and len(stream["time_stamps"]) > 0
    )


def _names(info: Mapping[str, Any]) -> set[str]:
    source = info.get("source_id") or [None]
    return {str(info["name"][0]), str(source[0]), str(info["stream_id"])}


def _channels(stream: Mapping[str, Any], defects: list[str]) -> tuple[tuple[str, ...], str]:
    """Return (labels, unit) from the stream's description; empty where it has none."""
    info = stream["info"]
    described = [c for c in nested(info, "desc", "channels", "channel") if isinstance(c, Mapping)]
    labels = [text_at(channel, "label") for channel in described]
    # A trigger channel beside the data has no unit; it does not make the data's ambiguous.
    units = {unit_name(text_at(channel, "unit")) for channel in described} - {""}
    n = int(info["channel_count"][0])
    if described and len(described) != n:
        defects.append(f"{len(described)} channels are described, {n} are recorded; the names are not used")
        labels = []
    if len(units) > 1:
        defects.append(
            f"channels of several units ({', '.join(sorted(units))}): none is stated in the replay"
        )
    elif not units:
        defects.append("no unit is stated: the values are played as they are")
    unit = units.pop() if len(units) == 1 else ""
    return (tuple(labels) if labels and all(labels) else ()), unit


def _says(info: Mapping[str, Any], key: str) -> str:
    """Return a text element of a stream's description; empty where there is none."""
    descriptions = [desc for desc in info.get("desc") or [] if isinstance(desc, Mapping)]
    return str((descriptions[0].get(key) or [""])[0]) if descriptions else ""


def _given(path: Path, channels: Sequence[str] | None, n: int) -> tuple[str, ...]:
    if channels is None:
        return tuple(str(i + 1) for i in range(n))
    if len(channels) != n:
        raise RecordingError(f"{path.name} has {n} channels and {len(channels)} names were given")
    return tuple(channels)


def _markers(stream: Mapping[str, Any], zero: float, speed: float, defects: list[str]) -> list[Event]:
    info = stream["info"]
    times = stream["time_stamps"]
    strings = info["channel_format"][0] == "string"
    if not strings and (float(info["nominal_srate"][0]) > 0 or int(info["channel_count"][0]) > 1):
        defects.append(f"another stream, {info['name'][0]!r}, is not played")
        return []
    values = stream["time_series"]
    if strings:
        texts = ["\t".join(row) for row in values]
    else:
        texts = [f"{row[0]:g}" if row.dtype.kind == "f" else str(int(row[0])) for row in values]
    return [
        Event(time=(float(time) - zero) * speed, text=text, code=code_of(text))
        for time, text in zip(times, texts, strict=True)
    ]

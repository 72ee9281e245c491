"""An XDF file, Lab Streaming Layer's recording format, is read here: one regular stream as signal, others as markers.

pyxdf reads the file and synchronises the clocks; jitter is removed here (`bci.io.files.xdf.times`), since pyxdf lays
its line across every hole shorter than a second. pyxdf trusts every length in the file and parses any XML, so
`bci.io.files.xdf.chunks` walks the file first, in a capped child.
"""

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.io.files.checksums import ChunkSum, read_sums, sums_path
from bci.io.files.formats.file import UNKNOWN_GAP_S, FileRecording, agree, text_at
from bci.io.files.formats.logs import collected
from bci.io.files.formats.sandbox import SMALL, try_file
from bci.io.files.xdf.chunks import CheckedChunks, check_chunks
from bci.io.files.xdf.streams import choose, described, is_own, markers_of, nominal_of, speed_of
from bci.io.files.xdf.times import taken
from bci.io.files.xdf.uncertain import with_uncertainty
from bci.signal.quality.stamping import UNEVEN_RATE, in_seconds
from bci.signal.rates import is_plausible
from bci.signal.types import Event, Signal, Times
from bci.signal.units import unit_name

#: No recording lasts for so long: thirty years, seconds.
_LONGEST_S = 1e9
#: Markers that lie so many seconds outside the samples are stamped by another clock.
_FAR_S = 600.0
_OTHER_CLOCK = "signal and markers are stamped by different clocks, or in different units"

#: So many holes are said one by one.
_MOST_SAID = 10

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
    rate
        Of a stream that states none; or that its stamps have, where it states another.
    unit
        Must agree with the file where it states one.
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
    chosen = choose(path.name, loaded, stream, rate)
    info = chosen["info"]
    labels, stated = described(path.name, chosen, channels, defects)
    if stated:
        agree(path.name, "unit", unit_name(unit) if unit is not None else None, stated)

    speed = speed_of(info)
    samples, stamps = chosen["time_series"], np.array(chosen["time_stamps"], np.float64)
    nominal = _nominal(path.name, nominal_of(chosen), rate, stamps, speed)
    scale, counted = in_seconds(stamps, nominal * speed)
    if scale != 1:
        defects.append(
            f"the stamps count {counted} where seconds were expected: they are divided by {scale:g}"
        )
    counts = stamps[0] - _FAR_S * scale, stamps[-1] + _FAR_S * scale
    stamps /= scale
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
    if not is_plausible(effective) or times[-1] - times[0] > _LONGEST_S:
        raise RecordingError(
            f"{path.name}: its stamps say {effective:g} Hz over {times[-1] - times[0]:g} s; they are damaged. Get the "
            "file again from its origin."
        )
    if abs(effective / (nominal * speed) - 1) > _RATE_TOLERANCE:
        defects.append(
            f"nominal {nominal:g} Hz, but {effective / speed:.3f} Hz by its stamps; the stamps are played"
        )
    zero = float(times[0])
    markers: list[Event] = []
    for other in loaded:
        if other is not chosen and not is_own(other["info"]):
            own = np.asarray(other["time_stamps"], np.float64)
            if scale != 1 and len(own) and counts[0] < own[0] < counts[1]:  # they count the same unit
                other["time_stamps"] = own / scale
            markers += _beside(other, markers_of(other, zero, speed, defects), times, speed, defects)
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
        markers=tuple(with_uncertainty(markers, loaded, zero, speed)),
        defects=tuple(defects),
        segments=segments,
        stamps=(times - zero) * speed,
        header=_plain(info),
        simulated=_says(info, "simulated") == "true",
    )


def _nominal(name: str, stated: float, given: float | None, stamps: Times, speed: float) -> float:
    """Return the rate of a stream, hertz: as it states it, or one that is given, where it states none or another one.

    Raises
    ------
    RecordingError
        If the rate that is given contradicts the stream's, and its stamps do not say that it is right.
    """
    if given is None or given == stated:
        return stated
    if stated and not _paced_at(given, stamps, speed):
        agree(name, "rate", given, stated)
    return given


def _paced_at(rate: float, stamps: Times, speed: float) -> bool:
    """Whether stamps say this rate, from second to second: the few seconds that hold a hole do not count."""
    second = max(1, round(rate))
    steps = stamps[second::second] - stamps[:-second:second]
    scale, _ = in_seconds(stamps, rate * speed)
    paced = second * scale / (float(np.median(steps)) * speed) if len(steps) and np.median(steps) > 0 else 0.0
    return abs(paced / rate - 1) < UNEVEN_RATE


def _beside(
    stream: Mapping[str, Any], markers: list[Event], times: Times, speed: float, defects: list[str]
) -> list[Event]:
    """Return a stream's markers; say so where all of them lie far from the samples: then the clocks are two."""
    length = float(times[-1] - times[0]) * speed
    if markers and all(not -_FAR_S < marker.time < length + _FAR_S for marker in markers):
        apart = abs(markers[0].time)
        defects.append(
            f"the markers of {text_at(stream['info'], 'name')!r} lie {apart:.6g} s "
            f"{'before' if markers[0].time < 0 else 'after'} the first sample: {_OTHER_CLOCK}. None of them is played"
        )
    return markers


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
    for place, ((_, end), (first, _)) in enumerate(itertools.pairwise(segments)):
        gap = float(stamps[first] - stamps[end - 1])
        if gap > 0:
            if place < _MOST_SAID:
                defects.append(
                    f"a gap of {gap:.3f} s, or a reset of the sender's clock, after sample {end - 1}"
                )
            continue
        stamps[first:] += UNKNOWN_GAP_S - gap
        defects.append(
            f"after sample {end - 1} the stamps fall back by {-gap:.3f} s and the file does not say how long the "
            f"gap was; {UNKNOWN_GAP_S:g} s are put there, and markers behind it are not where they were"
        )
    if len(segments) > _MOST_SAID + 1:
        all_of_them = sum(
            float(stamps[first] - stamps[end - 1]) for (_, end), (first, _) in itertools.pairwise(segments)
        )
        defects.append(
            f"and {len(segments) - 1 - _MOST_SAID} more such gaps; the {len(segments) - 1} are {all_of_them:.3f} s "
            "long together"
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


def _plain(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream's header as it stands in the file, nested; without what pyxdf adds."""
    own = ("stream_id", "effective_srate", "segments", "clock_segments")
    return {name: value for name, value in info.items() if name not in own}


def _says(info: Mapping[str, Any], key: str) -> str:
    """Return a text element of a stream's description; empty where there is none."""
    descriptions = [desc for desc in info.get("desc") or [] if isinstance(desc, Mapping)]
    return str((descriptions[0].get(key) or [""])[0]) if descriptions else ""

"""The streams of an XDF file, as pyxdf gives them: which one is the signal, which are markers, what each states.

What a stream states is not always what it is. A stream of triggers may claim a rate; an amplifier may claim none, and
is played where the rate is given.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.io.files.formats.file import listed, nested, text_at
from bci.io.files.formats.units import NO_UNIT
from bci.signal.labels import label_key
from bci.signal.types import Event, code_of, number_text
from bci.signal.units import channel_unit

Info = Mapping[str, Any]

#: Types of streams that carry markers, whatever rate they claim; and how far below that rate one stays that does.
_MARKER_TYPES = frozenset(
    {"markers", "marker", "stim", "stimulus", "events", "event", "trigger", "triggers", "trig"}
)
_SPARSE = 0.1


def choose(
    name: str, streams: Sequence[dict[str, Any]], wanted: str | None, rate: float | None
) -> dict[str, Any]:
    """Return the stream that is the signal.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    streams : sequence
        From pyxdf.
    wanted : str, optional
        Name, source id or stream id of the signal.
    rate : float, optional
        Samples per second, for a stream that states none.

    Raises
    ------
    RecordingError
        If it is not one stream, or states no rate and none is given.
    """
    regular = [s for s in streams if is_signal(s)]
    irregular = [s for s in streams if is_rateless(s)]
    selected = regular if wanted is None else [s for s in regular if wanted in _names(s["info"])]
    if not selected:
        selected = irregular if wanted is None else [s for s in irregular if wanted in _names(s["info"])]
    if len(selected) != 1:
        called = f" called {wanted!r}" if wanted else ""
        known = ", ".join(f"{s['info']['name'][0]!r} (id {s['info']['stream_id']})" for s in regular)
        raise RecordingError(
            f"{name} has {sum(s in selected for s in regular)} regular streams with samples{called}, expected one; "
            f"there are: {known or 'none'}{_others(irregular)}. Say which one to play (--stream, by name or id)."
        )
    if nominal_of(selected[0]) == 0 and rate is None:
        info = selected[0]["info"]
        kind = text_at(info, "type") or "not stated"
        raise RecordingError(
            f"{name}: stream {info['name'][0]!r} (id {info['stream_id']}, type {kind}) states no fixed rate"
            f"{_by_stamps(selected[0])}. Give it (--rate), in Hz."
        )
    return selected[0]


def nominal_of(stream: Mapping[str, Any]) -> float:
    """Return the rate that a stream states, hertz; 0 where it states none."""
    return float(stream["info"]["nominal_srate"][0])


def is_signal(stream: Mapping[str, Any]) -> bool:
    """Return whether a stream is regular: it states a rate, sends numbers, and sends about as many as it states."""
    return nominal_of(stream) > 0 and _is_numbers(stream) and not _is_markers(stream)


def is_rateless(stream: Mapping[str, Any]) -> bool:
    """Return whether a stream states no rate and could be a signal all the same: several numbers in each sample."""
    return (
        nominal_of(stream) == 0
        and _is_numbers(stream)
        and int(stream["info"]["channel_count"][0]) > 1
        and not _is_markers(stream)
    )


def _is_numbers(stream: Mapping[str, Any]) -> bool:
    return stream["info"]["channel_format"][0] != "string" and len(stream["time_stamps"]) > 0


def _is_markers(stream: Mapping[str, Any]) -> bool:
    """Whether a stream of numbers says that it carries markers, or sends far fewer than its rate says."""
    info = stream["info"]
    if text_at(info, "type").casefold() in _MARKER_TYPES:
        return True
    stamps, nominal = stream["time_stamps"], nominal_of(stream)
    if not nominal or int(info["channel_count"][0]) > 1 or len(stamps) < 2:
        return False
    step = float(np.median(np.diff(stamps)))
    return step > 0 and 1 / step < _SPARSE * nominal


def _by_stamps(stream: Mapping[str, Any]) -> str:
    steps = np.diff(stream["time_stamps"])
    step = float(np.median(steps)) if len(steps) else 0.0
    return f"; by its stamps it has {1 / step:.4g} Hz" if step > 0 else ""


def _others(irregular: Sequence[Mapping[str, Any]]) -> str:
    if not irregular:
        return ""
    names = ", ".join(
        f"{s['info']['name'][0]!r} (id {s['info']['stream_id']}{_by_stamps(s)})" for s in irregular
    )
    return f", and without a fixed rate, for which --rate is needed: {names}"


def _names(info: Info) -> set[str]:
    source = info.get("source_id") or [None]
    return {str(info["name"][0]), str(source[0]), str(info["stream_id"])}


def is_own(info: Info) -> bool:
    """Return whether a stream was recorded of the rig itself: marks, decisions, latents, flips."""
    name = text_at(info, "name")
    return (
        name.startswith("bci-") and text_at(info, "source_id") == name and bool(nested(info, "desc", "bci"))
    )


def speed_of(info: Info) -> float:
    """Return the playing speed that a stream's header states, in times real time."""
    try:
        speed = float(text_at(info, "desc", "bci", "speed") or 1)
    except ValueError:
        return 1.0
    return speed if 0 < speed < math.inf else 1.0


def described(
    name: str, stream: Mapping[str, Any], channels: Sequence[str] | None, defects: list[str]
) -> tuple[tuple[str, ...], str]:
    """Return labels and unit of a stream; the unit is empty where it states none, or several.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    stream : mapping
        From pyxdf.
    channels : sequence of str, optional
        Labels for channels that have none, which must agree with those that the stream states; or some of these, in any
        order, which change nothing here.
    defects : list of str
        Takes sentences on what is not stated.

    Raises
    ------
    RecordingError
        If `channels` contradict the stream.
    """
    info = stream["info"]
    n = int(info["channel_count"][0])
    rows = [c for c in nested(info, "desc", "channels", "channel") if isinstance(c, Mapping)]
    labels = [text_at(row, "label") for row in rows]
    # A trigger channel beside the data has no unit; it does not make the data's ambiguous.
    units = {channel_unit(text_at(row, "unit"), text_at(row, "type")) for row in rows} - {""}
    if rows and len(rows) != n:
        defects.append(f"{len(rows)} channels are described, {n} are recorded; the names are not used")
    if len(rows) != n:
        labels = [""] * n
    if len(units) > 1:
        defects.append(
            f"channels of several units ({', '.join(sorted(units))}): none is stated in the replay"
        )
    elif not units:
        defects.append(NO_UNIT)
    return _labels(name, labels, channels, defects), units.pop() if len(units) == 1 else ""


def _labels(
    name: str, labels: Sequence[str], channels: Sequence[str] | None, defects: list[str]
) -> tuple[str, ...]:
    """Return a label for every channel: its own, the one that is given, or its number."""
    own_keys = {label_key(label) for label in labels if label}
    if channels is not None and not own_keys.issuperset(map(label_key, channels)):
        if len(channels) != len(labels):
            raise RecordingError(f"{name} has {len(labels)} channels and {len(channels)} names were given")
        if any(own and own != given for own, given in zip(labels, channels, strict=True)):
            stated = ", ".join(label or "(none)" for label in labels)
            raise RecordingError(
                f"{name} states its own channels, {stated}; {', '.join(channels)} was given. "
                "Leave it out: the file's is used."
            )
        return tuple(channels)
    missing = [str(i + 1) for i, label in enumerate(labels) if not label]
    if missing and len(missing) < len(labels):
        defects.append(f"channels without a label are called by their number: {listed(missing)}")
    twice = [label for label, count in Counter(labels).items() if label and count > 1]
    if twice:
        defects.append(
            f"several channels have the same label, and cannot be told apart by it: {listed(twice)}"
        )
    return tuple(label or str(i + 1) for i, label in enumerate(labels))


def markers_of(stream: Mapping[str, Any], zero: float, speed: float, defects: list[str]) -> list[Event]:
    """Return a stream's samples as markers: texts, numbers with all their digits; several of one sample behind tabs.

    Parameters
    ----------
    stream : mapping
        From pyxdf.
    zero : float
        The signal's first sample, by the stream's stamps.
    speed : float
        How many times faster than real time the file was played when it was recorded.
    defects : list of str
        Takes a sentence on a stream that carries no markers.
    """
    info, values = stream["info"], stream["time_series"]
    if info["channel_format"][0] == "string":
        texts = ["\t".join(row) for row in values]
    elif len(stream["time_stamps"]) and (
        _is_markers(stream) or (nominal_of(stream) == 0 and int(info["channel_count"][0]) == 1)
    ):
        texts = ["\t".join(number_text(value) for value in row) for row in values]
    else:
        if len(stream["time_stamps"]):
            defects.append(f"another stream, {info['name'][0]!r}, is not played")
        return []
    return [
        Event(time=(float(time) - zero) * speed, text=text, code=code_of(text))
        for time, text in zip(stream["time_stamps"], texts, strict=True)
    ]

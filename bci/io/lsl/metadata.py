"""A StreamInfo is the description of one LSL stream, in the field's usual words.

Channels are described as ``desc/channels/channel/{label,unit,type}``. Streams of ours add ``desc/bci`` with
facts that the standard has no place for: playing speed, exactness of the stamps, shape of a sample.
"""

import ctypes
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

from bci.errors import StreamMismatch
from bci.io.files import safe_xml
from bci.memory.liblsl import pylsl
from bci.signal.foreign import on_one_line
from bci.signal.rates import is_plausible
from bci.signal.types import Signal
from bci.signal.units import IN_FULL, channel_unit

#: NumPy's name of each wire format; text has the name ``str``.
FORMATS: Mapping[int, str] = MappingProxyType(
    {
        pylsl.cf_float32: "float32",
        pylsl.cf_double64: "float64",
        pylsl.cf_int8: "int8",
        pylsl.cf_int16: "int16",
        pylsl.cf_int32: "int32",
        pylsl.cf_int64: "int64",
        pylsl.cf_string: "str",
    }
)
_PARSE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)
_CODES = {name: code for code, name in FORMATS.items()}

#: Limits of a stream: a sample is at most a picture, a second at most a gigabyte of float32.
MOST_CHANNELS = 1 << 22
MOST_VALUES_PER_S = 2.5e8

#: Our own elements of ``desc``, and how many others are read at most.
_OURS = ("channels", "bci")
_MOST_EXTRA = 64


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A StreamInfo describes one stream on the network.

    Attributes
    ----------
    signal : Signal
        Rate, shape, channels and unit; rate 0 when irregular, dtype ``"str"`` for text.
    source_id : str
        Name of the device, the same after a restart.
    uid : str
        Name of this one outlet, another after a restart.
    host : str
        Computer it comes from.
    speed : float
        How many times faster than real time it plays.
    exact_stamps : bool
        Whether its stamps are the samples' own times, so that dejittering could only spoil them.
    kind : str
        Type of content: ``"EEG"``, ``"Markers"`` …
    extra : mapping of str to str
        Further text elements of its description.
    desc : str
        Its whole description as it was sent, nested, as XML; empty when nothing was sent, or only asked in brief.
    """

    signal: Signal
    source_id: str
    uid: str = ""
    host: str = ""
    speed: float = 1.0
    exact_stamps: bool = False
    kind: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    desc: str = ""

    @property
    def place(self) -> str:
        """The sender's host and uid, for messages."""
        return f"host {self.host or 'unknown'}, uid {self.uid or 'unknown'}"


def write_info(info: StreamInfo) -> Any:
    """Return the `pylsl.StreamInfo` that describes `info`."""
    signal = info.signal
    if signal.dtype not in _CODES:
        raise ValueError(f"LSL carries {', '.join(_CODES)}; signal {signal.name!r} is {signal.dtype}")
    described = pylsl.StreamInfo(
        signal.name, info.kind, math.prod(signal.shape), signal.rate, _CODES[signal.dtype], info.source_id
    )
    desc = described.desc()
    if signal.channels and len(signal.shape) == 1:
        channels = desc.append_child("channels")
        unit = IN_FULL.get(signal.unit, signal.unit)
        for label in signal.channels:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
            channel.append_child_value("type", info.kind)
    ours = desc.append_child("bci")
    ours.append_child_value("speed", repr(float(info.speed)))
    ours.append_child_value("exact_stamps", str(int(info.exact_stamps)))
    ours.append_child_value("shape", " ".join(map(str, signal.shape)))
    ours.append_child_value("unit", signal.unit)
    for key, value in info.extra.items():
        if not key.isidentifier() or key in _OURS:
            raise ValueError(f"an extra description needs a name other than {_OURS}, got {key!r}")
        desc.append_child_value(key, str(value))
    return described


def read_info(found: Any) -> StreamInfo:
    """Read a `pylsl.StreamInfo`; a brief one (from discovery) has no channels, unit or speed.

    Raises
    ------
    StreamMismatch
        If the description contradicts itself, or claims what no stream can be.
    """
    n, rate = found.channel_count(), found.nominal_srate()
    if not 1 <= n <= MOST_CHANNELS or not is_plausible(rate) or n * rate > MOST_VALUES_PER_S:
        raise StreamMismatch(
            f"stream {found.name()!r} on host {found.hostname()!r} claims {n} channels at {rate:g} Hz; at most "
            f"{MOST_CHANNELS} channels and {MOST_VALUES_PER_S:g} values a second can be received. Something imitates a "
            "stream, or its program is in error: stop it."
        )
    desc = found.desc()
    _check_depth(desc, found.name())
    labels, unit = _read_channels(desc.child("channels"), n)
    ours = desc.child("bci")
    shape = _read_shape(ours.child_value("shape"), n, found.name())
    signal = Signal(
        name=found.name(),
        rate=rate,
        shape=shape,
        channels=labels if len(shape) == 1 else (),
        unit=unit or ours.child_value("unit"),
        dtype=FORMATS.get(found.channel_format(), "undefined"),
    )
    return StreamInfo(
        signal=signal,
        source_id=found.source_id(),
        uid=found.uid(),
        host=found.hostname(),
        speed=_read_speed(ours.child_value("speed"), found.name()),
        exact_stamps=ours.child_value("exact_stamps") == "1",
        kind=found.type(),
        extra={
            node.name(): node.child_value()
            for node in _children(desc, "", _MOST_EXTRA)
            if node.name() not in _OURS and node.child_value()
        },
        desc="" if desc.first_child().empty() else _desc_xml(found.as_xml()),
    )


def parse_info(xml: bytes) -> StreamInfo:
    """Read the XML of a description, as Lab Streaming Layer and the headers of our recordings write it.

    Raises
    ------
    StreamMismatch
        If it is no description, or contradicts itself.
    """
    try:
        root = safe_xml.parse(xml)
    except ValueError as error:
        raise StreamMismatch(
            f"the description of a stream was expected, {xml[:40]!r} … came: {error}"
        ) from None
    uid = root.find("uid")
    given = (uid.text or "") if uid is not None else ""
    if uid is not None and not given:
        uid.text = "none"  # liblsl reads no description without one
    parse = _PARSE(ctypes.cast(pylsl.lib.lib.lsl_streaminfo_from_xml, ctypes.c_void_p).value or 0)
    info = pylsl.StreamInfo(handle=parse(ElementTree.tostring(root)))
    if info.channel_count() < 1 or info.channel_format() not in FORMATS:
        raise StreamMismatch(f"the description of a stream was expected, {xml[:40]!r} … came: {info.name()}")
    return replace(read_info(info), uid=given)


def _desc_xml(xml: str) -> str:
    """Return the element ``desc`` of a stream's description, as it stands there.

    >>> _desc_xml("<info><name>desc</name><desc><cap>medium</cap></desc></info>")
    '<desc><cap>medium</cap></desc>'
    """
    return xml[xml.index("<desc>") : xml.rindex("</desc>") + len("</desc>")]


def _check_depth(desc: Any, name: str) -> None:
    """Refuse a description nested deeper than any reader follows: liblsl indents it, so it grows by the square."""
    path, elements = [desc.first_child()], 0
    while path:
        node = path.pop()
        if node.empty():
            continue
        elements += 1
        if len(path) >= safe_xml.DEEPEST or elements > safe_xml.MOST_ELEMENTS:
            raise StreamMismatch(
                f"the description of stream {name!r} nests more than {safe_xml.DEEPEST} elements, or has more than "
                f"{safe_xml.MOST_ELEMENTS}. Something imitates a stream, or its program is in error: stop it."
            )
        path += [node.next_sibling(), node.first_child()]


def _children(node: Any, name: str, most: int) -> Iterator[Any]:
    """Yield the elements below `node` (those called `name`, if given), at most `most`."""
    child = node.child(name) if name else node.first_child()
    for _ in range(most):
        if child.empty():
            return
        yield child
        child = child.next_sibling(name) if name else child.next_sibling()


def _read_channels(node: Any, n: int) -> tuple[tuple[str, ...], str]:
    """Return labels, empty where a channel has none, and the one unit (``mixed`` when they differ)."""
    channels = list(_children(node, "channel", n + 1))
    if len(channels) != n:
        return (), ""
    labels = tuple(on_one_line(channel.child_value("label")) for channel in channels)
    # A trigger channel beside the data has no unit; it does not make the data's ambiguous.
    units = {
        channel_unit(channel.child_value("unit"), channel.child_value("type")) for channel in channels
    } - {""}
    return labels if any(labels) else (), units.pop() if len(units) == 1 else "mixed" if units else ""


def _read_shape(text: str, n: int, name: str) -> tuple[int, ...]:
    if not text:
        return (n,)
    words = text.split()
    shape = tuple(int(word) for word in words if word.isdecimal() and len(word) < 10)
    if len(shape) != len(words) or math.prod(shape) != n:
        raise StreamMismatch(
            f"stream {name!r} says that its samples have shape {text!r} and sends {n} values each. "
            "Correct desc/bci/shape in the program that sends it."
        )
    return shape


def _read_speed(text: str, name: str) -> float:
    try:
        speed = float(text) if text else 1.0
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise StreamMismatch(
            f"stream {name!r} says that it plays at speed {text!r}; a number above 0 was expected. "
            "Correct desc/bci/speed in the program that sends it."
        )
    return speed

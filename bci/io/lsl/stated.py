"""Stated is what a session states of a stream that it leaves out, or says wrongly: labels, unit, lateness of stamps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from bci.errors import ConfigError, StreamMismatch
from bci.io.files import safe_xml
from bci.signal.types import Signal
from bci.signal.units import IN_FULL, unit_name

if TYPE_CHECKING:
    from bci.io.lsl.metadata import StreamInfo

#: What names a channel by its place, counted from 1, where it has no label.
_PLACE = "#"


@dataclass(frozen=True, slots=True)
class Stated:
    """Stated holds labels, a unit, new labels, which take the place of what the stream says, and its latency.

    Attributes
    ----------
    channels : tuple of str
        Labels of all channels, in order; empty leaves the stream's own.
    unit : str
        Unit of the values in any spelling; empty leaves the stream's own.
    rename : mapping of str to str
        A channel's label in the stream, or ``#3`` for the third, to its label here; other channels keep theirs.
    latency_s : float
        How much later its stamps say that a sample was taken than it was, 0 to 1 s: what `bci latency --loopback`
        measured. It is subtracted with the clock's offset: a reader that applies the offset corrects it, too.
    """

    channels: tuple[str, ...] = ()
    unit: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    latency_s: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.channels or self.unit or self.rename or self.latency_s)

    def correct(self, offset: float) -> float:
        """Return what to add to a stream's stamps, seconds, of the offset of its sender's clock.

        >>> Stated(latency_s=0.25).correct(-7.5)
        -7.75
        """
        return offset - self.latency_s

    def apply(self, info: "StreamInfo") -> "StreamInfo":
        """Return a stream's description with what is stated in it, for the line and for the recording's header.

        Raises
        ------
        StreamMismatch
            If the stream has another number of channels, or none of a label that is to be renamed.
        """
        if self.latency_s:
            words = f"{self.latency_s:g}"
            desc = _with_text(info.desc, "latency_s", words)
            info = replace(info, extra={**info.extra, "latency_s": words}, desc=desc)
        if not (self.channels or self.unit or self.rename):
            return info
        signal = info.signal
        if self.channels:
            if len(self.channels) != signal.shape[0]:
                raise StreamMismatch(
                    f"stream {signal.name!r} ({info.place}) has {signal.shape[0]} channels, and [stream] channels "
                    f"states {len(self.channels)} labels. State one for each channel, in the order of the stream."
                )
            signal = replace(signal, channels=self.channels)
        if self.rename:
            signal = self._renamed(signal)
        if self.unit:
            signal = replace(signal, unit=unit_name(self.unit))
        return replace(info, signal=signal, desc=_described(info.desc, signal, info.kind))

    def _renamed(self, signal: Signal) -> Signal:
        channels = list(signal.channels or ("",) * signal.shape[0])
        by_label = []
        for old, new in self.rename.items():
            place = old.removeprefix(_PLACE)
            if old in channels or not old.startswith(_PLACE) or not place.isdecimal():
                by_label.append((old, new))
            elif 1 <= int(place) <= len(channels):
                channels[int(place) - 1] = new
            else:
                raise StreamMismatch(
                    f"[stream] rename names channel {old}; stream {signal.name!r} has {len(channels)} channels"
                )
        signal = replace(signal, channels=tuple(channels))
        if not by_label:
            return signal
        from bci.signal.steps.montage import Relabel  # only here: acquisition, too, imports this module

        try:
            return Relabel(tuple(by_label)).output(signal)
        except ConfigError as error:
            raise StreamMismatch(f"[stream] rename: {error}") from None


def _described(desc: str, signal: Signal, kind: str) -> str:
    """Return a stream's own description with the labels and the unit of `signal` in it.

    >>> _described("<desc><cap>m</cap></desc>", Signal("amp", 1.0, (1,), ("Oz",), "uV"), "EEG")[:63]
    '<desc><cap>m</cap><channels><channel><label>Oz</label><unit>mic'
    """
    root = _parsed(desc)
    if root is None:
        return ""
    channels = root.find("channels")
    if channels is None:
        channels = ElementTree.SubElement(root, "channels")
    described = channels.findall("channel")
    n = signal.shape[0]
    if len(described) != n:
        for channel in described:
            channels.remove(channel)
        described = [ElementTree.SubElement(channels, "channel") for _ in range(n)]
    unit = IN_FULL.get(signal.unit, signal.unit)
    for channel, label in zip(described, signal.channels or ("",) * n, strict=True):
        _say(channel, "label", label)
        _say(channel, "unit", unit)
        if channel.find("type") is None:
            _say(channel, "type", kind)
    return ElementTree.tostring(root, encoding="unicode")


def _with_text(desc: str, key: str, text: str) -> str:
    """Return a stream's own description with one more element; nothing where it has none.

    >>> _with_text("<desc><cap>m</cap></desc>", "latency_s", "0.02")
    '<desc><cap>m</cap><latency_s>0.02</latency_s></desc>'
    """
    root = _parsed(desc) if desc else None
    if root is None:
        return ""
    _say(root, key, text)
    return ElementTree.tostring(root, encoding="unicode")


def _parsed(desc: str) -> ElementTree.Element | None:
    """Return a description, an empty one where there is none; None for one that is no XML."""
    try:
        return safe_xml.parse(desc.encode()) if desc else ElementTree.Element("desc")
    except ValueError:
        # liblsl hands on names of elements that XML does not allow; then what was understood has to do.
        return None


def _say(channel: ElementTree.Element, key: str, text: str) -> None:
    """Write an element of a channel; what the sender had said there is kept under another name."""
    element = channel.find(key)
    if element is None:
        element = ElementTree.SubElement(channel, key)
    elif element.text and element.text != text:
        ElementTree.SubElement(channel, f"{key}_as_sent").text = element.text
    element.text = text

"""Conversion of a recording to an MNE-Python Raw: volts, channel types, and annotations for markers and gaps.

The recorded samples follow one another: a gap is not filled, just as MNE fills none when it joins files. At a gap stand
an annotation ``BAD_gap``, with which MNE rejects epochs, and MNE's own ``EDGE boundary``, at which its filters begin
again. Times within an MNE Raw are therefore positions: sample number over rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.errors import RecordingError
from bci.io.files.formats.file import nested, text_at
from bci.io.files.recording import Recording
from bci.signal.labels import numbered
from bci.signal.units import channel_unit

GAP = "BAD_gap"
EDGE = "EDGE boundary"

#: MNE's names of channel types, by XDF's names.
KINDS = {
    "eeg": "eeg",
    "ieeg": "seeg",
    "seeg": "seeg",
    "ecog": "ecog",
    "dbs": "dbs",
    "lfp": "seeg",
    "eog": "eog",
    "ecg": "ecg",
    "ekg": "ecg",
    "emg": "emg",
    "stim": "stim",
    "trig": "stim",
    "trigger": "stim",
    "triggers": "stim",
    "markers": "stim",
}
_TO_VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "nV": 1e-9}
_VOLTAGES = frozenset({"eeg", "seeg", "ecog", "dbs", "eog", "ecg", "emg"})


@dataclass(frozen=True, slots=True)
class Channel:
    """A Channel holds the name, type and unit of one channel, as MNE needs them.

    Attributes
    ----------
    name : str
        Label; equal labels are numbered, as MNE does it.
    kind : str
        Type in MNE: ``"eeg"`` …, ``"misc"`` where the recording does not state it.
    unit : str
        Unit of the recorded values; empty when unknown.
    """

    name: str
    kind: str
    unit: str

    @property
    def volts(self) -> float:
        """The volts that a recorded 1 stands for; 1 where the unit is no voltage."""
        return _TO_VOLTS.get(self.unit, 1.0)


@dataclass(frozen=True, slots=True)
class Placed:
    """A Placed is a marker or a gap at its place among the samples.

    Attributes
    ----------
    position : float
        Place in samples from the first one, interpolated between two.
    text : str
        The marker's text; `GAP` for a gap.
    time : float
        Seconds from the first sample by the recording's own clock.
    code : int
        The marker's text as a whole number; 0 where it is none.
    missing : float
        Seconds missing at a gap; 0 for a marker.
    """

    position: float
    text: str
    time: float
    code: int = 0
    missing: float = 0.0


def to_mne(recording: Recording, kind: str | None = None) -> Any:
    """Return a recording as an `mne.io.RawArray`.

    Parameters
    ----------
    recording : Recording
        From `bci.io.files.recording.open_recording`.
    kind : str, optional
        MNE's type for all channels, where the recording states none.

    Raises
    ------
    RecordingError
        If it is endless, its samples are no list of channels, or the unit of a voltage is not known.
    """
    import mne

    channels = channels_of(recording, kind)
    assert recording.n is not None
    info = mne.create_info([c.name for c in channels], recording.signal.rate, [c.kind for c in channels])
    volts = np.array([c.volts for c in channels])
    raw = mne.io.RawArray(recording.read(0, recording.n).T * volts[:, None], info, verbose="ERROR")
    placed, _ = places_of(recording)
    rate = recording.signal.rate
    onsets = [p.position / rate for p in placed] + [p.position / rate for p in placed if p.text == GAP]
    texts = [p.text for p in placed] + [EDGE for p in placed if p.text == GAP]
    raw.set_annotations(mne.Annotations(onsets, np.zeros(len(onsets)), texts))
    return raw


def channels_of(recording: Recording, kind: str | None = None) -> tuple[Channel, ...]:
    """Return the channels of a recording, as its header describes them.

    Raises
    ------
    RecordingError
        As `to_mne`.
    """
    signal = recording.signal
    if recording.n is None or len(signal.shape) != 1:
        raise RecordingError(
            f"{recording.name}: a recording with an end, of samples that are a list of channels, was expected; came "
            f"{'one without an end' if recording.n is None else f'samples of shape {signal.shape}'}"
        )
    labels = signal.channels or tuple(str(i + 1) for i in range(signal.shape[0]))
    header = header_of(recording)
    described = [c if isinstance(c, Mapping) else {} for c in nested(header, "desc", "channels", "channel")]
    if len(described) != len(labels):
        described = [{}] * len(labels)
    channels = []
    for name, facts in zip(numbered(labels), described, strict=True):
        stated = KINDS.get((text_at(facts, "type") or text_at(header, "type")).casefold(), "misc")
        unit = channel_unit(text_at(facts, "unit"), text_at(facts, "type")) or signal.unit
        channel = Channel(name, stated if stated != "misc" or kind is None else kind, unit)
        if channel.kind in _VOLTAGES and unit not in _TO_VOLTS:
            raise RecordingError(
                f"{recording.name}: channel {name!r} is {channel.kind.upper()} in {unit or 'no stated unit'}; one of "
                f"{', '.join(_TO_VOLTS)} was expected. Say it (--unit) where the file does not."
            )
        channels.append(channel)
    return tuple(channels)


def header_of(recording: Recording) -> Mapping[str, Any]:
    """Return the header of a recording's stream, nested; empty where there is none."""
    header: Mapping[str, Any] = getattr(recording, "header", {})
    return header


def places_of(recording: Recording) -> tuple[list[Placed], int]:
    """Return markers and gaps in order, each at its place, and the number of markers outside the samples."""
    assert recording.n is not None
    rate, times = recording.signal.rate, recording.times(0, recording.n)
    placed = [
        Placed(
            float(first), GAP, float(times[first]), missing=float(times[first] - times[first - 1] - 1 / rate)
        )
        for first, _ in recording.segments[1:]
    ]
    starts = {first for first, _ in recording.segments}
    outside = 0
    for marker in recording.markers:
        at = int(np.searchsorted(times, marker.time, "right")) - 1
        period = (
            float(times[at + 1] - times[at]) if at + 1 < len(times) and at + 1 not in starts else 1 / rate
        )
        share = (marker.time - float(times[at])) / period
        if at < 0 or (share >= 1 and at + 1 == len(times)):
            outside += 1
            continue
        # A marker within a gap is placed at the first sample after it.
        placed.append(Placed(at + min(share, 1.0), marker.text, marker.time, marker.code))
    return sorted(placed, key=lambda p: (p.position, p.text != GAP)), outside

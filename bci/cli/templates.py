"""Templates of `bci new`: TOML with a comment above each key, which is the key's own description.

A key that is at its default stands there commented out. Each template passes `bci check` as it is written.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from bci.config.display import DisplaySettings
from bci.config.experiment import ImagesSettings, TextSettings
from bci.config.keys import keys_of_model
from bci.config.programs import DecoderSettings
from bci.config.record import RecordFile
from bci.config.session import SessionConfig
from bci.config.sources import InSilicoSettings, SimulateSettings
from bci.config.stream import StreamSettings

#: Keys of a section that are worth a line in a template, beside those that are set.
_WORTH: Mapping[type[BaseModel], tuple[str, ...]] = {
    SessionConfig: ("seconds",),
    StreamSettings: ("channels", "unit", "timeout_s", "buffer_s", "markers"),
    DecoderSettings: ("provider",),
    DisplaySettings: (
        "monitor", "full_screen", "refresh_hz", "viewing_distance_cm", "screen_width_cm", "image_deg", "photodiode",
    ),
    RecordFile: ("seconds", "timeout_s", "buffer_s", "on_disk_error"),
    ImagesSettings: ("order", "seed", "lead_in_s"),
    TextSettings: ("order", "seed", "feedback_s", "lead_in_s"),
}  # fmt: skip

_WIDTH = 100


def section(title: str, model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """Return a section: the keys of `values`, then those worth a line at their defaults, commented out.

    Parameters
    ----------
    title : str
        As TOML writes it, ``"[stream]"``; empty for the keys at the top.
    model : type of BaseModel
        Whose keys they are.
    values : mapping
        What is set.
    """
    lines = [title] if title else []
    keys = {key.name: key for key in keys_of_model(model)}
    for name in (*values, *(key for key in _WORTH.get(model, ()) if key not in values)):
        lines += [f"# {line}" for line in textwrap.wrap(keys[name].meaning.replace("``", ""), _WIDTH)]
        if name in values:
            lines.append(f"{name} = {toml(values[name])}")
        else:
            shown = keys[name].default
            lines.append(f"# {name} = " + (f"          # a {keys[name].kind}" if shown == "none" else shown))
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    r"""Return a value as TOML writes it.

    >>> toml(["a", 0.5, True]), toml('"x"')
    ('["a", 0.5, true]', '"\\"x\\""')
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def comment(*paragraphs: str) -> str:
    """Return paragraphs as comments."""
    return "\n".join(f"# {line}" for text in paragraphs for line in textwrap.wrap(text, _WIDTH)) + "\n"


def session(
    name: str,
    *,
    stream: Mapping[str, Any] | None,
    bundle: str,
    kind: str,
    unfit: Sequence[str] = (),
    file: str,
) -> str:
    """Return a session file: the stream that is there, or the shipped simulator.

    Parameters
    ----------
    name : str
        Of the session.
    stream : mapping, optional
        What tells a stream that the bundle fits; without one a simulator makes it.
    bundle : str
        Name of the bundle.
    kind : str
        Of the display.
    unfit : sequence of str
        What is to be said of streams that are there and cannot be decoded yet.
    file : str
        The template's own name.
    """
    parts = [
        comment(f"Run it with: bci run {file}", f"Try it with: bci check {file}. Every key: docs/keys.md."),
        section("", SessionConfig, {"name": name, "network": "lab" if stream else "machine"}),
    ]
    parts.append(
        _stream_or(section("[source]", SimulateSettings, {"kind": "simulate", "seed": 0}), stream, unfit)
    )
    parts.append(section("[decoder]", DecoderSettings, {"bundle": bundle}))
    parts.append(section("[display]", DisplaySettings, {"kind": kind}))
    return "\n".join(parts)


def experiment(
    name: str,
    *,
    stream: Mapping[str, Any] | None,
    bundle: str,
    kind: str,
    unfit: Sequence[str] = (),
    file: str,
) -> str:
    """Return a session file with an experiment: cues on a live stream, or faces for the simulated participant."""
    parts = [
        comment(f"Run it with: bci run {file}", f"Try it with: bci check {file}. Every key: docs/keys.md."),
        section("", SessionConfig, {"name": name, "network": "lab" if stream else "machine"}),
    ]
    simulated = {"kind": "insilico", "modality": "eeg", "subject": 1, "session": 2}
    simulated |= {"reference": "faces/reference.npy", "snr": 0.4}
    parts.append(_stream_or(section("[source]", InSilicoSettings, simulated), stream, unfit))
    parts.append(section("[decoder]", DecoderSettings, {"bundle": bundle if stream else "hyper-insilico"}))
    parts.append(section("[display]", DisplaySettings, {"kind": kind}))
    times = (
        {"stimulus_s": 2.0, "blank_s": 2.0}
        if stream
        else {"stimulus_s": 0.4, "feedback_s": 0.5, "blank_s": 0.5}
    )
    if stream:
        cues = {"protocol": "text", "words": ["left hand", "right hand", "rest"], "repeats": 10}
        parts.append(section("[experiment]", TextSettings, cues | times))
    else:
        shown = {"protocol": "images", "folder": "faces", "repeats": 1}
        parts.append(section("[experiment]", ImagesSettings, shown | times))
    return "\n".join(parts)


def record(name: str, streams: Sequence[tuple[str, str]], file: str) -> str:
    """Return a file of kind ``record``; `streams` are addresses with what each is."""
    seen = [f"{address}: {what}" for address, what in streams] or [
        "No stream was seen when this was written."
    ]
    return "\n".join(
        [
            comment(f"Record with: bci record {file}", *seen),
            section(
                "",
                RecordFile,
                {"kind": "record", "name": name, "streams": [address for address, _ in streams]},
            ),
        ]
    )


def _stream_or(source: str, stream: Mapping[str, Any] | None, unfit: Sequence[str]) -> str:
    if stream:
        return section("[stream]", StreamSettings, stream)
    return (comment(*unfit) + "\n" if unfit else "") + source

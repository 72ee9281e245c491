"""The offline twin of a live session in silico: the same participant, shown the same flips, decoded by the same bundle.

The live session is compared with it sample by sample and trial by trial. Beside it stand other sessions of the
participant with the same trials, offline, which show how much sessions differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.spec import EpochSpec
from bci.live.insilico import open_participant, read_spec
from bci.session.recorded import RecordedSession
from bci.session.reproduce import Feed
from bci.signal.clock import ManualClock
from bci.signal.epochs import epochs
from bci.signal.types import Event, Signal, Window
from bci.sim.participant import Participant, record
from models.sessions.readings import Reading, stimulus_name

Pixels = NDArray[np.uint8]
Samples = NDArray[np.float32]

_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Twin:
    """A Twin holds the comparison of a session with its offline twin.

    Attributes
    ----------
    samples, samples_equal : int
        Recorded samples, and those of them that equal the twin's bit for bit.
    trials, epochs_equal, latents_equal : int
        Trials decoded live; those whose marker lies on the same sample in the twin; those with an equal latent.
    readings : list of Reading
        Readings of the twin, of trials that were not refused.
    lapsed : list of bool
        For each of them, whether the participant's attention had lapsed.
    """

    samples: int
    samples_equal: int
    trials: int
    epochs_equal: int
    latents_equal: int
    readings: list[Reading]
    lapsed: list[bool]


def twin_of(folder: Path) -> Twin:
    """Show a session's flips to its participant again, offline, and decode the answers."""
    session = RecordedSession.read(folder)
    bundle = session.bundle()
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    signal = session.signal()
    recorded, pictures = _samples_and_pictures(session, signal, bundle, decoder)
    assert session.summary is not None
    zero = session.summary["programs"]["source"]["started"]
    source = {key: value for key, value in session.config["source"].items() if value is not None}
    speed = source["speed"]
    faces = Path(session.config["experiment"]["folder"])
    shown = session.table("shown")
    changes = [(_picture(row, faces, pictures, bundle), (float(row["flip"]) - zero) * speed) for row in shown]
    # The participant began with what was on the screen at its first sample.
    first = max(place for place, (_, time) in enumerate(changes) if time <= 0)
    participant = open_participant(read_spec(source | {"source_id": "twin"}))
    lapses: list[bool] = []
    answered = record(participant, _watched(changes[first:], participant, lapses), len(recorded))
    onsets = [
        (time, f"stimulus {row['frame']} {row['reason']}", lapsed)
        for row, (_, time), lapsed in zip(shown[first:], changes[first:], lapses, strict=True)
        if row["kind"] == "stimulus"
    ]
    markers = [Event(time, text) for time, text, _ in onsets]
    found = decode(answered, signal, markers, bundle, decoder)
    live = [frame.latent for frame in session.frames]
    return Twin(
        len(recorded),
        int((recorded == answered).all(axis=1).sum()),
        len(live),
        sum(a == b.index for a, b in zip(sorted(session.epochs), found, strict=False)),
        sum(np.array_equal(a, b.reading.latent, equal_nan=True) for a, b in zip(live, found, strict=False)),
        [one.reading for one in found if one.valid],
        [lapsed for one, (*_, lapsed) in zip(found, onsets, strict=False) if one.valid],
    )


def other_session(number: int, config: dict[str, Any], order: Sequence[int], bundle: Bundle) -> list[Reading]:
    """Return the readings of another session of the participant: the same pictures and timing, no feedback.

    Trials that the decoder refuses are left out, as they are live.

    Parameters
    ----------
    number : int
        Number of the session.
    config : dict
        ``source`` and ``experiment`` of a session file, with the signal's own times.
    order : sequence of int
        Number of the picture of each trial.
    bundle : Bundle
        The bundle that decodes.
    """
    experiment = config["experiment"]
    faces = Path(experiment["folder"])
    names = sorted(path.stem for path in faces.glob("*.png"))
    participant = open_participant(
        read_spec(config["source"] | {"session": number, "source_id": "other", "speed": 1.0})
    )
    every = experiment["stimulus_s"] + experiment["feedback_s"] + experiment["blank_s"]
    onsets = experiment["lead_in_s"] + experiment["blank_s"] + every * np.arange(len(order))
    grey = np.full((*bundle.image_size, 3), 128, np.uint8)
    changes: list[tuple[Pixels, float]] = [(grey, 0.0)]
    for which, onset in zip(order, onsets, strict=True):
        seen = _open(faces / f"{names[which]}.png")
        changes += [(seen, float(onset)), (grey, float(onset + experiment["stimulus_s"]))]
    signal = participant.signal
    samples = record(participant, changes, int((onsets[-1] + every + 1.0) * signal.rate))
    markers = [
        Event(float(onset), f"stimulus {which} {names[which]}")
        for which, onset in zip(order, onsets, strict=True)
    ]
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    return [one.reading for one in decode(samples, signal, markers, bundle, decoder) if one.valid]


@dataclass(frozen=True, eq=False)
class TwinReading:
    """A TwinReading is what was read of one epoch, the sample its marker was put on, and whether it was not refused."""

    reading: Reading
    index: int
    valid: bool


def decode(
    samples: Samples, signal: Signal, markers: Sequence[Event], bundle: Bundle, decoder: OnnxDecoder
) -> list[TwinReading]:
    """Cut and decode samples (n, channels) from time 0 on."""
    spec = bundle.spec.window
    assert isinstance(spec, EpochSpec)
    pipeline = bundle.adapt(signal)
    cut = epochs(_chunks(samples, signal), markers, pipeline, start=spec.start, stop=spec.stop)
    found = []
    for epoch in cut:
        frame = decoder.decode(epoch.window)
        reading = Reading(stimulus_name(epoch.event.text), frame.latent, frame.confidence)
        found.append(TwinReading(reading, epoch.index, frame.valid))
    return found


def _chunks(samples: Samples, signal: Signal) -> Iterator[Window]:
    for first in range(0, len(samples), _CHUNK):
        part = samples[first : first + _CHUNK]
        times = np.arange(first, first + len(part)) / signal.rate
        bad = np.zeros(part.shape, bool)
        yield Window(signal, first, part, times, bad, first + len(part) - 1, reset="" if first else "start")


def _samples_and_pictures(
    session: RecordedSession, signal: Signal, bundle: Bundle, decoder: OnnxDecoder
) -> tuple[Samples, list[Pixels]]:
    """Return the recorded samples, and the picture of every reconstruction, made again."""
    cutter = bundle.cut.recorded(signal, bundle.adapt(signal, session.run), session.events, session.epochs)
    samples, pictures = [], []
    for chunk in Feed(session):
        samples.append(chunk.samples)
        pictures += [decoder.decode(window).image for window in cutter.push(chunk)]
    return np.concatenate(samples), pictures


def _watched(
    changes: Sequence[tuple[Pixels, float]], participant: Participant, lapses: list[bool]
) -> Iterator[tuple[Pixels, float]]:
    """Yield changes of the screen, and note for each whether it met a lapse."""
    for change in changes:
        before = participant.observer.lapses
        yield change
        lapses.append(participant.observer.lapses > before)


def _picture(row: dict[str, str], faces: Path, pictures: list[Pixels], bundle: Bundle) -> Pixels:
    if row["kind"] == "stimulus":
        return _open(faces / f"{row['reason']}.png")
    if row["kind"] == "frame":
        return pictures[int(row["frame"])]
    return np.full((*bundle.image_size, 3), 128, np.uint8)


def _open(path: Path) -> Pixels:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))

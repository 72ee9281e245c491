"""Scrambled: a recorded session's markers are thrown to other times, and its epochs cut and decoded anew around them.

A null run that needs no other recording. Samples, pipeline, cutter and decoder are the session's own; nothing but the
times at which stimuli are said to have come is wrong, so a decoder that still tells them apart reads something else.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bci.decoder.onnx import OnnxDecoder
from bci.errors import RecordingError
from bci.memory.lsl_clock import LslClock
from bci.session.heard import hear_again
from bci.session.recorded import RecordedSession
from bci.session.reproduce import Feed
from bci.signal.types import Event, Reconstruction


@dataclass(frozen=True, eq=False)
class Scrambled:
    """A Scrambled holds the reconstructions around markers at wrong times.

    Attributes
    ----------
    readings : tuple of (str, Reconstruction)
        Text of each marker, and what was decoded around its new time, in the order of time.
    lost : int
        Markers around whose new time there was no whole epoch.
    """

    readings: tuple[tuple[str, Reconstruction], ...]
    lost: int


def scramble(folder: Path, seed: int, bundle_path: Path | None = None) -> Scrambled:
    """Throw a session's markers anywhere between its first and its last stimulus, and decode what is there.

    Parameters
    ----------
    folder : Path
        The session's.
    seed : int
        Of the new times: each is drawn evenly, independent of the others.
    bundle_path : Path, optional
        Where its bundle is now, if not where it was.

    Raises
    ------
    RecordingError
        If the session is not whole, or decoded no epochs.
    BundleMismatch
        If the bundle is not the one that the session ran.
    """
    session = RecordedSession.read(folder)
    driver = session.driver
    bundle, decoding = session.bundle(bundle_path, driver), session.decoding(driver)
    texts = [event.text for event in decoding.events]
    if not bundle.cut.needs_markers or len(texts) < 2:
        raise RecordingError(
            f"{folder}: expected at least 2 epochs around markers, came {len(texts)}. Name a session that decodes them."
        )
    signal = session.signal(session.ran(driver).stream)
    # The feed's time is its sample count by the rate, and a mark counts the pipeline's output.
    per_second = signal.rate / bundle.pipeline.ratio(signal)
    first, last = min(decoding.epochs) / per_second, max(decoding.epochs) / per_second
    times = np.sort(np.random.default_rng(seed).uniform(first, last, len(texts)))
    order = np.random.default_rng([seed, 1]).permutation(len(texts))
    events = [Event(float(time), texts[which]) for time, which in zip(times, order, strict=True)]
    cutter = bundle.cut.recorded(signal, bundle.adapt(signal, session.run), events)
    hear_again(session, driver, cutter.pipeline)
    # Epochs at random times may well be unlike training: the question is what the decoder makes of them.
    decoder = OnnxDecoder(bundle, clock=LslClock(), unlike="keep")
    decoded = []
    for chunk in Feed(session, driver):
        for window in cutter.push(chunk):
            assert window.event is not None
            decoded.append((window.event.text, decoder.decode(window)))
    cutter.finish()
    return Scrambled(tuple(decoded), cutter.lost)

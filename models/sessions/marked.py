"""Trials of a session that no experiment ran: markers of a recording, or of another program, by their own texts."""

from pathlib import PurePosixPath

from bci.decoder.bundle import Bundle
from bci.session.frames import RecordedFrame
from bci.session.recorded import RecordedSession
from bci.session.trials import RecordedTrial
from bci.signal.types import Event


def marked_trials(session: RecordedSession) -> list[RecordedTrial]:
    """Return a trial for each marker that the decoder was to cut an epoch around, named by the marker's text.

    Raises
    ------
    RecordingError
        If a table is missing or not whole.
    """
    decoding = session.decoding(session.driver)
    frames: dict[Event, list[RecordedFrame]] = {}
    for frame in decoding.frames:
        if frame.event is not None:
            frames.setdefault(frame.event, []).append(frame)
    lost = {one.event: one.reason for one in decoding.lost if one.event not in frames}
    trials = [
        RecordedTrial(
            -1,
            -1,
            event.text,
            event.time,
            "",
            tuple(frames.get(event, ())),
            lost.get(event, ""),
            uncertain=event.time in session.uncertain,
        )
        for event in (*frames, *lost)
    ]
    return sorted(trials, key=lambda trial: trial.flip)


def learned_recording(session: RecordedSession, bundle: Bundle) -> str:
    """Return the name of the recording that a session played, if the bundle was trained on it; else nothing."""
    source = session.config.get("source") or {}
    played = PurePosixPath(str(source.get("file") or "")).name if source.get("kind") == "replay" else ""
    known = {PurePosixPath(path).name for path in bundle.spec.provenance.data}
    return played if played in known else ""

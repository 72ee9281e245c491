"""Sessions of our own as recordings: their samples, gaps and flips, as any recording of a training file has them.

A flip is a marker with the display's own text, ``stimulus 3 cats/01``. Aborted trials, and trials of other kinds than
asked for, have none and are counted. What is read of them must be of one participant.
"""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.file import FileRecording
from bci.io.files.recording import judged
from bci.io.files.regular import require_regular
from bci.session.recorded import RecordedSession
from bci.session.sample_times import runs_of
from bci.session.samples import RecordedStream
from bci.session.trials import RecordedTrial
from bci.signal.types import Event, Times
from models.datasets.recordings import digest_of
from models.datasets.session_settings import SessionsSettings

#: What a trial is that shows a picture as such, and not an instruction or a repeat to be answered.
STIMULUS = "stimulus"

#: Files of a session that training rests on, beside its recordings.
_TABLES = ("shown*.csv", "trials*.csv")


@dataclass(frozen=True, slots=True, eq=False)
class OpenSession:
    """An OpenSession is one session, opened as a recording.

    Attributes
    ----------
    path : str
        As the training file says it, patterns written out.
    recording : FileRecording
        Samples, gaps, and a marker for each trial that can be used.
    digest : str
        SHA-256 of what it holds.
    subject : str
        The participant's code; empty where the session file had none.
    left_out : mapping of str to int
        Trials without a marker, by reason.
    """

    path: str
    recording: FileRecording
    digest: str
    subject: str
    left_out: Mapping[str, int]


def find_sessions(settings: SessionsSettings, root: Path) -> dict[str, Path]:
    """Return the folders of sessions by their paths, patterns written out, in the order of the file.

    Raises
    ------
    RecordingError
        If there is none of a name, or a folder is named twice.
    """
    found: dict[str, Path] = {}
    for given in settings.sessions:
        places = [base for base in (root, Path()) if base.is_dir()]
        matched: list[tuple[str, Path]] = []
        for base in places:
            if Path(given).is_absolute():
                matched = [(given, Path(given))] if Path(given).is_dir() else []
            else:
                matched = [
                    (path.relative_to(base).as_posix(), path)
                    for path in sorted(base.glob(given))
                    if path.is_dir()
                ]
            if matched:
                break
        if not matched:
            there = " or ".join(dict.fromkeys(str(base.resolve()) for base in places))
            raise RecordingError(
                f"sessions: expected a session's folder {given!r} below {there}, and there is none. Name what bci run "
                "printed, or the folder that the paths start from with --data."
            )
        for name, path in matched:
            if name in found:
                raise RecordingError(
                    f"sessions: {name} is named twice, the second time by {given!r}. Name each once."
                )
            found[name] = path
    return found


def open_sessions(settings: SessionsSettings, root: Path, *, needs_trials: bool = True) -> list[OpenSession]:
    """Open the sessions of a training file.

    Parameters
    ----------
    settings : SessionsSettings
        Which sessions.
    root : Path
        The data root.
    needs_trials : bool
        Whether what is trained on are trials; else a session may have no experiment, and has no markers here.

    Raises
    ------
    RecordingError
        If one is missing, not whole, no session of an experiment or without a stream, or two are of two participants.
    """
    opened = [
        _open(name, folder, settings, needs_trials) for name, folder in find_sessions(settings, root).items()
    ]
    _require_one_subject(opened)
    return opened


def pictures_shown(settings: SessionsSettings, root: Path) -> list[str]:
    """Return the names of what was shown in the trials of sessions that can be used, without reading their samples.

    Raises
    ------
    RecordingError
        As `open_sessions`.
    """
    shown: dict[str, None] = {}
    for folder in find_sessions(settings, root).values():
        session = RecordedSession.read(folder)
        session.experiment()
        for trial in session.trials(session.driver):
            if trial.ending != "aborted" and (not settings.kinds or trial.kind in settings.kinds):
                shown[trial.name] = None
    return list(shown)


def _open(name: str, folder: Path, settings: SessionsSettings, needs_trials: bool) -> OpenSession:
    session = RecordedSession.read(folder)
    if needs_trials:
        session.experiment()
    stream = session.stream(settings.stream)
    times, samples, segments = _whole(stream, name)
    signal = replace(stream.signal, dtype="float32")
    samples = samples.reshape(len(samples), *signal.shape)
    trials = session.trials(session.driver) if needs_trials else []
    events, left_out = _events(trials, float(times[0]), settings)
    recording = judged(
        FileRecording(
            name=folder.name,
            signal=signal,
            n=len(samples),
            block=lambda first, end: samples[first:end],
            markers=tuple(events),
            defects=_missing(session, settings),
            segments=tuple(segments),
            stamps=times - times[0],
            simulated=session.simulated,
        )
    )
    subject = str((session.config.get("subject") or {}).get("id") or "")
    return OpenSession(name, recording, _digest(folder, session), subject, left_out)


def _whole(stream: RecordedStream, name: str) -> tuple[Times, NDArray[np.float32], list[tuple[int, int]]]:
    """Return the times and the samples of a stream, and its segments without a hole, as the live line finds them."""
    runs = list(runs_of(stream))
    samples = [np.asarray(piece, np.float32) for _, piece in stream.pieces()]
    n = sum(len(run.times) for run in runs)
    if not n or sum(map(len, samples)) != n:
        raise RecordingError(
            f"{name}: expected a recording with a time for each sample, came {n} times and {sum(map(len, samples))} "
            "samples. Is it being recorded still? If not, run `bci verify` on it."
        )
    segments: list[tuple[int, int]] = []
    for run in runs:
        at = segments[-1][1] if segments else 0
        first = segments.pop()[0] if segments and run.goes_on else at
        segments.append((first, at + len(run.times)))
    return np.concatenate([run.times for run in runs]), np.concatenate(samples), segments


def _events(
    trials: Sequence[RecordedTrial], zero: float, settings: SessionsSettings
) -> tuple[list[Event], dict[str, int]]:
    events = []
    left_out: Counter[str] = Counter()
    for trial in trials:
        if trial.ending == "aborted" or not np.isfinite(trial.flip):
            left_out["aborted"] += 1
        elif settings.kinds and trial.kind not in settings.kinds:
            left_out[f"of kind {trial.kind}"] += 1
        else:
            # The very text of the display's marker, around which a live decoder cuts.
            text = f"stimulus {trial.stimulus} {trial.name}"
            events.append(Event(trial.flip - zero, text, code=max(0, trial.stimulus), trial=trial.number))
    return events, dict(left_out)


def _missing(session: RecordedSession, settings: SessionsSettings) -> tuple[str, ...]:
    missing = session.stream(settings.stream).coverage().missing
    return (f"{missing} samples that were received are in no file",) if missing else ()


def _digest(folder: Path, session: RecordedSession) -> str:
    tables = [path for pattern in _TABLES for path in sorted(folder.glob(pattern))]
    return digest_of([*session.recordings, *tables])


def _require_one_subject(opened: Sequence[OpenSession]) -> None:
    first: OpenSession | None = None
    for one in opened:
        if not one.subject:
            continue
        first = first or one
        if one.subject != first.subject:
            raise RecordingError(
                f"expected sessions of one participant, came {first.subject} in {first.path} and {one.subject} in "
                f"{one.path}. A decoder reads one brain: train one file for each."
            )


def classes_by_folder(pictures: Sequence[str]) -> dict[str, str]:
    """Return the class of each picture, the folder that it lies in, by its name.

    Raises
    ------
    RecordingError
        If a picture lies in no folder of its own.
    """
    found = {}
    for name in pictures:
        folder, slash, _ = name.rpartition("/")
        if not slash:
            raise RecordingError(
                f"classes: expected pictures in folders that are called like their class, such as cats/{name}, came "
                f"{name!r} beside them. Give the classes by [classes], or by a table: [data] classes."
            )
        found[name] = folder
    return found


def classes_by_table(path: Path, pictures: Sequence[str]) -> dict[str, str]:
    """Return the class of each picture that was shown, by its name, as a table says.

    Raises
    ------
    RecordingError
        If the table cannot be read, lacks a column, says two classes of a picture, or misses one.
    """
    require_regular(path, RecordingError)
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    if not rows or not {"picture", "class"} <= set(rows[0]):
        raise RecordingError(
            f"{path}: expected a table with the columns picture and class, came "
            f"{', '.join(rows[0]) if rows else 'no rows'}."
        )
    stated: dict[str, str] = {}
    for row in rows:
        name, label = (row["picture"] or "").strip(), (row["class"] or "").strip()
        if stated.setdefault(name, label) != label:
            raise RecordingError(
                f"{path}: picture {name!r} is of {stated[name]!r} and of {label!r}. Say one."
            )
    missing = [name for name in pictures if not stated.get(name)]
    if missing:
        raise RecordingError(
            f"{path}: expected the class of each of {len(pictures)} pictures that were shown, came none of "
            f"{', '.join(missing[:5])}. Pictures are called as in trials.csv, without suffix."
        )
    return {name: stated[name] for name in pictures}

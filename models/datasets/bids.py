"""Recordings of a BIDS data set as training data: found by MNE-BIDS, with its events and bad channels."""

import csv
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bci.errors import ConfigError, RecordingError
from bci.io.files.formats.file import FileRecording
from bci.io.files.recording import open_recording
from bci.io.installation import missing_extra
from models.datasets.recordings import Opened, digest_of
from models.datasets.session_settings import BidsSettings

#: What is read of a data set: kinds of recordings, and the files by which each is opened.
_KINDS = ("eeg", "ieeg", "meg")
_EXTENSIONS = (".edf", ".bdf", ".vhdr", ".set", ".fif", ".ds", ".mff", ".cnt", ".gdf")


def find_bids(settings: BidsSettings, root: Path) -> dict[str, Path]:
    """Return the recordings of a data set by their paths in it, in order.

    Raises
    ------
    ConfigError
        If MNE-BIDS is not installed.
    RecordingError
        If there is no data set, none of its recordings is meant, or recordings of several participants are.
    """
    folder = next(
        (base / settings.folder for base in (root, Path()) if (base / settings.folder).is_dir()), None
    )
    if folder is None:
        raise RecordingError(
            f"[data.bids] folder: expected a data set {settings.folder!r} below {root} or {Path().resolve()}, and "
            "there is none."
        )
    if settings.files:
        return {name: folder / name for name in settings.files}
    found = _mne_bids().find_matching_paths(
        folder,
        subjects=settings.subject,
        sessions=settings.session,
        tasks=settings.task,
        runs=list(settings.runs) or None,
        datatypes=list(_KINDS),
        suffixes=list(_KINDS),
        extensions=list(_EXTENSIONS),
    )
    if not found:
        raise RecordingError(
            f"{folder}: expected a recording {_asked(settings)}, came none. It holds {_held(folder)}."
        )
    subjects = sorted({str(path.subject) for path in found})
    if len(subjects) > 1:
        raise RecordingError(
            f"{folder}: expected recordings of one participant, came {', '.join(subjects)}. A decoder reads one brain: "
            f"say subject = {subjects[0]!r} in [data.bids]."
        )
    paths = sorted(Path(path.fpath) for path in found)
    return {path.relative_to(folder).as_posix(): path for path in paths}


def open_bids(settings: BidsSettings, root: Path, channels: Sequence[str]) -> tuple[list[str], list[Opened]]:
    """Open the recordings of a data set: their paths in it, and each with its SHA-256.

    The markers are the rows of ``events.tsv``, called like their ``trial_type``.

    Parameters
    ----------
    settings : BidsSettings
        Which.
    root : Path
        The data root.
    channels : sequence of str
        Those that will be read: one that ``channels.tsv`` calls bad is refused.

    Raises
    ------
    ConfigError, RecordingError
        As `find_bids`, or if a recording cannot be read, has no events, or a channel that is read is bad.
    """
    names, opened = [], []
    for name, path in find_bids(settings, root).items():
        stem = path.name.rpartition("_")[0]
        events = path.with_name(f"{stem}_events.tsv")
        if not events.is_file():
            raise RecordingError(
                f"{name}: expected {events.name} beside it, and there is none: trials are unknown."
            )
        bad = sorted(_bad_channels(path.with_name(f"{stem}_channels.tsv")) & set(channels))
        if bad:
            raise RecordingError(
                f"{name}: channels.tsv calls {', '.join(bad)} bad, and [signal] channels names "
                f"{'it' if len(bad) == 1 else 'them'}. Leave the recording out, or read other channels."
            )
        recording: FileRecording = open_recording(path, events=events)
        names.append(name)
        opened.append((recording, digest_of([path, events])))
    return names, opened


def _bad_channels(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    rows = csv.DictReader(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), delimiter="\t")
    return {str(row.get("name")) for row in rows if (row.get("status") or "").strip() == "bad"}


def _asked(settings: BidsSettings) -> str:
    words = [
        f"{key} {value}"
        for key, value in (
            ("subject", settings.subject),
            ("session", settings.session),
            ("task", settings.task),
        )
        if value
    ]
    words += [f"run {', '.join(settings.runs)}"] if settings.runs else []
    return "of " + ", ".join(words) if words else f"({', '.join(_KINDS)})"


def _held(folder: Path) -> str:
    subjects = sorted(path.name for path in folder.glob("sub-*") if path.is_dir())
    return ", ".join(subjects[:8]) or "no sub-… folder: is it a BIDS data set?"


def _mne_bids() -> Any:
    try:
        return import_module("mne_bids")
    except ModuleNotFoundError as error:
        raise ConfigError(missing_extra("training on a BIDS data set", "mne-bids", ["bids"])) from error

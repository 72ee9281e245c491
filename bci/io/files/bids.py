"""Export of a recording to a BIDS data set, through MNE-BIDS: samples, channels, events, and their descriptions.

Facts that the recording does not state are ``n/a``: no reference, filter or manufacturer is made up. Samples are copied
as float32 in their own units (BrainVision), so nothing is rounded.

Standard: bids-specification.readthedocs.io, EEG and iEEG; Pernet et al. 2019 (EEG-BIDS, Scientific Data 6:103).
"""

import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bci.errors import ConfigError, RecordingError
from bci.io.files.brainvision import write_brainvision
from bci.io.files.cells import cell
from bci.io.files.folder import write_json
from bci.io.files.formats.file import text_at
from bci.io.files.formats.logs import collected
from bci.io.files.recording import Recording
from bci.io.files.scratch import scratch_folder
from bci.io.files.to_mne import GAP, Channel, Placed, channels_of, header_of, places_of
from bci.io.installation import missing_extra

_LABEL = re.compile(r"[A-Za-z0-9]+")
_EEG, _IEEG = frozenset({"eeg"}), frozenset({"seeg", "ecog", "dbs"})

_EVENTS: Mapping[str, str] = {
    "onset": "When the event was, in seconds from the first sample of the file: its place among the samples over the "
    "sampling rate. Pauses in the recording take no time here; see 'recorded_time'.",
    "duration": "Seconds; 0 where the recording states none.",
    "trial_type": f"The marker as it was sent; {GAP!r} where samples are missing. A text that a spreadsheet would take "
    "for a formula, or that holds what cannot be seen, begins with ' and is written as in Python: '=1+1, 'a\\x1bb.",
    "value": "The whole number that the marker is, if it is one.",
    "sample": "The first sample at or after the event, counted from 0.",
    "recorded_time": "When the event was, in seconds from the first sample by the recording's own clock.",
    "missing": "Seconds of the signal that are missing there.",
}


def export_bids(
    recording: Recording,
    out: Path,
    *,
    subject: str,
    task: str,
    session: str | None = None,
    run: str | None = None,
    kind: str | None = None,
    line_frequency: float | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a recording into a BIDS data set, which is made where there is none.

    Parameters
    ----------
    recording : Recording
        From `bci.io.files.recording.open_recording`.
    out : Path
        The data set's folder.
    subject, task, session, run : str
        BIDS labels: letters and digits.
    kind : str, optional
        MNE's type of the channels, where the recording states none: ``"eeg"``, ``"seeg"`` …
    line_frequency : float, optional
        Hz of the mains, if known.
    overwrite : bool
        Whether files of the same subject, task, session and run may be replaced: once the new ones are whole.

    Returns
    -------
    dict
        ``file`` (path of the header written), ``samples``, ``channels``, ``events``, ``gaps``, ``events_outside``
        (markers before the first or after the last sample, which the data set has no place for).

    Raises
    ------
    ConfigError
        If MNE-BIDS is not installed, a label has other characters, or the files exist already.
    RecordingError
        If BIDS has no place for such a recording.
    """
    mne_bids = _mne_bids()
    entities = {"subject": subject, "task": task, "session": session, "run": run}
    for name, label in entities.items():
        if label is not None and not _LABEL.fullmatch(label):
            raise ConfigError(f"--{name} {label!r}: letters and digits alone were expected, as BIDS has it")
    # The same label in every file of the set, and a formula in none.
    channels = [replace(channel, name=cell(channel.name)) for channel in channels_of(recording, kind)]
    datatype = _datatype(recording, channels)
    placed, outside = places_of(recording)
    place = mne_bids.BIDSPath(**entities, root=out, datatype=datatype)
    there = sorted(place.directory.glob(f"{place.basename}_*"))
    if there and not overwrite:
        raise ConfigError(
            f"{there[0]} is there already and is not overwritten: name another run, or say --overwrite"
        )
    with _set_beside(out) as beside:
        path = mne_bids.BIDSPath(**entities, root=beside, datatype=datatype)
        _lend_tables(out, beside)
        _write(mne_bids, path, recording, channels, line_frequency)
        stem = path.directory / path.basename
        _amend_channels(Path(f"{stem}_channels.tsv"), channels)
        _write_events(stem, placed, recording.signal.rate)
        _amend_sidecar(Path(f"{stem}_{datatype}.json"), recording, datatype)
        if not (out / "dataset_description.json").exists():
            _amend_description(beside, out.resolve().name)
        _take_place(beside, out, there)
    stem = place.directory / place.basename
    return {
        "file": str(Path(f"{stem}_{datatype}.vhdr")),
        "samples": recording.n,
        "channels": len(channels),
        "events": len(placed),
        "gaps": sum(p.text == GAP for p in placed),
        "events_outside": outside,
    }


@contextmanager
def _set_beside(out: Path) -> Iterator[Path]:
    """Give an empty folder on the disk of `out`; what fails while a set is written leaves `out` as it was."""
    parent = out.resolve().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        workshop = tempfile.TemporaryDirectory(prefix=".bci-bids-", dir=parent)
    except OSError as error:
        raise _unwritable(out, error) from error
    with workshop:
        yield Path(workshop.name)


def _lend_tables(out: Path, beside: Path) -> None:
    """Copy the tables that gain a line: of participants, and of scans."""
    for table in (*out.glob("participants.*"), *out.glob("sub-*/**/*_scans.*")):
        lent = beside / table.relative_to(out)
        lent.parent.mkdir(parents=True, exist_ok=True)
        lent.write_bytes(table.read_bytes())


def _take_place(beside: Path, out: Path, replaced: Sequence[Path]) -> None:
    """Move the files written beside into the data set, one after the other; each is whole at any time.

    Files that describe the whole set and are there already are their owner's and stay.
    """
    new = [file for file in sorted(beside.rglob("*")) if file.is_file()]
    taken = {file: out / file.relative_to(beside) for file in new}
    try:
        for file, place in taken.items():
            if file.parent == beside and place.exists() and place.name != "participants.tsv":
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)
        for stale in set(replaced) - set(taken.values()):
            stale.unlink()
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"the data set in {out} cannot be written: {error.strerror or error}. Name another folder with --out."
    )


def _mne_bids() -> Any:
    try:
        return import_module("mne_bids")
    except ImportError as error:
        raise ConfigError(missing_extra("exporting to BIDS", "mne-bids", ["bids"])) from error


def _datatype(recording: Recording, channels: Sequence[Channel]) -> str:
    kinds = {channel.kind for channel in channels}
    if kinds & _EEG and kinds & _IEEG:
        raise RecordingError(
            f"{recording.name} has channels on the scalp and within the head: export a stream of either"
        )
    if not kinds & (_EEG | _IEEG):
        raise RecordingError(
            f"{recording.name} does not say that its channels are EEG, SEEG, ECoG or DBS "
            f"(they are: {', '.join(sorted(kinds))}). Say what they are (--type eeg)."
        )
    return "eeg" if kinds & _EEG else "ieeg"


def _write(
    mne_bids: Any,
    path: Any,
    recording: Recording,
    channels: Sequence[Channel],
    line_frequency: float | None,
) -> None:
    """Write the data set's files with MNE-BIDS."""
    import mne

    with (
        scratch_folder("bci-bids-") as folder,
        collected("mne"),
        warnings.catch_warnings(),
    ):
        # MNE-BIDS warns of unknown dates and positions; the files state them as n/a.
        warnings.simplefilter("ignore")
        header = write_brainvision(folder, "recording", recording, channels)
        raw = mne.io.read_raw_brainvision(header, verbose="ERROR")
        raw.set_channel_types({c.name: c.kind for c in channels}, on_unit_change="ignore", verbose="ERROR")
        raw.info["line_freq"] = line_frequency
        try:
            # Tables that were lent hold lines already; nothing else is there.
            mne_bids.write_raw_bids(raw, path, overwrite=True, verbose="ERROR")
        except OSError as error:
            raise _unwritable(path.root, error) from error


def _amend_channels(path: Path, channels: Sequence[Channel]) -> None:
    """Set unknown values in channels.tsv to n/a: filters, and units that the recording does not state."""
    header, *rows = _read_tsv(path)
    for row, channel in zip(rows, channels, strict=True):
        cells = dict(zip(header, row, strict=True))
        cells |= {"low_cutoff": "n/a", "high_cutoff": "n/a"}
        cells["units"] = channel.unit.replace("uV", "µV") or "n/a"
        row[:] = [cells[name] for name in header]
    _write_tsv(path, [header, *rows])


def _write_events(stem: Path, placed: Sequence[Placed], rate: float) -> None:
    """Write events.tsv and its description; MNE-BIDS would replace each marker's code by a number of its own."""
    rows = [
        [
            repr(p.position / rate),
            "0",
            cell(" ".join(p.text.split())) or "n/a",
            str(p.code) if p.code or p.text.strip() == "0" else "n/a",
            str(int(-(-p.position // 1))),
            repr(round(p.time, 9)),
            repr(round(p.missing, 9)) if p.text == GAP else "n/a",
        ]
        for p in placed
    ]
    if rows:
        _write_tsv(Path(f"{stem}_events.tsv"), [list(_EVENTS), *rows])
        write_json(
            Path(f"{stem}_events.json"), {name: {"Description": words} for name, words in _EVENTS.items()}
        )


def _amend_sidecar(path: Path, recording: Recording, datatype: str) -> None:
    """Write the recording's facts into the sidecar, and remove those that MNE-BIDS guessed from the file's format."""
    sidecar = json.loads(path.read_text(encoding="utf-8"))
    header = header_of(recording)
    header_places = {
        "Manufacturer": ("acquisition", "manufacturer"),
        "ManufacturersModelName": ("acquisition", "model"),
        "iEEGReference" if datatype == "ieeg" else "EEGReference": ("reference", "label"),
    }
    sidecar |= {name: text_at(header, "desc", *place) or "n/a" for name, place in header_places.items()}
    if len(recording.segments) > 1:
        sidecar["RecordingType"] = "discontinuous"
    assert recording.n is not None
    sidecar["RecordingDuration"] = recording.n / recording.signal.rate
    write_json(path, sidecar)


def _amend_description(folder: Path, name: str) -> None:
    """Remove MNE-BIDS' placeholders from a new data set's description, and name the set."""
    path = folder / "dataset_description.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description.pop("Authors", None)
    description["Name"] = name
    own = {"Name": "closed-loop-bci", "Version": version("closed-loop-bci")}
    description["GeneratedBy"] = [own, *description.get("GeneratedBy", [])]
    write_json(path, description)


def _read_tsv(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines()]


def _write_tsv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")

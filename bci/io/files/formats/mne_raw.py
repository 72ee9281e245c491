"""Files that `mne.io.read_raw` opens (EDF, BDF, BrainVision, EEGLAB, FIF and more) are read here block by block.

MNE gives volts; the recording gives microvolts, in float32. Trigger channels become markers and are not
among the signal's channels; annotations become markers too. Channel names stay as in the file.
"""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.edf import EdfFacts, check_edf
from bci.io.files.formats.file import FileRecording, agree, listed, markers_in
from bci.io.files.formats.logs import collected
from bci.io.files.formats.sandbox import SMALL, try_file
from bci.io.files.formats.unpacking import check_gzip, check_mat
from bci.signal.types import Event, Signal, code_of
from bci.signal.units import unit_name

#: The FIFF constants of the units that recordings come in.
_VOLT = 107
_UNIT_NAMES = {_VOLT: "V", 112: "T", 201: "T/m", 114: "degC"}
#: Triggers in the low 16 bits of a BDF status channel; above them stand the amplifier's own flags.
_BDF_TRIGGERS = 0xFFFF
#: Channels that carry all trigger lines at once; the single lines beside them repeat the same triggers.
_WHOLE_STIM = ("STI101", "STI 014")
_STIM_BLOCK = 1 << 20
_EDF = (".edf", ".bdf")
#: Stored samples take at least a bit each in every format that MNE reads, also in the compressed ones.
_MOST_VALUES_PER_BYTE = 8


def open_mne(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None
) -> FileRecording:
    """Open a file with MNE, without loading it.

    The signal is every voltage channel of the file, in microvolts. A file without any gives its most frequent
    kind of channel, in the file's own unit. `defects` names the channels left out and every warning of MNE.

    Parameters
    ----------
    path : Path
        The file, or the folder for formats that are one.
    rate, channels, unit
        Must agree with the file where it states them.

    Raises
    ------
    RecordingError
        If it cannot be read, or claims more than it holds.
    """
    facts = check_edf(path) if path.suffix.casefold() in _EDF else None
    if path.suffix.casefold() in (".set", ".mat"):
        check_mat(path)
    if facts is None or _size(path) > SMALL:
        try_file("mne", path, _size(path), meanwhile=_import_mne)
    raw, warned = _read_raw(path)
    defects = list(facts.defects if facts else ())
    # A wrong record count is among our own defects, with its numbers, so MNE's warning of it is dropped.
    defects += [w for w in warned if not (facts and w.startswith("Number of records from the header"))]
    _check(path, raw)

    picks, factors, stated = _choose(path, raw, facts, defects)
    names = tuple(raw.ch_names[i] for i in picks)
    agree(path.name, "rate", rate, float(raw.info["sfreq"]))
    agree(path.name, "channels", tuple(channels) if channels is not None else None, names)
    if stated:
        agree(path.name, "unit", unit_name(unit) if unit is not None else None, stated)
    signal = Signal(
        path.stem, float(raw.info["sfreq"]), (len(picks),), names, stated or unit_name(unit or "")
    )

    def block(first: int, end: int) -> NDArray[np.generic]:
        return _read(path, raw, picks, first, end).T * factors

    markers = _annotations(raw) + _triggers(path, raw)
    return FileRecording(
        name=path.name,
        signal=signal,
        n=int(raw.n_times),
        block=block,
        markers=tuple(markers),
        defects=tuple(defects),
    )


def try_raw(path: Path) -> None:
    """Open a file with MNE and read its first and last sample; called in a capped child (`bci.io.files.capped`).

    Raises
    ------
    RecordingError
        If it cannot be read, or claims more than it holds.
    """
    if path.suffix.casefold() == ".gz":
        check_gzip(path)
    raw, _ = _read_raw(path)
    _check(path, raw)


def _import_mne() -> None:
    """Import MNE's readers, which takes half a second, while the sandbox run goes on."""
    import mne

    _ = mne.io.read_raw


def _read_raw(path: Path) -> tuple[Any, list[str]]:
    import mne

    try:
        # MNE issues each warning twice: as a Python warning, and to its logger, which prints.
        with collected("mne"), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            raw = mne.io.read_raw(path, preload=False, verbose="WARNING")
    except Exception as error:  # MNE's readers raise exceptions of all types on damaged files
        raise RecordingError(
            f"{path.name} cannot be read: {_sentence(error)}. Expected .xdf, .npy, .npz or a format that "
            "mne.io.read_raw opens (EDF, BDF, BrainVision .vhdr, EEGLAB .set, FIF and others)."
        ) from error
    return raw, list(dict.fromkeys(_sentence(w.message) for w in caught))


def _read(path: Path, raw: Any, picks: NDArray[np.intp], first: int, end: int) -> NDArray[np.float64]:
    """Read (channels, end - first) in the file's SI units."""
    if first == end:
        return np.empty((len(picks), 0))
    try:
        with warnings.catch_warnings():
            # Warnings were collected when the file was opened.
            warnings.simplefilter("ignore")
            data: NDArray[np.float64] = raw.get_data(picks=picks, start=first, stop=end, verbose="ERROR")
    except Exception as error:  # as above
        raise RecordingError(
            f"{path.name}: samples {first} to {end} cannot be read: {_sentence(error)}. The file is cut short "
            "or damaged."
        ) from error
    return data


def _check(path: Path, raw: Any) -> None:
    """Refuse a file with samples outside its folder, claims beyond its size, or no first or last sample."""
    _check_place(path, raw)
    # An EDF header was compared with its file before (`check_edf`), and its slow channels are interpolated.
    if path.suffix.casefold() not in _EDF:
        _check_claim(path, raw)
    _check_ends(path, raw)


def _check_place(path: Path, raw: Any) -> None:
    """Refuse a header that names a file of samples outside its own folder; links within the folder are followed."""
    home = Path(os.path.abspath(path if path.is_dir() else path.parent))
    for name in raw.filenames:
        if name is not None and not Path(os.path.abspath(name)).is_relative_to(home):
            raise RecordingError(
                f"{path.name} names {name} as its samples, outside its own folder: refused. Put the files side by side."
            )


def _check_claim(path: Path, raw: Any) -> None:
    """Refuse a file whose header claims more than it can hold."""
    files = {path} | {Path(name) for name in raw.filenames if name is not None}
    stored = sum(_size(file) for file in files)
    values = int(raw.n_times) * len(raw.ch_names)
    if values > _MOST_VALUES_PER_BYTE * stored:
        raise RecordingError(
            f"{path.name} claims {raw.n_times} samples of {len(raw.ch_names)} channels in {stored} bytes: its "
            "header is damaged. Get it again from its origin."
        )


def _check_ends(path: Path, raw: Any) -> None:
    """Refuse a file without a rate, or whose first or last sample is missing."""
    if not np.isfinite(raw.info["sfreq"]) or raw.info["sfreq"] <= 0:
        raise RecordingError(f"{path.name} states a rate of {raw.info['sfreq']} Hz, which cannot be played")
    if raw.n_times:
        for first in (0, int(raw.n_times) - 1):
            _read(path, raw, np.arange(len(raw.ch_names)), first, first + 1)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.is_file() else 0


def _choose(
    path: Path, raw: Any, facts: EdfFacts | None, defects: list[str]
) -> tuple[NDArray[np.intp], NDArray[np.float64], str]:
    """Return (channels of the signal, their factors from SI, their unit)."""
    kinds = raw.get_channel_types()
    units = [_UNIT_NAMES.get(int(c["unit"]), "") for c in raw.info["chs"]]
    if facts is not None and len(facts.volts) == len(units):
        # MNE calls every EDF channel a voltage; the header states the true units.
        units = [u if volt else "" for u, volt in zip(units, facts.volts, strict=True)]
    data = [i for i, kind in enumerate(kinds) if kind != "stim"]
    if not data:
        raise RecordingError(f"{path.name} has no channel but triggers: nothing to play")
    counts = Counter(units[i] for i in data)
    chosen = "V" if counts["V"] else counts.most_common(1)[0][0]
    picks = np.array([i for i in data if units[i] == chosen])
    dropped = [raw.ch_names[i] for i in data if units[i] != chosen]
    if dropped:
        defects.append(f"in another unit than the signal and not played: {listed(dropped)}")
    if not chosen:
        defects.append("no unit is stated: the values are played as they are")
    factor = 1e6 if chosen == "V" else 1.0
    return picks, np.full(len(picks), factor), "uV" if chosen == "V" else chosen


def _annotations(raw: Any) -> list[Event]:
    onsets = raw.annotations.onset
    if raw.annotations.orig_time is not None:
        # Annotations count from the start of the measurement, which may lie before the file's first sample.
        onsets = onsets - raw.first_time
    return [
        Event(time=float(onset), text=str(text), code=code_of(str(text)))
        for onset, text in zip(onsets, raw.annotations.description, strict=True)
    ]


def _triggers(path: Path, raw: Any) -> list[Event]:
    stim = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    whole = [name for name in _WHOLE_STIM if name in stim]
    names = whole[:1] or stim
    markers: list[Event] = []
    for name in names:
        pick = np.array([raw.ch_names.index(name)])
        previous = 0.0
        for first in range(0, int(raw.n_times), _STIM_BLOCK):
            codes = _read(path, raw, pick, first, min(first + _STIM_BLOCK, int(raw.n_times)))[0]
            if path.suffix.casefold() == ".bdf":
                codes = (codes.astype(np.int64) & _BDF_TRIGGERS).astype(np.float64)
            changes = markers_in(codes, float(raw.info["sfreq"]), previous, first)
            previous = float(codes[-1])
            if len(names) > 1:
                changes = [Event(m.time, f"{name}:{m.text}", m.code) for m in changes]
            markers += changes
    return markers


def _sentence(thing: object) -> str:
    return " ".join(str(thing).split()).rstrip(".") or type(thing).__name__

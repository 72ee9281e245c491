"""Files that `mne.io.read_raw` opens (FIF, EEGLAB, GDF and more) are read here block by block.

MNE gives volts; the recording gives microvolts, in float32. Trigger channels become markers and are not
among the signal's channels; annotations become markers too, but those that mark a break, which become segments. Channel
names stay as in the file.
"""

import importlib.util
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.file import FileRecording, agree
from bci.io.files.formats.gdf import units_of
from bci.io.files.formats.joins import breaks_among
from bci.io.files.formats.logs import collected
from bci.io.files.formats.sandbox import try_file
from bci.io.files.formats.status import events_of
from bci.io.files.formats.stretches import Stretches
from bci.io.files.formats.units import Played, played
from bci.io.files.formats.unpacking import check_gzip, check_mat
from bci.io.installation import install_line
from bci.signal.rates import is_plausible
from bci.signal.types import Event, Signal, code_of
from bci.signal.units import unit_name

#: The FIFF constants of the units that recordings come in.
_UNIT_NAMES = {107: "V", 112: "T", 201: "T/m", 114: "degC"}
#: Channels that carry all trigger lines at once; the single lines beside them repeat the same triggers.
_WHOLE_STIM = ("STI101", "STI 014")
#: Stored samples take at least a bit each in every format that MNE reads, also in the compressed ones.
_MOST_VALUES_PER_BYTE = 8
#: MNE's warnings of what is dealt with here, and said in other words.
_DEALT_WITH = ("The data contains 'boundary' events", "Unsupported physical dimension")
_MATLAB = (".set", ".mat")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def open_mne(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None
) -> FileRecording:
    """Open a file with MNE, without loading it.

    The signal is every voltage channel of the file, in microvolts. A file without any gives its most frequent
    kind of channel, in the file's own unit. `defects` names the channels left out, the breaks that the file marks, and
    every other warning of MNE.

    Parameters
    ----------
    path : Path
        The file, or the folder for formats that are one.
    rate, unit
        Must agree with the file where it states them.
    channels
        Chosen among the file's by `bci.io.files.recording.open_recording`.

    Raises
    ------
    RecordingError
        If it cannot be read, or claims more than it holds.
    """
    if path.suffix.casefold() in _MATLAB:
        _check_hdf5(path)
        check_mat(path)
    try_file("mne", path, _size(path), meanwhile=_import_mne)
    raw, warned = _read_raw(path)
    defects = [words for words in warned if not words.startswith(_DEALT_WITH)]
    _check(path, raw)

    hz, n = float(raw.info["sfreq"]), int(raw.n_times)
    choice = _choose(path, raw, defects)
    picks, factors = np.array(choice.picks), np.array(choice.factors)
    names = tuple(raw.ch_names[i] for i in choice.picks)
    agree(path.name, "rate", rate, hz)
    if choice.unit:
        agree(path.name, "unit", unit_name(unit) if unit is not None else None, choice.unit)
    stretches, annotated = _annotations(path, raw)
    defects += stretches.defects()

    def block(first: int, end: int) -> NDArray[np.generic]:
        pieces = [_read(path, raw, picks, a, b).T * factors for a, b in stretches.pieces(first, end)]
        return np.concatenate(pieces) if pieces else np.empty((0, len(picks)))

    return FileRecording(
        name=path.name,
        signal=Signal(path.stem, hz, (len(picks),), names, choice.unit or unit_name(unit or "")),
        n=stretches.n,
        block=block,
        markers=(*annotated, *_triggers(path, raw, stretches, n)),
        defects=tuple(defects),
        segments=stretches.segments,
        starts=stretches.starts if len(stretches.starts) > 1 else (),
        place=stretches.seconds,
        first_count=int(raw.first_samp),
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
    if not raw.info["sfreq"] or not is_plausible(raw.info["sfreq"]):
        raise RecordingError(f"{path.name} states a rate of {raw.info['sfreq']} Hz, which cannot be played")
    if raw.n_times:
        for first in (0, int(raw.n_times) - 1):
            _read(path, raw, np.arange(len(raw.ch_names)), first, first + 1)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.is_file() else 0


def _check_hdf5(path: Path) -> None:
    """Refuse a MATLAB file of version 7.3 where its readers are not installed."""
    with path.open("rb") as file:
        begins = [file.read(8)]
        file.seek(512)  # MATLAB puts a header of its own before HDF5's
        begins.append(file.read(8))
    missing = [name for name in ("pymatreader", "h5py") if importlib.util.find_spec(name) is None]
    if _HDF5 in begins and missing:
        raise RecordingError(
            f"{path.name} is saved in MATLAB's version 7.3 (HDF5), which needs {' and '.join(missing)}: "
            f"{install_line('eeglab')}. Or save it in EEGLAB with the option of version 6 or 7."
        )


def _choose(path: Path, raw: Any, defects: list[str]) -> Played:
    """Return the channels of the signal, their factors from SI, and their unit."""
    kinds = raw.get_channel_types()
    units = [_UNIT_NAMES.get(int(c["unit"]), "") for c in raw.info["chs"]]
    scales = [1.0] * len(units)
    if path.suffix.casefold() == ".gdf" and (stated := units_of(path)) and len(stated) == len(units):
        # MNE calls every GDF channel a voltage; the header states the true units.
        units, scales = [unit for unit, _ in stated], [1 / factor for _, factor in stated]
    data = [i for i, kind in enumerate(kinds) if kind != "stim"]
    if not data:
        raise RecordingError(f"{path.name} has no channel but triggers: nothing to play")
    choice = played([raw.ch_names[i] for i in data], [units[i] for i in data], defects)
    picks = tuple(data[i] for i in choice.picks)
    factors = tuple(f * scales[i] for i, f in zip(picks, choice.factors, strict=True))
    return Played(picks, factors, choice.unit)


def _annotations(path: Path, raw: Any) -> tuple[Stretches, list[Event]]:
    """Return the stretches between the breaks that annotations mark, and the other annotations as markers."""
    rate = float(raw.info["sfreq"])
    # Annotations count from the start of the measurement, which may lie before the file's first sample.
    onsets = raw.annotations.onset - raw.first_time
    texts = [str(text) for text in raw.annotations.description]
    breaks, stays = breaks_among(
        onsets.tolist(), raw.annotations.duration.tolist(), texts, rate, path.suffix.casefold()
    )
    stretches = Stretches(int(raw.n_times), rate, breaks)
    times = stretches.seconds(onsets * rate).tolist() if len(breaks) else onsets.tolist()
    return stretches, [
        Event(time, text, code_of(text)) for time, text, stay in zip(times, texts, stays, strict=True) if stay
    ]


def _triggers(path: Path, raw: Any, stretches: Stretches, n: int) -> list[Event]:
    stim = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    names = [name for name in _WHOLE_STIM if name in stim][:1] or stim
    markers: list[Event] = []
    for name in names:
        pick = np.array([raw.ch_names.index(name)])

        def codes(first: int, end: int, pick: NDArray[np.intp] = pick) -> NDArray[np.float64]:
            return np.asarray(_read(path, raw, pick, first, end)[0])

        markers += events_of(codes, stretches, n, name if len(names) > 1 else "")
    return markers


def _sentence(thing: object) -> str:
    return " ".join(str(thing).split()).rstrip(".") or type(thing).__name__

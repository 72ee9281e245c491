"""Breaks that FIF, EEGLAB and GDF files mark themselves are segments: no window spans one, fillers are not decoded."""

import importlib.util
from pathlib import Path

import mne
import numpy as np
import pytest
import scipy.io
from made_files import write_gdf

from bci.errors import RecordingError
from bci.io.files.recording import Recording, chunks, open_recording
from bci.io.files.to_mne import to_mne
from bci.signal.pipeline import Pipeline
from bci.signal.windows import windows

RNG = np.random.default_rng(17)


def spans(recording: Recording, *breaks: int) -> list[int]:
    """Return the first samples of windows that span a break, and of windows of zeros alone."""
    cut = list(windows(chunks(recording), Pipeline(()), length=100, hop=50))
    assert cut
    across = [w.first for w in cut for at in breaks if w.first < at < w.first + 100]
    return across + [w.first for w in cut if not w.samples.any()]


def raw_of(n: int, first: int = 0) -> mne.io.RawArray:
    info = mne.create_info(["Cz", "STI101"], 100.0, ["eeg", "stim"])
    data = np.stack([RNG.normal(size=n) * 1e-5, np.zeros(n)])
    return mne.io.RawArray(data, info, first, verbose="ERROR")


@pytest.mark.parametrize(("first", "dated"), [(250, True), (250, False)])
def test_a_skip_of_the_acquisition_is_a_gap_without_its_filler(
    tmp_path: Path, first: int, dated: bool
) -> None:
    raw = raw_of(1000, first)
    raw._data[1, [100, 700]] = 5
    if dated:
        raw.set_meas_date(1e9)
    zero = raw.first_time if dated else 0.0
    notes = mne.Annotations(
        [zero + 4.0, zero + 6.5], [1.5, 0], ["BAD_ACQ_SKIP", "tone"], orig_time=raw.info["meas_date"]
    )
    raw.set_annotations(notes)
    raw.save(tmp_path / "a_raw.fif", buffer_size_sec=0.5, verbose="ERROR")
    recording = open_recording(tmp_path / "a_raw.fif")
    assert recording.n == 850
    assert recording.segments == ((0, 400), (400, 850))
    kept = np.r_[0:400, 550:1000]
    assert np.allclose(recording.read(0, 850)[:, 0], raw.get_data()[0, kept] * 1e6, rtol=1e-6)
    assert np.allclose(recording.times(0, 850), kept / 100)
    assert [(m.text, round(m.time, 6)) for m in recording.markers] == [("5", 1.0), ("tone", 6.5), ("5", 7.0)]
    assert recording.defects == (
        "1 break marked by the file itself: 1.500 s after sample 399; no window spans one",
    )
    assert spans(recording, 400) == []


def test_a_join_of_two_files_is_a_gap_of_unknown_length(tmp_path: Path) -> None:
    joined = mne.concatenate_raws([raw_of(300), raw_of(400)], verbose="ERROR")
    notes = mne.Annotations([1.0, 3.5], [0, 0], ["before", "behind"])
    joined.set_annotations(joined.annotations + notes)
    joined.save(tmp_path / "a_raw.fif", verbose="ERROR")
    recording = open_recording(tmp_path / "a_raw.fif")
    assert recording.segments == ((0, 300), (300, 700))
    assert recording.times(300, 301)[0] == 4.0
    assert [(m.text, round(m.time, 6)) for m in recording.markers] == [("before", 1.0), ("behind", 4.5)]
    assert "1 s is put there" in recording.defects[1]
    assert spans(recording, 300) == []


def test_what_we_export_with_gaps_comes_back_with_them(tmp_path: Path) -> None:
    joined = mne.concatenate_raws([raw_of(300), raw_of(400)], verbose="ERROR")
    joined.save(tmp_path / "a_raw.fif", verbose="ERROR")
    to_mne(open_recording(tmp_path / "a_raw.fif"), "eeg").save(tmp_path / "b_raw.fif", verbose="ERROR")
    assert open_recording(tmp_path / "b_raw.fif").segments == ((0, 300), (300, 700))


def write_set(path: Path, events: list[tuple[str, float, float]], n: int = 1000) -> Path:
    """Write an EEGLAB set at 100 Hz; events are (type, latency as EEGLAB counts, duration in samples)."""
    kinds = np.array(
        [(t, la, d) for t, la, d in events], [("type", "O"), ("latency", "O"), ("duration", "O")]
    )
    places = np.array([("Cz",), ("Pz",)], [("labels", "O")])
    eeg = {
        "setname": "a", "nbchan": 2, "trials": 1, "pnts": n, "srate": 100.0, "xmin": 0.0, "xmax": (n - 1) / 100,
        "data": RNG.normal(size=(2, n)).astype(np.float32), "event": kinds, "chanlocs": places, "icawinv": [],
        "icasphere": [], "icaweights": [], "icachansind": [], "epoch": [], "ref": "common",
    }  # fmt: skip
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False)
    return path


def test_a_boundary_of_eeglab_is_a_gap_as_long_as_what_was_cut_out(tmp_path: Path) -> None:
    events = [
        ("boundary", 0.5, np.nan),
        ("go", 101.0, 1.0),
        ("boundary", 300.5, 250.0),
        ("go", 311.0, 1.0),
        ("boundary", 600.5, np.nan),
        ("go", 611.0, 1.0),
    ]
    recording = open_recording(write_set(tmp_path / "a.set", events))
    assert recording.segments == ((0, 300), (300, 600), (600, 1000))
    assert recording.times(0, 1000)[[300, 600]] == pytest.approx([5.5, 9.5])
    assert [(m.text, round(m.time, 6)) for m in recording.markers] == [("go", 1.0), ("go", 5.6), ("go", 9.6)]
    assert spans(recording, 300, 600) == []
    assert not any("boundary" in words for words in recording.defects)


def test_a_new_run_in_a_gdf_file_is_a_segment(tmp_path: Path) -> None:
    samples = RNG.normal(size=(1000, 2)).astype(np.float32)
    path = write_gdf(
        tmp_path / "a.gdf",
        samples,
        100,
        [4275, 4275],
        events=[(0, 32766), (50, 769), (400, 32766), (450, 770)],
    )
    recording = open_recording(path)
    assert np.allclose(recording.read(0, 1000), samples, rtol=1e-5)
    assert recording.segments == ((0, 400), (400, 1000))
    assert [(m.code, round(m.time, 6)) for m in recording.markers] == [(769, 0.5), (770, 5.5)]
    assert spans(recording, 400) == []


@pytest.mark.parametrize(
    ("units", "factors"),
    [
        ((4256, 4274, 4275, 4276), (1e6, 1e3, 1, 1e-3)),
        ((b"V", b"mV", b"uV", b"nV"), (1e6, 1e3, 1, 1e-3)),
        ((b"uv", b"UV", b"\xb5V", b"MV"), (1, 1, 1, 1e3)),
    ],
)
def test_gdf_files_are_played_in_microvolts_whatever_unit_they_state(
    tmp_path: Path, units: tuple[int | bytes, ...], factors: tuple[float, ...]
) -> None:
    samples = (RNG.uniform(-50, 50, (200, 4)) / np.array(factors)).astype(np.float32)
    recording = open_recording(write_gdf(tmp_path / "a.gdf", samples, 100, units))
    assert recording.signal.unit == "uV"
    assert recording.defects == ()
    assert np.allclose(recording.read(0, 200), samples * np.array(factors), rtol=1e-5)


@pytest.mark.parametrize("units", [(0, 0), (512, 512), (b"", b"")])
def test_a_gdf_file_without_a_unit_is_not_called_microvolts(
    tmp_path: Path, units: tuple[int | bytes, ...]
) -> None:
    samples = RNG.uniform(-50, 50, (200, 2)).astype(np.float32)
    recording = open_recording(write_gdf(tmp_path / "a.gdf", samples, 100, units))
    assert recording.signal.unit == ""
    assert recording.defects == ("no unit is stated: the values are played as they are",)
    assert np.allclose(recording.read(0, 200), samples, rtol=1e-5)


def test_matlabs_newest_format_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.set"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(1000))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecordingError, match=r"needs pymatreader and h5py: pip install .*\[eeglab\]"):
        open_recording(path)

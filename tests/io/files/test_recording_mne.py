"""What MNE opens is given block by block in microvolts, with its defects in words and its triggers as markers."""

import struct
import warnings
import zlib
from collections import Counter
from pathlib import Path

import mne
import numpy as np
import pytest
from made_files import write_edf

from bci.errors import RecordingError
from bci.io.files.recording import open_recording

RNG = np.random.default_rng(5)


def in_microvolts(path: Path) -> np.ndarray:
    """Read a whole file as MNE gives it: (n, channels)."""
    with warnings.catch_warnings():
        # The sample files announce more records than they hold; MNE says so.
        warnings.simplefilter("ignore", RuntimeWarning)
        raw = mne.io.read_raw(path, verbose="ERROR")
    return (raw.get_data().T * 1e6).astype(np.float32)


@pytest.mark.parametrize(("run", "n", "rest"), [(1, 9600, 15_115), (2, 9600, 15_791)])
def test_a_wrong_record_count_plays_what_is_there_and_says_what_is_not(
    eegmmidb: Path,
    run: int,
    n: int,
    rest: int,
    recwarn: pytest.WarningsRecorder,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    recording = open_recording(eegmmidb / f"S001R0{run}.edf")
    assert recording.n == n
    assert recording.segments == ((0, n),)
    assert recording.defects[0] == (
        f"the header announces 61 records of 1 s, 60 are complete; {rest} bytes of an incomplete one are not played"
    )
    assert len(recording.defects) == 1
    assert [(m.time, m.text) for m in recording.markers] == [(0.0, "T0")]
    # All that there is to say about it is said above, and nowhere else.
    assert list(recwarn) == []
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("run", [3, 4])
def test_annotations_become_markers(eegmmidb: Path, run: int) -> None:
    path = eegmmidb / f"S001R0{run}.edf"
    recording = open_recording(path)
    assert recording.n == 20_000
    assert recording.defects == ()
    assert Counter(m.text for m in recording.markers) == {"T0": 15, "T1": 8, "T2": 7}
    expected = mne.io.read_raw_edf(path, verbose="ERROR").annotations
    assert [m.time for m in recording.markers] == expected.onset.tolist()


def test_samples_are_the_files_in_microvolts_however_they_are_read(eegmmidb: Path) -> None:
    path = eegmmidb / "S001R02.edf"
    recording = open_recording(path)
    expected = in_microvolts(path)
    assert recording.signal.unit == "uV"
    assert recording.signal.rate == 160
    assert recording.signal.channels[60:] == ("O1..", "Oz..", "O2..", "Iz..")
    assert np.array_equal(recording.read(0, 9600), expected)
    pieces = [recording.read(a, b) for a, b in ((0, 1), (1, 161), (161, 161), (161, 5003), (5003, 9600))]
    assert np.array_equal(np.concatenate(pieces), expected)
    assert recording.times(9599, 9600).tolist() == [9599 / 160]


def test_what_the_file_states_cannot_be_overruled(eegmmidb: Path) -> None:
    path = eegmmidb / "S001R03.edf"
    assert open_recording(path, rate=160, unit="microvolts").n == 20_000
    with pytest.raises(RecordingError, match=r"states its own rate, 160\.0; 250 was given"):
        open_recording(path, rate=250)
    with pytest.raises(RecordingError, match="states its own unit"):
        open_recording(path, unit="mV")
    with pytest.raises(RecordingError, match="states its own channels"):
        open_recording(path, channels=["a"])
    with pytest.raises(RecordingError, match="holds one signal"):
        open_recording(path, stream="EEG")


def test_channels_are_chosen_by_any_spelling_of_their_names(eegmmidb: Path) -> None:
    path = eegmmidb / "S001R02.edf"
    every, few = open_recording(path), open_recording(path, channels=["O2", "EEG O1-REF", "Cz"])
    assert few.signal.channels == ("O2", "EEG O1-REF", "Cz")
    places = [every.signal.channels.index(label) for label in ("O2..", "O1..", "Cz..")]
    assert np.array_equal(few.read(100, 900), every.read(100, 900)[:, places])
    assert few.markers == every.markers
    for asked, words in (
        (["O1", "o1.."], "expected each channel once, came O1, o1"),
        (["Oz", "O9"], r"'O9' names none of them"),
        ([], "came none"),
    ):
        with pytest.raises(RecordingError, match=words):
            open_recording(path, channels=asked)


def test_a_status_channel_becomes_markers_and_is_no_channel_of_the_signal(tmp_path: Path) -> None:
    samples = RNG.integers(-1000, 1000, (64, 3))
    samples[:, 2] = 0x10000  # an amplifier's own flag, above the triggers
    samples[10:12, 2] |= 7
    samples[12, 2] |= 9
    samples[40, 2] |= 7
    path = write_edf(tmp_path / "a.bdf", samples, 32, ["A1", "A2", "Status"], bdf=True)
    recording = open_recording(path)
    assert recording.signal.channels == ("A1", "A2")
    assert np.array_equal(recording.read(0, 64), samples[:, :2].astype(np.float32))
    assert [(m.time * 32, m.code, m.text) for m in recording.markers] == [
        (10, 7, "7"),
        (12, 9, "9"),
        (40, 7, "7"),
    ]
    assert recording.defects == ()


def test_channels_that_are_no_voltage_are_left_out_and_named(tmp_path: Path) -> None:
    samples = RNG.integers(-100, 100, (64, 3))
    path = write_edf(tmp_path / "a.edf", samples, 32, ["Cz", "Temp", "Pz"], units=["uV", "degC", "mV"])
    recording = open_recording(path)
    assert recording.signal.channels == ("Cz", "Pz")
    assert recording.read(0, 1).tolist() == [[samples[0, 0], 1000 * samples[0, 2]]]
    assert recording.defects[0] == "in another unit than the signal and not played: Temp (degC)"


def test_a_file_without_any_unit_is_played_as_it_is(tmp_path: Path) -> None:
    samples = RNG.integers(-100, 100, (64, 2))
    path = write_edf(tmp_path / "a.edf", samples, 32, ["Cz", "Pz"], units=["", ""])
    recording = open_recording(path)
    assert recording.signal.unit == ""
    assert np.array_equal(recording.read(0, 64), samples.astype(np.float32))
    assert recording.defects == ("no unit is stated: the values are played as they are",)
    assert open_recording(path, unit="uV").signal.unit == "uV"


def test_slow_channels_beside_a_fast_one_are_interpolated_and_named(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", RNG.integers(-9, 9, (64, 3)), 32, ["Cz", "SpO2", "Pz"])
    content = bytearray(path.read_bytes())
    per_record = 256 + 216 * 3
    content[per_record + 8 : per_record + 16] = b"1".ljust(8)
    records = [content[1024 + r * 192 : 1024 + (r + 1) * 192] for r in range(2)]
    path.write_bytes(bytes(content[:1024]) + b"".join(bytes(r[:64] + r[64:66] + r[128:]) for r in records))
    recording = open_recording(path)
    assert recording.n == 64
    assert recording.defects == ("interpolated to 32 Hz from a lower rate: SpO2",)


def test_a_file_that_is_still_being_written_plays_its_complete_records(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", RNG.integers(-9, 9, (96, 2)), 32, ["Cz", "Pz"], announced=-1)
    recording = open_recording(path)
    assert recording.n == 96
    assert recording.defects == ("the header does not say how many records of 1 s, 3 are complete",)


def test_a_fif_file_gives_its_annotations_from_the_first_sample_on(tmp_path: Path) -> None:
    data = RNG.normal(size=(3, 500)) * 1e-5
    data[2] = 0
    data[2, 100:105] = 3
    raw = mne.io.RawArray(
        data, mne.create_info(["Cz", "Pz", "STI101"], 100.0, ["eeg", "eeg", "stim"]), 50, verbose="ERROR"
    )
    raw.set_meas_date(1e9)
    raw.set_annotations(mne.Annotations([0.5 + 2.0], [0], ["tone"], orig_time=raw.info["meas_date"]))
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="ERROR")
    recording = open_recording(tmp_path / "a_raw.fif")
    assert recording.signal.channels == ("Cz", "Pz")
    assert np.array_equal(recording.read(0, 500), (data[:2].T * 1e6).astype(np.float32))
    assert [(round(m.time, 9), m.text) for m in recording.markers] == [(1.0, "3"), (2.0, "tone")]


def test_brainvision_markers_come_with_their_words(tmp_path: Path) -> None:
    values = RNG.integers(-1000, 1000, (200, 2)).astype("<i2")
    (tmp_path / "a.eeg").write_bytes(values.tobytes())
    (tmp_path / "a.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=a.eeg\nMarkerFile=a.vmrk\n"
        "DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=2\nSamplingInterval=10000\n"
        "[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\nCh1=Cz,,0.5,µV\nCh2=Pz,,0.5,µV\n",
        encoding="utf-8",
    )
    (tmp_path / "a.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nDataFile=a.eeg\n[Marker Infos]\n"
        "Mk1=Stimulus,S  1,51,1,0\n",
        encoding="utf-8",
    )
    recording = open_recording(tmp_path / "a.vhdr")
    assert recording.signal.rate == 100
    assert np.array_equal(recording.read(0, 200), values * np.float32(0.5))
    assert [(m.time, m.text) for m in recording.markers] == [(0.5, "Stimulus/S  1")]
    (tmp_path / "inner").mkdir()
    header = (tmp_path / "a.vhdr").read_text(encoding="utf-8")
    (tmp_path / "inner" / "a.vhdr").write_text(header.replace("=a.", "=../a."), encoding="utf-8")
    with pytest.raises(RecordingError, match=r"outside its own folder: refused"):
        open_recording(tmp_path / "inner" / "a.vhdr")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signals": 9000}, "need a header of"),
        ({"signals": 0}, "need a header of"),
        ({"signals": "x"}, "no sensible number"),
        ({"announced": "many"}, "no sensible number"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    path = write_edf(tmp_path / "a.edf", RNG.integers(-9, 9, (64, 2)), 32, ["Cz", "Pz"], **changes)
    with pytest.raises(RecordingError, match=words):
        open_recording(path)


@pytest.mark.parametrize("size", [0, 100, 256, 700, 768, 800])
def test_a_file_cut_within_its_header_or_first_record_is_refused(tmp_path: Path, size: int) -> None:
    path = write_edf(tmp_path / "a.edf", RNG.integers(-9, 9, (64, 2)), 32, ["Cz", "Pz"])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        RecordingError, match=r"does not begin like|is damaged|nothing to play|needs \d+ bytes"
    ):
        open_recording(path)


def test_records_of_millions_of_samples_are_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", RNG.integers(-9, 9, (64, 2)), 32, ["Cz", "Pz"])
    content = bytearray(path.read_bytes())
    content[256 + 216 * 2 : 256 + 216 * 2 + 8] = b"99999999"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="one record needs 200000062 bytes"):
        open_recording(path)


def test_a_set_file_that_unpacks_to_a_hundred_times_its_size_is_not_unpacked(tmp_path: Path) -> None:
    inner = struct.pack("<II", 14, 200_000_000) + bytes(200_000_000)
    packed = zlib.compress(inner, 1)
    path = tmp_path / "a.set"
    path.write_bytes(b" " * 116 + bytes(8) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(RecordingError, match="unpacks to more than"):
        open_recording(path)


@pytest.mark.parametrize("name", ["a.fif", "a.vhdr", "a.set", "a.gdf", "a.cnt"])
def test_a_file_of_noise_is_an_error_with_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(RNG.bytes(5000))
    with pytest.raises(RecordingError, match=f"{name} .*(cannot be read|is damaged|claims)"):
        open_recording(path)

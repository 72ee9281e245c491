"""BrainVision recordings are played in microvolts, their new segments are segments, and their words are readable."""

from pathlib import Path

import numpy as np
import pytest
from made_files import write_brainvision

from bci.errors import RecordingError
from bci.io.files.recording import chunks, open_recording
from bci.signal.pipeline import Pipeline
from bci.signal.windows import windows

RNG = np.random.default_rng(16)
SAMPLES = RNG.integers(-500, 500, (1000, 2))
CHANNELS = ("Cz,,0.5,µV", "Pz,,0.5,µV")


@pytest.mark.parametrize("order", ["MULTIPLEXED", "VECTORIZED"])
def test_samples_are_the_files_however_they_are_stored_and_read(tmp_path: Path, order: str) -> None:
    recording = open_recording(write_brainvision(tmp_path, SAMPLES, CHANNELS, order=order))
    assert recording.signal.rate == 100
    assert recording.defects == ()
    expected = (SAMPLES * 0.5).astype(np.float32)
    assert np.array_equal(recording.read(0, 1000), expected)
    assert np.array_equal(recording.read(333, 334), expected[333:334])


@pytest.mark.parametrize(
    ("unit", "factor"), [("µV", 1), ("uV", 1), ("UV", 1), ("", 1), ("mV", 1e3), ("nV", 1e-3), ("V", 1e6)]
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_units_are_those_that_each_channel_states(
    tmp_path: Path, unit: str, factor: float, encoding: str
) -> None:
    path = write_brainvision(tmp_path, SAMPLES, (f"Cz,,0.5,{unit}", "Pz,,2,uV"), encoding=encoding)
    recording = open_recording(path)
    assert recording.signal.unit == "uV"
    assert np.array_equal(recording.read(0, 9), (SAMPLES[:9] * [0.5 * factor, 2]).astype(np.float32))


def test_a_channel_that_is_not_described_or_no_voltage_is_named(tmp_path: Path) -> None:
    recording = open_recording(write_brainvision(tmp_path, SAMPLES, ("Cz,,0.5,µV", "Force,,1,N")))
    assert recording.signal.channels == ("Cz",)
    assert recording.defects == ("in another unit than the signal and not played: Force (N)",)


def test_channels_of_one_name_are_numbered(tmp_path: Path) -> None:
    recording = open_recording(write_brainvision(tmp_path, SAMPLES, ("EEG,,1,µV", "EEG,,1,µV")))
    assert recording.signal.channels == ("EEG-0", "EEG-1")
    assert recording.defects == ("channels of the same label are numbered: EEG",)


def test_new_segments_are_segments_and_their_dates_say_how_long_the_pause_was(tmp_path: Path) -> None:
    markers = (
        "New Segment,,1,1,0,20260102030405000000",
        "Stimulus,S  1,101,1,0",
        "New Segment,,301,1,0,20260102030409500000",  # 3 s of samples later, 4.5 s on the clock
        "Stimulus,S  2,311,1,0",
        "New Segment,,501,1,0",  # says nothing
        "Stimulus,S  3,511,1,0",
        "New Segment,LostSamples: 7,801,1,0",
        "Comment,a\\1b,811,1,0",
    )
    recording = open_recording(write_brainvision(tmp_path, SAMPLES, CHANNELS, markers))
    assert recording.segments == ((0, 300), (300, 500), (500, 800), (800, 1000))
    times = recording.times(0, 1000)
    assert times[[300, 500, 800]] == pytest.approx([4.5, 7.5, 10.57])
    assert [(m.text, round(m.time, 6)) for m in recording.markers] == [
        ("Stimulus/S  1", 1.0),
        ("Stimulus/S  2", 4.6),
        ("Stimulus/S  3", 7.6),
        ("Comment/a,b", 10.67),
    ]
    said = " | ".join(recording.defects)
    assert "3 breaks marked by the file itself: 1.500 s after sample 299" in said
    assert "of 1 of them the length is not stated" in said
    cut = list(windows(chunks(recording), Pipeline(()), length=100, hop=50))
    assert not [w.first for w in cut for at in (300, 500, 800) if w.first < at < w.first + 100]


@pytest.mark.parametrize(
    ("encoding", "page"), [("latin-1", ""), ("latin-1", "UTF-8"), ("cp1252", "ANSI"), ("utf-8", "")]
)
def test_words_without_a_code_page_are_read(tmp_path: Path, encoding: str, page: str) -> None:
    markers = ("New Segment,,1,1,0", "Comment,Augen schließen,51,1,0")
    path = write_brainvision(
        tmp_path, SAMPLES, ("Fp1-Öhr,,1,µV", "Pz,,1,µV"), markers, encoding=encoding, page=page
    )
    recording = open_recording(path)
    assert recording.signal.channels == ("Fp1-Öhr", "Pz")
    assert [m.text for m in recording.markers] == ["Comment/Augen schließen"]


def test_files_that_were_renamed_are_found_and_said(tmp_path: Path) -> None:
    path = write_brainvision(tmp_path, SAMPLES, CHANNELS, ("Stimulus,S  1,101,1,0",))
    for suffix in ("vhdr", "eeg", "vmrk"):
        (tmp_path / f"a.{suffix}").rename(tmp_path / f"sub-01_eeg.{suffix}")
    recording = open_recording(path.with_name("sub-01_eeg.vhdr"))
    assert [m.text for m in recording.markers] == ["Stimulus/S  1"]
    assert recording.defects == (
        "the header's DataFile is a.eeg and not there; sub-01_eeg.eeg is read",
        "the header's MarkerFile is a.vmrk and not there; sub-01_eeg.vmrk is read",
    )


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("DataFile=a.eeg", "DataFile=../a.eeg", "outside its own folder"),
        ("SamplingInterval=10000", "SamplingInterval=0", "a number above 0 was expected"),
        ("SamplingInterval=10000", "SamplingInterval=1e-9", "cannot be played"),
        ("NumberOfChannels=2", "NumberOfChannels=1e9", "a number above 0 was expected"),
        ("BinaryFormat=INT_16", "BinaryFormat=INT_12", "expected samples of"),
        ("NumberOfChannels=2", "NumberOfChannels=60000", "holds no sample of 60000"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(tmp_path: Path, line: str, instead: str, words: str) -> None:
    path = write_brainvision(tmp_path, SAMPLES, CHANNELS)
    path.write_text(path.read_text("utf-8").replace(line, instead), "utf-8")
    with pytest.raises(RecordingError, match=words):
        open_recording(path)


def test_a_real_recording_is_read_as_it_states_itself(data: Path) -> None:
    (path,) = (data / "ecog_lfp_grip").rglob("*.vhdr")
    recording = open_recording(path)
    assert recording.n == 19_001
    assert recording.signal.rate == 1000
    assert recording.signal.unit == "uV"

"""A recording without markers takes them from the file of events beside it; one with markers says that it is there."""

import struct
from pathlib import Path

import mne
import numpy as np
import pytest
from made_files import tal, write_brainvision, write_edf

from bci.config.session import load_session
from bci.errors import RecordingError
from bci.io.files.cells import cell
from bci.io.files.formats.events_beside import beside
from bci.io.files.formats.events_table import read_table
from bci.io.files.recording import open_recording

RNG = np.random.default_rng(24)


def recorded(folder: Path, name: str = "sub-01_task-x_eeg.edf", markers: bool = False) -> Path:
    """Write ten seconds at 100 Hz."""
    samples = RNG.integers(-50, 50, (1000, 1))
    tals = [tal(i, (i + 0.5, "own")) for i in range(10)] if markers else ()
    return write_edf(folder / name, samples, 100, ["Cz"], kind="EDF+C" if markers else "", tals=tals)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_bids_events_are_the_markers(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    table = "onset\tduration\ttrial_type\tvalue\n1.25\t0.5\tface\t7\nn/a\t0\tface\t7\n3\t0\tn/a\t9\n4\t0\tn/a\tn/a\n"
    write(tmp_path / "sub-01_task-x_events.tsv", table)
    recording = open_recording(path)
    assert [(m.time, m.text, m.code) for m in recording.markers] == [
        (1.25, "face", 7),
        (3.0, "9", 9),
        (4.0, "event", 0),
    ]
    assert recording.defects == (
        "the markers are the 3 events of sub-01_task-x_events.tsv; 1 lines of it name no place",
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("onset,description\n2,Größe\n4,12\n", "utf-8-sig"),
        ("time;label\n2,0;Größe\n4,0;12\n", "latin-1"),
        ('"sample","event"\n"200","Größe"\n"400","12"\n', "utf-8"),
        ("# written by a logger\nlatency\ttype\n200\tGröße\n400\t12\n", "utf-8"),
        ("Onset\tTrial_Type\r\n2.0\tGröße\r\n4.0\t12\r\n", "utf-8"),
    ],
)
def test_tables_of_other_programs_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    path = recorded(tmp_path, "run1.edf")
    write(tmp_path / "run1_events.csv", text, encoding)
    assert [(m.time, m.text, m.code) for m in open_recording(path).markers] == [
        (2.0, "Größe", 0),
        (4.0, "12", 12),
    ]


def test_a_recording_with_markers_keeps_them_and_says_that_the_file_is_there(tmp_path: Path) -> None:
    path = recorded(tmp_path, markers=True)
    events = write(tmp_path / "sub-01_task-x_events.tsv", "onset\ttrial_type\n1\tface\n")
    recording = open_recording(path)
    assert {m.text for m in recording.markers} == {"own"}
    assert recording.defects == (
        "sub-01_task-x_events.tsv beside it is not played: the recording has 10 markers of its own",
    )
    assert [m.text for m in open_recording(path, events=events).markers] == ["face"]


def test_events_outside_of_the_recording_are_said(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    write(tmp_path / "sub-01_task-x_events.tsv", "onset\ttrial_type\n1000\tface\n2000\tface\n5\tface\n")
    (said,) = open_recording(path).defects
    assert "2 of them lie outside of it" in said


@pytest.mark.parametrize("dated", [True, False])
def test_an_event_list_counts_from_the_start_of_the_acquisition(tmp_path: Path, dated: bool) -> None:
    info = mne.create_info(["Cz"], 100.0, ["eeg"])
    raw = mne.io.RawArray(RNG.normal(size=(1, 500)) * 2e-5, info, 250, verbose="ERROR")
    if dated:
        raw.set_meas_date(1e9)
    raw.save(tmp_path / "a_raw.fif", verbose="ERROR")
    mne.write_events(
        tmp_path / "a-eve.fif", np.array([[250, 0, 1], [350, 0, 20], [400, 20, 3]]), verbose="ERROR"
    )
    recording = open_recording(tmp_path / "a_raw.fif")
    assert [(m.time, m.code) for m in recording.markers] == [(0.0, 1), (1.0, 20), (1.5, 3)]


def test_events_behind_a_break_move_with_the_samples(tmp_path: Path) -> None:
    samples = RNG.integers(-50, 50, (1000, 1))
    markers = ("New Segment,,1,1,0,20260102030405000000", "New Segment,,301,1,0,20260102030418000000")
    path = write_brainvision(tmp_path, samples, ("Cz,,1,µV",), markers)
    write(tmp_path / "a_events.tsv", "onset\ttrial_type\n1\tbefore\n4\tbehind\n")
    recording = open_recording(path)
    assert [(m.text, round(m.time, 6)) for m in recording.markers] == [("before", 1.0), ("behind", 14.0)]


def test_real_recordings_have_their_events(data: Path) -> None:
    for path in sorted((data / "ssvep_exo_s12").glob("*_raw.fif")):
        expected = mne.read_events(path.with_name(path.name.replace("_raw", "-eve")), verbose="ERROR")
        recording = open_recording(path)
        assert [m.code for m in recording.markers] == expected[:, 2].tolist()
        at = np.array([m.time for m in recording.markers]) * recording.signal.rate
        assert np.allclose(at, expected[:, 0])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a_events.tsv", b"alpha\tbeta\n1\t2\n", "expected a table with a column of times"),
        ("a_events.tsv", b"", "expected a table"),
        ("a-eve.fif", b"no fif at all" * 10, "holds no event list"),
        ("a-eve.fif", struct.pack(">8i", 100, 31, 0, 0, 3561, 3, 1 << 30, 0), "holds no event list"),
        ("a-eve.fif", struct.pack(">8i", 100, 31, 0, 16, 5, 3, 0, 8), "holds no event list"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = recorded(tmp_path, "a.edf")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=words):
        open_recording(path)


def test_a_label_that_we_had_to_escape_is_the_one_that_was_sent_and_a_foreign_one_stays(
    tmp_path: Path,
) -> None:
    labels = ["=1+1", "a\x1b[2J", "\u202eb", "'quoted", "'tis", "-1"]
    rows = [f"{i}\t{cell(label) if label != chr(39) + 'tis' else label}\n" for i, label in enumerate(labels)]
    (tmp_path / "e.tsv").write_text("onset\ttrial_type\n" + "".join(rows), encoding="utf-8")
    assert [row.text for row in read_table(tmp_path / "e.tsv").rows] == labels


def test_only_files_that_are_named_like_the_recording_are_taken(tmp_path: Path) -> None:
    for name in ("b_events.tsv", "a.csv", "sub-01_events.tsv"):
        (tmp_path / name).write_bytes(b"")
    assert beside(tmp_path / "a.edf") is None
    (tmp_path / "a_events.tsv").write_bytes(b"")
    for name in ("a_eeg.edf", "a_ieeg.vhdr", "a_raw.fif", "a-raw.fif.gz", "a.edf"):
        assert beside(tmp_path / name) == tmp_path / "a_events.tsv"


def test_a_session_names_its_events_by_their_place_beside_it(tmp_path: Path) -> None:
    recorded(tmp_path, "a.edf")
    write(tmp_path / "b.csv", "onset,label\n1,face\n")
    (tmp_path / "s.toml").write_text(
        'name = "s"\n[source]\nkind = "replay"\nfile = "a.edf"\nevents = "b.csv"\n[decoder]\nbundle = "alpha"\n'
    )
    (source,) = load_session(tmp_path / "s.toml").sources
    assert source.events == tmp_path / "b.csv"

"""EDF and BDF files are played in microvolts whatever they state, with pauses as gaps and their words readable."""

import warnings
from pathlib import Path

import mne
import numpy as np
import pytest
from made_files import tal, write_edf

from bci.errors import RecordingError
from bci.io.files.recording import chunks, open_recording
from bci.signal.pipeline import Pipeline
from bci.signal.windows import windows

RNG = np.random.default_rng(15)

#: Spellings in the wild, and the microvolts of one of each.
UNITS: list[tuple[str | bytes, float]] = [
    ("uV", 1), ("uv", 1), ("UV", 1), ("uVolt", 1), ("microV", 1), ("MicroV", 1),
    ("µV", 1), ("μV", 1), ("µV".encode("latin-1"), 1), ("μV".encode("shift-jis"), 1), ("μV".encode("gbk"), 1),
    (b"\xe6V", 1),
    ("mV", 1e3), ("MV", 1e3), ("mv", 1e3), ("nV", 1e-3), ("NV", 1e-3), ("V", 1e6), ("volts", 1e6),
]  # fmt: skip


@pytest.mark.parametrize("bdf", [False, True])
def test_every_spelling_of_a_voltage_is_played_in_microvolts(tmp_path: Path, bdf: bool) -> None:
    samples = RNG.integers(-50, 51, (64, len(UNITS)))
    labels = [f"E{i}" for i in range(len(UNITS))]
    path = tmp_path / ("a.bdf" if bdf else "a.edf")
    write_edf(path, samples, 32, labels, units=[unit for unit, _ in UNITS], bdf=bdf)
    recording = open_recording(path)
    assert recording.signal.unit == "uV"
    assert recording.defects == ()
    assert recording.signal.channels == tuple(labels)
    factors = np.array([factor for _, factor in UNITS])
    assert np.array_equal(recording.read(0, 64), (samples * factors).astype(np.float32))


def test_a_unit_that_is_none_is_not_called_microvolts(tmp_path: Path) -> None:
    samples = RNG.integers(-50, 51, (64, 2))
    for unit, name in (("", ""), ("mmHg", "mmHg"), ("?V", "?V")):
        path = write_edf(tmp_path / "a.edf", samples, 32, ["Cz", "Pz"], units=[unit, unit])
        recording = open_recording(path)
        assert recording.signal.unit == name
        assert np.array_equal(recording.read(0, 64), samples.astype(np.float32))


def test_a_channel_without_a_scale_is_named(tmp_path: Path) -> None:
    samples = RNG.integers(-50, 51, (64, 2))
    path = write_edf(tmp_path / "a.edf", samples, 32, ["Cz", "Pz"])
    content = bytearray(path.read_bytes())
    least, most = 256 + 2 * 104, 256 + 2 * 112  # physical minimum and maximum of both channels
    content[least + 8 : least + 16] = content[most + 8 : most + 16] = b"0       "
    path.write_bytes(content)
    recording = open_recording(path)
    assert recording.signal.channels == ("Cz",)
    assert "without a scale in the header, and played as stored numbers: Pz" in recording.defects


def discontinuous(path: Path, starts: list[float], *, kind: str = "EDF+D", bdf: bool = False) -> np.ndarray:
    """Write a second of 100 samples for each start, and an annotation 0.25 s after each."""
    samples = np.arange(100 * len(starts))[:, None] % 997
    tals = [tal(start, (start + 0.25, f"at {start}")) for start in starts]
    write_edf(path, samples, 100, ["Cz"], kind=kind, tals=tals, bdf=bdf)
    return samples


@pytest.mark.parametrize("bdf", [False, True])
def test_a_pause_of_the_recorder_is_a_gap_and_markers_fall_where_the_records_say(
    tmp_path: Path, bdf: bool
) -> None:
    path = tmp_path / ("a.bdf" if bdf else "a.edf")
    samples = discontinuous(path, [0.5, 1.5, 2.5, 8.5, 9.5, 9.5 + 1.02], kind="EDF+D", bdf=bdf)
    recording = open_recording(path)
    assert recording.n == 600
    assert recording.segments == ((0, 300), (300, 500), (500, 600))
    assert np.array_equal(recording.read(250, 550), samples[250:550].astype(np.float32))
    times = recording.times(0, 600)
    assert times[[0, 299, 300, 499, 500]] == pytest.approx([0, 2.99, 8.0, 9.99, 10.02])
    for marker in recording.markers:
        (at,) = np.flatnonzero(np.abs(times - marker.time) < 1e-6)
        record = np.searchsorted([0, 100, 200, 300, 400, 500], at, "right") - 1
        assert at == 100 * record + 25
    assert recording.defects == (
        "2 breaks marked by the file itself: 5.000 s after sample 299, 0.020 s after sample 499; no window spans one",
    )
    cut = list(windows(chunks(recording), Pipeline(()), length=100, hop=50))
    assert {w.first for w in cut} == {0, 50, 100, 150, 200, 300, 350, 400, 500}


def test_a_contiguous_file_is_not_called_discontinuous(tmp_path: Path) -> None:
    discontinuous(tmp_path / "a.edf", [0, 1, 2, 3])
    recording = open_recording(tmp_path / "a.edf")
    assert recording.segments == ((0, 400),)
    assert recording.defects == ()
    assert recording.times(0, 400).tolist() == (np.arange(400) / 100).tolist()


def test_record_starts_that_drift_are_no_pauses_in_a_file_that_calls_itself_continuous(
    tmp_path: Path,
) -> None:
    discontinuous(tmp_path / "a.edf", [0, 1.006, 2.012], kind="EDF+C")
    assert open_recording(tmp_path / "a.edf").segments == ((0, 300),)
    discontinuous(tmp_path / "b.edf", [0, 1.006, 12.0], kind="EDF+C")
    assert open_recording(tmp_path / "b.edf").segments == ((0, 200), (200, 300))


def test_records_out_of_order_are_kept_in_the_files_order_and_said(tmp_path: Path) -> None:
    discontinuous(tmp_path / "a.edf", [10, 11, 3, 4])
    recording = open_recording(tmp_path / "a.edf")
    assert recording.segments == ((0, 200), (200, 400))
    assert np.all(np.diff(recording.times(0, 400)) > 0)
    assert recording.times(200, 201)[0] == pytest.approx(3.0)  # 1 s is put there
    assert [round(m.time, 6) for m in recording.markers] == [0.25, 1.25, 3.25, 4.25]
    assert any("1 records begin before the one before them" in words for words in recording.defects)


@pytest.mark.parametrize(
    ("texts", "encoding", "named"),
    [
        (["Blinzeln", "Übergröße", "geöffnet"], "latin-1", "cp1252"),
        (["yeux fermés", "début"], "latin-1", "cp1252"),
        (["睁眼", "闭眼", "start 1"], "gbk", "gbk"),
        (["開眼", "まばたき"], "shift-jis", "shift_jis"),
        (["Größe", "睁眼"], "utf-8", ""),
    ],
)
def test_annotations_in_other_encodings_are_read(
    tmp_path: Path, texts: list[str], encoding: str, named: str
) -> None:
    tals = [tal(i, (i + 0.5, text.encode(encoding))) for i, text in enumerate(texts)]
    samples = np.zeros((100 * len(texts), 1), int)
    path = write_edf(tmp_path / "a.edf", samples, 100, ["Cz"], kind="EDF+C", tals=tals)
    recording = open_recording(path)
    assert [m.text for m in recording.markers] == texts
    assert recording.defects == ((f"annotations are not UTF-8 and were read as {named}",) if named else ())


def test_one_foreign_annotation_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    tals = [tal(0, (0.1, "Größe".encode()), (0.2, "Größe".encode("latin-1")))]
    path = write_edf(tmp_path / "a.edf", np.zeros((100, 1), int), 100, ["Cz"], kind="EDF+C", tals=tals)
    assert [m.text for m in open_recording(path).markers] == ["Größe", "Größe"]


def test_an_annotation_of_single_channels_is_one_marker(tmp_path: Path) -> None:
    tals = [tal(0, (0.5, "spike@@Cz"), (0.5, "spike@@Pz"), (0.7, "a@@b"))]
    path = write_edf(tmp_path / "a.edf", np.zeros((100, 2), int), 100, ["Cz", "Pz"], kind="EDF+C", tals=tals)
    assert [(m.time, m.text) for m in open_recording(path).markers] == [(0.5, "spike"), (0.7, "a@@b")]


@pytest.mark.parametrize(
    ("open_lines", "codes"),
    [
        (0xFF00, [1, 202, 1]),
        (0x8000, [1, 202, 0x4001]),
        (0x00FF, [0x100, 0xCA00, 0x100]),
        (0, [1, 202, 1, 1]),
    ],
)
def test_trigger_lines_that_are_not_connected_carry_no_marker(
    tmp_path: Path, open_lines: int, codes: list[int]
) -> None:
    samples = np.zeros((320, 2), int)
    for i, code in enumerate(codes):
        samples[40 + 60 * i : 45 + 60 * i, 1] = code
    samples[:, 1] |= open_lines | 0x10000
    path = write_edf(tmp_path / "a.bdf", samples, 32, ["A1", "Status"], bdf=True)
    recording = open_recording(path)
    expected = [(40 + 60 * i, code) for i, code in enumerate(codes)]
    assert [(m.time * 32, m.code) for m in recording.markers] == expected
    assert any("not connected" in words for words in recording.defects) == bool(open_lines)


def test_slow_channels_do_not_depend_on_how_the_file_is_read(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", RNG.integers(-99, 99, (96, 3)), 32, ["Cz", "SpO2", "Pz"])
    content = bytearray(path.read_bytes())
    per_record = 256 + 216 * 3
    content[per_record + 8 : per_record + 16] = b"4".ljust(8)
    records = [content[1024 + r * 192 : 1024 + (r + 1) * 192] for r in range(3)]
    path.write_bytes(bytes(content[:1024]) + b"".join(bytes(r[:64] + r[64:72] + r[128:]) for r in records))
    recording = open_recording(path)
    whole = recording.read(0, 96)
    for first, end in ((0, 5), (30, 33), (31, 64), (90, 96), (95, 96)):
        assert np.array_equal(recording.read(first, end), whole[first:end])
    assert np.unique(whole[::8, 1]).size > 1


@pytest.mark.parametrize("run", [1, 3])
def test_what_we_read_is_what_mne_reads(eegmmidb: Path, run: int) -> None:
    path = eegmmidb / f"S001R0{run}.edf"
    recording = open_recording(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a wrong record count
        raw = mne.io.read_raw_edf(path, verbose="ERROR")
    assert np.array_equal(recording.read(0, recording.n or 0), (raw.get_data().T * 1e6).astype(np.float32))
    assert recording.signal.channels == tuple(raw.ch_names)
    assert [m.text for m in recording.markers] == list(raw.annotations.description)


def test_a_rate_that_no_amplifier_has_is_refused(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", RNG.integers(-9, 9, (64, 2)), 32, ["Cz", "Pz"])
    content = bytearray(path.read_bytes())
    content[244:252] = b"1e-300  "
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="at which nothing is sampled"):
        open_recording(path)

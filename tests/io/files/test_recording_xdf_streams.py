"""An XDF file is played as it is: with a damaged end, triggers that claim a rate, amplifiers that claim none."""

from pathlib import Path

import made_files as made
import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.files.recording import open_recording
from bci.io.files.xdf import wire
from bci.io.files.xdf.verify import repair

RNG = np.random.default_rng(23)
N, RATE = 1000, 100.0
VALUES = (30 * RNG.normal(size=(N, 2))).astype(np.float32)
STAMPS = 50.0 + np.arange(N) / RATE


def described(*labels: str, units: tuple[str, ...] = ()) -> str:
    units = units or ("uV",) * len(labels)
    rows = "".join(
        f"<channel><label>{label}</label><unit>{unit}</unit></channel>"
        for label, unit in zip(labels, units, strict=True)
    )
    return f"<channels>{rows}</channels>"


def amp(rate: float = RATE, desc: str | None = None) -> list[bytes]:
    """Return an amplifier's header and its samples in two chunks."""
    desc = described("Cz", "Pz") if desc is None else desc
    half = N // 2
    return [
        made.header(1, "amp", 2, rate, desc=desc),
        made.samples(1, VALUES[:half], STAMPS[:half]),
        made.samples(1, VALUES[half:], STAMPS[half:]),
    ]


def write(path: Path, *parts: bytes, end: bytes = b"") -> Path:
    path.write_bytes(made.xdf(*parts) + end)
    return path


def footer(stream: int, text: bytes = b"<info><sample_count>1000</sample_count></info>") -> bytes:
    return made.chunk(6, stream.to_bytes(4, "little") + text)


ENDS = {
    "a footer cut short within its XML": footer(1, b"<info><first_timestamp>50.0</first"),
    "a footer of control characters": footer(1, b"<info>\x00\x01</info>"),
    "zeros": bytes(5000),
    "one zero": bytes(1),
    "a chunk that is longer than the file": made.number(10_000) + b"\x03\x00" + bytes(50),
    "a chunk that is none": made.chunk(99, b"1234"),
    "samples that are cut short": made.samples(1, VALUES[:20], STAMPS[:20], claimed=30),
    "a chunk of a stream that is none": made.samples(9, VALUES[:20], STAMPS[:20]),
    "a footer cut short, then zeros": footer(1, b"<info>") + bytes(4096),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_recorder_that_died_leaves_a_file_that_is_played_as_far_as_it_is_whole(
    tmp_path: Path, what: str
) -> None:
    path = write(tmp_path / "a.xdf", *amp(), footer(1), end=ENDS[what])
    recording = open_recording(path)
    assert recording.n == N
    assert np.array_equal(recording.read(0, N), VALUES)
    (said,) = recording.defects
    assert f"its last {len(ENDS[what])} bytes are not played" in said
    assert "bci verify a.xdf --repair whole.xdf" in said
    if "zeros" in what and not what.startswith("a footer"):
        assert said.startswith("the file ends in zeros")
    repair(path, tmp_path / "whole.xdf")
    assert np.array_equal(open_recording(tmp_path / "whole.xdf").read(0, N), VALUES)


@pytest.mark.parametrize("what", ENDS)
def test_damage_with_more_of_the_recording_behind_it_is_refused_and_the_repair_named(
    tmp_path: Path, what: str
) -> None:
    head, first, second = amp()
    path = write(tmp_path / "a.xdf", head, first, ENDS[what], wire.boundary(), second)
    with pytest.raises(RecordingError, match=r"is damaged\. bci verify a\.xdf --repair whole\.xdf"):
        open_recording(path)
    repair(path, tmp_path / "whole.xdf")
    assert (open_recording(tmp_path / "whole.xdf").n or 0) >= N


def test_a_footer_made_to_do_harm_is_refused_at_the_end_too(tmp_path: Path) -> None:
    bomb = footer(1, b"<!DOCTYPE a [<!ENTITY b 'c'>]><info>&b;</info>")
    with pytest.raises(RecordingError, match="made to do harm"):
        open_recording(write(tmp_path / "a.xdf", *amp(), bomb))


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        ("double64", [1000001.0, 170000.5, 1234567890123.0], ["1000001", "170000.5", "1234567890123"]),
        ("float32", [1000001.0, 0.1, -7.0], ["1000001", "0.1", "-7"]),
        ("int64", [2**53 + 1, -1, 0], ["9007199254740993", "-1", "0"]),
    ],
)
def test_markers_that_are_numbers_keep_all_their_digits(
    tmp_path: Path, kind: str, values: list[float], texts: list[str]
) -> None:
    codes = np.array(values)[:, None].astype({"double64": "<f8", "float32": "<f4", "int64": "<i8"}[kind])
    parts = [made.header(2, "codes", 1, 0, kind), made.samples(2, codes, [51.0, 52.0, 53.0])]
    recording = open_recording(write(tmp_path / "a.xdf", *amp(), *parts))
    assert [m.text for m in recording.markers] == texts
    assert recording.markers[0].code == int(values[0])


@pytest.mark.parametrize(("name", "kind"), [("Markers", "int32"), ("Unity", "int32"), ("Unity", "float32")])
def test_triggers_that_claim_a_rate_are_markers_and_no_second_signal(
    tmp_path: Path, name: str, kind: str
) -> None:
    codes = np.array([[1], [2], [3]], "<i4" if kind == "int32" else "<f4")
    parts = [made.header(2, name, 1, 10_000, kind, content=name), made.samples(2, codes, [51.0, 54.0, 59.0])]
    recording = open_recording(write(tmp_path / "a.xdf", *amp(), *parts))
    assert recording.signal.channels == ("Cz", "Pz")
    assert [(m.text, m.time) for m in recording.markers] == [("1", 1.0), ("2", 4.0), ("3", 9.0)]
    assert recording.defects == ()


def test_a_photodiode_at_its_own_rate_is_a_signal_not_markers(tmp_path: Path) -> None:
    light = RNG.normal(size=(2000, 1)).astype(np.float32)
    parts = [made.header(2, "light", 1, 200), made.samples(2, light, 50 + np.arange(2000) / 200)]
    path = write(tmp_path / "a.xdf", *amp(), *parts)
    with pytest.raises(RecordingError, match="2 regular streams"):
        open_recording(path)
    assert open_recording(path, stream="light").n == 2000


def test_an_amplifier_that_states_no_rate_is_played_where_it_is_given(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.xdf",
        *amp(rate=0),
        made.header(2, "events", 1, 0, "string"),
        made.texts(2, ["go"], [51.0]),
    )
    for stream in (None, "amp"):
        with pytest.raises(
            RecordingError, match=r"'amp' .* no fixed rate; by its stamps it has 100 Hz.*--rate"
        ):
            open_recording(path, stream=stream)
        recording = open_recording(path, stream=stream, rate=RATE)
        assert recording.signal.rate == RATE
        assert np.array_equal(recording.read(0, N), VALUES)
        assert [(m.text, m.time) for m in recording.markers] == [("go", 1.0)]


def test_irregular_numbers_beside_a_signal_need_no_rate(tmp_path: Path) -> None:
    gaze = RNG.normal(size=(20, 2)).astype(np.float32)
    parts = [made.header(2, "gaze", 2, 0), made.samples(2, gaze, list(50 + np.arange(20.0) ** 1.1 / 10))]
    recording = open_recording(write(tmp_path / "a.xdf", *amp(), *parts))
    assert recording.signal.name == "amp"
    assert recording.defects == ("another stream, 'gaze', is not played",)


def test_one_missing_label_costs_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xdf", *amp(desc=described("Cz", "")))
    recording = open_recording(path)
    assert recording.signal.channels == ("Cz", "2")
    assert recording.defects == ("channels without a label are called by their number: 2",)
    assert open_recording(path, channels=["Cz", "Pz"]).signal.channels == ("Cz", "Pz")
    with pytest.raises(RecordingError, match=r"its own channels, Cz, \(none\); Fz, Pz was given"):
        open_recording(path, channels=["Fz", "Pz"])
    assert np.array_equal(open_recording(path, channels=["Cz"]).read(0, N), VALUES[:, :1])


def test_equal_labels_are_said(tmp_path: Path) -> None:
    recording = open_recording(write(tmp_path / "a.xdf", *amp(desc=described("EEG", "EEG"))))
    assert recording.signal.channels == ("EEG", "EEG")
    assert any("same label" in words for words in recording.defects)


@pytest.mark.parametrize("unit", ["microvolts", "uV", "UV", "µV", "Microvolt", "micro volts", "muV"])
def test_spellings_of_microvolts_are_one(tmp_path: Path, unit: str) -> None:
    recording = open_recording(
        write(tmp_path / "a.xdf", *amp(desc=described("Cz", "Pz", units=(unit, unit))))
    )
    assert recording.signal.unit == "uV"
    assert recording.defects == ()

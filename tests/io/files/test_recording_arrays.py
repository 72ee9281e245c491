"""Arrays are played as they are, and believed only as far as their file's size bears them out."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.files.recording import open_recording


def npy(shape: tuple[int, ...]) -> bytes:
    """Return the header of a float64 .npy of any shape, also of one that no memory holds."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_the_local_field_potential_is_read_with_the_rate_it_was_given(data: Path) -> None:
    path = data / "lfp_ca1_ec3" / "ca1.npy"
    recording = open_recording(path, rate=1250, channels=["CA1"], unit="millivolts")
    assert recording.n == 75_000
    assert recording.signal.rate == 1250
    assert recording.signal.channels == ("CA1",)
    assert recording.signal.unit == "mV"
    assert recording.defects == ()
    assert recording.times(74_999, 75_000).tolist() == [59.9992]
    expected = np.load(path).astype(np.float32)[:, None]
    assert np.array_equal(recording.read(0, 75_000), expected)
    assert np.array_equal(recording.read(1000, 1003), expected[1000:1003])


def test_an_array_without_a_rate_asks_for_it(data: Path) -> None:
    with pytest.raises(RecordingError, match="Give the rate"):
        open_recording(data / "lfp_ca1_ec3" / "ec3.npy")


def test_channels_without_names_are_numbered_and_a_missing_unit_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((10, 3), np.int16))
    recording = open_recording(tmp_path / "a.npy", rate=10)
    assert recording.signal.channels == ("1", "2", "3")
    assert recording.signal.unit == ""
    assert recording.defects == ("no unit is stated: the values are played as they are",)


def test_sixteen_names_for_seventeen_columns_name_none_of_them(data: Path) -> None:
    recording = open_recording(data / "p300_bi2012" / "subject_01_session_01.npz")
    assert recording.signal.rate == 128  # from the YAML
    assert recording.n == 46_804
    assert recording.signal.channels == tuple(map(str, range(1, 18)))
    assert any("16 sensors for 17 columns" in defect for defect in recording.defects)


def test_the_stimulation_column_becomes_markers(data: Path) -> None:
    path = data / "p300_bi2012" / "subject_01_session_01.npz"
    recording = open_recording(path, unit="uV", channels=[f"c{i}" for i in range(17)])
    codes = [m.code for m in recording.markers]
    assert (codes.count(1), codes.count(2)) == (640, 128)
    samples = [round(m.time * 128) for m in recording.markers]
    assert (samples[0], samples[-1], int(np.diff(samples).min())) == (3428, 45_920, 20)
    assert recording.markers[0].text == str(recording.markers[0].code)
    assert np.array_equal(recording.read(0, 46_804), np.load(path)["data"])
    assert recording.defects == ()


def test_a_yaml_that_fits_names_the_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.zeros((10, 2), np.float32))
    (tmp_path / "a.yml").write_text(
        "acquisition:\n  sensors:\n  - Fz\n  - 'Cz'\n  samplingrate: 10\nstim:\n  n: 1\n"
    )
    recording = open_recording(tmp_path / "a.npz", unit="uV")
    assert recording.signal.channels == ("Fz", "Cz")
    (tmp_path / "a.yml").write_text("acquisition:\n    sensors: [Fz, Cz]\n    samplingrate: 10\n")
    assert open_recording(tmp_path / "a.npz", unit="uV").signal.channels == ("Fz", "Cz")
    with pytest.raises(RecordingError, match=r"states its own rate, 10\.0; 20 was given"):
        open_recording(tmp_path / "a.npz", rate=20)


def test_names_that_do_not_fit_are_refused_and_a_turned_array_is_suspected(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 10)))
    with pytest.raises(RecordingError, match="Time is axis 0"):
        open_recording(tmp_path / "a.npy", rate=1, channels=["a", "b", "c"])
    assert any("axis 0?" in d for d in open_recording(tmp_path / "a.npy", rate=1).defects)


def test_fortran_order_and_volumes_come_out_sample_by_sample(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(4, 3, 2)
    np.save(tmp_path / "v.npy", np.asfortranarray(values))
    recording = open_recording(tmp_path / "v.npy", rate=0.5, unit="BOLD")
    assert recording.signal.shape == (3, 2)
    assert np.array_equal(recording.read(1, 3), values[1:3])
    assert recording.read(1, 3).flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ((2_000_000_000, 64), b""),
        ((10,), bytes(72)),
        ((10,), bytes(96)),
        ((), bytes(8)),
        ((2**62, 2**62), b""),
    ],
)
def test_an_array_that_claims_what_the_file_does_not_hold_is_refused(
    tmp_path: Path, shape: tuple[int, ...], body: bytes
) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(shape) + body)
    with pytest.raises(RecordingError, match="claims an array of shape"):
        open_recording(path, rate=100)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff{", b"not an array", b"\x93NUMPY\x01\x00\x05\x00hello"],
)
def test_a_damaged_header_is_an_error_with_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="is not a NumPy array file"):
        open_recording(path, rate=100)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", data=np.array([{"a": 1}], object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(RecordingError, match="pickle"):
            open_recording(tmp_path / name, rate=100)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data.npy", "w") as file:
        file.write(npy((8_000_000,)))
        for _ in range(64):
            file.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(RecordingError, match="more than 20 times its size is refused"):
        open_recording(path, rate=100)


def test_a_damaged_archive_is_an_error_with_words(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", data=np.random.default_rng(1).normal(size=(1000, 2)))
    sound = bytearray((tmp_path / "a.npz").read_bytes())
    sound[2000] ^= 0xFF
    (tmp_path / "b.npz").write_bytes(sound)
    (tmp_path / "c.npz").write_bytes(sound[:3000])
    for name in ("b.npz", "c.npz"):
        with pytest.raises(RecordingError, match=r"not a sound \.npz"):
            open_recording(tmp_path / name, rate=100)


def test_an_archive_of_several_arrays_asks_which(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", eeg=np.ones((5, 2)), ecg=np.zeros((5, 1)))
    with pytest.raises(RecordingError, match=r"holds the arrays ecg, eeg.*--stream"):
        open_recording(tmp_path / "a.npz", rate=100)
    recording = open_recording(tmp_path / "a.npz", rate=100, stream="eeg", unit="uV")
    assert recording.read(0, 5).sum() == 10
    assert recording.defects == ("not played: the arrays ecg",)


def test_a_trigger_column_of_another_length_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.ones((5, 2)), stim=np.zeros(4, int))
    with pytest.raises(RecordingError, match="one whole number for each of 5 samples"):
        open_recording(tmp_path / "a.npz", rate=100)


def test_a_file_that_shrinks_while_it_is_played_is_an_error_with_words(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones((100, 2)))
    recording = open_recording(path, rate=100)
    path.write_bytes(path.read_bytes()[:-8])
    assert recording.read(0, 99).sum() == 198
    with pytest.raises(RecordingError, match="has become shorter"):
        recording.read(0, 100)

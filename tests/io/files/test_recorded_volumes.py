"""A run of volumes is a recording like any other: its samples are volumes, and a missing place is NaN."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.files.kinds import RECORDING, kind_of
from bci.io.files.recording import chunks, open_recording
from bci.sim.scanner.dicom import write_mosaic
from bci.sim.scanner.phantom import phantom, phantom_series

nibabel = pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")

SERIES = phantom_series((8, 6, 4), tr=2.0, total=6)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_of_a_whole_run_is_played_volume_by_volume(tmp_path: Path, suffix: str) -> None:
    run = np.stack([phantom(SERIES, index) for index in range(6)], axis=-1)
    image = nibabel.Nifti1Image(run, SERIES.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.0
    path = tmp_path / f"run{suffix}"
    nibabel.save(image, path)
    assert kind_of(path) is RECORDING
    recording = open_recording(path)
    assert (recording.n, recording.signal.rate, recording.signal.shape) == (6, 0.5, (8, 6, 4))
    assert recording.defects == ()
    assert np.array_equal(recording.read(1, 4), np.moveaxis(run, -1, 0)[1:4])
    assert recording.times(2, 4).tolist() == [4.0, 6.0]
    cut = [window.samples for size in (1, 4) for window in chunks(recording, size)]
    assert np.array_equal(np.concatenate(cut[:6]), np.concatenate(cut[6:]))


def test_a_missing_place_is_nan_and_a_defect(tmp_path: Path) -> None:
    for index in (0, 1, 4):
        (tmp_path / f"001_{index + 1:04d}.dcm").write_bytes(
            write_mosaic(SERIES, index, phantom(SERIES, index))
        )
    assert kind_of(tmp_path) is RECORDING
    recording = open_recording(tmp_path)
    assert recording.n == 5
    samples = recording.read(0, 5)
    assert [bool(np.isnan(volume).all()) for volume in samples] == [False, False, True, True, False]
    assert np.array_equal(samples[4], phantom(SERIES, 4))
    assert recording.defects == ("2 of 5 volumes are missing, from place 2 on: played as NaN",)


def test_the_real_series_is_a_recording(data: Path) -> None:
    recording = open_recording(data / "dicom_xa30")
    assert recording.signal.shape == (64, 64, 33)
    frames = np.ascontiguousarray(recording.read(0, 20).transpose(0, 3, 2, 1), "<u2")
    assert f"{zlib.crc32(frames):08x}" == "30537a01"


def test_what_does_not_fit_volumes_is_refused_in_words(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(phantom(SERIES, 0), SERIES.affine), tmp_path / "mean.nii")
    with pytest.raises(RecordingError, match="channels"):
        open_recording(tmp_path / "mean.nii", channels=("Cz",))
    with pytest.raises(RecordingError, match="by its number"):
        open_recording(tmp_path / "mean.nii", stream="bold")
    (tmp_path / "torn.nii").write_bytes((tmp_path / "mean.nii").read_bytes()[:400])
    with pytest.raises(RecordingError):
        open_recording(tmp_path / "torn.nii")

"""Volumes of every maker's format are read as what was written, and no patient's tag goes further than the file."""

import dataclasses
import gzip
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.volumes.dicom import read_dicom
from bci.io.volumes.files import read_image
from bci.io.volumes.nifti import walk_nifti
from bci.io.volumes.slices import SliceAssembler
from bci.io.volumes.volume import ImagingSeries, SliceImage, Volume, tail_of
from bci.sim.scanner.dicom import Numbering, write_enhanced, write_mosaic, write_slices
from bci.sim.scanner.phantom import phantom, phantom_series

nibabel = pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")

SERIES = phantom_series()


def same_geometry(series: ImagingSeries) -> None:
    assert series.shape == SERIES.shape
    assert np.allclose(series.affine, SERIES.affine, atol=1e-4)
    assert series.tr == pytest.approx(SERIES.tr)
    assert series.number == SERIES.number


@pytest.mark.parametrize("descending", [False, True])
def test_a_mosaic_is_read_as_written_whichever_way_its_slices_run(descending: bool) -> None:
    [volume] = read_dicom(write_mosaic(SERIES, 4, phantom(SERIES, 4), descending=descending))
    assert isinstance(volume, Volume)
    same_geometry(volume.series)
    assert volume.index == 4
    assert volume.series.slice_times == pytest.approx(SERIES.slice_times, abs=1e-6)
    assert np.array_equal(volume.data, phantom(SERIES, 4))
    assert volume.data.dtype == np.int16


def test_a_file_that_unpacks_to_a_thousand_times_its_size_is_not_unpacked() -> None:
    meta = b"\x02\x00\x10\x00UI\x16\x00" + b"1.2.840.10008.1.2.1.99"
    bomb = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = bomb.compress(b"\x09\x00\x01\x00OB\x00\x00\x00\x00\x00\x04" + bytes(1 << 26)) + bomb.flush()
    tracemalloc.start()
    try:
        with pytest.raises(RecordingError, match="deflated as a whole"):
            read_dicom(bytes(128) + b"DICM" + meta + packed)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["1.nii", "1.nii.gz"])
def test_a_header_that_claims_more_voxels_than_a_volume_has_allocates_nothing(
    tmp_path: Path, name: str
) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((32767, 32767, 32767))
    header.set_data_dtype(np.float32)
    header["vox_offset"] = 352
    content = header.binaryblock + bytes(4 + 1000)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    for read in (read_image, lambda path: list(walk_nifti(path))):
        with pytest.raises(RecordingError, match="134217728 voxels are read, and this one says"):
            read(tmp_path / name)


def test_a_made_mosaic_is_what_nibabel_reads_of_it(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(write_mosaic(SERIES, 0, phantom(SERIES, 0)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom import dicomwrappers

        theirs = dicomwrappers.wrapper_from_file(tmp_path / "1.dcm")
    assert np.array_equal(theirs.get_data().transpose(1, 0, 2), phantom(SERIES, 0))
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ theirs.affine[:, [1, 0, 2, 3]]
    assert np.allclose(ras, SERIES.affine, atol=1e-4)


def test_one_enhanced_volume_is_ordered_by_position_not_by_frame() -> None:
    [volume] = read_dicom(write_enhanced(SERIES, {3: phantom(SERIES, 3)}, shuffled=1))
    assert isinstance(volume, Volume)
    same_geometry(volume.series)
    assert volume.index == 3
    assert volume.series.slice_times == pytest.approx(SERIES.slice_times, abs=1e-5)
    assert np.array_equal(volume.data, phantom(SERIES, 3))
    assert volume.acquired == pytest.approx(43203.0)


def test_a_run_in_one_enhanced_file_becomes_its_volumes() -> None:
    run = {index: phantom(SERIES, index) for index in range(5)}
    volumes = read_dicom(write_enhanced(SERIES, run, shuffled=2))
    assert [volume.index for volume in volumes] == list(range(5))
    assert all(np.array_equal(volume.data, run[volume.index]) for volume in volumes)
    assert len({volume.identity for volume in volumes}) == 5


def test_a_slope_makes_values_of_stored_numbers() -> None:
    [volume] = read_dicom(write_enhanced(SERIES, {0: phantom(SERIES, 0)}, slope=0.25))
    assert volume.data.dtype == np.float32
    assert np.array_equal(volume.data, phantom(SERIES, 0) * np.float32(0.25))


@pytest.mark.parametrize("numbering", ["GE", "Philips", "Siemens", "plain"])
def test_slices_become_volumes_whatever_their_numbers_run_through(numbering: Numbering) -> None:
    assembler = SliceAssembler(0.5)
    volumes: list[Volume] = []
    for index in range(4):
        for content in write_slices(SERIES, index, phantom(SERIES, index), numbering)[::-1]:
            [image] = read_dicom(content)
            assert isinstance(image, SliceImage)
            volumes += assembler.offer(image, index * 1.0)
        volumes += assembler.tick(index + 0.9)
    volumes += assembler.tick(100.0)
    assert [volume.index for volume in volumes] == list(range(4))
    for volume in volumes:
        same_geometry(volume.series)
        assert volume.whole
        assert np.array_equal(volume.data, phantom(SERIES, volume.index))


def test_a_volume_that_lacks_slices_is_given_when_a_later_one_has_begun() -> None:
    assembler = SliceAssembler(0.5)
    volumes: list[Volume] = []
    for index in range(3):
        for z, content in enumerate(write_slices(SERIES, index, phantom(SERIES, index), "GE")):
            if (index, z) not in ((1, 2), (1, 5)):
                [image] = read_dicom(content)
                volumes += assembler.offer(image, index * 1.0)  # type: ignore[arg-type]
    assert [volume.index for volume in volumes] == [0, 2]
    assert list(assembler.tick(1.4)) == []
    [partial] = assembler.tick(1.6)
    assert partial.index == 1
    assert partial.absent is not None
    assert np.flatnonzero(partial.absent).tolist() == [2, 5]
    assert np.array_equal(partial.data[:, :, 3], phantom(SERIES, 1)[:, :, 3])


def test_a_slice_that_comes_twice_is_counted_once() -> None:
    assembler = SliceAssembler(0.5)
    files = write_slices(SERIES, 0, phantom(SERIES, 0), "GE")
    volumes = [
        volume
        for content in [*files, *files]
        for image in read_dicom(content)
        for volume in assembler.offer(image, 0.0)  # type: ignore[arg-type]
    ]
    assert len(volumes) == 1
    assert assembler.doubles == len(files)


@pytest.mark.parametrize("share", [0.5, 0.75, 0.999])
def test_a_file_that_ends_within_its_pixels_says_which_slices_came(share: float) -> None:
    content = write_enhanced(SERIES, {0: phantom(SERIES, 0)})
    pixels = int(np.prod(SERIES.shape)) * 2
    [volume] = read_dicom(content[: len(content) - pixels + int(share * pixels)])
    assert isinstance(volume, Volume)
    assert volume.absent is not None
    came = int(share * SERIES.shape[2])
    assert np.flatnonzero(~volume.absent).tolist() == list(range(came))
    assert np.array_equal(volume.data[:, :, :came], phantom(SERIES, 0)[:, :, :came])


def test_a_mosaic_that_ends_early_counts_only_whole_tiles() -> None:
    content = write_mosaic(SERIES, 0, phantom(SERIES, 0))
    row = 3 * SERIES.shape[0] * 2
    # Three tiles side by side, three below each other, six slices: the last twelve rows of the image hold none.
    [volume] = read_dicom(content[: -12 * row])
    assert isinstance(volume, Volume)
    assert volume.whole
    [volume] = read_dicom(content[: -13 * row])
    assert isinstance(volume, Volume)
    assert volume.absent is not None
    assert np.flatnonzero(volume.absent).tolist() == [3, 4, 5]


def test_a_file_that_is_no_image_is_refused_in_words(tmp_path: Path) -> None:
    for content in (
        b"",
        b"no image",
        write_mosaic(SERIES, 0, phantom(SERIES, 0))[:700],
        bytes(200) + b"DICM" + bytes(9),
    ):
        with pytest.raises(RecordingError):
            read_dicom(content)
    (tmp_path / "Smith_John_0001.dcm").write_bytes(b"no image")
    with pytest.raises(RecordingError, match=r"^…_0001\.dcm: ") as refused:
        read_image(tmp_path / "Smith_John_0001.dcm")
    assert "Smith" not in str(refused.value)
    assert tail_of(Path("Smith")) == "…"


def test_no_patient_tag_is_in_what_the_readers_give() -> None:
    contents = [
        write_mosaic(SERIES, 0, phantom(SERIES, 0)),
        write_enhanced(SERIES, {0: phantom(SERIES, 0)}),
        *write_slices(SERIES, 0, phantom(SERIES, 0), "GE"),
    ]
    for content in contents:
        assert b"Planted" in content
        for piece in read_dicom(content):
            assert "lanted" not in repr(piece)
            assert "1970" not in repr(dataclasses.astuple(piece.series)[:1])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_files_are_volumes_by_their_numbers_or_a_run_in_one(tmp_path: Path, suffix: str) -> None:
    run = np.stack([phantom(SERIES, index) for index in range(4)], axis=-1)
    image = nibabel.Nifti1Image(run, SERIES.affine)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 1500
    nibabel.save(image, tmp_path / f"run{suffix}")
    volumes = read_image(tmp_path / f"run{suffix}")
    assert [volume.index for volume in volumes] == list(range(4))
    assert volumes[0].series.tr == pytest.approx(1.5)
    for index in range(4):
        nibabel.save(
            nibabel.Nifti1Image(run[..., index], SERIES.affine), tmp_path / f"vol_{index + 1:04d}{suffix}"
        )
        [volume] = read_image(tmp_path / f"vol_{index + 1:04d}{suffix}")
        assert isinstance(volume, Volume)
        assert volume.index == index + 1
        assert volume.series.uid.endswith("vol_#")
        assert np.array_equal(volume.data, volumes[index].data)
        assert np.allclose(volume.series.affine, SERIES.affine)


def test_half_a_nifti_file_is_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(phantom(SERIES, 0), SERIES.affine), tmp_path / "a_1.nii")
    content = (tmp_path / "a_1.nii").read_bytes()
    for length in (0, 100, 350, len(content) - 1):
        (tmp_path / "a_1.nii").write_bytes(content[:length])
        with pytest.raises(RecordingError):
            read_image(tmp_path / "a_1.nii")

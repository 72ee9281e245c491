"""Real series of three makers are read with the pixels, affines and slice times that are known of them."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from bci.io.volumes.files import read_image
from bci.io.volumes.slices import SliceAssembler
from bci.io.volumes.volume import SliceImage, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def crc(volumes: list[Volume]) -> str:
    """Return the checksum of volumes as (volume, slice, row, column) of 16 bits, little endian."""
    frames = np.stack([volume.data.transpose(2, 1, 0) for volume in volumes])
    return f"{zlib.crc32(np.ascontiguousarray(frames, '<u2')):08x}"


def read(folder: Path) -> list[Volume]:
    volumes: list[Volume] = []
    assembler = SliceAssembler(1.0)
    for path in sorted(folder.glob("*.dcm")):
        for piece in read_image(path):
            volumes += assembler.offer(piece, 0.0) if isinstance(piece, SliceImage) else [piece]
    return volumes


def test_a_mosaic_is_the_volume_that_nibabel_reads(data: Path) -> None:
    wrappers = pytest.importorskip("nibabel.nicom.dicomwrappers")
    volumes = read(data / "rtfmri_siemens_mosaic")
    assert [volume.index for volume in volumes] == list(range(60))
    series = volumes[0].series
    assert (series.shape, series.tr, series.dtype, series.number) == ((64, 64, 18), 1.0, "int16", 13)
    values = np.stack([volume.data for volume in volumes])
    assert (values.min(), values.max()) == (0, 504)
    brain = values.mean(0) > 0.25 * np.percentile(values.mean(0), 99)
    assert brain.sum() == 28392
    assert np.median((values.mean(0) / np.maximum(values.std(0), 1e-9))[brain]).round(1) == 72.8
    for volume, path in zip(
        volumes[::20], sorted((data / "rtfmri_siemens_mosaic").glob("*.dcm"))[::20], strict=True
    ):
        theirs = wrappers.wrapper_from_file(path)
        assert np.array_equal(volume.data, theirs.get_data().transpose(1, 0, 2))
        assert np.allclose(series.affine, LPS_TO_RAS @ theirs.affine[:, [1, 0, 2, 3]], atol=1e-3)
    assert series.slice_times[:4] == pytest.approx((0.49, 0.0, 0.5425, 0.055), abs=1e-6)


def test_an_enhanced_series_has_its_slices_by_position(data: Path) -> None:
    volumes = read(data / "dicom_xa30")
    assert [volume.index for volume in volumes] == list(range(20))
    assert (crc(volumes), crc(volumes[:1]), crc(volumes[-1:])) == ("30537a01", "f6998e93", "9a4d2b47")
    series = volumes[0].series
    assert (series.shape, series.tr, series.total) == ((64, 64, 33), 1.0, 20)
    # nibabel's slices run the other way: its last slice is the origin here.
    theirs = np.array(
        [[0.345, 3.350, 0.220, -122.713], [3.342, -0.322, -0.348, -101.278], [-0.322, 0.251, -3.375, 95.339]]
    )
    turned = np.column_stack([theirs[:, 1], theirs[:, 0], -theirs[:, 2], theirs[:, 3] + 32 * theirs[:, 2]])
    assert np.allclose(series.affine[:3], (LPS_TO_RAS[:3, :3] @ turned), atol=0.02)
    times = (0.0, 0.535, 0.0875, 0.6225, 0.1775, 0.7125, 0.2675, 0.8, 0.355, 0.89, 0.445)
    assert series.slice_times == pytest.approx(3 * times, abs=1e-6)
    assert np.diff([volume.acquired for volume in volumes]) == pytest.approx(1.0, abs=1e-4)


def test_single_slices_of_a_ge_scanner_become_volumes(data: Path) -> None:
    volumes = read(data / "dicom_ge")
    assert [volume.index for volume in volumes] == list(range(10))
    assert all(volume.whole for volume in volumes)
    assert (crc(volumes), crc(volumes[:1]), crc(volumes[-1:])) == ("2f4acb8f", "e14497f5", "8efe0b1c")
    series = volumes[0].series
    assert (series.shape, series.tr, series.total) == ((64, 64, 15), 5.0, 10)
    assert np.allclose(
        series.affine,
        [[-3.75, 0, 0, 118.125], [0, -3.75, 0, 143.344], [0, 0, 5.0, -17.688], [0, 0, 0, 1]],
        atol=1e-3,
    )
    assert series.slice_times[:4] == pytest.approx((0, 2.667, 0.333, 3.0), abs=1e-3)


def test_slices_that_come_in_any_order_make_the_same_volumes(data: Path) -> None:
    paths = sorted((data / "dicom_ge").glob("*.dcm"))[:45]
    order = np.random.default_rng(3).permutation(45)
    assembler = SliceAssembler(1.0)
    volumes = [
        volume
        for place in order
        for piece in read_image(paths[place])
        for volume in assembler.offer(piece, 0.0)  # type: ignore[arg-type]
    ]
    volumes.sort(key=lambda volume: volume.index)
    assert crc(volumes[:1]) == "e14497f5"
    assert [volume.index for volume in volumes] == [0, 1, 2]

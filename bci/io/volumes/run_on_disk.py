"""A run on disk, DICOM files in a folder or NIfTI files, as its volumes in their order or as its files by place."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bci.errors import RecordingError
from bci.io.volumes.files import may_be_image, read_image
from bci.io.volumes.nifti import is_nifti, walk_nifti
from bci.io.volumes.slices import SliceAssembler
from bci.io.volumes.volume import SliceImage, Volume, tail_of


def natural(path: Path) -> list[tuple[int, str]]:
    """Return a key that sorts names as people count: 2 before 10.

    >>> sorted([Path("a10"), Path("a2")], key=natural)
    [PosixPath('a2'), PosixPath('a10')]
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def files_of(path: Path) -> list[Path]:
    """Return the files that may be images: the path itself, or all in the folder and below it.

    Raises
    ------
    RecordingError
        If there is none.
    """
    if path.is_file():
        return [path]
    found = (
        [file for file in path.rglob("*") if file.is_file() and may_be_image(file)] if path.is_dir() else []
    )
    if not found:
        raise RecordingError(
            f"a folder of DICOM or NIfTI files, or one such file, was expected; {path} holds none."
        )
    return sorted(found, key=natural)


def volumes_of(path: Path, number: int | None = None) -> Iterator[Volume]:
    """Yield the volumes of the run at a path, as their files are read; places count from 0.

    Parameters
    ----------
    path : Path
        A folder or a file.
    number : int, optional
        Number of the series, where a folder holds several.

    Raises
    ------
    RecordingError
        If a file cannot be read, or the folder holds several series and none is chosen.
    """
    uid, base = "", None
    for _, volume in _walk(path):
        if number is not None and volume.series.number != number:
            continue
        uid = uid or volume.series.uid
        if volume.series.uid != uid:
            raise RecordingError(
                f"{path} holds several series; choose one with --series NUMBER, or give the folder of one."
            )
        if base is None:
            base = min(1, volume.index) if volume.series.numbered else 0
        yield replace(volume, index=volume.index - base)


def files_by_place(path: Path, number: int | None = None) -> list[tuple[int, Path]]:
    """Return the files of a run of one volume or slice a file, each with the place of its volume, in that order.

    Raises
    ------
    RecordingError
        As `volumes_of`; also if a file holds several volumes.
    """
    placed: list[tuple[int, Path]] = []
    counted: Counter[float] = Counter()
    base: int | None = None
    for file, piece in _pieces(path):
        if number is not None and piece.series.number != number:
            continue
        if placed and placed[-1][1] == file:
            raise RecordingError(
                f"{tail_of(file)} holds several volumes; files of one volume each were expected."
            )
        place = piece.index
        if isinstance(piece, SliceImage) and place < 0:
            place = counted[piece.height]
            counted[piece.height] += 1
        if base is None:
            base = min(1, place) if piece.series.numbered else 0
        placed.append((place - base, file))
    if not placed:
        raise RecordingError(f"{path} holds no volume of the run.")
    return sorted(placed, key=lambda one: one[0])


def _pieces(path: Path) -> Iterator[tuple[Path, Volume | SliceImage]]:
    for file in files_of(path):
        pieces = walk_nifti(file) if is_nifti(file) else read_image(file)
        for piece in pieces:
            yield file, piece


def _walk(path: Path) -> Iterator[tuple[Path, Volume]]:
    assemblers: dict[str, SliceAssembler] = {}
    file = path
    for file, piece in _pieces(path):
        if isinstance(piece, Volume):
            yield file, piece
            continue
        assembler = assemblers.setdefault(piece.series.uid, SliceAssembler(0.0, float("inf")))
        for volume in assembler.offer(piece, 0.0):
            yield file, volume
    for assembler in assemblers.values():
        for volume in assembler.tick(float("inf")):
            yield file, volume

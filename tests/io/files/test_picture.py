"""Pictures and numbers from a stranger are measured before they are unpacked; names stay in their folder."""

import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bci.errors import ConfigError, DataError
from bci.io.files.folder import path_name, write_json, write_whole
from bci.io.files.picture import read_picture, read_pixels
from models.datasets import characters
from models.datasets.characters import read_characters
from models.datasets.plain_pickle import as_floats, load_plain


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds nothing of it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "content",
    [png_of(9000, 9000), png_of(12_000, 12_000), png_of(60_000, 60_000), png_of(8, 8)[:40], b"", b"GIF89a"],
)
def test_a_picture_that_is_too_large_or_damaged_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.png"):
        read_picture(path, ConfigError)


def test_a_grey_picture_is_read_in_colour(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 9, np.uint8)).save(tmp_path / "a.png")
    assert np.array_equal(read_pixels(tmp_path / "a.png", ConfigError), np.full((4, 6, 3), 9))


def test_drawings_that_unpack_to_megabytes_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images_evaluation.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/alphabet/character/a.png", bytes(characters._LARGEST_DRAWING + 1))
    with pytest.raises(ConfigError, match=r"images_evaluation\.zip: expected at most"):
        read_characters(tmp_path, 16)


def test_lists_that_hold_one_list_many_times_are_not_written_out(tmp_path: Path) -> None:
    laughs: object = 1.0
    for _ in range(20):
        laughs = [laughs] * 10
    path = tmp_path / "a.dat"
    path.write_bytes(pickle.dumps(laughs))
    with pytest.raises(DataError, match="more than it has bytes"):
        as_floats(load_plain(path), "answers", path)
    endless: list[object] = []
    endless.append(endless)
    path.write_bytes(pickle.dumps(endless))
    with pytest.raises(DataError):
        as_floats(load_plain(path), "answers", path)
    path.write_bytes(pickle.dumps([[1.5, 2.5], [3.5, 4.5]]))
    assert as_floats(load_plain(path), "answers", path).tolist() == [[1.5, 2.5], [3.5, 4.5]]


def test_what_is_written_into_a_strangers_folder_goes_through_no_link_of_it(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine.txt", tmp_path / "session"
    mine.write_text("years of work")
    folder.mkdir()
    for name in ("report.json", "report.partial", "index.html", "index.partial"):
        (folder / name).symlink_to(mine)
    write_json(folder / "report.json", {"a": 1})
    write_whole(folder / "index.html", "page")
    assert mine.read_text() == "years of work"
    assert (folder / "index.html").read_text() == "page"


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/x", "a/b", "..", ".", "", "a\nb", "\u202e", "x" * 500, "-rf"]
)
def test_a_name_from_elsewhere_names_a_file_here(tmp_path: Path, name: str) -> None:
    made = tmp_path / path_name(name)
    assert made.parent == tmp_path
    assert made.resolve().parent == tmp_path.resolve()
    made.write_text("")

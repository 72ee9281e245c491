"""Pictures are read whole, or refused with every fault named."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from bci.errors import ConfigError
from models.datasets.characters import read_characters
from models.datasets.folder import read_folder


def picture(path, size=(30, 20), colour=(200, 30, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_a_folder_is_read_in_the_order_of_its_paths_and_cut_square(tmp_path):
    picture(tmp_path / "b.png", colour=(0, 0, 255))
    picture(tmp_path / "a" / "deep.jpg", colour=(255, 0, 0))
    half = np.zeros((20, 40, 3), np.uint8)
    half[:, 10:30] = 255  # only the central square is white
    Image.fromarray(half).save(tmp_path / "c.png")
    (tmp_path / "notes.txt").write_text("no picture")
    images = read_folder(tmp_path, 16)
    assert images.shape == (3, 16, 16, 3)
    assert images[0, 8, 8, 0] > 250
    assert tuple(images[1, 8, 8]) == (0, 0, 255)
    assert images[2].min() > 250


def test_broken_files_are_all_named(tmp_path):
    picture(tmp_path / "good.png")
    (tmp_path / "text.png").write_text("this is no picture")
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(content, "PNG")
    (tmp_path / "cut.png").write_bytes(content.getvalue()[:2000])
    picture(tmp_path / "tiny.png", size=(3, 3))
    with pytest.raises(ConfigError, match="expected 4 readable pictures") as caught:
        read_folder(tmp_path, 16)
    for name in ("text.png", "cut.png", "tiny.png", "came 3"):
        assert name in str(caught.value)
    assert "good.png" not in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_without_pictures_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="expected"):
        read_folder(tmp_path / name, 16)


def archive(path, names):
    with zipfile.ZipFile(path, "w") as opened:
        for k, name in enumerate(names):
            content = io.BytesIO()
            sheet = Image.new("1", (105, 105), 1)
            sheet.putpixel((k, k), 0)
            sheet.save(content, "PNG")
            opened.writestr(name, content.getvalue())


def test_characters_carry_their_alphabet_and_one_in_two_archives_counts_once(tmp_path):
    names = ["set/Greek/character01/0001_01.png", "set/Latin/character02/0002_01.png"]
    archive(tmp_path / "images_a.zip", names)
    archive(tmp_path / "images_b.zip", names)
    found = read_characters(tmp_path, 32)
    assert found.images.shape == (2, 32, 32, 3)
    assert found.alphabets == ("Greek", "Latin")
    assert found.characters == ("Greek/character01", "Latin/character02")
    assert found.images.max() == 255


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "images_a.zip").write_bytes(b"PK nothing")
    with pytest.raises(ConfigError, match=r"images_a\.zip: expected a sound zip archive"):
        read_characters(tmp_path)
    with pytest.raises(ConfigError, match=r"expected Omniglot's archives"):
        read_characters(tmp_path / "elsewhere")


def test_the_published_archives_hold_242_characters(data):
    found = read_characters(data / "img_omniglot", 16)
    assert (len(found), len(set(found.characters)), len(set(found.alphabets))) == (4840, 242, 8)

"""A page shows the operator's preview as it is, and nothing that only bears its name."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import Div
from PIL import Image
from test_view import EmptyModel

from bci.control.page.pairs_file import PairsFile
from bci.control.page.view import PageView
from stimuli.operator.preview import FILE, write_whole


def sheet(level: int) -> Image.Image:
    return Image.fromarray(np.full((4, 6, 3), level, np.uint8))


def level(jpeg: bytes) -> int:
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        assert image.size == (6, 4)
        return int(np.asarray(image).mean())


def test_the_preview_is_read_when_it_is_written_and_again_when_it_is_another(tmp_path: Path) -> None:
    path, pairs = tmp_path / FILE, PairsFile(tmp_path)
    assert pairs.jpeg() == b""
    write_whole(sheet(10), path)
    first = pairs.jpeg()
    assert level(first) == pytest.approx(10, abs=2)
    assert pairs.jpeg() is first, "it is not read again"
    write_whole(sheet(200), path)
    assert level(pairs.jpeg()) == pytest.approx(200, abs=2)


def test_what_cannot_be_shown_is_not(tmp_path: Path) -> None:
    path, pairs = tmp_path / FILE, PairsFile(tmp_path)
    sheet(10).save(path, "BMP")
    assert pairs.jpeg() == b"", "it only bears the name"
    write_whole(Image.new("1", (5000, 4000)), path)
    assert pairs.jpeg() == b"", "a small file of too many pixels"
    write_whole(sheet(10), path)
    path.write_bytes(path.read_bytes()[:40])
    assert pairs.jpeg() == b"", "it is torn"
    path.write_bytes(bytes(9 << 20))
    assert pairs.jpeg() == b""
    path.unlink()
    os.mkfifo(path)
    assert pairs.jpeg() == b"", "and a pipe holds nothing up"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_session_with_a_preview_shows_it_and_one_without_has_no_room_for_it(tmp_path: Path) -> None:
    class Model(EmptyModel):
        def pairs(self) -> bytes:
            return PairsFile(tmp_path).jpeg()

    document = Document()
    view = PageView(document, Model(), updates_hz=1, send=None)
    (drawn,) = document.select({"type": Div, "name": "pairs"})
    assert not drawn.visible
    write_whole(sheet(10), tmp_path / FILE)
    view.draw()
    assert drawn.visible
    assert f"jpeg;base64,{base64.b64encode(PairsFile(tmp_path).jpeg()).decode()}" in drawn.text

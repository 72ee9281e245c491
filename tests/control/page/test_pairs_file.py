"""A page shows the operator's preview as it is, and nothing that only bears its name."""

import base64
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


def test_the_preview_is_read_when_it_is_written_and_again_when_it_is_another(tmp_path: Path) -> None:
    path, pairs = tmp_path / FILE, PairsFile(tmp_path)
    assert pairs.png() == b""
    write_whole(sheet(10), path)
    first = pairs.png()
    assert first == path.read_bytes()
    assert pairs.png() is first, "it is not read again"
    write_whole(sheet(20), path)
    assert pairs.png() == path.read_bytes() != first


def test_what_only_bears_its_name_is_not_shown(tmp_path: Path) -> None:
    path, pairs = tmp_path / FILE, PairsFile(tmp_path)
    path.write_bytes(b"<svg onload='alert(1)'/>")
    assert pairs.png() == b""
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(9 << 20))
    assert pairs.png() == b""
    path.unlink()
    os.mkfifo(path)
    assert pairs.png() == b"", "and a pipe holds nothing up"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_session_with_a_preview_shows_it_and_one_without_has_no_room_for_it(tmp_path: Path) -> None:
    class Model(EmptyModel):
        def pairs(self) -> bytes:
            return PairsFile(tmp_path).png()

    document = Document()
    view = PageView(document, Model(), updates_hz=1, send=None)
    (drawn,) = document.select({"type": Div, "name": "pairs"})
    assert not drawn.visible
    write_whole(sheet(10), tmp_path / FILE)
    view.draw()
    assert drawn.visible
    assert f"base64,{base64.b64encode((tmp_path / FILE).read_bytes()).decode()}" in drawn.text

"""What a headless display stored can be compared with what the decoder makes again, whatever the screen did to it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bci.config.display import DisplaySettings
from bci.errors import RecordingError
from stimuli.display.canvas import Canvas
from stimuli.display.stored import StoredScreen

SETTINGS = DisplaySettings(kind="headless", size_px=(160, 120), image_deg=4.0, gamma=2.2, photodiode=True)
PICTURE = np.random.default_rng(2).integers(0, 256, (12, 16, 3), np.uint8)


def store(folder: Path, change: int, *, white: bool) -> None:
    """Store a screen as the headless display does."""
    canvas = Canvas(SETTINGS, SETTINGS.size_px, SETTINGS.size_px[0] / SETTINGS.screen_width_cm, (12, 16))
    canvas.draw(PICTURE, white=white)
    (folder / "frames").mkdir(exist_ok=True)
    Image.fromarray(canvas.pixels).save(folder / "frames" / f"{change:06d}.png")


def test_a_stored_picture_is_what_would_be_drawn_again(tmp_path: Path) -> None:
    for change in (3, 8):
        store(tmp_path, change, white=change % 2 == 0)
    screen = StoredScreen(tmp_path, SETTINGS, (12, 16))
    assert screen.changes == {3, 8}
    again = screen.drawn(PICTURE)
    assert np.array_equal(screen.stored(3), again)
    assert np.array_equal(screen.stored(8), again)
    assert not np.array_equal(screen.drawn(255 - PICTURE), again)
    assert np.array_equal(screen.drawn(PICTURE), again)


def test_a_session_without_stored_pictures_has_none(tmp_path: Path) -> None:
    assert StoredScreen(tmp_path, SETTINGS, (12, 16)).changes == frozenset()
    store(tmp_path, 0, white=True)
    window = SETTINGS.model_copy(update={"kind": "window", "image_deg": 60.0})
    assert StoredScreen(tmp_path, window, (12, 16)).changes == frozenset()


def test_a_picture_of_another_screen_or_none_at_all_is_refused(tmp_path: Path) -> None:
    store(tmp_path, 1, white=True)
    smaller = SETTINGS.model_copy(update={"size_px": (150, 120)})
    with pytest.raises(RecordingError, match="160 × 120 pixels"):
        StoredScreen(tmp_path, smaller, (12, 16)).stored(1)
    (tmp_path / "frames" / "000002.png").write_bytes(b"no picture")
    with pytest.raises(RecordingError, match="cannot be read as a picture"):
        StoredScreen(tmp_path, SETTINGS, (12, 16)).stored(2)

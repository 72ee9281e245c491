"""A participant is told what to do by pictures, or by words, in a window (SDL's dummy driver: tests/conftest.py)."""

from pathlib import Path

import numpy as np
import pygame
import pytest
from PIL import Image

from bci.config.display import DisplaySettings
from bci.errors import ConfigError
from bci.signal.clock import ManualClock
from stimuli.display.cue_screen import Cued, CueScreen


def seen() -> np.ndarray:
    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 4:36] = (200, 30, 60)  # the middle square of a wide picture lies in it
    Image.fromarray(pixels).save(tmp_path / "house.png")
    return tmp_path / "house.png"


def test_a_cue_is_its_picture_or_its_words_and_a_key_ends_it(house: Path) -> None:
    clock = ManualClock(5.0)
    settings = DisplaySettings(size_px=(200, 160), screen_width_cm=204.8, fixation=False, background=40)
    with CueScreen(settings, {"look": Cued("Look.", house), "rest": Cued("Rest.")}, clock) as screen:
        assert (seen() == 40).all()
        flipped = screen.show("look")
        assert 5.0 < flipped <= clock.now()
        picture = seen()
        np.testing.assert_array_equal(picture[80, 100], (200, 30, 60))
        inside = (picture == (200, 30, 60)).all(axis=2)
        assert inside.any(axis=0).sum() == inside.any(axis=1).sum() == np.sqrt(inside.sum())
        assert (picture[~inside] == 40).all()
        screen.show("rest")
        assert not (seen() == (200, 30, 60)).all(axis=2).any()
        assert (seen() > 200).any()  # letters
        assert not screen.closed()
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, unicode=""))
        assert screen.closed()
    assert not pygame.display.get_init()


def test_a_picture_that_is_none_is_refused_before_a_window_is_opened(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"broken\.png cannot be read as a picture"):
        CueScreen(DisplaySettings(), {"look": Cued("Look.", tmp_path / "broken.png")}, ManualClock(0.0))
    assert not pygame.display.get_init()

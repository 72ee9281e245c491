"""A display shows phosphenes: on the screen in its own pixels, in the record in the pictures' size, with their mode."""

import numpy as np
import pytest
from PIL import Image

from bci.config.display import DisplaySettings
from bci.config.phosphenes import PhospheneSettings
from bci.config.toml import check_settings
from bci.errors import ConfigError
from bci.signal.types import Shown
from stimuli.display import headless
from stimuli.display.canvas import Canvas
from stimuli.display.frames import FrameReader, Frames
from stimuli.display.presenter import Choice
from stimuli.display.rings import Pictures, ShownWriter
from stimuli.display.stored import StoredScreen
from stimuli.trials import Text

SECTION = {"electrodes": 60, "layout": "even", "feature": "brightness"}


def test_the_png_of_a_change_is_the_percept_at_the_screens_size_and_is_drawn_again(stage):
    stage.frames_at(0.105, 0.205)
    stage.play(headless.main, 0.4, max_png=3, fixation=False, phosphenes=SECTION)
    screen = {
        "kind": "headless",
        "size_px": (160, 120),
        "image_deg": 6.0,
        "fixation": False,
        "phosphenes": SECTION,
    }
    settings = check_settings(screen, DisplaySettings, "display")
    assert settings.phosphenes is not None
    view = settings.phosphenes.open(stage.shape, 6.0)
    again = StoredScreen(stage.folder, settings, stage.shape)
    area = Canvas(settings, (160, 120), 160 / 53.0, stage.shape).image_area
    for change in (1, 2):
        pixels = np.asarray(Image.open(stage.folder / "frames" / f"{change:06d}.png"))
        percept = view(stage.image(change - 1), (area.height, area.width))
        assert percept.max() > 100
        np.testing.assert_array_equal(area.of(pixels), percept)
        np.testing.assert_array_equal(again.drawn(stage.image(change - 1)), again.stored(change))
    shown = stage.changes()
    frames = shown["shown"]["kind"] == Shown.FRAME
    assert shown["shown"]["mode"][frames].tolist() == [b"phosphenes"] * 2
    assert set(shown["shown"]["mode"][~frames]) == {b""}
    for number, image in enumerate(shown["image"][frames]):
        np.testing.assert_array_equal(image, view(stage.image(number), stage.shape))


def test_only_what_the_section_names_is_shown_so_and_words_never_are(stage):
    section = PhospheneSettings(applies_to=("stimuli",), electrodes=60)
    reader = FrameReader(stage.frames)
    pictures = Pictures(Frames([reader]), None, section)
    number = stage.frame()
    reader.take(stage.clock)
    frame, stimulus = Choice(Shown.FRAME, number), Choice(Shown.STIMULUS, 1)
    words = Choice(Shown.STIMULUS, 2, text=Text("rest"))
    assert [pictures.mode(choice) for choice in (frame, stimulus, words)] == ["", "phosphenes", ""]
    writer = ShownWriter(stage.shown, pictures, 128)
    writer.write(frame, 0.5)
    np.testing.assert_array_equal(stage.changes()["image"][0], stage.image(0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"anodic_ratio": 0.5}, "charges cancel"),
        ({"threshold_ua": 90.0}, "threshold below the highest current"),
        ({"limits": [{"electrodes": [60], "amplitude_ua": 10.0}]}, "electrodes 0 to 59"),
        ({"amplitude_ua": 150.0}, "at most 20 nC"),
    ],
)
def test_a_session_file_with_a_stimulation_that_may_not_be_is_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        check_settings({"phosphenes": SECTION | change}, DisplaySettings, "[display]")

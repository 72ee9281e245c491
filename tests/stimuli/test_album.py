import numpy as np
import pytest

from bci.signal.types import Shown
from stimuli.display.album import LOOK_SIDE, Album
from stimuli.display.frames import FrameReader, Frames
from stimuli.display.presenter import Choice
from stimuli.display.rings import Pictures

HZ = 50.0


def remembered(stage, flips, *, looks=4, changes=3, skip=()):
    """Return an album of a run with a new frame at every tenth flip."""
    reader = Frames([FrameReader(stage.frames)])
    album = Album(Pictures(reader), HZ, changes=changes, looks=looks)
    for k in range(flips):
        time = 10.0 + k / HZ
        if k % 10 == 0:
            stage.frame()
            taken = reader.take(stage.clock)
            album.change(Choice(Shown.FRAME, taken.number), k // 10, time, white=k % 20 == 0)
        if k not in skip:
            album.flip(time)
    return album


@pytest.mark.parametrize("flips", [4, 15, 16, 17, 31, 64, 65, 100, 1000, 5000])
def test_looks_are_spread_evenly_over_a_run_of_any_length(stage, flips):
    looks = remembered(stage, flips).looks(4)
    times = np.array([page.time for page in looks]) - 10.0
    assert len(looks) == 4
    assert times[0] == 0.0
    duration = (flips - 1) / HZ
    np.testing.assert_allclose(times, np.linspace(0, duration, 4), atol=0.1 * duration + 0.6 / HZ)


def test_looks_hold_what_was_on_the_screen_at_their_time(stage):
    looks = remembered(stage, 700, looks=8).looks(100)
    assert 16 <= len(looks) <= 32
    for page in looks:
        number = round((page.time - 10.0) * HZ) // 10
        assert page.choice.frame == number
        np.testing.assert_array_equal(page.image, stage.image(number))
        assert (page.latent == number).all()


def test_memory_does_not_grow_with_the_run(stage):
    album = remembered(stage, 20_000, looks=5)
    assert len(album.looks(10**6)) <= 20
    assert len(album.changes) == 3


def test_dropped_flips_leave_the_looks_even(stage):
    missing = set(range(100, 160)) | set(range(301, 600, 2))
    looks = remembered(stage, 1000, looks=6, skip=missing).looks(6)
    times = np.array([page.time for page in looks]) - 10.0
    np.testing.assert_allclose(times, np.linspace(0, 19.98, 6), atol=2.0)


def test_the_first_changes_are_kept_one_by_one(stage):
    album = remembered(stage, 200)
    assert [(page.number, page.choice.frame, page.white) for page in album.changes] == [
        (0, 0, True),
        (1, 1, False),
        (2, 2, True),
    ]
    for page in album.changes:
        np.testing.assert_array_equal(page.image, stage.image(page.number))


def test_large_pictures_are_kept_small_for_the_sheet_and_whole_for_the_files(make_stage):
    stage = make_stage(shape=(600, 300), latent=1)
    album = remembered(stage, 3, looks=2, changes=1)
    assert album.changes[0].image.shape == (600, 300, 3)
    look = album.looks(1)[0].image
    assert max(look.shape) <= LOOK_SIDE
    np.testing.assert_array_equal(look, stage.image(0)[::3, ::3])


def test_an_album_of_nothing_has_no_looks(stage):
    assert remembered(stage, 0).looks(4) == []
    assert remembered(stage, 30, looks=0).looks(0) == []

"""Neurofeedback shows what is read while it is read, and a control run looks like a real one."""

import gc
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stage import LATENT, SHAPE, World, picture_of
from PIL import Image
from protocol_settings import settings

from bci.errors import ConfigError
from bci.memory.frames import write_frame
from bci.memory.trial_parts import Phase
from bci.signal.types import Reconstruction
from stimuli.feedback_table import FeedbackRow, read_feedback
from stimuli.protocols import open_protocol
from stimuli.trials import Live, Palette, Picture

PALETTE = Palette((16, 16), latent=LATENT, reading=LATENT)
TIMES = {
    "blocks": 1,
    "rest_s": 0.3,
    "cue_s": 0.2,
    "stimulus_s": 2.0,
    "blank_s": 0.1,
    "lead_in_s": 0.2,
    "update_s": 0.1,
}


@pytest.fixture
def make_world(
    segment_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], World]]:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    worlds: list[World] = []

    def make() -> World:
        folder = tmp_path / f"session-{len(worlds)}"
        folder.mkdir()
        worlds.append(World(f"{segment_name}{len(worlds)}", folder, read=lambda trial, image: None))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()
    gc.unfreeze()


def wave(world: World, until: float, valid: Callable[[float], bool] = lambda time: True) -> None:
    """Let the decoder read a slow wave, ten windows a second."""

    def publish(time: float) -> None:
        latent = np.array([0.5 + 0.4 * np.sin(3 * time), 0.0, 0.0, 0.0], np.float32)
        image = np.zeros((*SHAPE, 3), np.uint8)
        stamps = {"arrived": time}
        write_frame(world.frames, Reconstruction(image, latent, 0.9, valid(time), "", 0, 9, 0, stamps, None))

    for step in range(1, int(until * 10)):
        world._at(step / 10, lambda time=step / 10: publish(time))


def updates(world: World) -> list[tuple[float, np.ndarray]]:
    """Return the time and the picture of every update that the display was asked for."""
    parts = [world.stimuli.read(at, at + 1) for at in range(world.stimuli.count)]
    return [
        (float(one["part"][0]["start"]), one["image"][0])
        for one in parts
        if one["part"][0]["phase"] == Phase.UPDATE
    ]


def spec(**changes: Any) -> dict[str, Any]:
    return settings(protocol="neurofeedback", **(TIMES | changes))


def test_the_picture_follows_what_is_read_and_the_table_says_both(make_world: Callable[[], World]) -> None:
    world = make_world()
    wave(world, 4.0)
    assert world.run(**spec(shows="bar"))
    rows = list(read_feedback(world.folder))
    assert 15 <= len(rows) <= 20
    assert {row.trial for row in rows} == {2}
    for row in rows:
        # The newest window, a tenth of a second old at most, and what it read.
        assert row.read == pytest.approx(0.5 + 0.4 * np.sin(3 * (row.frame + 1) / 10), abs=1e-6)
        assert 0 <= row.time - (row.frame + 1) / 10 <= 0.13
        assert row.shown == pytest.approx(row.read, abs=1e-6)
    shown = updates(world)
    assert [time for time, _ in shown] == [row.time for row in rows]
    levels = [float(image.astype(float).mean()) for _, image in shown]
    assert np.corrcoef(levels, [row.shown for row in rows])[0, 1] > 0.9
    assert world.facts == {"trials": 3, "aborted": 0, "finished": True}


def test_nothing_fresh_is_shown_as_nothing_and_a_control_run_goes_blank_in_the_same_places(
    make_world: Callable[[], World],
) -> None:
    blank: dict[str, list[bool]] = {}
    shown: dict[str, list[float]] = {}
    for feedback in ("real", "sham"):
        world = make_world()
        wave(world, 4.0, valid=lambda time: not 1.8 < time < 2.2)
        assert world.run(**spec(feedback=feedback, fresh_s=0.15, seed=4))
        rows = list(read_feedback(world.folder))
        blank[feedback] = [np.isnan(row.shown) for row in rows]
        shown[feedback] = [row.shown for row in rows if not np.isnan(row.shown)]
        assert all(np.isnan(row.shown) == (row.frame < 0) == np.isnan(row.read) for row in rows)
    assert blank["real"] == blank["sham"]
    assert 0 < sum(blank["real"]) < 6
    assert shown["real"] != shown["sham"]


def test_a_sham_follows_from_its_seed_and_says_nothing_of_what_is_read() -> None:
    def course(seed: int, value: float) -> list[float]:
        live = regulate(spec(feedback="sham", seed=seed))
        reading = np.full(LATENT, value, np.float32)
        return [live.draw(reading, time).value for time in np.arange(0, 2, 0.1)]

    assert course(1, 0.1) == course(1, 0.9)
    assert course(1, 0.1) != course(2, 0.1)
    assert all(0 <= value <= 1 for value in course(1, 0.5))


def test_a_yoked_run_shows_what_another_session_showed_at_the_same_time_of_each_block(
    make_world: Callable[[], World],
) -> None:
    first = make_world()
    wave(first, 4.0)
    assert first.run(**spec())
    rows = list(read_feedback(first.folder))
    live = regulate(spec(feedback="yoked", yoked_to=str(first.folder)))
    for row in rows:
        drawn = live.draw(np.full(LATENT, 0.123, np.float32), row.since + 0.01)
        assert drawn.value == pytest.approx(row.shown)
        assert drawn.read == pytest.approx(0.123)
    # The other participant's values lay elsewhere: what is shown is as high a bar, not the same number.
    (first.folder / "config.json").write_text(json.dumps({"experiment": {"low": 0.0, "high": 2.0}}))
    live = regulate(spec(feedback="yoked", yoked_to=str(first.folder), low=-1.0, high=3.0))
    for row in rows:
        drawn = live.draw(np.zeros(LATENT, np.float32), row.since + 0.01)
        assert drawn.value == pytest.approx(-1.0 + 4.0 * row.shown / 2.0)
    (first.folder / "config.json").write_text(json.dumps({"experiment": {"low": 1.0, "high": "none"}}))
    with pytest.raises(ConfigError, match=r"low and high in its config\.json, came 1\.0 and 'none'"):
        open_protocol(spec(feedback="yoked", yoked_to=str(first.folder)), PALETTE)
    empty = first.folder.parent
    with pytest.raises(ConfigError, match=r"feedback\.csv says what was shown, came none"):
        open_protocol(spec(feedback="yoked", yoked_to=str(empty)), PALETTE)


def test_a_value_may_also_drive_a_disc_a_folder_s_pictures_or_a_line_of_latents(
    make_world: Callable[[], World], tmp_path: Path
) -> None:
    for number in range(5):
        Image.new("RGB", SHAPE[::-1], (50 * number,) * 3).save(tmp_path / f"{number}.png")
    live = regulate(spec(shows="folder", folder=str(tmp_path), low=-1.0, high=1.0))
    for value, level in ((-2.0, 0), (-1.0, 0), (0.0, 100), (1.0, 200), (3.0, 200)):
        drawn = live.draw(np.full(LATENT, value, np.float32), 0.0)
        assert isinstance(drawn.stimulus, Picture)
        assert drawn.stimulus.image[0, 0, 0] == level
    down = regulate(spec(shows="disc", low=1.0, high=0.0))
    full, empty = (down.draw(np.full(LATENT, value, np.float32), 0.0).stimulus for value in (0.0, 1.0))
    assert isinstance(full, Picture)
    assert isinstance(empty, Picture)
    assert full.image.astype(int).sum() > empty.image.astype(int).sum()

    world = make_world()
    wave(world, 4.0)
    assert world.run(**spec(shows="direction"))
    pictures = [image for _, image in updates(world)]
    line = regulate(spec(shows="direction"))
    drawn_pictures = [
        picture_of(line.draw(np.full(LATENT, row.read, np.float32), 0.0).stimulus.latent)  # type: ignore[union-attr]
        for row in read_feedback(world.folder)
    ]
    assert len(pictures) > 10
    for picture in pictures:
        assert any(np.array_equal(picture, one) for one in drawn_pictures)


def test_what_the_bundle_cannot_give_is_refused() -> None:
    with pytest.raises(ConfigError, match="shows value 4, counted from 0, and the bundle reads 4"):
        open_protocol(spec(value=4), PALETTE)
    with pytest.raises(ConfigError, match="expected a bundle with a generator graph"):
        open_protocol(spec(shows="direction"), Palette((8, 8), reading=1))
    for changes, words in (
        ({"shows": "folder"}, "folder belongs to shows"),
        ({"yoked_to": "x"}, "yoked_to belongs to feedback"),
        ({"low": 1.0}, "two different values"),
    ):
        with pytest.raises(ConfigError, match=words):
            spec(**changes)


def test_a_row_of_feedback_comes_back(tmp_path: Path) -> None:
    (tmp_path / "feedback.csv").write_text(
        "trial,time,since,frame,read,shown\n2,1.5,0.5,7,0.25,nan\n2,1.7,cut"
    )
    (row,) = read_feedback(tmp_path)
    assert (row.trial, row.frame, row.read, np.isnan(row.shown)) == (2, 7, 0.25, True)
    assert isinstance(row, FeedbackRow)


def regulate(spec: dict[str, Any]) -> Live:
    """Return the stimulus of the first block of regulation."""
    protocol = open_protocol(spec, PALETTE)
    next(protocol)
    protocol.send(None)  # type: ignore[arg-type]
    stimulus = protocol.send(None).stimulus  # type: ignore[arg-type]
    assert isinstance(stimulus, Live)
    return stimulus

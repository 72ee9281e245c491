"""The engine runs a protocol that reacts, and one that died leaves it as it was: the hand-turned clock shows both."""

import csv
import gc
import io
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stage import LATENT, SHAPE, Reader, World, picture_of
from numpy.typing import NDArray
from PIL import Image

from bci.errors import ConfigError
from stimuli.protocols.latents import points
from stimuli.trial_table import TrialTable, read_past
from stimuli.trials import Ending, Outcome, Picture, Reading, Trial

TIMES = {"stimulus_s": 0.3, "feedback_s": 0.0, "blank_s": 0.2, "lead_in_s": 0.5}
CONTRAST_AT_THRESHOLD = 0.4

#: The latents of the pictures: none is like another.
LATENTS = np.eye(4, dtype=np.float32)[:3]


def staircase(folder: Path) -> dict[str, Any]:
    """Return the settings of a staircase over three dark pictures; the last pixel says which it is."""
    pictures = folder / "pictures"
    if not pictures.exists():
        pictures.mkdir()
        for number in range(3):
            image = np.full((*SHAPE, 3), 28, np.uint8)
            image[-1, -1] = 28 + 100 * number
            Image.fromarray(image).save(pictures / f"p{number}.png")
        latents = {f"p{number}": latent.tolist() for number, latent in enumerate(LATENTS)}
        (pictures / "latents.json").write_text(json.dumps(latents))
    return {
        "protocol": "staircase", "folder": str(pictures), "seed": 4, "start": 1.0, "factor": 0.7, "down": 2,
        "reversals": 6, "trials": 60, **TIMES,
    }  # fmt: skip


def observer(trial: int, image: NDArray[np.uint8]) -> tuple[list[float], float]:
    """Read a picture's own latent where its contrast is above the threshold, and what is least like it where not.

    The confidence says which trial it was.
    """
    contrast = (128 - float(image[0, 0, 0])) / 100
    which = round((float(image[-1, -1, 0]) - 128) / 100 / contrast) + 1
    latent = LATENTS[which] if contrast > CONTRAST_AT_THRESHOLD else -LATENTS[which]
    return latent.tolist(), trial / 1000


@pytest.fixture
def make_world(
    segment_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    """Give a maker of worlds, each with a session's folder of its own."""
    # Hundreds of trials pass in a second here: none waits for the disk, which may be busy with something else.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    worlds: list[World] = []

    def make(read: Reader = observer, **facts: Any) -> World:
        folder = tmp_path / f"session-{len(worlds)}"
        folder.mkdir()
        worlds.append(World(f"{segment_name}{len(worlds)}", folder, read, **facts))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()
    gc.unfreeze()


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of a table over all its parts, in order."""
    paths = sorted(folder.glob(f"{table}*.csv"), key=lambda path: (len(path.name), path.name))
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [row for text in texts for row in csv.DictReader(io.StringIO(text, newline=""))]


def sequence(world: World) -> list[tuple[str, str, str]]:
    """Return trial, name (with its contrast) and ending of every trial of a session."""
    return [(row["trial"], row["name"], row["ending"]) for row in rows(world.folder, "trials")]


def test_a_staircase_finds_the_contrast_at_which_a_planted_observer_stops_reading(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world()
    assert world.run(**staircase(tmp_path))
    contrasts = [float(name.split()[1]) for _, name, _ in sequence(world)]
    assert contrasts[0] == 1.0
    # After its first reversal it goes up and down between the steps on both sides of the threshold.
    assert {round(contrast, 2) for contrast in contrasts[8:]} == {0.34, 0.49}
    assert 0.34 < CONTRAST_AT_THRESHOLD < 0.49
    assert world.facts == {"trials": len(contrasts), "aborted": 0, "finished": True}


def test_a_protocol_killed_after_any_trial_goes_on_as_if_nothing_had_happened(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    undisturbed = make_world()
    undisturbed.run(**staircase(tmp_path))
    whole = sequence(undisturbed)
    assert len(whole) > 12
    for k in range(1, len(whole) + 1):
        world = make_world()
        assert not world.run(lambda w=world, k=k: len(rows(w.folder, "trials")) == k, **staircase(tmp_path))
        world.advance(0.7)
        assert world.run(**staircase(tmp_path))
        assert sequence(world) == whole, k
        assert [trial for trial, *_ in world.parts] == list(range(len(whole)))


def test_a_protocol_killed_in_a_trial_calls_it_aborted_and_neither_repeats_nor_skips_another(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    undisturbed = make_world()
    undisturbed.run(**staircase(tmp_path))
    names = [name for _, name, _ in sequence(undisturbed)]
    for when in (0.65, 1.9, 3.33, 4.81):
        world = make_world()
        assert not world.run(lambda w=world, when=when: w.now() >= when, **staircase(tmp_path))
        assert world.run(**staircase(tmp_path))
        trials = sequence(world)
        assert [int(trial) for trial, *_ in trials] == list(range(len(trials)))
        (aborted,) = [place for place, (*_, ending) in enumerate(trials) if ending == "aborted"]
        # This protocol asks for an aborted stimulus again.
        assert trials[aborted][1] == trials[aborted + 1][1]
        assert [name for _, name, ending in trials if ending == "shown"] == names


def test_what_is_read_late_is_told_once_also_across_a_restart_and_after_the_last_trial(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    spec = staircase(tmp_path) | {"reversals": 1000, "trials": 9}
    for dies in (math.inf, 2.9):
        world = make_world(epoch_s=0.8)
        if not world.run(lambda w=world, dies=dies: w.now() >= dies, **spec):
            world.advance(1.0)
            world.run(**spec, tail_s=1.0)
        trials, readings = rows(world.folder, "trials"), rows(world.folder, "readings")
        own = [int(row["trial"]) for row in trials if row["latent"]]
        late = [int(row["trial"]) for row in readings]
        assert sorted(own + late) == sorted(world.decoded)
        assert [row for row in readings if not row["outcome"]], "the last trial's came after it"
        for row in readings:
            assert float(row["confidence"]) == int(row["trial"]) / 1000
            assert not row["outcome"] or int(row["outcome"]) > int(row["trial"])


def test_a_protocol_that_asks_for_something_else_after_a_restart_is_refused(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world()
    spec = staircase(tmp_path)
    assert not world.run(lambda: len(rows(world.folder, "trials")) == 5, **spec)
    with pytest.raises(
        ConfigError, match=r"trial 0 was stimulus 0 \('p0 1'\) before the restart.*asks for \(1, 'p1 1'\)"
    ):
        world.run(**spec | {"seed": 5})


def test_latents_are_drawn_ahead_of_time_and_one_that_is_not_aborts_its_trial(
    make_world: Callable[..., World],
) -> None:
    spec = {
        "protocol": "latents", "pattern": "random", "points": 4, "repeats": 1, "order": "sorted", "spread": 1.0,
        "seed": 8, **TIMES,
    }  # fmt: skip
    world = make_world(draw_s=lambda trial: math.inf if trial == 2 else 0.15)
    assert world.run(**spec)
    latents = points(spec, LATENT)
    assert [(trial, name) for trial, name, _ in world.parts] == [(n, f"random-{n}") for n in (0, 1, 3)]
    for trial, _, image in world.parts:
        np.testing.assert_array_equal(image, picture_of(latents[trial]))
    assert [ending for *_, ending in sequence(world)] == ["shown", "shown", "aborted", "shown"]
    written = [json.loads(row["stimulus_latent"]) for row in rows(world.folder, "trials")]
    np.testing.assert_array_equal(np.array(written, np.float32), latents)
    onsets = [float(row["onset"]) for row in rows(world.folder, "trials")]
    # The trial that could not be shown took its time all the same.
    assert onsets[3] - onsets[1] == pytest.approx(2 * (onsets[1] - onsets[0]), abs=0.05)


def test_what_a_protocol_was_told_comes_back_to_the_bit(tmp_path: Path) -> None:
    trial = Trial(3, 'face, "3"', Picture(np.zeros((*SHAPE, 3), np.uint8)), 0.5)
    latent = np.array([1 / 3, -1e-7], np.float32)
    told = [
        Outcome(0, Ending.SHOWN, 1 / 3, latent, 0.1),
        Outcome(1, Ending.ABORTED, math.nan),
        Outcome(2, Ending.SHOWN, 12345.000001, late=(Reading(0, latent, math.nan), Reading(1, -latent, 2 / 3))),
    ]  # fmt: skip
    with TrialTable(tmp_path) as table:
        table.write(0, trial, told[0], 0.3, frames=[4])
        table.write(1, trial, told[1], 0.9, frames=[5])
    with TrialTable(tmp_path) as table:
        table.write(2, trial, told[2], 1.7, frames=[9])
        table.write_late([Reading(2, latent, 0.5)], 3)
        table.write_late([Reading(1, latent, 0.5)])
    # An engine that is killed while it writes leaves half a row.
    with (tmp_path / "trials-2.csv").open("a") as file:
        file.write("3,3,face,sho")
    past = read_past(tmp_path)
    assert [(row.stimulus, row.name) for row in past.rows] == [(3, 'face, "3"')] * 3
    assert [facts(row.outcome) for row in past.rows] == [facts(outcome) for outcome in told]
    assert past.frames == (9,)
    assert past.after == {1}
    assert [reading.trial for reading in past.pending[3]] == [2]


def facts(outcome: Outcome) -> str:
    """Return all of an outcome in words that are the same only for the same bits."""

    def bits(latent: NDArray[np.float32] | None) -> str:
        return "" if latent is None else latent.tobytes().hex()

    late = [(reading.trial, bits(reading.latent), repr(reading.confidence)) for reading in outcome.late]
    parts = (
        outcome.trial,
        outcome.ending,
        repr(outcome.onset),
        bits(outcome.latent),
        repr(outcome.confidence),
        late,
    )
    return repr(parts)

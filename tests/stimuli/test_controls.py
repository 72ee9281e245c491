"""An experiment waits, pauses, goes on and ends by orders and by keys, and a restarted engine knows how far it was."""

import csv
import gc
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_stage import World
from PIL import Image
from protocol_settings import settings

from bci.config.protocol import KeySettings
from bci.memory.marks import read_marks
from bci.memory.orders import ABORT, PAUSE, RESUME, START
from bci.memory.trial_parts import Stage
from bci.signal.types import MarkKind

#: Trial n is on the screen from 1.3 + 0.5 n to 1.6 + 0.5 n seconds: lead 0.1, lead-in 1.0, blank 0.2.
SPEC: dict[str, Any] = {
    "protocol": "text", "words": ["left", "right"], "size_deg": 1.0, "repeats": 3, "order": "sorted", "seed": 0,
    "stimulus_s": 0.3, "feedback_s": 0.0, "blank_s": 0.2, "lead_in_s": 1.0,
}  # fmt: skip


@pytest.fixture
def make_world(
    segment_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], World]]:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    worlds: list[World] = []

    def make() -> World:
        folder = tmp_path / f"session-{len(worlds)}"
        folder.mkdir()
        worlds.append(World(f"{segment_name}{len(worlds)}", folder))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()
    gc.unfreeze()


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    paths = sorted(folder.glob(f"{table}*.csv"), key=lambda path: (len(path.name), path.name))
    return [row for path in paths for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]


def trials(world: World) -> list[tuple[str, str, float]]:
    return [
        (row["name"], row["ending"], round(float(row["planned"]), 1)) for row in rows(world.folder, "trials")
    ]


def orders(world: World) -> list[tuple[str, str, str]]:
    return [(row["order"], row["by"], row["trial"]) for row in rows(world.folder, "controls")]


def test_an_experiment_waits_for_the_order_to_start_and_its_lead_in_begins_then(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    world.order(1.0, PAUSE)
    world.order(20.0, START)
    world.order(20.5, START)
    assert world.run(**SPEC, begin="order")
    assert [planned for *_, planned in trials(world)] == pytest.approx(
        [21.3, 21.8, 22.3, 22.8, 23.3, 23.8], abs=0.11
    )
    assert {ending for _, ending, _ in trials(world)} == {"shown"}
    assert world.answers() == [(PAUSE, "failed"), (START, "done"), (START, "failed")]
    assert orders(world) == [(START, "order", "0")]
    (mark,) = read_marks(world.marks, 0)[0]
    assert (mark["kind"], mark["first"], mark["detail"]) == (MarkKind.BEGUN, 0, b"start by order")
    assert mark["time"] == pytest.approx(20.0, abs=0.05)
    assert world.facts["finished"]
    assert world.board.row("engine")["stage"] == Stage.OVER


def test_a_pause_lets_the_trial_end_and_the_next_ones_come_after_it_as_far_apart_as_ever(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    world.order(1.95, PAUSE)
    world.order(60.0, RESUME)
    assert world.run(**SPEC)
    names, endings, planned = zip(*trials(world), strict=True)
    assert names == ("left", "right") * 3
    assert set(endings) == {"shown"}
    assert planned == pytest.approx((1.3, 1.8, 61.3, 61.8, 62.3, 62.8), abs=0.11)
    assert not world.cleared
    assert orders(world) == [(PAUSE, "order", "1"), (RESUME, "order", "2")]


def test_a_pause_that_cuts_a_trial_shows_its_stimulus_again_and_the_protocol_never_hears_of_it(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    world.order(1.95, PAUSE)
    world.order(60.0, RESUME)
    assert world.run(**SPEC, on_pause="repeat")
    found = trials(world)
    assert [(name, ending) for name, ending, _ in found] == [
        ("left", "shown"), ("right", "paused"), ("right", "shown"), *[("left", "shown"), ("right", "shown")] * 2,
    ]  # fmt: skip
    assert found[2][2] == pytest.approx(61.3, abs=0.11)
    assert world.cleared == [1]
    assert world.facts == {"trials": 7, "aborted": 0, "finished": True}


def test_an_abort_ends_the_trial_under_way_and_the_experiment(make_world: Callable[[], World]) -> None:
    world = make_world()
    world.order(1.95, ABORT)
    world.order(2.1, RESUME)
    assert world.run(**SPEC)
    assert [(name, ending) for name, ending, _ in trials(world)] == [("left", "shown"), ("right", "aborted")]
    assert world.cleared == [1]
    assert world.facts == {"trials": 1, "aborted": 0, "finished": False, "aborted_by": "order"}
    assert world.answers() == [(ABORT, "done"), (RESUME, "failed")]
    waiting = make_world()
    waiting.order(5.0, ABORT)
    assert waiting.run(**SPEC, begin="order")
    assert not trials(waiting)
    assert waiting.facts["aborted_by"] == "order"


def test_keys_are_the_same_orders_and_only_in_the_windows_that_may_give_them(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    world.press(1.0, "p")
    world.press(1.95, "p", "operator_keys")
    world.press(30.0, "p", "operator_keys")
    world.press(31.4, "space")
    world.press(31.9, "space", "operator_keys")
    world.press(32.0, "q", "operator_keys")
    assert world.run(**SPEC)
    assert orders(world) == [(PAUSE, "key p", "1"), (RESUME, "key p", "2"), (ABORT, "key q", "3")]
    answers = [row["answers"] for row in rows(world.folder, "trials")]
    assert [bool(answer) for answer in answers] == [False, False, True, False]
    assert answers[2].startswith('[["space", 31.4')
    participants = make_world()
    participants.press(1.0, "q")
    assert participants.run(**SPEC, keys=KeySettings(participant=True, operator=False).model_dump())
    assert participants.facts["aborted_by"] == "key q"


@pytest.mark.parametrize("on_pause", ["finish", "repeat"])
def test_an_engine_that_dies_in_a_pause_leaves_the_experiment_paused(
    make_world: Callable[[], World], on_pause: str
) -> None:
    world = make_world()
    world.order(1.95, PAUSE)
    assert not world.run(lambda: world.now() > 10.0, **SPEC, on_pause=on_pause)
    world.order(world.now() + 20.0, RESUME)
    assert world.run(**SPEC, on_pause=on_pause)
    shown = [(name, planned) for name, ending, planned in trials(world) if ending == "shown"]
    assert [name for name, _ in shown] == ["left", "right"] * 3
    assert shown[2][1] > 30.0
    assert [order for order, *_ in orders(world)] == [PAUSE, RESUME]


def test_keys_that_mean_two_things_are_refused() -> None:
    with pytest.raises(ValueError, match="each key means one thing"):
        KeySettings(answers=("p",))
    with pytest.raises(ValueError, match="escape closes the window"):
        KeySettings(abort="escape")


FIXED: dict[str, dict[str, Any]] = {
    "imagery": {"words": ("left", "right"), "repeats": 2, "imagine_s": 0.3, "rest_s": 0.2},
    "oddball": {"words": ("A", "B", "C"), "targets": 2, "repeats": 2, "cue_s": 0.3, "stimulus_s": 0.1, "blank_s": 0.1},
    "perception": {"blocks": 2, "jitter_s": 0.3, "catch": 0.2, "instruction": "Look.", "instruction_s": 0.5},
}  # fmt: skip


def pictures(folder: Path) -> str:
    """Write four pictures; return their folder."""
    for number in range(4):
        Image.new("RGB", (6, 4), (60 * number, 0, 0)).save(folder / f"{number}.png")
    return str(folder)


@pytest.mark.parametrize("protocol", FIXED)
def test_an_order_follows_from_the_session_file_also_through_a_pause_and_a_death(
    make_world: Callable[[], World], protocol: str, tmp_path: Path
) -> None:
    folder = {"folder": pictures(tmp_path)} if protocol == "perception" else {}
    spec = settings(protocol=protocol, **({"stimulus_s": 0.2, "blank_s": 0.2} | FIXED[protocol] | folder))
    whole, broken = make_world(), make_world()
    assert whole.run(**spec)
    broken.order(3.0, PAUSE)
    broken.order(9.0, RESUME)
    assert not broken.run(lambda: broken.now() > 12.0, **spec | {"on_pause": "repeat"})
    assert broken.run(**spec | {"on_pause": "repeat"})

    def asked(world: World) -> list[tuple[str, str, str]]:
        return [
            (row["stimulus"], row["name"], row["type"])
            for row in rows(world.folder, "trials")
            if row["ending"] != "paused"
        ]

    assert asked(broken) == asked(whole)
    endings = [row["ending"] for row in rows(broken.folder, "trials")]
    assert endings.count("paused") <= 1
    assert endings.count("aborted") == 1
    assert {row["ending"] for row in rows(whole.folder, "trials")} == {"shown"}


def test_a_key_of_the_participant_s_ends_an_instruction_and_is_told_as_an_answer(
    make_world: Callable[[], World], tmp_path: Path
) -> None:
    world = make_world()
    for time in (1.0, 3.0):  # the first one comes before there is anything to be read
        world.press(time, "space")
    times = {"instruction_s": 60.0, "stimulus_s": 0.2, "blank_s": 0.2}
    assert world.run(
        **settings(protocol="perception", folder=pictures(tmp_path), instruction="Look.", **times)
    )
    first, second, *_ = rows(world.folder, "trials")
    assert (first["type"], first["ending"]) == ("instruction", "shown")
    assert first["answers"].count("space") == 2
    assert 3.0 < float(second["onset"]) < 3.4
    assert world.cleared == [0]

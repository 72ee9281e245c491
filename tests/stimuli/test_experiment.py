"""In an experiment the display shows what the engine asks for, when asked, and the engine says what came of it."""

import csv
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bci.errors import ConfigError
from bci.signal.types import Event, Shown
from stimuli.display import headless
from stimuli.display.frames import FrameReader, Frames
from stimuli.display.presenter import Choice
from stimuli.display.rings import Pictures, ShownWriter, StimulusReader
from stimuli.display.trial_album import TrialAlbum
from stimuli.engine import LEAD_S
from stimuli.engine import ask as ask_for
from stimuli.protocols import open_protocol
from stimuli.protocols.order import order
from stimuli.protocols.pictures import load_pictures
from stimuli.trial_table import TrialTable
from stimuli.trials import Ending, Outcome, Palette, Picture, Trial
from stimuli.witness import Witness


def trial(stage: Any, number: int = 7, stimulus_s: float = 0.2, feedback_s: float = 0.0) -> Trial:
    return Trial(number, f"face {number}", Picture(stage.image(100 + number)), stimulus_s, feedback_s)


def ask(ring: Any, number: int, trial: Trial, start: float) -> None:
    assert isinstance(trial.stimulus, Picture)
    ask_for(ring, number, trial, start, trial.stimulus.image)


def seen(stage: Any) -> list[tuple[float, str, int]]:
    """Return what was on the screen as (flip, kind, number)."""
    return [
        (round(float(r["flip"]), 6), Shown(int(r["kind"])).name, int(r["frame"]))
        for r in stage.changes()["shown"]
    ]


def test_a_stimulus_is_on_the_screen_from_the_first_flip_in_its_time_to_the_last(stage: Any) -> None:
    ask(stage.stimuli, 0, trial(stage), 0.3)
    stage.clock.at(0.001, lambda: None)
    # What was asked for before the display was there is over; this is asked for while it runs.
    stage.clock.at(0.05, lambda: ask(stage.stimuli, 1, trial(stage, 8), 0.3))
    stage.play(headless.main, 0.8, engine="engine")
    assert seen(stage) == [
        (0.02, "FIXATION", -1),
        (0.3, "STIMULUS", 8),
        (0.5, "FIXATION", -1),
        (0.82, "NEUTRAL", -1),
    ]
    image = stage.changes()["image"][1]
    assert (image == stage.image(108)).all()


def test_frames_are_shown_in_feedback_only_and_only_those_of_their_own_trial(stage: Any) -> None:
    stage.clock.at(0.05, lambda: ask(stage.stimuli, 0, trial(stage, feedback_s=0.3), 0.2))
    stage.frames_at(0.15, 0.45)
    stage.clock.at(0.5, lambda: stage.frame(age=0.35))  # rests on data from before the stimulus
    stage.play(headless.main, 1.0, engine="engine", fresh_for=1.0)
    kinds = [(time, kind) for time, kind, _ in seen(stage)]
    assert kinds == [
        (0.02, "FIXATION"),
        (0.2, "STIMULUS"),
        (0.4, "NEUTRAL"),
        (0.46, "FRAME"),
        (0.5, "NEUTRAL"),
        (0.7, "FIXATION"),
        (1.02, "NEUTRAL"),
    ]


def tile(sheet: Any, place: int, row: int) -> tuple[int, ...]:
    """Return the colour in the middle of a tile of a sheet of pairs: row 0 is what was seen, 1 what was read."""
    left, top = 60 + place % 8 * 106, 58 + place // 8 * 223 + row * 100
    return tuple(int(v) for v in sheet[top + 48, left + 48])


def even(level: int, stage: Any) -> Any:
    return np.full((*stage.shape, 3), level, np.uint8)


def test_the_contact_sheet_of_an_experiment_shows_trials_seen_above_and_read_below(stage: Any) -> None:
    """Looks at even intervals would all fall between these trials: each is on the screen for a twelfth of the time."""
    stage.image = lambda number: even(number, stage)  # what a frame shows: its number
    for k in range(40):
        shown = Trial(k, f"face {k}", Picture(even(100 + k, stage)), 0.1, 0.0)
        stage.clock.at(0.05 + 1.2 * k, lambda k=k, shown=shown: ask(stage.stimuli, k, shown, 0.3 + 1.2 * k))
        facts = {"valid": k % 8 != 2, "reason": "saturated" if k % 8 == 2 else ""}
        if k % 8 != 4:  # of every eighth nothing is read; a frame without a trial changes nothing
            event = Event(0.3 + 1.2 * k, "", trial=k)
            stage.clock.at(0.75 + 1.2 * k, lambda event=event, facts=facts: stage.frame(event=event, **facts))
        stage.frames_at(0.9 + 1.2 * k)
    facts = stage.play(headless.main, 48.5, engine="engine", contact_sheet=6, fresh_for=5.0)
    sheet = np.asarray(Image.open(facts["contact_sheet"]))
    trials = [tile(sheet, place, 0)[0] - 100 for place in range(6)]
    assert trials == [0, 8, 16, 24, 28, 36] or np.ptp(np.diff(trials)) <= 4, trials
    assert trials[0] == 0
    assert trials[-1] >= 32
    for place, trial_number in enumerate(trials):
        read = tile(sheet, place, 1)
        assert read == (229, 231, 235) if trial_number % 8 in (2, 4) else read[0] < 100, trial_number


def test_trials_are_kept_in_bounded_memory_and_say_why_nothing_was_read(make_stage: Any) -> None:
    stage = make_stage(shape=(600, 300), latent=1)
    reader = Frames([FrameReader(stage.frames)])
    stimuli = StimulusReader(stage.stimuli, stage.shape)
    album = TrialAlbum(Pictures(reader, stimuli), 4, stride=3)
    for k in range(100):
        stimuli.image = even(k, stage)
        for _ in range(2):  # as after an interruption: the same trial again
            album.change(Choice(Shown.STIMULUS, k, trial=k, reason=f"face {k}"), float(k))
        if k % 64:
            stage.frame(event=Event(float(k), "", trial=k), valid=k % 32 != 0, reason="flat", confidence=0.5)
            reader.take(stage.clock)
        album.look()
    assert album.trials == 100
    pairs = album.pairs(10)
    assert [pair.trial for pair in pairs] == [0, 32, 64, 96]
    assert [pair.trouble for pair in pairs] == ["not read", "invalid: flat", "not read", "invalid: flat"]
    assert [pair.seen.shape for pair in pairs] == [(200, 100, 3)] * 4
    assert [int(pair.seen[0, 0, 0]) for pair in pairs] == [0, 32, 64, 96]


def test_a_stimulus_gives_way_to_neutral_when_the_data_are_dead(stage: Any) -> None:
    stage.clock.at(0.05, lambda: ask(stage.stimuli, 0, trial(stage, stimulus_s=0.4), 0.2))
    stage.alive("acquire", until=-0.2)
    stage.clock.at(0.1, lambda: stage.alive("acquire", until=0.1))
    stage.play(headless.main, 0.9, engine="engine", data_age_limit=0.2, heartbeat_limit=10.0)
    assert [(time, kind) for time, kind, _ in seen(stage)][2:4] == [(0.2, "STIMULUS"), (0.32, "NEUTRAL")]


def test_when_the_engine_dies_the_stimulus_is_shown_to_its_planned_end_and_then_neutral(stage: Any) -> None:
    stage.clock.at(0.05, lambda: ask(stage.stimuli, 0, trial(stage, stimulus_s=0.6), 0.2))
    stage.alive("engine", until=0.1)
    stage.play(headless.main, 1.0, engine="engine", heartbeat_limit=0.3)
    assert [(time, kind) for time, kind, _ in seen(stage)][1:3] == [(0.2, "STIMULUS"), (0.8, "NEUTRAL")]


def test_the_same_stimulus_twice_in_a_row_is_two_changes_of_picture(stage: Any) -> None:
    def both() -> None:
        ask(stage.stimuli, 0, trial(stage), 0.2)
        ask(stage.stimuli, 1, trial(stage), 0.4)

    stage.clock.at(0.05, both)
    stage.play(headless.main, 0.8, engine="engine")
    assert [(time, kind) for time, kind, _ in seen(stage)][1:3] == [(0.2, "STIMULUS"), (0.4, "STIMULUS")]


def test_parts_that_a_slow_display_never_read_are_counted(stage: Any) -> None:
    reader = StimulusReader(stage.stimuli, stage.shape)
    for number in range(100):
        ask(stage.stimuli, number, trial(stage), 1.0 + number)
    assert reader.due(99.1).trial == 98
    assert reader.lost == 36


def show(stage: Any, writer: ShownWriter, *changes: tuple[Shown, int, float]) -> None:
    for kind, number, flip in changes:
        writer.write(Choice(kind, number), flip)


CAME = [
    ([(Shown.STIMULUS, 7, 10.004), (Shown.FIXATION, -1, 10.2)], Ending.SHOWN, 10.004),
    ([], Ending.ABORTED, math.nan),
    ([(Shown.STIMULUS, 8, 10.004)], Ending.ABORTED, math.nan),
    ([(Shown.STIMULUS, 7, 10.004), (Shown.NEUTRAL, -1, 10.1)], Ending.ABORTED, 10.004),
    ([(Shown.STIMULUS, 7, 10.004), (Shown.NEUTRAL, -1, 10.3)], Ending.SHOWN, 10.004),
]


@pytest.mark.parametrize(("changes", "ending", "onset"), CAME)
def test_the_engine_says_whether_a_trial_was_shown_whole(
    stage: Any, changes: list[Any], ending: Ending, onset: float
) -> None:
    writer = ShownWriter(stage.shown, Pictures(Frames([FrameReader(stage.frames)])), 128)
    witness = Witness(stage.shown, [stage.frames], early_s=LEAD_S / 2)
    show(stage, writer, *changes)
    stage.clock.advance(10.15)
    stage.frame(confidence=0.5)
    stage.frame(valid=False)
    outcome = witness.outcome(0, 10.0, trial(stage))
    assert outcome.ending is ending
    assert outcome.onset == pytest.approx(onset, nan_ok=True)
    assert (outcome.latent is None) == math.isnan(onset)
    if outcome.latent is not None:
        assert (outcome.latent.tolist(), outcome.confidence) == ([0.0, 0.0], 0.5)


def turn(stage: Any, when: float) -> None:
    stage.clock.advance(when - stage.clock.now())


def test_what_was_read_of_a_trial_is_of_its_own_epoch_and_what_comes_later_is_handed_on(stage: Any) -> None:
    """A flip every 6.1 s, pictures shown 4 s, epochs that end 9 s after their flip: each comes in the next trial."""
    witness = Witness(stage.shown, [stage.frames], early_s=LEAD_S / 2)
    writer = ShownWriter(stage.shown, Pictures(Frames([FrameReader(stage.frames)])), 128)
    outcomes = []
    for number in range(4):
        start = 1.0 + 6.1 * number
        writer.write(Choice(Shown.STIMULUS, 7, trial=number), start + 0.004)
        turn(stage, start + 2.9)
        if number:
            stage.frame(
                latent=number - 1, event=Event(start - 6.1, "stimulus 7 face", 0, start - 6.096, number - 1)
            )
        turn(stage, start + 4.0)
        outcomes.append(witness.outcome(number, start, trial(stage, stimulus_s=4.0)))
    assert [outcome.latent for outcome in outcomes] == [None] * 4
    late = [[(reading.trial, reading.latent.tolist()) for reading in outcome.late] for outcome in outcomes]
    assert late == [[], [(0, [0.0, 0.0])], [(1, [1.0, 1.0])], [(2, [2.0, 2.0])]]


def test_an_epoch_that_ends_within_its_trial_is_that_trials_reading(stage: Any) -> None:
    witness = Witness(stage.shown, [stage.frames], early_s=LEAD_S / 2)
    writer = ShownWriter(stage.shown, Pictures(Frames([FrameReader(stage.frames)])), 128)
    writer.write(Choice(Shown.STIMULUS, 7, trial=5), 1.004)
    turn(stage, 1.1)
    stage.frame(latent=5, event=Event(1.0, "stimulus 7 face", 0, 1.004, 5))
    stage.frame(latent=4, event=Event(0.5, "stimulus 7 face", 0, 0.504, 4))
    outcome = witness.outcome(5, 1.0, trial(stage))
    assert outcome.latent is not None
    assert outcome.latent.tolist() == [5.0, 5.0]
    assert [reading.trial for reading in outcome.late] == [4]


def test_of_an_event_of_uncertain_time_nothing_was_read(stage: Any) -> None:
    witness = Witness(stage.shown, [stage.frames], early_s=LEAD_S / 2, limits_s=[0.005])
    for number, uncertainty in enumerate((math.nan, 0.0, 0.004, 0.02)):
        stage.frame(
            event=Event(1.0 + number, "stimulus 7 face", 0, 1.0 + number, number, uncertainty=uncertainty)
        )
    assert sorted(witness.readings()) == [0, 1, 2]


def test_feedback_never_shows_the_epoch_of_another_trial(stage: Any) -> None:
    """Its data arrived within the trial that asks for feedback, and yet it is the answer to the one before."""
    stage.clock.at(0.05, lambda: ask(stage.stimuli, 3, trial(stage, feedback_s=0.4), 0.2))
    stage.clock.at(0.45, lambda: stage.frame(event=Event(0.0, "stimulus 7 face", 0, 0.0, 2)))
    stage.clock.at(0.55, lambda: stage.frame(event=Event(0.2, "stimulus 7 face", 0, 0.2, 3)))
    stage.play(headless.main, 1.0, engine="engine", fresh_for=1.0)
    kinds = [(time, kind) for time, kind, _ in seen(stage)]
    assert kinds[1:5] == [(0.2, "STIMULUS"), (0.4, "NEUTRAL"), (0.56, "FRAME"), (0.8, "FIXATION")]
    assert stage.changes()["shown"]["trial"].tolist()[1:5] == [3, -1, 3, -1]


def test_every_trial_has_a_row_and_a_successor_writes_its_own_table(stage: Any, tmp_path: Path) -> None:
    outcome = Outcome(0, Ending.SHOWN, 1.5, np.array([0.25, -1.0], np.float32), 0.75)
    for _ in range(2):
        with TrialTable(tmp_path) as table:
            table.write(0, trial(stage), outcome, 1.4)
    for name in ("trials.csv", "trials-2.csv"):
        with (tmp_path / name).open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["name"], row["ending"], row["onset"], row["until"]) == (
            "face 7",
            "shown",
            "1.5",
            "1.5999999999999999",
        )
        assert row["latent"] == "[0.25, -1.0]"


def pictures(folder: Path, n: int) -> Path:
    for number in range(n):
        Image.new("RGB", (20, 10), (10 * number, 0, 0)).save(folder / f"face-{number}.png")
    return folder


SPEC = {
    "protocol": "images",
    "repeats": 2,
    "order": "random",
    "seed": 3,
    "stimulus_s": 0.5,
    "feedback_s": 0.0,
    "blank_s": 1.0,
}


def test_each_picture_comes_as_often_and_the_seed_fixes_the_order(tmp_path: Path) -> None:
    spec = SPEC | {"folder": str(pictures(tmp_path, 5))}

    def names() -> list[str]:
        protocol = open_protocol(spec, Palette((8, 8)))
        return [trial.name for trial in protocol]

    first = names()
    assert first == names()
    assert sorted(first[:5]) == sorted(first[5:]) == [f"face-{n}" for n in range(5)]
    assert list(order(5, 1, "random", 1)) != list(order(5, 1, "random", 2))


def test_pictures_are_scaled_and_cut_to_the_displays_size(tmp_path: Path) -> None:
    names, images = load_pictures(pictures(tmp_path, 3), (16, 16))
    assert images.shape == (3, 16, 16, 3)
    assert [int(image[8, 8, 0]) for image in images] == [0, 10, 20]
    assert all(a < b for a, b in pairwise(names))


@pytest.mark.parametrize("broken", [False, True])
def test_a_folder_without_pictures_or_with_a_broken_one_is_refused_by_name(
    tmp_path: Path, broken: bool
) -> None:
    if broken:
        pictures(tmp_path, 2)
        (tmp_path / "face-1.png").write_bytes(b"\x89PNG no picture")
    with pytest.raises(ConfigError, match=r"face-1\.png" if broken else "found none"):
        open_protocol(SPEC | {"folder": str(tmp_path)}, Palette((8, 8)))

"""The fixation target changes when the engine asks for it, and every change that could be seen is written down."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bci.config.protocol import FixationTaskSettings
from bci.memory.trial_parts import Phase, create_responses, create_stimuli, write_clear, write_part
from bci.signal.types import event_of
from stimuli.display import headless
from stimuli.display.canvas import Canvas, fixation_target
from stimuli.display.settings import DisplaySpec, FeedSpec
from stimuli.fixation_task import FixationTask

SETTINGS = FixationTaskSettings(every_s=(2.0, 5.0), change_s=0.3, seed=4)


def changes(
    segment_name: str, settings: FixationTaskSettings = SETTINGS, part: int = 0
) -> list[tuple[float, float]]:
    """Return when the display is asked to change the target, in a minute of which ten seconds are a pause."""
    asked: list[tuple[float, float]] = []
    with create_stimuli(segment_name + str(part) + str(settings.seed), 4, 6) as ring:
        task = FixationTask(settings.model_dump(), ring, part)
        for tick in range(3000):
            now = tick / 50
            if 20 <= now < 30:
                task.rest()
                continue
            task.look(now)
            if ring.count > len(asked):
                record = ring.read(ring.count - 1, ring.count)["part"][0]
                assert record["phase"] == Phase.TARGET
                asked.append((float(record["start"]), float(record["stop"])))
                # Ahead of its time, and not far: a pause takes back what was asked for.
                assert 0 < record["start"] - now <= 0.3
    return asked


def test_changes_come_at_random_times_ahead_of_time_and_none_in_a_pause(segment_name: str) -> None:
    asked = changes(segment_name)
    starts = [start for start, _ in asked]
    assert len(starts) >= 9
    assert all(stop - start == pytest.approx(0.3) for start, stop in asked)
    gaps = np.diff(starts)
    assert gaps.min() >= 2.0
    assert gaps.std() > 0.3
    assert not [start for start in starts if 20.3 < start < 32.0]
    assert asked == changes(segment_name)
    assert starts != [start for start, _ in changes(segment_name, SETTINGS.model_copy(update={"seed": 5}))]
    assert starts != [start for start, _ in changes(segment_name, part=1)]


def test_the_display_changes_the_target_and_says_when(
    make_stage: Callable[..., Any], segment_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage()
    drawn: list[tuple[float, bool]] = []
    draw = Canvas.draw

    def remember(self: Canvas, *given: Any, changed: bool = False, **more: Any) -> None:
        drawn.append((stage.clock.now(), changed))
        draw(self, *given, changed=changed, **more)

    monkeypatch.setattr(Canvas, "draw", remember)

    def target(start: float) -> None:
        write_part(
            stage.stimuli, Phase.TARGET, trial=-1, stimulus=-1, since=start, start=start, stop=start + 0.2
        )

    def text(start: float, stop: float) -> None:
        write_part(
            stage.stimuli, Phase.STIMULUS, trial=0, stimulus=0, since=start, start=start, stop=stop, name="read",
            text="read", text_deg=1.0,
        )  # fmt: skip

    stage.clock.at(0.3, lambda: target(0.5))
    stage.clock.at(0.9, lambda: text(1.0, 2.0))
    stage.clock.at(1.3, lambda: target(1.5))  # behind a text there is no target to be seen
    stage.clock.at(2.3, lambda: target(2.5))
    stage.clock.at(2.4, lambda: write_clear(stage.stimuli, 0))  # a pause takes it back
    with create_responses(segment_name + "k") as responses:
        stage.responses = responses
        stage.play(headless.main, 3.0, engine="engine", feeds=[FeedSpec(hop_seconds=0.1).model_dump()])
        events = [event_of(record) for record in responses.read(0, responses.count)["event"]]
    assert [event.text for event in events] == ["fixation changed", "fixation back"]
    assert [event.time for event in events] == pytest.approx([0.5, 0.7], abs=0.021)
    assert [time for time, changed in drawn if changed] == pytest.approx([0.5], abs=0.021)
    # The change is no change of picture: nothing is recorded as shown for it.
    kinds = [int(record["kind"]) for record in stage.changes()["shown"]]
    assert len(kinds) == 4


def test_a_changed_target_differs_in_its_cross_alone() -> None:
    as_it_is, covers = fixation_target(30)
    for name, color in (("dim", [96] * 3), ("red", [255, 0, 0])):
        other, same = fixation_target(30, name)
        np.testing.assert_array_equal(covers, same)
        differs = (as_it_is != other).any(axis=2)
        np.testing.assert_array_equal(differs, (as_it_is == 255).all(axis=2))
        assert (other[differs] == color).all()
    spec = DisplaySpec(feeds=(FeedSpec(hop_seconds=0.1),))
    canvas = Canvas(spec, (160, 120), 10.0, (4, 6), "red")
    canvas.draw(None, white=False)
    plain = canvas.pixels.copy()
    canvas.draw(None, white=False, changed=True)
    assert (canvas.pixels != plain).any()
    canvas.draw(None, white=False)
    np.testing.assert_array_equal(canvas.pixels, plain)


def test_an_answer_must_belong_to_one_change() -> None:
    with pytest.raises(ValueError, match="an answer must belong to one change"):
        FixationTaskSettings(every_s=(1.0, 5.0))

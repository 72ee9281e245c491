"""A finished session in the page: at each time it shows what was so then, of a real small session with a gap."""

import json
import math
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from planted_session import HOP, RATE, START, Line, noise
from tiny_bundle import colours, tiny_bundle

from bci.control.page.evoked import AFTER_S, BEFORE_S, NOT_WHOLE, Evoked
from bci.control.page.model import SIDE_SAMPLES
from bci.control.page.moment import Tone
from bci.control.page.recorded import RecordedModel
from bci.control.page.recorded_log import RecordedLog
from bci.control.page.recorded_marks import RECENT_S, RecordedMarks
from bci.control.page.recorded_sight import RecordedSight
from bci.decoder.renderer import Artist
from bci.memory.lsl_clock import LslClock
from bci.session.recorded import RecordedSession
from bci.signal.types import Event

pytestmark = pytest.mark.system

#: Samples before the gap and in all, and samples that never came.
BEFORE, ALL, MISSING = 200, 320, 50

AFTER_THE_GAP = np.arange(ALL) == BEFORE


@dataclass(frozen=True)
class Kept:
    """A session, what was sent, and when each sample was due, session seconds."""

    folder: Path
    samples: NDArray[np.float32]
    times: NDArray[np.float64]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("page") / "session"
    clock, samples = LslClock(), noise(ALL)
    with ExitStack() as opened:
        line = Line(folder, opened)
        begun = clock.now()
        times = begun + np.arange(ALL) / RATE + (np.arange(ALL) >= BEFORE) * MISSING / RATE
        for at in range(0, ALL, HOP):
            # In real time: the tables say when it was seen, and the page puts both on one axis.
            clock.sleep_until(times[at] + HOP / RATE)
            step = begun - START if at == 0 else MISSING / RATE if at == BEFORE else 0.0
            line.push(samples[at : at + HOP], step=step)
        line.stop()
    return Kept(folder, samples, times)


@pytest.fixture
def model(kept: Kept) -> RecordedModel:
    return RecordedModel(RecordedSession.read(kept.folder), seconds=1.0)


def test_signals_are_those_that_were_sent_up_to_the_time_that_is_shown(
    model: RecordedModel, kept: Kept
) -> None:
    for last in (150, BEFORE - 1, BEFORE + 30):
        model.seek(float(kept.times[last]) + 0.002)
        picture = model.traces("stream", slice(1, 3))
        assert picture is not None
        shown = (kept.times >= model.now - 1.01) & (kept.times <= model.now)
        assert picture.times == pytest.approx(kept.times[shown], abs=0.004)
        assert np.array_equal(picture.low, kept.samples[shown, 1:])
        assert np.array_equal(picture.high, kept.samples[shown, 1:])
        assert kept.times[shown][picture.after_gap].tolist()[1:] == kept.times[shown & AFTER_THE_GAP].tolist()


def test_a_gap_is_seen_and_said_once_it_has_been_and_forgotten_later(
    model: RecordedModel, kept: Kept
) -> None:
    again = float(kept.times[BEFORE])
    model.seek(again - MISSING / RATE - 0.05)
    assert model.gaps("stream") == []
    assert numbers(model)["samples lost"] == "0"
    assert model.moment().alarms == []
    model.seek(again + 0.1)
    (band,) = model.gaps("stream")
    assert (band.start, band.stop, band.why) == (
        pytest.approx(again - MISSING / RATE, abs=0.01),
        pytest.approx(again, abs=0.01),
        "gap",
    )
    moment = model.moment()
    assert moment.banner.level is Tone.URGENT
    assert moment.banner.title == "stream: gap, 0.1 s before"
    assert numbers(model)["samples lost"] == str(MISSING)
    model.seek(again + 1.1)
    assert model.gaps("stream") == [], "it has left the second that is shown"
    assert numbers(model)["samples lost"] == str(MISSING)


def numbers(model: RecordedModel) -> dict[str, str]:
    return {counter.label: counter.value for counter in model.moment().counters}


def test_what_is_on_the_screen_and_what_was_read_are_those_of_the_time(
    model: RecordedModel, kept: Kept
) -> None:
    session = RecordedSession.read(kept.folder)
    # A busy machine shows not every frame.
    shown = {int(row["frame"]) for row in session.table("shown") if row["kind"] == "frame"}
    frames = [frame for frame in session.frames_of(None) if frame.valid and frame.number in shown]
    frame = frames[len(frames) // 2]
    model.seek(float(frame.stamps["published"]) + 1e-4)
    read = model.moment().pictures[-1]
    assert (read.title, read.level) == ("Read", Tone.GOOD)
    assert f"confidence {frame.confidence:.2f}" in read.words
    colour = frame.latent @ colours(2)
    assert read.image is not None
    assert read.image[0, 0] == pytest.approx((colour + 1) * 127.5, abs=1)
    flip = next(row for row in session.table("shown") if int(row["frame"]) == frame.number)
    model.seek(float(flip["flip"]))
    screen = model.moment().pictures[0]
    assert (screen.title, screen.words) == ("On the screen", "a reconstruction")
    assert np.array_equal(screen.image, read.image)
    made = sum(one.stamps["published"] <= model.now for one in session.frames_of(None))
    assert numbers(model)["reconstructions"] == str(made)


def test_before_the_first_picture_nothing_was_read_and_beyond_the_ends_there_is_no_time(
    model: RecordedModel,
) -> None:
    assert model.span is not None
    start, stop = model.span
    model.seek(start - 100)
    assert model.now == start
    (screen,) = model.moment().pictures
    assert screen.words.startswith("the neutral picture")
    model.seek(stop + 100)
    assert model.now == stop
    assert model.moment().no_commands == "the session is over"
    model.look()
    assert model.now == stop


def test_spectrum_and_latencies_are_those_of_the_seconds_before(model: RecordedModel, kept: Kept) -> None:
    model.seek(float(kept.times[BEFORE - 1]))
    for channel in range(3):
        found = model.spectrum("stream", slice(channel, channel + 1))
        assert found is not None
        assert found.hz[np.argmax(found.median)] == pytest.approx(11 + channel, abs=0.6)
    stages = {stage.name: stage for stage in model.stage_times()}
    frames = [frame for frame in RecordedSession.read(kept.folder).frames_of(None) if frame.valid]
    past = [frame for frame in frames if frame.stamps["published"] <= model.now]
    assert stages["decode"].counts.sum() == len(past) > 5
    took = [1e3 * (frame.stamps["decoded"] - frame.stamps["cut"]) for frame in past]
    assert stages["decode"].p50 == pytest.approx(np.median(took))
    assert stages["decode"].budget_ms == pytest.approx(1e3 * HOP / RATE)


def test_an_event_is_averaged_from_the_recording_and_one_at_a_gap_is_left_out(kept: Kept) -> None:
    session = RecordedSession.read(kept.folder)
    marks = RecordedMarks(session.table("marks"))
    frames = list(session.frames_of(None))
    sight = RecordedSight(session.stream("stream"), frames, marks.resumptions("stream", RATE), 1.0)
    evoked = Evoked(sight.signal)
    between = (
        float(kept.times[80]) - 0.5 / RATE
    )  # an event falls between samples, the next of which is its own
    sight.average(Event(between, "7", 7), evoked)
    sight.average(Event(float(kept.times[BEFORE - 20]), "7", 7), evoked)
    sight.average(Event(float(kept.times[0]) - 100, "7", 7), evoked)
    (response,) = evoked.responses()
    assert (response.name, response.count, evoked.left_out) == ("7", 1, {NOT_WHOLE: 2})
    inside = kept.samples[80 - round(BEFORE_S * RATE) : 80 + round(AFTER_S * RATE)]
    planted = inside - inside[: round(BEFORE_S * RATE)].mean(axis=0)
    assert response.mean == pytest.approx(planted, abs=1e-5)
    model = RecordedModel(session)
    # The marks of a session whose markers came from another computer, at one of three events.
    session.__dict__["uncertain"] = {float(kept.times[90])}
    model._events = [Event(float(kept.times[at]), "7", 7) for at in (80, 90, 100)]
    assert [one.count for one in model.evoked()] == [2]
    assert model.events_left_out() == {"uncertain time": 1}
    assert sight.curve("x", float(kept.times[99]) + 0.2 / RATE).values == pytest.approx(kept.samples[:100])
    assert len(sight.curve("x", float(kept.times[-1])).times) == min(ALL, SIDE_SAMPLES)


def row(kind: str, time: float, count: int = 0, source: str = "stream", detail: str = "") -> dict[str, str]:
    values = {
        "source": source,
        "kind": kind,
        "first": "9",
        "count": str(count),
        "time": str(time),
        "value": "nan",
    }
    return values | {"detail": detail}


def test_marks_add_up_to_the_time_and_the_worst_of_the_newest_are_alarms() -> None:
    marks = RecordedMarks(
        [
            row("skipped", 20.0, 3, "decode"),
            row("gap", 10.0, 5),
            row("restart", 12.0, 1, "supervisor", "decode died with exit status -9"),
            row("restart", 19.0, 2, "supervisor", "decode hung: no heartbeat for 3.0 s"),
            row("marker_offset", 19.5),
            row("gap", math.nan, 1000),
        ]
    )
    assert marks.restarts(11.0) == {}
    assert marks.restarts(19.0) == {"decode": 2}
    assert marks.count(("gap", "skipped"), 19.9) == 5
    assert marks.count(("gap", "skipped"), 20.0) == 8
    alarms = marks.alarms(20.0)
    assert [(alarm.line.partition(",")[0], alarm.urgent) for alarm in alarms] == [
        ("stream: gap", True),
        ("decode: skipped", False),
        ("supervisor: restart", False),
        ("supervisor: restart", False),
    ]
    assert alarms[2].what == "decode hung: no heartbeat for 3.0 s"
    assert marks.alarms(20.0 + RECENT_S + 0.1) == []


def test_what_the_operator_did_is_listed_and_is_no_trouble(model: RecordedModel) -> None:
    seen = next(place for place, shown in enumerate(model._shown) if shown["kind"] == "frame")
    at = float(model._flips[seen]) + 0.001
    model._marks = RecordedMarks([row("command", at - 0.5, source="rig", detail="mark: a sip of water")])
    model.seek(at)
    moment = model.moment()
    assert [(alarm.line, alarm.what, alarm.urgent) for alarm in moment.alarms] == [
        ("rig: command, 0.5 s before", "mark: a sip of water", False)
    ]
    assert (moment.banner.level, moment.banner.title) == (Tone.GOOD, "All was well")


def test_the_log_is_shown_up_to_the_time_counted_back_from_its_end(tmp_path: Path) -> None:
    end = datetime(2026, 11, 27, 18, 0, 10)
    said = [(30, "ready"), (20, "decode died"), (20, None), (0, "INFO ending: its end"), (-2, "done")]
    lines = [
        "  its last words"
        if words is None
        else f"{end - timedelta(seconds=ago):%Y-%m-%d %H:%M:%S},000 a INFO {words}"
        for ago, words in said
    ]
    (tmp_path / "log.txt").write_text("\n".join(lines) + "\n")
    log = RecordedLog(tmp_path / "log.txt")
    assert log.until(25.0) == lines[:1]
    assert log.until(19.9) == lines[:3]
    assert log.until(0.0) == lines
    assert log.until(100.0) == []
    assert RecordedLog(tmp_path / "gone.txt").until(5.0) == []


def test_a_latent_that_was_shown_is_drawn_again_by_the_generator_that_drew_it(
    kept: Kept, tmp_path: Path
) -> None:
    first, second = (
        tiny_bundle(tmp_path / name, latent=latent, height=9, width=7)
        for name, latent in (("one", 3), ("two", 4))
    )
    session = RecordedSession.read(kept.folder)
    experiment = {"drawn_by": str(first.folder), "also_drawn_by": str(second.folder)}
    session.__dict__["config"] = {**session.config, "experiment": experiment}
    hashes = {"drawn_by": {"hash": first.hash}, "also_drawn_by": {"hash": "another"}}
    session.__dict__["environment"] = {**session.environment, **hashes}
    model = RecordedModel(session)
    latent = [0.5, -0.5, 0.25]
    model._trials = [
        {"trial": "0", "name": "cma-0-0", "stimulus_latent": json.dumps(latent)},
        {"trial": "1", "name": "cma@2-0-0", "stimulus_latent": json.dumps([*latent, 0.0])},
    ]
    drawn = model._stimulus_picture({"trial": "0"})
    assert drawn is not None
    assert np.array_equal(drawn, Artist(first)(np.array([latent], np.float32))[0])
    assert model._stimulus_picture({"trial": "1"}) is None, "the second is another bundle now"

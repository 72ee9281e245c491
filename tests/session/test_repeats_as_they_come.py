"""A session that reads repeats of a stimulus as the mean so far, with its faults: gap, deaths, an aborted trial."""

from pathlib import Path

import numpy as np
import pytest
from planted_parts import recovered_session

from bci.config.session import parse_session
from bci.decoder.bundle import Bundle
from bci.decoder.cut import LiveCutter, LiveRings
from bci.decoder.epoch_cut import EpochCut
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.spec import EpochSpec
from bci.errors import ConfigError
from bci.memory.events import event_columns
from bci.memory.marks import mark_columns
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.session.recorded import RecordedSession
from bci.session.reproduce import Feed, reproduce
from bci.signal.clock import ManualClock
from bci.signal.pipeline import Pipeline
from bci.signal.types import EVENT_DTYPE, Event, Signal, Window, event_record
from models.sessions.evaluate import evaluate_session
from models.sessions.readings import known_latents, read_trials, score

#: In each stretch between two resets (a gap after trial 2, a decoder that dies before trial 6) a stimulus comes twice.
STIMULI = (0, 0, 2, 3, 1, 1, 2, 2)
REPEATS = {0: 1, 1: 2, 3: 1, 4: 1, 5: 2, 6: 1, 7: 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recovered_session(tmp_path_factory.mktemp("repeats") / "session", STIMULI, "mean")


def single_epochs(folder: Path) -> dict[int, Window]:
    """Return the epoch of each trial by itself."""
    session = RecordedSession.read(folder)
    bundle, decoding = Bundle.load(session.ran().bundle), session.decoding()
    signal = session.signal()
    cutter = bundle.cut.recorded(signal, bundle.adapt(signal, session.run), decoding.events, decoding.epochs)
    windows = [window for chunk in Feed(session) for window in cutter.push(chunk)]
    return {window.event.trial: window for window in windows if window.event is not None}


def test_each_repeat_was_read_as_the_mean_of_its_trials_since_the_last_reset(folder: Path) -> None:
    session = RecordedSession.read(folder)
    frames = {frame.event.trial: frame for frame in session.frames if frame.event is not None}
    assert {trial: frame.repeats for trial, frame in frames.items()} == REPEATS
    assert not frames[3].valid, "a trial whose channels were off has no mean"
    epochs = single_epochs(folder)
    decoder = OnnxDecoder(Bundle.load(session.ran().bundle), clock=ManualClock(0.0))
    for trials in ((0, 1), (4, 5), (6, 7)):
        batch = np.mean([epochs[trial].samples for trial in trials], axis=0, dtype=float)
        expected = decoder.raw(batch.astype("f4"))["latent"][0]
        np.testing.assert_allclose(frames[trials[1]].latent, expected, rtol=1e-5, atol=1e-6)


def test_it_reproduces_itself_to_the_bit(folder: Path) -> None:
    result = reproduce(folder)
    assert result["reproduced"]
    assert result["equal"] == result["frames"] == len(REPEATS)
    assert result["shown_equal"] == result["shown"] > 0


def test_a_decoder_that_runs_the_samples_of_a_dead_one_again_knows_its_means() -> None:
    signal = Signal("rows", 10.0, (4,), (), "uV")
    samples = np.random.default_rng(2).standard_normal((60, 4)).astype("f4")
    times, bad = np.arange(60) / 10.0, np.zeros((30, 4), bool)
    stream = Stream.private(signal, 60.0)
    cut = EpochCut(EpochSpec(start=0.0, stop=0.5, markers=".*"), signal, Pipeline()).averaging(0.5)
    events = Ring.private(event_columns(), 64, 16)
    for second in range(1, 6):
        record = event_record(Event(float(second), "cat", raw=float(second)))
        events.write(event=np.array([record], EVENT_DTYPE))
    halves = [
        Window(
            signal, at, samples[at : at + 30], times[at : at + 30], bad, at + 29, reset="" if at else "start"
        )
        for at in (0, 30)
    ]

    def begin() -> LiveCutter:
        rings = LiveRings(Ring.private(mark_columns(), 64, 16), events)
        return cut.live(stream, Pipeline(), rings)

    whole, dead, successor = begin(), begin(), begin()
    expected = [window for half in halves for window in whole.push(half)]
    list(dead.push(halves[0]))
    successor.retrace(halves[0])
    after = list(successor.push(halves[1]))
    assert [window.repeats for window in expected] == [1, 2, 3, 4, 5]
    assert [window.repeats for window in after] == [3, 4, 5]
    for one, other in zip(expected[2:], after, strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_its_score_and_its_page_say_how_many_trials_were_read_together(folder: Path, tmp_path: Path) -> None:
    scores = score(read_trials(folder), known_latents(folder.parent / "faces"))
    assert {row["repeats"]: row["trials"] for row in scores["by_repeats"]} == {1: 2, 2: 2}
    assert (
        "running means of 1 to 2 trials"
        in evaluate_session(folder, tmp_path / "report", permutations=50)["test"]["read_of"]
    )
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Repeats, averaged as they came" in page
    assert "single trials of" not in page


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"decoder": {"repeats": "mean", "adaptation": {}}}, "learn from it each time"),
        (
            {"decoder": {"repeats": "mean"}, "experiment": {"protocol": "expected_information"}},
            "adds up trials itself",
        ),
    ],
)
def test_what_would_count_a_trial_twice_is_refused(section: dict, words: str) -> None:
    values = {"name": "twice", "stream": {"source_id": "amp"}} | section
    values["decoder"] = {"bundle": "hyper-insilico"} | section["decoder"]
    with pytest.raises(ConfigError, match=words):
        parse_session(values, Path(), "twice.toml")


def test_sliding_windows_belong_to_no_stimulus() -> None:
    with pytest.raises(ConfigError, match="expected a bundle that decodes epochs"):
        Bundle.load("models/bundles/alpha").reading("mean")

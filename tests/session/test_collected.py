"""A session without a decoder: what its tables and its recording tell, and what is refused of it."""

from pathlib import Path

import numpy as np
import pytest
from commands import call
from PIL import Image
from planted_collection import EVERY_S, FIRST_S, RATE, START, collected_session, flips, pictures

from bci.errors import RecordingError
from bci.session.events_table import write_events
from bci.session.latency import latency_table, stimulus_wait
from bci.session.recorded import RecordedSession
from bci.session.sample_times import sample_times


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collected")
    return collected_session(folder / "session", pictures(folder / "pets"), 12, aborted=(3,))


def test_samples_have_the_times_of_the_recording_on_the_rigs_clock(session: Path) -> None:
    times = sample_times(RecordedSession.read(session))
    assert times is not None
    # The sender's clock is 7.5 s ahead, and its stamps are up to 4 ms late, 2 ms in the mean.
    assert times.first == pytest.approx(START + 0.002, abs=5e-4)
    for place in (0, 77, 500):
        assert times.sample_at(START + 0.003 + place / RATE) == place + 1


def test_a_hole_of_the_recording_shifts_no_time_behind_it(tmp_path: Path) -> None:
    session = collected_session(tmp_path / "session", pictures(tmp_path / "pets"), 12, gap_at=4.0)
    times = sample_times(RecordedSession.read(session))
    assert times is not None
    # 0.3 s were never sent, so the count of a later sample is 30 less.
    for at in (6.0, 7.0):
        assert times.sample_at(START + at + 0.003) == round(at * RATE) + 1 - 30


def test_events_of_a_session_that_collects_have_onsets_and_samples(session: Path) -> None:
    assert write_events(session)["events"] == 12
    rows = [line.split("\t") for line in (session / "events.tsv").read_text().splitlines()]
    events = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    onsets = np.array([float(event["onset"]) for event in events])
    np.testing.assert_allclose(onsets, FIRST_S + EVERY_S * np.arange(12) + 0.0013 - 0.002, atol=5e-4)
    assert {event["read"] for event in events} == {"n/a"}
    assert events[3]["ending"] == "aborted"
    assert events[0]["stim_file"].startswith("pets/")


def test_trials_say_what_was_shown_and_that_nothing_was_read(session: Path) -> None:
    recorded = RecordedSession.read(session)
    assert recorded.collects
    assert (recorded.feeds, recorded.frames, recorded.table("frames")) == ([], [], [])
    trials = recorded.trials()
    assert [trial.flip for trial in trials] == pytest.approx(list(flips(12)))
    assert {trial.left_out for trial in trials} == {"not decoded", "aborted"}
    with pytest.raises(RecordingError, match="holds no reconstructions: its session file names no decoder"):
        recorded.ran()


def test_its_latency_is_that_of_its_stimuli(session: Path) -> None:
    assert all(stage["n"] == 0 for stage in latency_table(session).values())
    waited = stimulus_wait(session)
    assert (waited["n"], waited["p50"]) == (11, pytest.approx(4.0, abs=0.01))
    done = call("latency", str(session), "--json")
    assert done.status == 0
    assert "nothing was decoded" in done.words
    assert done.result["stimulus_wait_ms"]["n"] == 11
    assert not (session / "latency.png").exists()


def test_it_is_not_scored(session: Path) -> None:
    done = call("evaluate", str(session))
    assert done.status == 2
    assert "holds no reconstructions" in done.words


def test_reproduce_verifies_the_recording_and_the_pictures(tmp_path: Path) -> None:
    stimuli = pictures(tmp_path / "pets")
    session = collected_session(tmp_path / "session", stimuli, 12)
    done = call("reproduce", str(session), "--json")
    assert (done.status, done.result["pictures"], done.result["pictures_equal"]) == (0, 12, 12)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stimuli / "dogs" / "00.png")
    done = call("reproduce", str(session), "--json")
    assert (done.status, done.result["pictures_equal"]) == (3, 9)
    assert done.result["pictures_changed"] == ["dogs/00"]
    assert "dogs/00" in done.words


def test_reproduce_says_that_a_recording_is_damaged(tmp_path: Path) -> None:
    session = collected_session(tmp_path / "session", pictures(tmp_path / "pets"), 12)
    recording = session / "recording.xdf"
    content = bytearray(recording.read_bytes())
    content[len(content) // 2] ^= 0xFF
    recording.write_bytes(content)
    done = call("reproduce", str(session), "--json")
    assert (done.status, done.result["sound"]) == (3, False)

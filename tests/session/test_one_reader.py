"""Everything that reads a session's folder agrees on what is in it, also where programs died and in old folders."""

import csv
import itertools
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted_parts import DELAY, FLIPS, LEFT_OUT, READ, STIMULI, VALID, before_events, recovered_session

from bci.cli.session_score import score_session
from bci.config.session import SessionConfig
from bci.control.certify.figures import decode_again
from bci.control.certify.traces import Coverage, Traces
from bci.errors import BundleMismatch, RecordingError
from bci.io.files.checksums import sums_path
from bci.session.latency import latency_table, response_wait
from bci.session.onset import true_onset
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce
from bci.session.scrambled import scramble
from bci.signal.pipeline import Pipeline
from bci.signal.types import INTERVALS
from models.datasets.epochs import usable_epochs
from models.datasets.session_settings import SessionsSettings
from models.datasets.sessions import open_sessions
from models.sessions.evaluate import evaluate_session
from models.sessions.readings import count_left_out, drawn_latents, known_latents, read_trials

SAMPLES, CHANGES = 1296, 19


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recovered_session(tmp_path_factory.mktemp("made") / "session")


@pytest.fixture(scope="module", params=["as it is", "before events"])
def session(request: pytest.FixtureRequest, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session of three parts, and one such as was recorded before reconstructions knew their events."""
    if request.param == "as it is":
        return made
    folder = tmp_path_factory.mktemp("old") / "session"
    shutil.copytree(made, folder)
    before_events(folder)
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    shutil.copytree(made, tmp_path / "session")
    return tmp_path / "session"


def raw_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_planted_folder_is_as_torn_as_it_says(made: Path) -> None:
    names = {path.name for path in made.iterdir()}
    assert {"recording.xdf.partial", "recording-2.xdf.partial", "recording-3.xdf", "trials-2.csv"} <= names
    assert not (made / "frames.csv").read_bytes().endswith(b"\r\n")
    assert not (made / "trials.csv").read_bytes().endswith(b"\r\n")
    assert raw_rows(made / "frames-2.csv")[-1] == raw_rows(made / "frames-3.csv")[0]
    assert sum(len(raw_rows(path)) for path in made.glob("marks*.csv")) > 30


def test_every_row_stands_once_in_its_order(session: Path) -> None:
    recorded = RecordedSession.read(session)
    assert [row["frame"] for row in recorded.table("frames")] == [str(i) for i in range(7)]
    assert [row["change"] for row in recorded.table("shown")] == [str(i) for i in range(CHANGES)]
    assert [row["trial"] for row in recorded.table("trials")] == [str(i) for i in range(8)]
    assert Counter((mark["source"], mark["kind"]) for mark in recorded.table("marks")) == {
        ("decode", "pipeline_reset"): 3, ("decode", "epoch"): 7, ("decode", "epoch_lost"): 1,
        ("stream", "clock_offset"): 1, ("stream", "gap"): 1, ("stream-2", "clock_offset"): 1, ("rig", "restart"): 2,
    }  # fmt: skip
    assert recorded.summary is None
    assert recorded.simulated


def test_each_trial_says_what_was_shown_and_what_was_read_of_it(session: Path) -> None:
    trials = RecordedSession.read(session).trials()
    assert [trial.number for trial in trials] == list(range(8))
    assert [trial.stimulus for trial in trials] == list(STIMULI)
    assert [trial.flip for trial in trials] == FLIPS.tolist()
    assert [trial.number for trial in trials if trial.ending == "aborted"] == [4, 5]
    assert [trial.number for trial in trials if trial.frame is not None] == list(VALID)
    assert [trial.left_out for trial in trials] == [
        "", "", "no epoch", "invalid", "aborted", "aborted", "", "",
    ]  # fmt: skip
    assert [trial.lost for trial in trials] == ["", "", "gap", "", "", "", "", ""]
    assert [trial.number for trial in trials if trial.late] == [7]
    for trial in trials:
        for frame in trial.frames:
            # The epoch begins five samples after its flip's.
            assert frame.event is not None
            assert (frame.event.raw, frame.event.trial) == (trial.flip, trial.number)
            assert frame.stamps["data"] == pytest.approx(trial.flip + 0.24, abs=0.006)
    assert trials[0].latent is not None
    assert np.array_equal(
        trials[0].latent, json.loads(RecordedSession.read(session).table("trials")[0]["latent"])
    )


def test_what_was_read_is_paired_with_its_stimulus_and_never_by_rows(session: Path) -> None:
    readings = read_trials(session)
    assert [reading.name for reading in readings] == [f"face-{STIMULI[k]}" for k in READ]
    frames = RecordedSession.read(session).frames
    assert [reading.latent.tolist() for reading in readings] == [
        frames[i].latent.tolist() for i in (0, 1, 5, 6)
    ]
    assert count_left_out(RecordedSession.read(session).trials()) == LEFT_OUT


def test_latencies_count_every_part(session: Path) -> None:
    table = latency_table(session)
    for name, (_, stop) in INTERVALS.items():
        assert table[name]["n"] == (3 if stop in ("taken", "flipped") else len(VALID))
    waited = response_wait(session)
    assert waited["n"] == 7
    assert 230 < waited["p50"] < 245


def test_it_reproduces_itself_to_the_bit_and_can_be_scrambled(session: Path) -> None:
    result = reproduce(session)
    assert result["reproduced"], result
    assert (result["frames"], result["equal"], result["missing"], result["unrecorded"]) == (7, 7, 0, 0)
    assert result["shown"] == result["shown_equal"] == 3
    scrambled = scramble(session, 3)
    assert len(scrambled.readings) + scrambled.lost == 7


def test_light_is_found_over_all_parts_of_the_recording(session: Path) -> None:
    onset = true_onset(session)
    assert (len(onset.offsets), onset.unmatched, onset.stray, onset.outside) == (CHANGES, 0, 0, 0)
    assert np.all(np.abs(onset.offsets - DELAY) < 0.002)


def test_certification_sees_the_same(session: Path) -> None:
    traces = Traces(session)
    assert (len(traces.frames), len(traces.shown), len(traces.marks), len(traces.parts)) == (
        7,
        CHANGES,
        16,
        3,
    )
    assert traces.coverage == Coverage(SAMPLES, ())
    assert traces.offsets.tolist() == [[5000.0, -7.5]]


def test_a_recovered_session_is_scored(session: Path, tmp_path: Path) -> None:
    report = evaluate_session(session, tmp_path / "report", permutations=20)
    assert (report["trials"], report["left_out"], report["latency"]["decode"]["n"]) == (4, LEFT_OUT, 6)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "2 aborted, 1 invalid, 1 no epoch" in page
    config = SessionConfig.model_validate(
        {
            "name": "recovered",
            "source": {"kind": "simulate"},
            "decoder": {"bundle": "b"},
            "experiment": RecordedSession.read(session).config["experiment"],
        }
    )
    scored = score_session(config, session)
    assert (scored["trials"], scored["left_out"], scored["two_way"]) == (4, LEFT_OUT, report["two_way"])


def test_its_samples_become_trials_and_a_new_recorder_is_no_gap(session: Path) -> None:
    stretches = list(RecordedSession.read(session).stream().stretches())
    assert [(stretch.first, stretch.reset) for stretch in stretches if stretch.reset] == [
        (0, "start"),
        (415, "gap"),
    ]
    assert sum(len(stretch.samples) for stretch in stretches) == SAMPLES
    (opened,) = open_sessions(SessionsSettings(sessions=(session.name,)), session.parent)
    recording, left_out = opened.recording, Counter(opened.left_out)
    cut = usable_epochs(recording, Pipeline(), recording.markers, left_out, start=0.05, stop=0.25)
    # One lies beside the hole between two recorders; in another a sample is masked.
    assert (len(list(cut)), left_out) == (4, {"aborted": 2, "gap": 1, "bad": 1})
    assert recording.segments == ((0, 415), (415, SAMPLES))
    assert recording.simulated


def test_samples_are_found_by_role_source_or_name_over_all_parts(made: Path) -> None:
    recorded = RecordedSession.read(made)
    assert (
        recorded.signal()
        == recorded.signal("stream")
        == recorded.signal("amp-1")
        == recorded.signal("planted")
    )
    assert recorded.signal("stream-2").rate == recorded.signal("diode-1").rate == 1000.0
    for name, expected in ((None, SAMPLES), ("stream-2", 13563)):
        edges = [(first, first + len(samples)) for first, samples in recorded.pieces(name)]
        assert (edges[0][0], edges[-1][1]) == (0, expected)
        assert all(a == b for (_, a), (b, _) in itertools.pairwise(edges))
    with pytest.raises(
        RecordingError, match=r"'amp-7' was expected .* which holds stream, stream-2, markers"
    ):
        recorded.stream("amp-7")


# -- old folders -----------------------------------------------------------------------------------------


def test_an_old_folder_whose_bundle_has_gone_is_read_as_far_as_its_samples_tell(copy: Path) -> None:
    before_events(copy)
    config = json.loads((copy / "config.json").read_text())
    config["decoder"]["bundle"] = str(copy / "nowhere")
    (copy / "config.json").write_text(json.dumps(config))
    assert [reading.name for reading in read_trials(copy)] == [f"face-{STIMULI[k]}" for k in READ]
    for path in copy.glob("frames*.csv"):
        lines = path.read_bytes().split(b"\r\n")
        path.write_bytes(b"\r\n".join(lines[:2] if path.name == "frames.csv" else lines[:1]) + b"\r\n")
    with pytest.raises(RecordingError, match=r"Put the bundle back"):
        read_trials(copy)


def test_an_old_folder_without_its_table_of_trials_still_reproduces(copy: Path) -> None:
    before_events(copy)
    for path in copy.glob("trials*.csv"):
        path.unlink()
    assert reproduce(copy)["reproduced"]
    with pytest.raises(RecordingError, match=r"trials\.csv is missing or empty: .* 8 stimuli were shown"):
        RecordedSession.read(copy).trials()


# -- what is missing -------------------------------------------------------------------------------------


def test_a_part_whose_recorder_was_killed_while_it_started_is_empty(copy: Path) -> None:
    (copy / "recording-4.xdf.partial").write_bytes(b"XDF:")
    (copy / "marks-4.csv").write_bytes((copy / "marks.csv").read_bytes().split(b"\r\n")[0] + b"\r\n")
    recorded = RecordedSession.read(copy)
    assert (len(recorded.table("frames")), len(recorded.table("marks"))) == (7, 16)
    sums_path(copy / "recording-4.xdf").write_bytes(b"")
    assert recorded.stream().coverage() == Coverage(SAMPLES, ())
    (copy / "recording-5.xdf.partial").touch()
    assert RecordedSession.read(copy).stream().coverage() == Coverage(SAMPLES, ())
    assert len(RecordedSession.read(copy).table("shown")) == CHANGES


@pytest.mark.parametrize("name", ["frames-2.csv", "shown.csv", "marks-3.csv"])
def test_a_table_that_is_gone_from_a_part_that_holds_something_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    number = {"frames-2.csv": 2, "shown.csv": 1, "marks-3.csv": 3}[name]
    with pytest.raises(RecordingError, match=rf"{name} is missing: part {number} .* Put it back"):
        RecordedSession.read(copy).table(name.partition(".")[0].partition("-")[0])


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.config, r"there is no file .*config\.json"),
        (lambda s: s.bundle(), r"there is no file"),
        (lambda s: s.table("frames"), r"frames\.csv is missing"),
        (lambda s: s.stream().coverage(), r"holds no recording"),
    ],
)
def test_what_a_folder_does_not_hold_is_said(
    tmp_path: Path, ask: Callable[[RecordedSession], object], words: str
) -> None:
    with pytest.raises(RecordingError, match=words):
        ask(RecordedSession(tmp_path))
    with pytest.raises(RecordingError, match=r"is not a whole session: .*`bci run` or `bci demo`"):
        RecordedSession.read(tmp_path)


def test_another_bundle_than_the_one_that_ran_is_refused(copy: Path) -> None:
    environment = json.loads((copy / "environment.json").read_text())
    environment["bundle"]["hash"] = "0" * 64
    (copy / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(BundleMismatch, match=r"ran bundle 000000000000, .* holds"):
        RecordedSession.read(copy).bundle()


# -- several decoders ------------------------------------------------------------------------------------


def test_another_decoder_has_tables_and_marks_of_its_own(copy: Path) -> None:
    for number in ("", "-2", "-3"):
        shutil.copy(copy / f"frames{number}.csv", copy / f"frames.alpha_2{number}.csv")
    (copy / "frames.alpha_2-3.csv").write_bytes(
        (copy / "frames-3.csv").read_bytes().split(b"\r\n")[0] + b"\r\n"
    )
    with (copy / "marks-3.csv").open("ab") as file:
        file.write(b"decode:alpha_2,pipeline_reset,5,0,5001.0,nan,start\r\n")
    recorded = RecordedSession.read(copy)
    assert recorded.decoders == ["alpha_2"]
    # The row that was planted in part 2 as well stands in no other part of this decoder's table.
    assert [len(recorded.frames_of(name)) for name in (None, "alpha_2")] == [7, 7]
    assert recorded.decoding("alpha_2").resets == {5: "start"}
    assert recorded.decoding("alpha_2").epochs == []
    assert set(recorded.resets) == {0, 415, 893}
    config = json.loads((copy / "config.json").read_text())
    one = config["decoder"]
    config["decoder"] = [one | {"name": "left"}, one | {"name": "alpha_2", "stream": "other"}]
    config["stream"] = [{"name": "main"}, {"name": "other"}]
    (copy / "config.json").write_text(json.dumps(config))
    environment = json.loads((copy / "environment.json").read_text())
    environment["decoders"] = {"alpha_2": {"bundle": {"hash": "ab"}, "decoder": {"provider": "none"}}}
    (copy / "environment.json").write_text(json.dumps(environment))
    named = RecordedSession.read(copy)
    assert len(named.frames_of("left")) == 7
    assert (named.ran("left").stream, named.ran().hash) == (None, environment["bundle"]["hash"])
    second = named.ran("alpha_2")
    assert (second.stream, second.hash, second.environment["decoder"]) == (
        "other",
        "ab",
        {"provider": "none"},
    )
    assert (named.driver, named.feeds) == (None, [None])
    config["display"] = {"decoders": {}} | config.get("display", {})
    config["display"]["decoders"] = {"imagery": "alpha_2", "training": "left"}
    (copy / "config.json").write_text(json.dumps(config))
    by_turns = RecordedSession.read(copy)
    assert by_turns.feeds == [None, "alpha_2"]
    assert [by_turns.feed_of(phase) for phase in ("imagery", "training", "")] == ["alpha_2", None, None]
    # Rows from before the display could have several decoders name none: it was the driver's.
    assert [by_turns.fed_by(row) for row in ({}, {"decoder": ""}, {"decoder": "alpha_2"})] == [
        None,
        None,
        "alpha_2",
    ]
    with pytest.raises(
        RecordingError, match=r"bundle of decoder 'right' was expected.* it ran left, alpha_2"
    ):
        named.ran("right")
    with pytest.raises(ValueError, match="a letter first; '2nd' came"):
        recorded.table("frames", "2nd")


def test_every_decoder_is_reproduced_by_its_own_marks(copy: Path) -> None:
    for number in ("", "-2", "-3"):
        shutil.copy(copy / f"frames{number}.csv", copy / f"frames.twin{number}.csv")
        marks = (copy / f"marks{number}.csv").read_bytes()
        own = [row for row in marks.splitlines(keepends=True) if row.startswith(b"decode,")]
        (copy / f"marks{number}.csv").write_bytes(marks + b"".join(b"decode:twin" + row[6:] for row in own))
    for name, change in (("config.json", "decoder"), ("environment.json", "decoders")):
        facts = json.loads((copy / name).read_text())
        if change == "decoder":
            facts["decoder"] = [facts["decoder"] | {"name": name} for name in ("main", "twin")]
        else:
            facts["decoders"] = {"twin": {key: facts[key] for key in ("bundle", "decoder")}}
        (copy / name).write_text(json.dumps(facts))
    twin = reproduce(copy, decoder="twin")
    assert (twin["reproduced"], twin["equal"], twin["shown"]) == (True, 7, 0)
    assert decode_again(copy)["wrong"] == 0
    for path in copy.glob("marks*.csv"):
        rows = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(
            b"".join(row for row in rows if not row.startswith(b"decode:twin,pipeline_reset,893"))
        )
    assert not reproduce(copy, decoder="twin")["reproduced"]
    assert reproduce(copy)["reproduced"]
    assert decode_again(copy)["wrong"] > 0


# -- events of other programs ----------------------------------------------------------------------------


def test_a_stimulus_that_no_experiment_showed_is_a_trial_without_a_number(copy: Path) -> None:
    table = copy / "frames-3.csv"
    rows = raw_rows(table)
    other = {
        "frame": "7",
        "event": "stimulus 9 word",
        "event_raw": "5020.5",
        "event_time": "5020.6",
        "trial": "-1",
    }
    silent = {"frame": "8", "event": "response", "event_raw": "5021.5", "event_time": "5021.6", "trial": "-1"}
    with table.open("a", newline="") as file:
        csv.DictWriter(file, list(rows[0])).writerows([rows[-1] | other, rows[-1] | silent])
    trials = RecordedSession.read(copy).trials()
    assert len(trials) == 9
    last = trials[-1]
    assert (last.number, last.stimulus, last.name, last.flip, last.ending) == (-1, 9, "word", 5020.6, "")
    assert last.left_out == ""
    assert not last.late
    assert math.isfinite(last.confidence)


def test_pictures_that_a_generator_drew_meanwhile_are_scored_by_the_latents_in_the_table(
    copy: Path, tmp_path: Path
) -> None:
    by_folder = evaluate_session(copy, tmp_path / "one", permutations=20)
    session = RecordedSession.read(copy)
    latents = known_latents(Path(session.experiment()["folder"]))
    for path in copy.glob("trials*.csv"):
        rows = raw_rows(path)
        for row in rows:
            row["stimulus_latent"] = (
                json.dumps(latents[row["name"]].tolist()) if row["name"] in latents else ""
            )
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["experiment"] = {"protocol": "latents"}
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    drawn = evaluate_session(copy, tmp_path / "two", permutations=20)
    assert drawn["trials"] == by_folder["trials"] == 4
    assert drawn["two_way"] == by_folder["two_way"]
    with pytest.raises(
        RecordingError, match=r"expected pictures of 7 latents, as was read, came those of \d"
    ):
        drawn_latents(RecordedSession.read(copy), 7)

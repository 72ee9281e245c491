"""The table of a session's events says what was on the screen when, at which sample, and how it was answered."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.session import sample_times as module
from bci.session.detection import detect
from bci.session.events_table import write_events
from bci.session.recorded import RecordedSession
from bci.session.sample_times import sample_times
from bci.session.tables import FRAME_FIELDS, MARK_FIELDS, MARKER_FIELDS, SHOWN_FIELDS
from stimuli.trial_table import FIELDS, READING_FIELDS

#: The first sample was at 100 s of the session's clock, 250 a second; the amplifier's clock runs fast by 40 ppm.
FIRST, STEP = 100.0, (1 - 40e-6) / 250
EXPERIMENT = {
    "protocol": "perception", "keys": {"answers": ["space"]}, "answer_within_s": 1.0,
    "fixation_task": {"answer_within_s": 0.8},
}  # fmt: skip
#: Trial: stimulus, name, ending, flip, end, type, answers.
TRIALS: list[tuple[int, str, str, float, float, str, list[float]]] = [
    (4, "face-4", "shown", 110.004, 110.504, "stimulus", []),
    (4, "face-4", "shown", 112.0, 112.5, "catch", [112.62]),
    (1, "face-1", "paused", 114.0, 114.1, "stimulus", []),
    (1, "face-1", "shown", 130.0, 130.5, "stimulus", [129.9]),
    (1, "face-1", "shown", 132.0, 132.5, "catch", []),
]


def write(path: Path, fields: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fields, restval="")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode())


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"decoder": {"bundle": "b"}, "experiment": EXPERIMENT}))
    (tmp_path / "environment.json").write_text(json.dumps({"bundle": {"hash": "0" * 64}}))
    frames = [
        {"frame": k, "first": last - 99, "last_sample": last, "latent": "[0.5]", "data": FIRST + last * STEP}
        for k, last in enumerate(range(99, 15_099, 25))
    ]
    write(tmp_path / "frames.csv", FRAME_FIELDS, frames)
    flips = [{"kind": "fixation", "flip": 100.5, "trial": -1, "frame": -1}]
    trials = []
    for number, (stimulus, name, ending, flip, end, kind, answers) in enumerate(TRIALS):
        shown = {"trial": number, "frame": stimulus, "reason": name}
        flips.append(shown | {"kind": "stimulus", "flip": flip})
        if number == 0:
            flips.append(shown | {"kind": "update", "flip": flip + 0.2})
        flips.append({"kind": "fixation", "flip": end, "trial": -1, "frame": -1})
        trials.append(
            {
                "trial": number, "stimulus": stimulus, "name": name, "ending": ending, "type": kind, "onset": flip,
                "latent": "[0.75]" if number in (0, 1, 3) else "", "confidence": 0.9 if number in (0, 1, 3) else "nan",
                "file": f"faces/{name}.png", "answers": json.dumps([["space", time] for time in answers] or []),
            }
        )  # fmt: skip
    write(tmp_path / "shown.csv", SHOWN_FIELDS, [{"change": k} | flip for k, flip in enumerate(flips)])
    write(tmp_path / "marks.csv", MARK_FIELDS, [])
    write(tmp_path / "trials.csv", FIELDS, trials)
    readings = [{"trial": 4, "outcome": "", "confidence": 0.5, "latent": "[0.25]"}]
    write(tmp_path / "readings.csv", READING_FIELDS, readings)
    orders = [(114.1, "pause", "key p", 2), (129.0, "resume", "order", 3)]
    write(
        tmp_path / "controls.csv",
        ("time", "order", "by", "trial"),
        [dict(zip(("time", "order", "by", "trial"), row, strict=True)) for row in orders],
    )
    responses = [
        (112.62, "key space"), (129.9, "key space"), (131.0, "fixation changed"), (131.3, "fixation back"),
        (131.5, "key space"), (135.0, "fixation changed"), (135.3, "fixation back"), (140.0, "key p"),
    ]  # fmt: skip
    (tmp_path / "responses.csv").write_text(
        "time,event,trial\n" + "".join(f"{time},{event},0\n" for time, event in responses)
    )
    return tmp_path


def events(folder: Path) -> list[dict[str, str]]:
    return list(
        csv.DictReader(io.StringIO((folder / "events.tsv").read_text(encoding="utf-8")), delimiter="\t")
    )


def test_the_table_holds_trials_answers_changes_and_orders_in_order_of_time(session: Path) -> None:
    summary = write_events(session)
    rows = events(session)
    assert summary == {
        "events": 12,
        "catch": {"hits": 1, "misses": 1, "median_response_s": pytest.approx(0.62)},
        "fixation_task": {"hits": 1, "misses": 1, "median_response_s": pytest.approx(0.5)},
        "false_alarms": 1,
    }
    onsets = [float(row["onset"]) for row in rows]
    assert onsets == sorted(onsets)
    # Onsets count from the first sample; the recording's clock says which sample that is.
    assert onsets[0] == pytest.approx(10.004, abs=1e-5)
    assert [row["trial_type"] for row in rows] == [
        "stimulus", "catch", "response", "stimulus", "pause", "resume", "response", "stimulus", "fixation_change",
        "response", "catch", "fixation_change",
    ]  # fmt: skip
    for row in rows:
        assert int(row["sample"]) == math.ceil(round(float(row["onset"]) / STEP, 3))
    first, caught, key, paused, pause = rows[:5]
    assert (first["duration"], first["value"], first["name"]) == ("0.5", "4", "face-4")
    assert first["stim_file"] == "faces/face-4.png"
    assert (first["read"], first["confidence"], first["response_time"]) == ("0.75", "0.9", "n/a")
    # What is read after its trial was over is read all the same.
    assert [(row["read"], row["confidence"]) for row in rows if row["trial"] == "4"] == [("0.25", "0.5")]
    assert float(caught["response_time"]) == pytest.approx(0.62)
    assert (key["duration"], key["name"], key["value"]) == ("0", "space", "n/a")
    assert (paused["ending"], paused["read"]) == ("paused", "n/a")
    assert (pause["name"], pause["trial"]) == ("key p", "2")
    assert [row["response_time"] for row in rows if row["trial_type"] == "fixation_change"] == ["0.5", "n/a"]
    described = json.loads((session / "events.json").read_text(encoding="utf-8"))
    assert set(rows[0]) <= set(described)
    assert described["onset"]["Units"] == "s"
    assert described["Experiment"]["protocol"] == "perception"
    assert described["Scores"]["false_alarms"] == 1


def test_the_times_of_samples_of_a_large_table_are_those_of_all_its_rows(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sample_times(RecordedSession.read(session))
    monkeypatch.setattr(module, "_WHOLE", 100)
    monkeypatch.setattr(module, "_ROWS", 20)
    some = sample_times(RecordedSession.read(session))
    assert whole is not None
    assert some is not None
    assert 15 <= len(some.counts) <= 20 < len(whole.counts)
    assert some.first == pytest.approx(FIRST, abs=1e-6)
    for time in np.arange(99.0, 170.0, 3.7):
        assert (
            some.sample_at(time)
            == whole.sample_at(time)
            == max(0, math.ceil(round((time - FIRST) / STEP, 3)))
        )


def test_a_session_without_reconstructions_has_events_without_a_place_among_the_samples(
    session: Path,
) -> None:
    write(session / "frames.csv", FRAME_FIELDS, [])
    write_events(session)
    assert {row["onset"] for row in events(session)} == {row["sample"] for row in events(session)} == {"n/a"}
    assert len(events(session)) == 12


def test_an_answer_counts_for_one_target_and_only_in_its_time() -> None:
    found = detect([1.0, 1.4, 9.0], [0.5, 1.6, 1.7, 10.1], within_s=1.0)
    assert found.response_times == (pytest.approx(0.6), pytest.approx(0.3), None)
    assert (found.hits, found.misses, sorted(found.answered)) == (2, 1, [1, 2])
    assert found.median_response_s == pytest.approx(0.45)
    assert detect([], [1.0], 1.0).median_response_s is None


def test_markers_of_another_computer_stand_in_the_table_with_what_their_time_may_be_wrong_by(
    session: Path,
) -> None:
    markers = [
        (0, 120.0, 7.25, 0.0004, "2"),
        (1, 121.0, 8.25, 0.02, "one\ttwo"),
        (2, 132.0, 132.0, 0.0, "stimulus 1 face-1"),  # the session's own display
    ]
    fields = ("source", "count", "time", "raw", "uncertainty", "text")
    rows = [dict(zip(fields, ("markers", *row), strict=True)) | {"code": 2 - row[0]} for row in markers]
    rows.append(rows[0] | {"source": "responses", "text": "key space"})
    write(session / "markers.csv", MARKER_FIELDS, rows)
    mark = {"source": "stream", "kind": "uncertain", "first": 0, "count": 0, "time": 121.0, "value": 0.02}
    write(session / "marks.csv", MARK_FIELDS, [mark])
    write_events(session)
    found = [row for row in events(session) if row["trial_type"] == "marker"]
    assert [(row["name"], row["uncertainty"], row["status"]) for row in found] == [
        ("2", "0.0004", "n/a"),
        ("one two", "0.02", "uncertain"),
    ]
    assert [row["value"] for row in found] == ["2", "1"]
    assert float(found[0]["onset"]) == pytest.approx(20.0, abs=1e-5)
    described = json.loads((session / "events.json").read_text(encoding="utf-8"))
    assert described["uncertainty"]["Units"] == "s"


def test_a_session_without_an_experiment_has_a_table_of_its_markers(session: Path) -> None:
    (session / "config.json").write_text(json.dumps({"decoder": {"bundle": "b"}}))
    for name in ("trials", "readings", "controls", "responses", "shown"):
        (session / f"{name}.csv").unlink()
    write(session / "shown.csv", SHOWN_FIELDS, [])
    row = dict(zip(MARKER_FIELDS, ("markers", 0, 120.0, 7.25, 0.0004, 2, "2"), strict=True))
    write(session / "markers.csv", MARKER_FIELDS, [row])
    assert write_events(session) == {"events": 1}
    assert [row["name"] for row in events(session)] == ["2"]

"""The latency table says what was planted in the tables, and nothing about what did not happen."""

import csv
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import call

from bci.errors import RecordingError
from bci.live.record import FRAME_FIELDS, SHOWN_FIELDS
from bci.session import latency
from bci.session.latency import latency_table, response_wait
from bci.session.latency_picture import bars, latency_figure, latency_picture
from bci.session.sample_times import SampleTimes
from bci.session.tables import MARK_FIELDS
from bci.signal.types import INTERVALS, STAGES, Signal

#: Planted stage stamps, seconds after the sample, of every frame.
OFFSETS = dict(zip(STAGES, (0.0, 0.001, 0.003, 0.007, 0.008, 0.012, 0.020), strict=True))


def write_table(path: Path, fields: tuple[str, ...], rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, restval="")
        writer.writeheader()
        writer.writerows(rows)


def first(i: int) -> int:
    """Return the count of the first sample of a frame."""
    return 10 * i + i * i % 7


def plant(folder: Path) -> None:
    """Write a session of 50 frames, 10 of them invalid, every fourth of them shown."""
    frames, shown = [], []
    for i in range(50):
        stamps = {stage: 100 + i / 10 + offset for stage, offset in OFFSETS.items()}
        valid = int(i % 5 != 0)
        frames.append(
            {"frame": i, "first": first(i), "last_sample": first(i) + 9, "valid": valid, "confidence": 0.5}
            | {"latent": "[1]", **{s: stamps[s] for s in STAGES[:5]}}
        )
        if i % 4 == 1:
            shown.append({"change": len(shown), "kind": "frame", "frame": i, **stamps})
    shown.append({"change": len(shown), "kind": "neutral", "frame": -1, **dict.fromkeys(STAGES, "nan")})
    write_table(folder / "frames.csv", FRAME_FIELDS, frames)
    write_table(folder / "shown.csv", SHOWN_FIELDS, shown)
    write_table(folder / "marks.csv", MARK_FIELDS, [])


def test_every_interval_has_its_planted_length_and_count(tmp_path: Path) -> None:
    plant(tmp_path)
    table = latency_table(tmp_path)
    assert set(table) == set(INTERVALS)
    for name, (start, stop) in INTERVALS.items():
        planted = (OFFSETS[stop] - OFFSETS[start]) * 1e3
        assert table[name]["p50"] == pytest.approx(planted, abs=1e-3)
        assert table[name]["p99"] == pytest.approx(planted, abs=1e-3)
        assert table[name]["n"] == (13 if stop in ("taken", "flipped") else 40)


def test_a_session_in_which_nothing_was_shown_has_no_flip_latency(tmp_path: Path) -> None:
    plant(tmp_path)
    write_table(tmp_path / "shown.csv", SHOWN_FIELDS, [])
    table = latency_table(tmp_path)
    assert table["total"]["n"] == 0
    assert math.isnan(table["total"]["p50"])
    assert table["decode"]["n"] == 40


def test_the_wait_for_the_answer_is_told_apart_from_every_stage(tmp_path: Path) -> None:
    plant(tmp_path)
    marks: list[dict[str, object]] = [
        {
            "source": "decode", "kind": "epoch", "first": first(i) - 4, "time": 100 + i / 10 - 7.5, "value": 92 + i,
            "detail": f"stimulus {i} face",
        }
        for i in range(50)
    ]  # fmt: skip
    reset = {"source": "decode", "kind": "pipeline_reset", "first": 0, "time": 99.0}
    (tmp_path / "config.json").write_text("{}")
    # The decoder died before two of its frames were out, the first of them and one in the middle.
    write_table(tmp_path / "marks.csv", MARK_FIELDS, [reset, *marks])
    rows = list(csv.DictReader((tmp_path / "frames.csv").read_text().splitlines()))
    write_table(
        tmp_path / "frames.csv", FRAME_FIELDS, [row for row in rows if row["frame"] not in ("0", "20")]
    )
    waited = response_wait(tmp_path)
    assert (waited["n"], waited["p50"], waited["p99"]) == (48, pytest.approx(7500), pytest.approx(7500))
    assert all(latency["p99"] < 100 for latency in latency_table(tmp_path).values())
    write_table(tmp_path / "marks.csv", MARK_FIELDS, [])
    assert response_wait(tmp_path)["n"] == 0


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    plant(tmp_path)
    latency_picture(tmp_path, tmp_path / "latency.png")
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")


def test_a_session_that_may_only_be_read_has_its_table_without_the_picture(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "latency.png").mkdir()  # nothing can be written there
    done = call("latency", tmp_path, "--json")
    assert (done.status, done.result["picture"]) == (0, None), done.words
    assert done.result["latency_ms"]["decode"]["n"] == 40
    assert "no picture:" in done.words


def test_each_bar_of_the_picture_begins_where_the_one_before_ends(tmp_path: Path) -> None:
    plant(tmp_path)
    table = latency_table(tmp_path)
    placed = bars(table)
    assert list(placed) == list(INTERVALS)
    at = 0.0
    for name, (begins, median, p95, p99) in placed.items():
        assert begins == (0.0 if name == "total" else pytest.approx(at))
        assert median - begins == pytest.approx(table[name]["p50"])
        assert p95 - begins == pytest.approx(table[name]["p95"])
        assert p99 - begins == pytest.approx(table[name]["p99"])
        at = median


def test_every_percentile_can_be_read_in_the_picture_and_no_text_covers_another(tmp_path: Path) -> None:
    plant(tmp_path)
    table = latency_table(tmp_path)
    long = {name: {"p50": 12345.6, "p95": 12345.6, "p99": 12345.6, "n": 9} for name in table}
    for stages in (table, long):
        figure = latency_figure(stages)
        figure.canvas.draw()
        texts = [text for text in (*figure.texts, *figure.axes[0].texts) if text.get_text()]
        words = [text.get_text() for text in texts]
        for name, stage in stages.items():
            assert name in words
            for percentile in ("p50", "p95", "p99"):
                value = stage[percentile]
                assert words.count(f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}") >= 1
        boxes = [text.get_window_extent() for text in texts]
        assert all(figure.bbox.contains(*corner) for box in boxes for corner in (box.min, box.max))
        for k, box in enumerate(boxes):
            for other, beside in zip(texts[k + 1 :], boxes[k + 1 :], strict=True):
                assert not box.overlaps(beside), (words[k], other.get_text())


def test_the_picture_of_a_session_without_frames_is_empty_and_no_complaint(tmp_path: Path) -> None:
    for name, fields in (
        ("frames.csv", FRAME_FIELDS),
        ("shown.csv", SHOWN_FIELDS),
        ("marks.csv", MARK_FIELDS),
    ):
        write_table(tmp_path / name, fields, [])
    latency_picture(tmp_path, tmp_path / "latency.png")
    assert (tmp_path / "latency.png").is_file()


def test_a_folder_without_a_session_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"is not a whole session"):
        latency_table(tmp_path)


@pytest.mark.parametrize(("shape", "took"), [((4, 4, 2), 1500.0), ((8,), 0.0)])
def test_of_a_volume_the_time_that_its_scanner_takes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], took: float
) -> None:
    signal = Signal("BOLD-raw", 1 / 1.5, shape)
    recorded = SimpleNamespace(collects=False, signal=lambda: signal)
    monkeypatch.setattr(latency.RecordedSession, "read", lambda folder: recorded)
    # One stamp lies wrong, and between two of them lie two samples.
    counts, times = np.array([0.0, 1.0, 3.0, 4.0]), np.array([100.0, 101.5, 104.5, 105.25])
    monkeypatch.setattr(latency, "sample_times", lambda session: SampleTimes(counts, times))
    assert latency.acquisition(tmp_path) == took

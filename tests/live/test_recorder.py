"""The recorder writes every ring whole, waits for no disk, and says what it could not keep."""

import csv
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import planted_disks as disks
import pytest
import pyxdf

from bci.errors import DiskError
from bci.io.files.checksums import manifest_path, read_manifest
from bci.io.files.recording import is_uncertain, open_recording
from bci.io.files.xdf.verify import verify
from bci.live import backlog
from bci.live.recorder import Recorder
from bci.live.tracks import DECISION_CHANNELS, FLIP_CHANNELS, MARK_CHANNELS
from bci.memory.events import event_columns
from bci.memory.frames import frame_columns, shown_columns, write_frame
from bci.memory.marks import mark_columns, write_mark
from bci.memory.ring import Column, Ring
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.types import (
    EVENT_DTYPE,
    SHOWN_DTYPE,
    Event,
    MarkKind,
    Reconstruction,
    Shown,
    Signal,
    event_record,
)

LOG = logging.getLogger("recorder under test")
SIGNAL = Signal("amp", 100.0, (4,), ("a", "b", "c", "d"), "uV")
FACTS = {"source_id": "amp-1", "host": "bench", "kind": "EEG", "exact_stamps": True}
OFFSET = -7.5  # the sender's clock is ahead of ours


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(50.0)


@pytest.fixture(autouse=True)
def _ask_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "_RETRY_EVERY", 0.005)


def stream_of(seconds: float) -> Stream:
    capacity = int(seconds * SIGNAL.rate)
    columns = [Column.of("samples", "f4", (4,)), Column.of("raw", "f8")]
    return Stream(
        SIGNAL, Ring.private(columns, capacity, capacity // 4), Ring.private(mark_columns(), 256, 64)
    )


def planted(first: int, n: int) -> np.ndarray:
    """Return samples that are their own count."""
    return (np.arange(first, first + n)[:, None] + np.array([0, 0.25, 0.5, 0.75])).astype("f4")


def push(stream: Stream, n: int) -> None:
    """Write `n` samples, stamped by their count on the sender's own clock."""
    first = stream.samples.count
    raw = 60.0 + np.arange(first, first + n) / SIGNAL.rate - OFFSET
    stream.samples.write(samples=planted(first, n), raw=raw)


def finish(recorder: Recorder) -> None:
    for _ in recorder.finishing():
        recorder._backlog.join(20)


def load(path: Path, **options: bool) -> dict[str, dict]:
    streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False, **options)
    return {s["info"]["name"][0]: s for s in streams}


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def recording(folder: Path, clock: ManualClock, stream: Stream, **options: object) -> Recorder:
    recorder = Recorder(folder, clock, LOG, **options)  # type: ignore[arg-type]
    recorder.add_stream("stream", stream, FACTS)
    recorder.add_doings()
    return recorder


def test_everything_of_a_session_is_in_one_file_with_its_provenance(
    tmp_path: Path, clock: ManualClock
) -> None:
    stream = stream_of(5.0)
    markers = Ring.private(event_columns(), 64, 16)
    frames, shown = Ring.private(frame_columns(4, 6, 2), 64, 16), Ring.private(shown_columns(4, 6, 2), 64, 16)
    decode_marks = Ring.private(mark_columns(), 64, 16)
    with Recorder(tmp_path, clock, LOG) as recorder:
        recorder.add_stream("stream", stream, FACTS)
        recorder.add_markers("markers", markers, {"source_id": "keys", "name": "keyboard"})
        recorder.add_doings(frames, shown, decode_marks)
        stream.mark(MarkKind.CLOCK_OFFSET, 0, time=59.9, value=OFFSET)
        push(stream, 30)
        recorder.step()
        marker = np.zeros(1, EVENT_DTYPE)
        marker[0] = (60.2, 60.2 - OFFSET, 3, -1, 3, "µ3".encode(), 0.0)
        markers.write(event=marker)
        stream.mark(MarkKind.GAP, 30, count=5, time=60.5, value=0.05, detail="five missing")
        push(stream, 20)
        stamps = {s: 60.0 + i for i, s in enumerate(("data", "arrived", "cut", "decoded", "published"))}
        latent = np.array([1 / 3, -2], "f4")
        image = np.full((4, 6, 3), 9, np.uint8)
        write_frame(frames, Reconstruction(image, latent, 0.75, True, "", 3, 29, 1, stamps))
        record = np.zeros(1, SHOWN_DTYPE)
        record["kind"], record["frame"], record["flip"] = Shown.FRAME, 0, 64.25
        record["info"]["stamps"] = np.arange(7)
        shown.write(image=image[None], latent=latent[None], shown=record)
        write_mark(decode_marks, MarkKind.PIPELINE_RESET, 30, detail="gap")
        clock.advance(0.05)
        recorder.step()
        finish(recorder)

    path = tmp_path / "recording.xdf"
    report = verify(path)
    assert report.sound, report.notes
    raw, ours = load(path, synchronize_clocks=False), load(path)
    assert np.array_equal(raw["amp"]["time_series"], planted(0, 50))
    assert np.array_equal(raw["amp"]["time_stamps"], 60.0 + np.arange(50) / 100 - OFFSET)  # as sent
    assert np.allclose(ours["amp"]["time_stamps"], 60.0 + np.arange(50) / 100, atol=1e-6)  # in session time
    assert raw["amp"]["info"]["source_id"] == ["amp-1"]
    assert raw["amp"]["info"]["desc"][0]["bci"][0]["exact_stamps"] == ["1"]
    assert set(raw["amp"]["clock_values"]) == {OFFSET}

    assert raw["keyboard"]["time_series"] == [["µ3"]]
    assert raw["keyboard"]["time_stamps"].tolist() == [60.2 - OFFSET]
    assert ours["keyboard"]["time_stamps"][0] == pytest.approx(60.2)

    decision = dict(zip(DECISION_CHANNELS, ours["bci-decisions"]["time_series"][0], strict=True))
    assert decision == {
        "frame": 0,
        "first": 3,
        "last_sample": 29,
        "skipped": 1,
        "valid": 1,
        "confidence": 0.75,
        **stamps,
    }
    assert ours["bci-decisions"]["time_stamps"].tolist() == [64.0]
    assert np.array_equal(ours["bci-latents"]["time_series"], latent[None])
    flip = dict(zip(FLIP_CHANNELS, ours["bci-flips"]["time_series"][0], strict=True))
    assert (flip["kind"], flip["frame"], flip["flipped"]) == (Shown.FRAME, 0, 6)
    assert ours["bci-flips"]["time_stamps"].tolist() == [64.25]

    marks = [dict(zip(MARK_CHANNELS, row, strict=True)) for row in ours["bci-marks"]["time_series"]]
    kinds = [(m["source"], m["kind"], m["first"], m["count"]) for m in marks]
    assert sorted(kinds) == [
        (0, MarkKind.GAP, 30, 5),
        (0, MarkKind.CLOCK_OFFSET, 0, 0),
        (1, MarkKind.PIPELINE_RESET, 30, 0),
    ]
    assert ours["bci-marks"]["info"]["desc"][0]["sources"] == ["0 stream, 1 decode, 2 record, 3 rig"]
    assert ours["bci-marks"]["info"]["desc"][0]["roles"] == ["1 stream, 2 markers"]
    assert "1 gap, 2 clock_reset" in ours["bci-marks"]["info"]["desc"][0]["kinds"][0]

    assert [row["frame"] for row in table(tmp_path, "frames.csv")] == ["0"]
    assert [row["change"] for row in table(tmp_path, "shown.csv")] == ["0"]
    assert sorted((row["source"], row["kind"]) for row in table(tmp_path, "marks.csv")) == [
        ("decode", "pipeline_reset"),
        ("stream", "clock_offset"),
        ("stream", "gap"),
    ]
    assert recorder.recorded == {
        "stream": 50, "markers": 1, "stream_marks": 2, "decode_marks": 1, "frames": 1, "shown": 1,
    }  # fmt: skip
    facts = recorder.facts()
    assert (facts["file"], facts["finished"], facts["samples"], facts["lost"]) == (
        "recording.xdf",
        True,
        50,
        0,
    )


def test_a_marker_of_uncertain_time_is_known_by_it_in_the_table_and_in_the_file(
    tmp_path: Path, clock: ManualClock
) -> None:
    stream, markers = stream_of(5.0), Ring.private(event_columns(), 64, 16)
    marks = Ring.private(mark_columns(), 64, 16)
    with Recorder(tmp_path, clock, LOG) as recorder:
        recorder.add_stream("stream", stream, FACTS)
        recorder.add_markers("markers", markers, {"source_id": "keys", "name": "keyboard"})
        recorder.add_doings(marker_marks=marks)
        stream.mark(MarkKind.CLOCK_OFFSET, 0, time=59.9, value=OFFSET)
        push(stream, 200)
        for k, uncertainty in enumerate((0.0004, 0.02, 0.0004)):
            time = 60.5 + 0.01 * k
            event = Event(time, f"flash {k}", 0, time - OFFSET, uncertainty=uncertainty)
            record = np.zeros(1, EVENT_DTYPE)
            record[0] = event_record(event)
            markers.write(event=record)
        write_mark(marks, MarkKind.UNCERTAIN, 0, time=60.51, value=0.02, detail="±20.00 ms: flash 1")
        finish(recorder)
    rows = table(tmp_path, "markers.csv")
    assert {row["source"] for row in rows} == {"markers"}
    assert [(row["count"], row["text"], row["uncertainty"]) for row in rows] == [
        ("0", "flash 0", "0.0004"), ("1", "flash 1", "0.02"), ("2", "flash 2", "0.0004"),
    ]  # fmt: skip
    assert [float(row["time"]) - float(row["raw"]) for row in rows] == pytest.approx([OFFSET] * 3)
    assert [row["source"] for row in table(tmp_path, "marks.csv") if row["kind"] == "uncertain"] == [
        "markers"
    ]
    read = open_recording(tmp_path / "recording.xdf").markers
    assert [(event.text, is_uncertain(event)) for event in read] == [
        ("flash 0", False), ("flash 1", True), ("flash 2", False),
    ]  # fmt: skip
    assert read[1].uncertainty == 0.02


def test_a_disk_that_stalls_for_five_seconds_loses_nothing_and_is_announced(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    disk, stream = disks.StallingDisk(), stream_of(1.0)  # the ring alone holds a fifth of it
    with recording(tmp_path, clock, stream, open_file=disk.open) as recorder:
        push(stream, 10)
        recorder.step()
        recorder._backlog.join(20)
        disk.flowing.clear()
        for _ in range(100):
            push(stream, 5)
            recorder.step()
            assert disk.waiting.wait(20)
            clock.advance(0.05)
        assert recorder.safe < 510
        disk.flowing.set()
        finish(recorder)
    assert recorder.lost == 0
    assert recorder.safe == 510
    assert "the disk has not answered for" in caplog.text
    assert recorder.facts()["slowest_write_s"] >= 4.5
    assert np.array_equal(load(tmp_path / "recording.xdf")["amp"]["time_series"], planted(0, 510))
    assert verify(tmp_path / "recording.xdf").sound


def test_what_neither_memory_nor_ring_could_hold_is_counted_marked_and_begins_a_segment(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    disk, stream = disks.StallingDisk(), stream_of(1.0)
    with recording(tmp_path, clock, stream, open_file=disk.open, memory=1500) as recorder:
        recorder.step()
        recorder._backlog.join(20)
        disk.flowing.clear()
        for _ in range(60):
            push(stream, 5)
            recorder.step()
            assert disk.waiting.wait(20)
            clock.advance(0.05)
        disk.flowing.set()
        recorder._backlog.join(20)
        push(stream, 7)
        recorder.step()
        finish(recorder)
    assert recorder.lost > 100
    got = load(tmp_path / "recording.xdf")["amp"]["time_series"][:, 0]
    assert len(got) + recorder.lost == 307
    (jump,) = np.flatnonzero(np.diff(got) != 1)
    first, resumed = int(got[jump]) + 1, int(got[jump + 1])
    assert resumed - first == recorder.lost
    manifest = read_manifest(manifest_path(tmp_path / "recording.xdf"))
    assert manifest is not None
    assert manifest["streams"][0]["segments"] == [[0, first], [resumed, 307 - resumed]]
    rows = [row for row in table(tmp_path, "marks.csv") if row["source"] == "record"]
    assert [(r["kind"], int(r["first"]), int(r["count"]), r["detail"]) for r in rows] == [
        ("overrun", first, recorder.lost, "stream")
    ]
    assert f"{recorder.lost} of stream, from {first} on, were overwritten" in caplog.text
    report = verify(tmp_path / "recording.xdf")
    assert report.damaged == 0
    assert report.streams[0].missing == recorder.lost


def test_a_full_disk_ends_the_recording_with_what_is_safe_said(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    disk, stream = disks.FullDisk(60_000), stream_of(60.0)

    def record_on() -> None:
        for _ in range(20_000):
            if stream.samples.count < 5000:
                push(stream, 50)
            recorder.step()
            # The manual clock waits for the disk's thread, or its patience would be over at once.
            if recorder._backlog.trouble:
                clock.advance(0.05)
            else:
                recorder._backlog.join(0.01)
                clock.advance(0.05)

    with (
        recording(tmp_path, clock, stream, open_file=disk.open) as recorder,
        pytest.raises(DiskError) as told,
    ):
        record_on()
    safe = recorder.safe
    assert 0 < safe < 5000
    assert f"Safe on disk: {safe} samples of 'amp'" in str(told.value)
    assert "No space left" in caplog.text
    # Its successor has no room either, and does not say that nothing is safe.
    disk.room = 0
    with pytest.raises(
        DiskError, match=r"Safe on disk: nothing of it yet; what came before is in recording.xdf.partial"
    ):
        Recorder(tmp_path, clock, LOG, open_file=disk.open)


def test_where_the_session_says_so_recording_goes_on_when_there_is_room_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    disk, stream = disks.FullDisk(30_000), stream_of(60.0)
    with recording(tmp_path, clock, stream, open_file=disk.open, on_disk_error="continue") as recorder:
        while not recorder._backlog.trouble:
            push(stream, 50)
            recorder.step()
            recorder._backlog.join(0.01)
        for _ in range(100):  # ten seconds of a full disk
            push(stream, 10)
            recorder.step()
            clock.advance(0.1)
        disk.room += 10_000_000
        finish(recorder)
    n = stream.samples.count
    assert recorder.lost == 0
    assert np.array_equal(load(tmp_path / "recording.xdf")["amp"]["time_series"], planted(0, n))
    assert verify(tmp_path / "recording.xdf").sound


def test_a_restarted_recorder_goes_on_where_the_one_before_was_killed(
    tmp_path: Path, clock: ManualClock
) -> None:
    stream, frames = stream_of(20.0), Ring.private(frame_columns(4, 6, 2), 64, 16)

    def start() -> Recorder:
        recorder = Recorder(tmp_path, clock, LOG)
        recorder.add_stream("stream", stream, FACTS)
        recorder.add_doings(frames)
        return recorder

    def frame(i: int) -> None:
        write_frame(frames, Reconstruction(np.zeros((4, 6, 3), "u1"), np.zeros(2, "f4"), 1, True, "", i, i))

    with start() as killed:
        push(stream, 130)
        frame(0)
        killed.step()
        killed._backlog.join(20)
    push(stream, 70)
    frame(1)
    with start() as second:
        assert second.path.name == "recording-2.xdf"
        push(stream, 10)
        second.step()
        finish(second)
    (tmp_path / "recording.xdf.partial").rename(tmp_path / "first.xdf")
    parts = [load(tmp_path / name)["amp"]["time_series"] for name in ("first.xdf", "recording-2.xdf")]
    assert [len(part) for part in parts] == [130, 80]
    assert np.array_equal(np.concatenate(parts), planted(0, 210))
    manifest = read_manifest(manifest_path(tmp_path / "recording-2.xdf"))
    assert manifest is not None
    assert manifest["streams"][0]["segments"] == [[130, 80]]
    assert [row["frame"] for row in table(tmp_path, "frames.csv")] == ["0"]
    assert [row["frame"] for row in table(tmp_path, "frames-2.csv")] == ["1"]
    assert second.lost == 0


def test_a_clock_that_was_set_during_the_session_is_told_to_readers(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Pyxdf finds the reset by the clock offsets that are repeated every few seconds."""
    stream = stream_of(200.0)

    def seconds(n: int, offset: float) -> Iterator[None]:
        for _ in range(n):
            first = stream.samples.count
            session = clock.now() + np.arange(100) / SIGNAL.rate
            stream.samples.write(samples=planted(first, 100), raw=session - offset)
            clock.advance(1.0)
            yield

    with recording(tmp_path, clock, stream) as recorder:
        for offset in (0.0, -1000.0):
            stream.mark(MarkKind.CLOCK_OFFSET, stream.samples.count, time=clock.now(), value=offset)
            for _ in seconds(60, offset):
                recorder.step()
                recorder._backlog.join(20)
        finish(recorder)
    times = load(tmp_path / "recording.xdf")["amp"]["time_stamps"]
    assert np.allclose(times, 50.0 + np.arange(12_000) / 100, atol=0.02)


@pytest.mark.parametrize("room", [0, 3, 700, 3_000])
def test_a_disk_that_is_full_from_the_first_byte_is_said_and_no_file_of_nothing_is_left(
    tmp_path: Path, clock: ManualClock, room: int
) -> None:
    disk, stream = disks.FullDisk(room), stream_of(60.0)

    def record() -> None:
        with Recorder(tmp_path, clock, LOG, open_file=disk.open) as recorder:
            recorder.add_stream("stream", stream, FACTS)
            recorder.add_doings()
            for _ in range(2_000):
                push(stream, 2)
                recorder.step()
                recorder._backlog.join(0.002)
                clock.advance(0.05)

    with pytest.raises(DiskError, match="No space left"):
        record()
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".partial", ".sums")] == []
    assert not [path.name for path in tmp_path.iterdir() if not path.stat().st_size]


def test_a_disk_that_becomes_full_is_warned_of_an_hour_before(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    from types import SimpleNamespace

    from bci.io.files.space import Space

    free = 3_000_000_000
    stream = stream_of(60.0)
    with recording(tmp_path, clock, stream) as recorder:
        recorder.space = Space(tmp_path, lambda folder: SimpleNamespace(free=free))
        for _ in range(20):
            free -= 1_000_000  # another program's second
            push(stream, 10)
            recorder.step()
            recorder._backlog.join(5)
            clock.advance(1.0)
        assert 2900 < recorder.space.left_s < 3000
        finish(recorder)
    assert caplog.text.count("at this rate the disk is full in 50 min: 3.0 GB are free") == 1

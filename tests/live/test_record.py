"""The recorder writes every event once, exactly, and says what it could not."""

import csv
import json
import time
from multiprocessing import Pipe
from pathlib import Path

import numpy as np

from bci.control.posts import COUNTERS
from bci.live import record
from bci.live.record import (
    FRAME_FIELDS,
    MARK_FIELDS,
    SHOWN_FIELDS,
    Drain,
    Table,
    frame_rows,
    image_digest,
    mark_rows,
    shown_rows,
)
from bci.memory.board import Board, State
from bci.memory.frames import frame_columns, shown_columns, write_frame
from bci.memory.marks import mark_columns, write_mark
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.signal.clock import ManualClock
from bci.signal.types import SHOWN_DTYPE, MarkKind, Reconstruction, Shown

GENERATOR = np.random.default_rng(5)


def reconstruction(i: int) -> Reconstruction:
    """Make a frame whose every value follows from `i`."""
    return Reconstruction(
        image=np.full((4, 6, 3), i, np.uint8),
        latent=np.array([i / 3, -i / 7], np.float32),
        confidence=i / 100,
        valid=i % 3 != 0,
        reason="" if i % 3 else "settling, µ",
        first=10 * i,
        last_sample=10 * i + 99,
        skipped=i % 2,
        stamps={
            "data": i + 0.1,
            "arrived": i + 0.2,
            "cut": i + 0.3,
            "decoded": i + 0.4,
            "published": i + 0.5,
        },
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_frames_come_back_exactly(tmp_path: Path) -> None:
    ring = Ring.private(frame_columns(4, 6, 2), 64, 16)
    with Table(tmp_path / "frames.csv", FRAME_FIELDS) as table:
        drain = Drain("frames", ring, table, frame_rows)
        for i in range(40):
            write_frame(ring, reconstruction(i), b"\x07" * 16 if i == 5 else b"")
            if i % 11 == 0:
                drain()
        drain()
    rows = read(tmp_path / "frames.csv")
    assert drain.rows == len(rows) == 40
    assert drain.lost == 0
    for i, row in enumerate(rows):
        planted = reconstruction(i)
        assert int(row["frame"]) == i
        assert int(row["last_sample"]) == planted.last_sample
        assert np.array_equal(np.array(json.loads(row["latent"]), np.float32), planted.latent)
        assert float(row["confidence"]) == planted.confidence
        assert bool(int(row["valid"])) == planted.valid
        assert row["reason"] == planted.reason
        assert row["digest"] == image_digest(planted.image)
        assert [float(row[s]) for s in ("data", "arrived", "cut", "decoded", "published")] == list(
            planted.stamps.values()
        )
    assert [i for i, row in enumerate(rows) if row["window_digest"]] == [5]


def test_what_was_overwritten_before_it_was_read_is_counted(tmp_path: Path) -> None:
    ring = Ring.private(frame_columns(4, 6, 2), 16, 4)
    for i in range(50):
        write_frame(ring, reconstruction(i))
    with Table(tmp_path / "frames.csv", FRAME_FIELDS) as table:
        drain = Drain("frames", ring, table, frame_rows)
        drain()
    assert (drain.rows, drain.lost) == (16, 34)


def test_flips_and_marks_become_rows(tmp_path: Path) -> None:
    shown = Ring.private(shown_columns(4, 6, 2), 16, 4)
    record = np.zeros(1, SHOWN_DTYPE)
    record["kind"], record["frame"], record["flip"] = Shown.FRAME, 12, 3.25
    record["info"]["stamps"] = np.arange(7)
    image = GENERATOR.integers(0, 255, (1, 4, 6, 3), np.uint8)
    shown.write(image=image, latent=np.zeros((1, 2), "f4"), shown=record)
    with Table(tmp_path / "shown.csv", SHOWN_FIELDS) as table:
        Drain("shown", shown, table, shown_rows())()
    (row,) = read(tmp_path / "shown.csv")
    assert (row["kind"], row["frame"], row["flip"]) == ("frame", "12", "3.25")
    assert row["digest"] == image_digest(image[0])
    assert float(row["flipped"]) == 6

    marks = Ring.private(mark_columns(), 16, 4)
    write_mark(marks, MarkKind.GAP, 77, count=3, time=1.5, value=0.25, detail="three missing")
    with Table(tmp_path / "marks.csv", MARK_FIELDS) as table:
        Drain("stream", marks, table, mark_rows("stream"))()
    (row,) = read(tmp_path / "marks.csv")
    assert list(row.values()) == ["stream", "gap", "77", "3", "1.5", "0.25", "three missing"]


class LastWords(ManualClock):
    """The supervisor dies at second 1; the display shows a last picture at second 2, and has ended at second 3."""

    def sleep_until(self, when: float) -> None:
        super().sleep_until(when)
        time.sleep(1e-4)  # the disk's thread lives in real time
        self.display["beat"] = self.now()
        if self.now() >= 1 and not self.near.closed:
            self.near.close()
        if self.now() >= 2 and not self.shown.count:
            last = np.zeros(1, SHOWN_DTYPE)
            last["flip"] = 2.0
            image, latent = np.zeros((1, 4, 6, 3), np.uint8), np.zeros((1, 2), np.float32)
            self.shown.write(image=image, latent=latent, shown=last)
        if self.now() >= 3:
            self.display["state"] = State.STOPPED


def test_a_recorder_whose_supervisor_died_records_the_last_words_of_the_others(
    segment_name: str, tmp_path: Path
) -> None:
    clock = LastWords()
    clock.near, far = Pipe()
    with (
        Board.create(
            segment_name + "b", {"display": COUNTERS["display"], "record": COUNTERS["record"]}
        ) as board,
        Ring.create(segment_name + "w", shown_columns(4, 6, 2), 16, 4) as clock.shown,
    ):
        clock.display = board.row("display")
        clock.display["state"] = State.RUNNING
        launch = Launch(
            "record",
            "bci.live.record",
            {},
            str(tmp_path),
            segment_name + "b",
            {},
            {"shown": clock.shown.handle},
        )
        program = Program(launch, far, board, clock)
        record.main(program)
        program.close()
    far.close()
    assert program.orphaned
    assert [row["flip"] for row in read(tmp_path / "shown.csv")] == ["2.0"]

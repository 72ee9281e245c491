"""LostHeads says when a head is lost and when it is back, and marks each volume between."""

import logging

import numpy as np
import pytest

from bci.control.posts import COUNTERS
from bci.live.heads import LostHeads
from bci.memory.board import Board
from bci.memory.marks import create_marks, read_marks
from bci.signal.clock import ManualClock
from bci.signal.types import MarkKind, Signal, Window
from bci.signal.volumes.motion import COLUMNS, FAULT
from bci.signal.volumes.realign import MotionFault


def test_a_lost_head_is_said_once_marked_at_each_volume_and_its_return_is_said(
    segment_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    side = Signal("motion", 0.5, (len(COLUMNS),), COLUMNS, "", "float64")
    rows = np.zeros((5, len(COLUMNS)))
    rows[1:4, COLUMNS.index(FAULT)] = MotionFault.LARGE
    with (
        Board.create(segment_name + "b", {"decode": COUNTERS["decode"]}) as board,
        create_marks(segment_name + "m", 1) as marks,
    ):
        row = board.row("decode")
        heads = LostHeads(row, marks, ManualClock(), logging.getLogger("t"))
        heads.hear(Window(side, 40, rows[:3], np.arange(3) * 2.0, np.zeros((3, len(COLUMNS)), bool), 42))
        assert (row["head"], row["heads_lost"]) == (MotionFault.LARGE, 2)
        heads.hear(Window(side, 43, rows[3:], np.arange(2) * 2.0, np.zeros((2, len(COLUMNS)), bool), 44))
        assert (row["head"], row["heads_lost"]) == (0, 3)
        found, _ = read_marks(marks, 0)
    assert [(MarkKind(int(m["kind"])), int(m["first"])) for m in found] == [
        (MarkKind.HEAD_LOST, volume) for volume in (41, 42, 43)
    ]
    lost, back = (record.getMessage() for record in caplog.records)
    assert lost.startswith("the head is lost at volume 41: moved by some")
    assert back == "the head is back at volume 44, after 3 volumes"

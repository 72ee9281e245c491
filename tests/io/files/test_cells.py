"""Text from elsewhere stands in our tables so that nothing obeys it, and comes back as it was sent."""

import csv
import io
import logging
import math
import random
from pathlib import Path

import numpy as np
import pytest

from bci.io.files.cells import cell, read_rows, text_of, write_rows
from bci.live.tables import Table, frame_rows, mark_rows
from bci.memory.frames import frame_columns, write_frame
from bci.memory.marks import mark_columns, write_mark
from bci.memory.ring import Ring
from bci.session.frames import RecordedFrame
from bci.session.rows import read_rows as read_table
from bci.session.tables import FRAME_FIELDS, MARK_FIELDS
from bci.signal.foreign import is_seen
from bci.signal.types import STAGES, Event, MarkKind, Reconstruction
from stimuli.trial_table import TrialTable, read_past
from stimuli.trials import Ending, Outcome, Text, Trial

LOG = logging.getLogger("test")

#: Labels and markers as a stranger sends them.
HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    " =1+1",
    "\t=1+1",
    "＝1+1",
    "'=1+1",
    "'",
    "'a\\nb",
    "S  1\nstimulus 2",
    "line\r\nend",
    "\x1b[2J\x1b[31mgone\x07",
    "left \u202eright",
    "\u2066hidden\u2069\u200b",
    "C:\\new\\table",
    'quoted "," and ;',
    "\udcff",
    "-",
    "",
    " ",
)


def test_every_text_comes_back_and_none_is_obeyed() -> None:
    draw = random.Random(7)
    pool = "=+-@'\\nrtxuU0aé \t\r\n\x00\x1b\u202e\u2028\udcff,;\"\u3000\xa0\U0001f600\U000e0001＝"
    texts = [*HOSTILE, *("".join(draw.choices(pool, k=draw.randrange(9))) for _ in range(5000))]
    for text in texts:
        written = cell(text)
        assert text_of(written) == text
        assert all(map(is_seen, written))
        assert written[:1] == "'" or written.lstrip()[:1] not in tuple("=+-@＝＋－＠")


def test_plain_text_and_numbers_stand_as_they_are() -> None:
    for text in ("stimulus 3 face-3", "µV", "刺激\u3000一", "C:\\new", "it's", "[1.0, -2.0]"):
        assert cell(text) == text
    file = io.StringIO(newline="")
    write_rows(file, [("name", "value", "nothing"), ("-", -1.5, math.nan)])
    assert file.getvalue() == "name,value,nothing\r\n'-,-1.5,nan\r\n"
    assert read_rows(file.getvalue()) == [{"name": "-", "value": "-1.5", "nothing": "nan"}]


@pytest.mark.parametrize("text", [t for t in HOSTILE if "\udcff" not in t])
def test_a_marker_comes_back_from_the_recorders_tables_as_it_was_sent(tmp_path: Path, text: str) -> None:
    frames, marks = Ring.private(frame_columns(4, 6, 2), 16, 4), Ring.private(mark_columns(), 16, 4)
    stamps = dict.fromkeys(STAGES[:5], 60.0)
    event = Event(60.5, text, 0, 60.25, 3)
    image, latent = np.zeros((4, 6, 3), np.uint8), np.zeros(2, np.float32)
    write_frame(frames, Reconstruction(image, latent, 0.5, True, text, 3, 29, 1, stamps, event))
    write_mark(marks, MarkKind.EPOCH, 30, time=60.5, value=60.25, detail=text)
    for name, fields, ring, rows in (
        ("frames.csv", FRAME_FIELDS, frames, frame_rows),
        ("marks.csv", MARK_FIELDS, marks, mark_rows("decode")),
    ):
        with Table(tmp_path / name, fields) as table:
            for row in rows(ring.read(0, 1), 0):
                table.write(row)
    (row,) = read_table(tmp_path / "frames.csv")
    assert RecordedFrame.of(row).event == event
    assert row["reason"] == text
    assert [row["detail"] for row in read_table(tmp_path / "marks.csv")] == [text]
    for name in ("frames.csv", "marks.csv"):
        content = (tmp_path / name).read_bytes().decode()
        assert all(is_seen(character) or character in "\r\n" for character in content)
        assert len(content.split("\r\n")) == 3, "a row is a line"
        for raw in csv.reader(io.StringIO(content, newline="")):
            assert not any(value.lstrip()[:1] in ("=", "@", "＝", "\t") for value in raw)


def test_a_trials_name_comes_back_to_the_engine_that_takes_over(tmp_path: Path) -> None:
    with TrialTable(tmp_path) as table:
        for number, text in enumerate(HOSTILE):
            trial = Trial(number, text, Text("word", 1.0), stimulus_s=1.0)
            table.write(number, trial, Outcome(number, Ending.SHOWN, 1.0))
    assert [row.name for row in read_past(tmp_path).rows] == list(HOSTILE)


def test_a_row_of_an_older_session_reads_as_it_stands() -> None:
    assert read_rows("kind,detail\r\nepoch,=1+1\r\nepoch,a\\nb\r\n") == [
        {"kind": "epoch", "detail": "=1+1"},
        {"kind": "epoch", "detail": "a\\nb"},
    ]


def test_a_latent_of_many_numbers_is_one_cell() -> None:
    long = "[" + "0.123456789, " * 20_000 + "1.0]"
    assert read_rows(f'latent\r\n"{long}"\r\n') == [{"latent": long}]

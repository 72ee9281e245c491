"""The board shows every program's heartbeat and counters to all."""

import multiprocessing

import numpy as np
import pytest

from bci.errors import RingError
from bci.memory.board import Board, State


def beat(name: str) -> None:
    with Board.attach(name) as board:
        row = board.row("decode")
        row["state"], row["beat"], row["skipped"] = State.RUNNING, 12.5, 3


def test_what_one_process_writes_another_reads(segment_name: str) -> None:
    with Board.create(segment_name, {"acquire": ["samples"], "decode": ["windows", "skipped"]}) as board:
        child = multiprocessing.get_context("spawn").Process(target=beat, args=(segment_name,))
        child.start()
        child.join(60)
        row = board.row("decode")
        assert (int(row["state"]), float(row["beat"]), int(row["skipped"])) == (State.RUNNING, 12.5, 3)
        assert np.isnan(board.row("acquire")["beat"])


def test_an_unknown_program_is_refused_by_name() -> None:
    with Board.private(["acquire"]) as board, pytest.raises(RingError, match=r"'decoed'.*acquire"):
        board.row("decoed")


def test_each_program_counts_under_its_own_names() -> None:
    with Board.private({"engine": ["begun", "aborted"], "decode": ["windows"], "beats": []}) as board:
        engine = board.row("engine")
        engine["aborted"] += 2
        assert engine.counts() == {"begun": 0, "aborted": 2}
        assert board.row("decode").counts() == {"windows": 0}
        assert board.row("beats").counts() == {}
        with pytest.raises(RingError, match=r"no counter 'windows'.*begun, aborted"):
            engine["windows"] += 1
        with pytest.raises(RingError, match="'begun'"):
            board.row("decode")["begun"]

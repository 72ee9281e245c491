"""The demo runs with no hardware, no screen, no file; its last line is a contract."""

import os
import signal
from pathlib import Path

import pytest
from sessions import bci, finish, only_folder, rows_in, segments_of, start, wait_for

from bci.signal.types import INTERVALS

pytestmark = pytest.mark.system

CONTRACT = {
    "session": str,
    "simulated": bool,
    "windows": int,
    "reconstructions": int,
    "skipped": int,
    "samples_lost": int,
    "flips": int,
    "dropped_flips": int,
    "latency_ms": dict,
}


def test_the_demo_decodes_what_the_simulator_planted(tmp_path: Path) -> None:
    done = bci("demo", "--headless", "--seconds", 20, "--out", tmp_path, "--json")
    assert done.status == 0, done.words
    for key, kind in CONTRACT.items():
        assert isinstance(done.result[key], kind), key
    result = done.result
    assert result["simulated"] is True
    assert "SIMULATED" in done.words
    assert result["windows"] == result["reconstructions"] + result["skipped"] > 100
    assert result["samples_lost"] == 0
    assert result["flips"] > 500
    assert set(result["latency_ms"]) == set(INTERVALS)
    for stage in result["latency_ms"].values():
        assert set(stage) == {"p50", "p95", "p99", "n"}
        assert stage["n"] > 50
    assert result["planted"]["agreement"] > 0.75 > result["planted"]["baseline"]
    assert (done.folder / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    assert len(done.table("frames")) == result["reconstructions"]
    assert segments_of(done.folder) == set()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_in_order(tmp_path: Path, how: signal.Signals) -> None:
    process = start("demo", "--headless", "--out", tmp_path, "--json")
    wait_for(
        lambda: bool(only_folder(tmp_path)) and rows_in(only_folder(tmp_path) / "frames.csv") > 5, "decoding"
    )
    os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
    done = finish(process)
    assert done.status == 0, done.words
    assert done.result["ended_by"] == "stopped by the operator"
    assert done.result["windows"] == done.result["reconstructions"] + done.result["skipped"]
    assert len(done.table("frames")) == done.result["reconstructions"]
    assert segments_of(done.folder) == set()

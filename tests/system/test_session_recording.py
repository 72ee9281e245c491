"""A session leaves a recording that is whole, and what it called recorded survives the death of everything."""

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from commands import Done
from sessions import finish, only_folder, segments_of, start, wait_for

from bci.io.files.recording import open_recording
from bci.io.files.xdf.verify import repair, verify
from bci.memory.board import Board
from bci.memory.ring import Ring

pytestmark = pytest.mark.system

BUNDLE = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"


def session_file(folder: Path, recording: Path) -> Path:
    config = folder / "session.toml"
    config.write_text(
        f'name = "recorded"\nnetwork = "machine"\n'
        f'[source]\nkind = "replay"\nfile = "{recording}"\nspeed = 1\n'
        f'[decoder]\nbundle = "{BUNDLE}"\n[display]\nkind = "headless"\n'
    )
    return config


def test_every_sample_decision_and_flip_of_a_session_is_in_its_recording(
    kept_session: Done, eegmmidb: Path
) -> None:
    done = kept_session
    path = done.folder / "recording.xdf"
    report = verify(path)
    assert report.sound, (report.notes, report.damage)
    assert report.finished
    original = open_recording(eegmmidb / "S001R02.edf")
    streams = {s["info"]["name"][0]: s for s in pyxdf.load_xdf(path, dejitter_timestamps=False)[0]}
    signal_name = next(name for name, s in streams.items() if float(s["info"]["nominal_srate"][0]) > 0)
    samples = streams[signal_name]
    assert np.array_equal(samples["time_series"], original.read(0, original.n))  # type: ignore[arg-type]
    assert np.all(np.diff(samples["time_stamps"]) > 0)
    # The very samples again through our own reader, by name.
    assert open_recording(path, stream=signal_name).n == original.n

    frames, shown = done.table("frames"), done.table("shown")
    assert len(frames) == done.result["reconstructions"] > 50
    decisions = streams["bci-decisions"]["time_series"]
    assert decisions[:, 0].tolist() == [float(row["frame"]) for row in frames]
    assert decisions[:, 2].tolist() == [float(row["last_sample"]) for row in frames]
    assert len(streams["bci-latents"]["time_series"]) == len(frames)
    assert streams["bci-flips"]["time_stamps"].tolist() == [float(row["flip"]) for row in shown]
    assert len(streams["bci-marks"]["time_stamps"]) == len(done.table("marks"))
    facts = done.result["programs"]["record"]["recording"]
    assert (facts["samples"], facts["lost"], facts["finished"]) == (original.n, 0, True)


def test_what_was_called_recorded_is_on_disk_after_every_program_was_killed_at_once(
    tmp_path: Path, eegmmidb: Path
) -> None:
    out = tmp_path / "sessions"
    process = start("run", session_file(tmp_path, eegmmidb / "S001R02.edf"), "--out", out)
    boards: list[Board] = []

    def recorded() -> bool:
        folder = only_folder(out)
        log = folder / "log.txt" if folder is not None else None
        if not boards and folder is not None and log and log.exists() and "record started" in log.read_text():
            boards.extend(Board(Ring.attach(name)) for name in segments_of(folder) if name.endswith("b"))
        return bool(boards) and int(boards[0].row("record")["samples"]) > 500

    wait_for(recorded, "a recording that is safe")
    folder = only_folder(out)
    assert folder is not None
    programs = [int(pid) for pid in re.findall(r"started as process (\d+)", (folder / "log.txt").read_text())]
    assert len(programs) == 5
    # All but Python's own resource tracker, which outlives them and clears away what they can no longer.
    for pid in (process.pid, *programs):
        os.kill(pid, signal.SIGKILL)
    finish(process)
    said = int(boards[0].row("record")["samples"])
    boards[0].close()
    partial = folder / "recording.xdf.partial"
    report = verify(partial)
    assert not report.finished
    assert report.streams[0].samples >= said > 500
    repair(partial, folder / "repaired.xdf")
    repaired = open_recording(folder / "repaired.xdf")
    original = open_recording(eegmmidb / "S001R02.edf")
    assert repaired.n == report.streams[0].samples
    assert np.array_equal(repaired.read(0, said), original.read(0, said))

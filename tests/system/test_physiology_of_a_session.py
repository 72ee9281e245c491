"""A session whose decoder hears a pulse on a second stream: it is taken out of the first, recorded, and made again."""

import re
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from commands import call
from sessions import finish, only_folder, rows_in, start, wait_for
from tiny_bundle import tiny_bundle

from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce

pytestmark = pytest.mark.system

VOXELS = 6


def session_file(folder: Path, decoder: str, seconds: float = 7) -> Path:
    """Write a session in which both streams are sines of one turn a second, at four times their pace."""
    steps = [
        {"step": "physiological_noise", "pulse": "pulse", "margin_s": 0.1},
        {"step": "remove_nuisance", "volumes": 4000, "motion": False, "drift": "none", "physiology": True},
    ]
    labels = [f"v{k}" for k in range(VOXELS)]
    tiny_bundle(folder / "bundle", rate=4.0, channels=labels, pipeline=steps, length=1, hop=1)
    path = folder / "session.toml"
    path.write_text(
        f"""
name = "heard"
network = "machine"
seconds = {seconds}

[[stream]]
name = "bold"

[[stream]]
name = "body"

[[source]]
kind = "sines"
rate = 4
shape = [{VOXELS}]
channels = {labels}
unit = "uV"
speed = 4

[[source]]
feeds = "body"
kind = "sines"
rate = 40
shape = [2]
channels = ["pulse", "belt"]
speed = 4

[decoder]
bundle = "bundle"
{decoder}

[display]
kind = "headless"
max_png = 0
contact_sheet = 0
""",
        encoding="utf-8",
    )
    return path


def test_a_pulse_on_another_stream_is_taken_out_recorded_and_heard_again(tmp_path: Path) -> None:
    path = session_file(tmp_path, 'physiology = "body"')
    done = call("run", path, "--out", tmp_path, "--json")
    assert done.status == 0, done.words
    session = RecordedSession.read(done.folder)
    heard = np.concatenate([rows for _, rows in session.pieces("physiology")])
    columns = session.signal("physiology").channels
    pulse = heard[:, columns.index("pulse_per_minute")]
    known = np.flatnonzero(np.isfinite(pulse))
    assert len(known) > 20
    assert pulse[known] == pytest.approx(60.0, abs=1.0)
    rows = np.concatenate([rows for _, rows in session.pieces()])
    latents = {frame.last_sample: frame.latent for frame in session.frames if frame.valid}
    # What is left of sines of the pulse's own pace, once it is known for ten volumes.
    left = [np.abs(latents[volume]).max() for volume in known[10:] if volume in latents]
    assert len(left) > 10
    assert np.median(left) < 0.05 * np.abs(rows).max()
    result = reproduce(done.folder)
    assert (result["reproduced"], result["equal"], result["missing"]) == (True, result["frames"], 0)


def test_a_decoder_that_is_killed_hears_the_run_again_and_takes_the_pulse_out_as_before(
    tmp_path: Path,
) -> None:
    running = start(
        "run", session_file(tmp_path, 'physiology = "body"', 100), "--out", tmp_path / "out", "--json"
    )
    wait_for(lambda: only_folder(tmp_path / "out") is not None, "a folder of the session")
    folder = only_folder(tmp_path / "out")
    assert folder is not None
    # Ten seconds of the participant until the pulse is known, and some volumes of which it was taken out.
    wait_for(lambda: rows_in(folder / "frames.csv") > 60, "readings")
    pids = re.findall(r" decode started as process (\d+)", (folder / "log.txt").read_text("utf-8"))
    psutil.Process(int(pids[-1])).kill()
    wait_for(lambda: "decode works again" in (folder / "log.txt").read_text("utf-8"), "a second decoder")
    read = rows_in(folder / "frames.csv")
    wait_for(lambda: rows_in(folder / "frames.csv") > read + 10, "readings of the second decoder")
    running.send_signal(signal.SIGTERM)
    done = finish(running)
    assert done.result["restarts"] == {"decode": 1}, done.words
    # It went on where the first one was, with what that had heard: nothing was read twice, nothing began anew.
    assert "what was learned of the run is lost" not in (folder / "log.txt").read_text("utf-8")
    marks = [(row["kind"], row["detail"]) for row in done.table("marks")]
    assert ("retraced", "restart") in marks
    assert ("pipeline_reset", "restart") not in marks
    session = RecordedSession.read(done.folder)
    numbers = [frame.last_sample for frame in session.frames]
    assert numbers == sorted(set(numbers))
    begun = next(int(row["first"]) for row in done.table("marks") if row["kind"] == "retraced")
    after = [frame for frame in session.frames if frame.last_sample >= begun]
    assert len(after) > 8
    assert all(frame.valid for frame in after)
    heard = np.concatenate([rows for _, rows in session.pieces("physiology")])
    columns = session.signal("physiology").channels
    assert np.isfinite(heard[begun:, columns.index("pulse_per_minute")]).any()
    # The whole run, decoded again without a death, gives the same readings.
    result = reproduce(done.folder)
    assert (result["reproduced"], result["equal"], result["missing"]) == (True, result["frames"], 0)


def test_a_session_without_the_stream_that_its_bundle_hears_is_refused(tmp_path: Path) -> None:
    refused = call("check", session_file(tmp_path, ""))
    assert refused.status == 2
    assert "hears pulse beside the volumes: expected [decoder] physiology" in refused.words
    refused = call("check", session_file(tmp_path, 'physiology = "bold"'))
    assert refused.status == 2
    assert "expected another stream than the volumes" in refused.words

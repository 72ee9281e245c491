"""The promise: through real streams and real programs, a recording gives what it gives offline, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Done, call
from sessions import bci

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.io.files.recording import chunks, open_recording
from bci.live.record import image_digest
from bci.memory.frames import window_digest
from bci.signal.clock import ManualClock
from bci.signal.windows import windows

pytestmark = pytest.mark.system

BUNDLE = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"


def offline(recording: Path) -> dict[int, tuple[str, list[float], float, str, str]]:
    """Decode every window of a file; key: newest source sample behind it."""
    bundle = Bundle.load(BUNDLE)
    opened = open_recording(recording)
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    decoder.warm_up()
    out = {}
    pipeline = bundle.adapt(opened.signal)
    for window in windows(chunks(opened, size=777), pipeline, length=bundle.length, hop=bundle.hop):
        frame = decoder.decode(window)
        out[window.last_sample] = (
            window_digest(window).hex(),
            [float(x) for x in frame.latent],
            frame.confidence,
            image_digest(frame.image),
            frame.reason,
        )
    return out


def check(done: Done, recording: Path) -> dict[int, tuple[str, list[float], float, str, str]]:
    """Compare every row of a session's table with what the file gives offline, which is returned.

    How many windows were in time says how busy the machine was (`benchmarks.stream_latency`); here each window is
    decoded, or counted as passed over by the frame after it.
    """
    result = done.result
    assert result["samples_lost"] == 0
    assert result["windows"] == result["reconstructions"] + result["skipped"]
    expected = offline(recording)
    place = {last: i for i, last in enumerate(sorted(expected))}
    rows = done.table("frames")
    assert len(rows) == result["reconstructions"] > 50
    before = -1
    for row in rows:
        last = int(row["last_sample"])
        assert place[last] - before == 1 + int(row["skipped"])
        before = place[last]
        digest, latent, confidence, image, reason = expected[last]
        assert row["window_digest"] == digest
        assert np.array_equal(json.loads(row["latent"]), latent, equal_nan=True)
        assert np.array_equal(float(row["confidence"]), confidence, equal_nan=True)
        assert row["digest"] == image
        assert row["reason"] == reason
    assert sum(int(row["skipped"]) for row in rows) == result["skipped"]
    return expected


def test_samples_latents_and_images_are_equal_at_real_time(tmp_path: Path, eegmmidb: Path) -> None:
    recording = eegmmidb / "S001R02.edf"
    config = tmp_path / "session.toml"
    config.write_text(
        f'name = "same"\nnetwork = "machine"\n'
        f'[source]\nkind = "replay"\nfile = "{recording}"\nspeed = 1.0\n'
        f'[decoder]\nbundle = "{BUNDLE}"\naudit = true\n[display]\nkind = "headless"\n'
    )
    done = bci("run", config, "--out", tmp_path / "sessions", "--json", "--seconds", 8)
    assert done.status == 0, done.words
    check(done, recording)


def test_samples_latents_and_images_of_a_whole_file_are_equal_at_ten_times_its_speed(
    kept_session: Done, eegmmidb: Path
) -> None:
    recording = eegmmidb / "S001R02.edf"
    expected = check(kept_session, recording)
    assert kept_session.result["reconstructions"] >= 0.80 * kept_session.result["windows"]
    assert kept_session.result["samples"] == open_recording(recording).n
    assert kept_session.result["windows"] == len(expected)


def test_a_session_reproduces_itself_and_a_forged_latent_is_noticed(recorded_session: Done) -> None:
    done = recorded_session
    again = call("reproduce", done.folder, "--json")
    assert again.status == 0, again.words
    result = again.result
    assert result["frames"] == result["equal"] == done.result["reconstructions"] > 50
    assert (result["missing"], result["max_difference"]) == (0, 0.0)
    assert result["same_environment"] is True
    assert result["within_tolerance"] is True
    assert result["shown"] == result["shown_equal"] > 0
    assert result["images"] == result["images_within"] > 0

    table = done.folder / "frames.csv"
    rows = table.read_text().splitlines(keepends=True)
    place, latent = next((i, r["latent"]) for i, r in enumerate(done.table("frames"), 1) if r["valid"] == "1")
    rows[place] = rows[place].replace(latent, f"[{json.loads(latent)[0] + 0.25}]")
    table.write_text("".join(rows))
    forged = call("reproduce", done.folder, "--json")
    assert forged.status == 3
    assert forged.result["equal"] == result["frames"] - 1
    assert forged.result["within_tolerance"] is False
    assert forged.result["max_difference"] > 0.1

"""A session whose decoder hears a pulse on a second stream: it is taken out of the first, recorded, and made again."""

from pathlib import Path

import numpy as np
import pytest
from commands import call
from tiny_bundle import tiny_bundle

from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce

pytestmark = pytest.mark.system

VOXELS = 6


def session_file(folder: Path, decoder: str) -> Path:
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
seconds = 7

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


def test_a_session_without_the_stream_that_its_bundle_hears_is_refused(tmp_path: Path) -> None:
    refused = call("check", session_file(tmp_path, ""))
    assert refused.status == 2
    assert "hears pulse beside the volumes: expected [decoder] physiology" in refused.words
    refused = call("check", session_file(tmp_path, 'physiology = "bold"'))
    assert refused.status == 2
    assert "expected another stream than the volumes" in refused.words

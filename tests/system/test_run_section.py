"""What a session fixes in `[run]` reaches the live decoder, is kept, and is used again; side outputs are recorded."""

from pathlib import Path

import numpy as np
import pytest
from commands import call
from sessions import segments_of
from tiny_bundle import tiny_bundle

from bci.io.files.run import read_run
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce

pytestmark = pytest.mark.system


def session_file(folder: Path, source: str, more: str) -> Path:
    path = folder / "session.toml"
    path.write_text(
        f"""
name = "fixed"
network = "machine"
seconds = 4

[source]
kind = "sines"
{source}

[decoder]
bundle = "bundle"

[display]
kind = "headless"
max_png = 0
contact_sheet = 0

[run]
{more}
"""
    )
    return path


def test_volumes_are_masked_by_the_session_and_their_differences_recorded_beside_them(tmp_path: Path) -> None:
    mask = np.zeros((4, 3, 2), np.uint8)
    mask[1:3, 1, :] = 1
    np.save(tmp_path / "brain.npy", mask)
    steps = [{"step": "mask_volume", "mask": "brain", "voxels": 4}, {"step": "dvars"}]
    tiny_bundle(tmp_path / "bundle", rate=50.0, volume=(4, 3, 2), length=10, hop=5, pipeline=steps)
    source = 'rate = 50\nshape = [4, 3, 2]\nunit = "uV"'
    path = session_file(tmp_path, source, 'masks = { brain = "brain.npy" }')
    assert call("check", path, "--json").status == 0
    done = call("run", path, "--out", tmp_path, "--json")
    assert done.status == 0, done.words
    assert done.result["reconstructions"] > 10

    run = read_run(done.folder)
    assert np.array_equal(run.mask("brain"), mask.astype(bool))
    recorded = RecordedSession.read(done.folder)
    volumes = np.concatenate([samples for _, samples in recorded.pieces()]).reshape(-1, 4, 3, 2)
    sides = np.concatenate([samples for _, samples in recorded.pieces("dvars")])[:, 0]
    voxels = volumes[: len(sides)].reshape(len(sides), -1)[:, mask.ravel() == 1].astype(np.float64)
    assert len(sides) > 100
    assert np.isnan(sides[0])
    assert np.allclose(sides[1:], np.sqrt(np.mean(np.diff(voxels, axis=0) ** 2, axis=1)), rtol=1e-5)
    result = reproduce(done.folder)
    assert (result["reproduced"], result["equal"]) == (True, result["frames"])
    assert not segments_of(done.folder)


def test_channels_of_another_name_are_decoded_by_the_sessions_map(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "bundle", rate=100.0, length=20, hop=10)
    source = 'rate = 100\nshape = [3]\nchannels = ["A2", "A1", "A3"]\nunit = "uV"'
    path = session_file(tmp_path, source, 'channels = { A1 = "O1", A2 = "Oz", A3 = "O2" }')
    done = call("run", path, "--out", tmp_path, "--json")
    assert done.status == 0, done.words
    assert done.result["reconstructions"] > 10
    assert reproduce(done.folder)["reproduced"]
    unmapped = session_file(tmp_path, source, "")
    refused = call("check", unmapped)
    assert refused.status == 2
    assert "missing O1, Oz, O2" in refused.words


def test_a_mask_that_is_not_given_is_refused_before_the_session_begins(tmp_path: Path) -> None:
    steps = [{"step": "mask_volume", "mask": "brain", "voxels": 4}]
    tiny_bundle(tmp_path / "bundle", rate=50.0, volume=(4, 3, 2), length=10, hop=5, pipeline=steps)
    path = session_file(tmp_path, 'rate = 50\nshape = [4, 3, 2]\nunit = "uV"', "")
    refused = call("check", path)
    assert refused.status == 2
    assert "expected a mask 'brain'" in refused.words

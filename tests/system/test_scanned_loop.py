"""The closed loop through a scanner's files: faces on the screen, volumes on disk, betas, pictures of them."""

import gzip
import json
import subprocess
from pathlib import Path

import numpy as np
import pylsl
import pytest
from numpy.typing import NDArray
from PIL import Image
from sessions import finish, start
from tiny_bundle import tiny_bundle, weights

from bci.decoder.spec import EpochSpec
from bci.session.recorded import RecordedSession
from bci.session.reproduce import Feed, reproduce
from bci.session.volume_quality import VolumeRun
from bci.sim.cortex.reference import reference_pictures
from bci.sim.participant import make_participant
from models.sessions.page import volumes_section

pytestmark = pytest.mark.system

UNITS, MM, TR = 64, 12.0, 1.5
FloatRows = NDArray[np.floating]

SESSION = """
name = "scanned"
network = "machine"
[source]
kind = "insilico"
modality = "fmri"
units = 64
reference = "reference.npy"
speed = 10
[source.scanner]
voxel_mm = 12
[decoder]
bundle = "bundle"
[display]
kind = "headless"
max_png = 0
contact_sheet = 0
[run]
reference = "reference.nii.gz"
masks = { visual = "visual.nii.gz" }
[publish]
source_id = "scan"
volumes = true
[experiment]
folder = "faces"
stimulus_s = 0.15
feedback_s = 1.2
blank_s = 0.2
lead_in_s = 2.4
"""


def write_session(folder: Path) -> Path:
    """Write a session, and what it is aligned to: volume 0 of another session of the participant."""
    pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")
    from bci.io.volumes.nifti import nifti_bytes
    from bci.sim.scanner.scanned import ScannedParticipant

    pictures = reference_pictures(8, 32, seed=3)
    np.save(folder / "reference.npy", pictures)
    (folder / "faces").mkdir()
    for number in range(4):
        Image.fromarray(pictures[number]).save(folder / "faces" / f"{number:03d}.png")
    inner = make_participant("fmri", subject=1, session=0, units=UNITS, reference=pictures)
    head = ScannedParticipant(inner, 0, voxel_mm=MM)
    for name, values in {"reference": head.read(1)[0], "visual": head.mask().astype(np.uint8)}.items():
        (folder / f"{name}.nii.gz").write_bytes(gzip.compress(nifti_bytes(values, head.affine, TR)))
    pipeline = [
        {"step": "motion_correction", "mask": "visual", "voxels": UNITS},
        {"step": "single_trial_betas", "wait_s": 7.5, "volumes": 120, "onsets": "events", "duration_s": 1.5,
         "drift": "polynomial", "order": 1},
    ]  # fmt: skip
    window = EpochSpec(start=7.5, stop=9.0, markers="stimulus .*")
    tiny_bundle(
        folder / "bundle", rate=1 / TR, volume=head.shape, unit="", pipeline=pipeline, length=1, window=window
    )
    path = folder / "session.toml"
    path.write_text(SESSION)
    return path


def receive_copies(running: subprocess.Popen[str]) -> dict[str, tuple[pylsl.StreamInfo, FloatRows]]:
    """Return what other tools receive until a session ends: descriptions, and rows that came."""
    inlets, rows = {}, {"masked": [np.zeros((0, UNITS + 1))], "beta": [np.zeros((0, UNITS + 2))]}
    for name in rows:
        found = pylsl.resolve_byprop("source_id", f"scan-{name}", timeout=60)
        assert len(found) == 1
        inlets[name] = pylsl.StreamInlet(found[0])
        inlets[name].open_stream(30)
    described = {name: inlet.info(30) for name, inlet in inlets.items()}
    while running.poll() is None:
        for name, inlet in inlets.items():
            samples, _ = inlet.pull_chunk(timeout=0.05)
            rows[name] += [np.array(samples)] if samples else []
    return {name: (described[name], np.concatenate(rows[name])) for name in rows}


def test_faces_become_files_and_betas_and_pictures_at_a_flip(tmp_path: Path) -> None:
    running = start("run", write_session(tmp_path), "--out", tmp_path / "out", "--json")
    copies = receive_copies(running)
    done = finish(running)
    assert done.status == 0, done.words
    assert "SIMULATED fMRI" in done.words
    result = done.result
    files = sorted((done.folder / "scanner").rglob("*.dcm"))
    # What was written last may come after the end.
    assert 0 <= len(files) - result["samples"] <= 4
    assert result["samples"] > 50
    statuses = result["programs"]["acquire"]["volumes"]
    # At ten times the pace half a TR is 75 ms: a record that a busy machine brings later leaves its volume untold.
    assert statuses["ok"] + statuses["late"] + statuses["untold"] == result["samples"]
    scanner = result["programs"]["scanner"]
    assert (scanner["looks"] - scanner["changes_late"], scanner["changes_lost"]) == (4, 0)
    assert result["windows"] == result["reconstructions"] == 4
    frames = done.table("frames")
    assert [row["valid"] for row in frames[1:]] == ["1"] * 3
    # A beta of each trial, seven and a half seconds of the participant's after its flip.
    for row in frames:
        waited = (float(row["data"]) - float(row["event_time"])) * 10
        assert abs(waited - 7.5) < TR / 2 + 0.2
    shown = [row for row in done.table("shown") if row["kind"] == "frame"]
    assert len(shown) >= 2
    again = reproduce(done.folder)
    assert (again["equal"], again["reproduced"]) == (4, True)
    # Other tools had the rows of voxels that the decoder read, and the betas of the trials, by their numbers.
    (told, masked), (_, betas) = copies["masked"], copies["beta"]
    session = RecordedSession.read(done.folder)
    bundle = session.bundle()
    again = bundle.adapt(session.signal(), session.run).start(session.signal())
    rows: dict[int, FloatRows] = {}
    again.tap_rows(
        lambda first, out, bad: rows.update({first + k: row for k, row in enumerate(np.array(out))})
    )
    for chunk in Feed(session):
        again(chunk)
    assert len(masked) > 2
    assert np.all(np.diff(masked[:, -1]) == 1)
    for row in masked:
        assert np.array_equal(row[:UNITS], rows[int(row[-1])])
    trials = betas[:, -1].astype(int).tolist()
    assert trials == [trial for trial in range(4) if trial in trials]
    latents = {
        frame.event.trial: frame.latent for frame in session.frames if frame.event is not None and frame.valid
    }
    assert set(latents) & set(trials)
    for row in (row for row in betas if int(row[-1]) in latents):
        assert np.allclose(row[:UNITS] @ weights(UNITS, 2), latents[int(row[-1])], rtol=1e-4, atol=1e-4)
    desc = told.desc()
    assert desc.child_value("mask_sha256") == session.run.hashes["masks.visual"]
    assert (told.name(), desc.child_value("voxels")) == ("BOLD-masked", str(UNITS))
    assert len(desc.child_value("affine").split()) == 16
    # Its report shows how the run of volumes went: the head, the voxels' steadiness, the course of the mask.
    section = volumes_section(session)
    assert all(words in section for words in ("From volume to volume", "Steadiness of each voxel", "<img"))
    assert VolumeRun.in_session(done.folder).regions == ("visual",)
    assert json.loads((done.folder / "config.json").read_text())["source"]["scanner"]["voxel_mm"] == MM

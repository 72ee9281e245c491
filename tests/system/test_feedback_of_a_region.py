"""Feedback of a region, by its three commands: reference, training, session; its motion is recorded, all reproduced."""

from pathlib import Path

import numpy as np
import pytest
from commands import call
from numpy.typing import NDArray
from planted_region import ANSWERS, SPHERE, WARM_UP, N, write_run, write_training

from bci.control.page.recorded import RecordedModel
from bci.control.page.steadiness import FEWEST
from bci.decoder.bundle import Bundle
from bci.io.files.recording import chunks, open_recording
from bci.io.files.run import read_run
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce

pytestmark = pytest.mark.system


def motion_of(recording: Path, bundle: Path, session: Path) -> NDArray[np.float64]:
    """Return what motion correction says of each volume of a file, with what the session fixed (n, 10)."""
    opened = open_recording(recording)
    running = Bundle.load(bundle).adapt(opened.signal, read_run(session)).start(opened.signal)
    rows = []
    for chunk in chunks(opened, size=7):
        running(chunk)
        rows += [side.samples for side in running.take_sides(chunk) if side.signal.name == "motion"]
    return np.concatenate(rows)


def test_a_recorded_run_drives_the_bar_and_is_reproduced(tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")
    write_run(tmp_path / "run.nii")
    masks = tmp_path / "masks"
    done = call(
        "volumes",
        "reference",
        tmp_path / "run.nii",
        "--sphere",
        SPHERE,
        "--volume",
        0,
        "--out",
        masks,
        "--json",
    )
    assert done.status == 0, done.words
    done = call("train", write_training(tmp_path, masks), "--out", tmp_path / "bundle", "--json")
    assert done.status == 0, done.words
    path = tmp_path / "session.toml"
    path.write_text(
        """
name = "region"
network = "machine"
[source]
kind = "replay"
file = "run.nii"
speed = 8
[decoder]
bundle = "bundle"
[display]
kind = "headless"
max_png = 0
contact_sheet = 0
[run]
reference = "masks/reference.nii.gz"
masks = { brain = "masks/brain.nii.gz", region = "masks/region.nii.gz" }
"""
    )
    checked = call("check", path)
    assert "20×24×12 voxels at 2 Hz" in checked.words
    done = call("run", path, "--out", tmp_path, "--json")
    assert done.status == 0, done.words
    assert (done.result["samples_lost"], done.result["windows"]) == (0, N)
    for row in done.table("frames"):
        place = int(row["last_sample"])
        assert row["reason"] == ("settling" if place < WARM_UP else "")
        if place >= WARM_UP:
            assert (float(row["latent"].strip("[]")) > 4) == ANSWERS[place]
    motion = np.concatenate([samples for _, samples in RecordedSession.read(done.folder).pieces("motion")])
    assert motion.shape == (N, 10)
    assert np.array_equal(
        motion, motion_of(tmp_path / "run.nii", tmp_path / "bundle", done.folder), equal_nan=True
    )
    # The head turns evenly about z.
    assert np.corrcoef(motion[:, 5], np.arange(N))[0, 1] > 0.98
    result = reproduce(done.folder)
    assert (result["reproduced"], result["equal"]) == (True, result["frames"])
    # The page of the finished session shows motion, the region and temporal SNR, of the volumes until then.
    page = RecordedModel(RecordedSession.read(done.folder))
    assert [side.name for side in page.sides()] == ["motion", "regions"]
    counted = []
    for at in (1.0, 0.7):
        start, stop = page.span or (0.0, 0.0)
        page.seek(start + at * (stop - start))
        (steady,) = [one for one in page.moment().pictures if one.title == "Temporal SNR"]
        assert steady.image is not None
        counted.append(int(steady.words.split(",")[1].split()[0]))
    assert N - 1 <= counted[0] <= N
    assert FEWEST <= counted[1] < counted[0]
    # The report of the session sees the same motion, and the region's answers.
    report = call("volumes", "quality", done.folder, "--out", tmp_path / "quality", "--json")
    assert report.status == 0, report.words
    assert (report.result["volumes"], report.result["missing"], report.result["lost"]) == (N, 0, 0)
    told = np.genfromtxt(
        tmp_path / "quality" / "motion.tsv", names=True, delimiter="\t", missing_values="n/a"
    )
    assert np.allclose(told["rot_z"], motion[:, 5], rtol=1e-4)
    assert told["region"][ANSWERS].min() > told["region"][~ANSWERS].max()

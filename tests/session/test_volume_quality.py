"""A run's report says what was planted in it: what is missing, lost or jumps, how steady voxels are, what answers."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted_answers as planted
import pytest
from commands import call

from bci.errors import ConfigError
from bci.signal.run import Run
from bci.signal.volumes.realign import brain
from bci.signal.volumes.rigid import voxel_sizes_mm
from bci.signal.volumes.survey import Surveyed, VolumeSurvey


@pytest.fixture(scope="module")
def run() -> Run:
    still = planted.volumes()[0]
    masks = {"brain": brain(still, voxel_sizes_mm(planted.AFFINE)), "left": planted.inside()}
    return Run(design=planted.DESIGN, reference=still, affine=planted.AFFINE, masks=masks)


@pytest.fixture(scope="module")
def surveyed(run: Run) -> Surveyed:
    asked = ("faces", "faces-houses")
    survey = VolumeSurvey(run, planted.N, planted.TR, regions=("left",), contrasts=asked)
    for volume in planted.volumes():
        survey.add(volume)
    return survey.finish()


def test_what_cannot_be_used_is_named_and_no_part_of_the_model(surveyed: Surveyed) -> None:
    assert np.flatnonzero(surveyed.missing).tolist() == [planted.MISSING]
    assert np.flatnonzero(surveyed.lost).tolist() == [planted.LOST]
    # The picture brightens, and darkens again; so it does after the volume that is not corrected.
    assert {planted.FLASH, planted.FLASH + 1} <= set(np.flatnonzero(surveyed.spikes))
    unusable = surveyed.missing | surveyed.lost | surveyed.spikes
    assert surveyed.fitted == planted.N - unusable.sum()
    assert unusable.sum() < 7
    assert np.isnan(surveyed.motion[planted.MISSING]).all()
    assert surveyed.figures()["displacement_median_mm"] < 0.2


def test_steadiness_is_mean_over_spread_of_what_can_be_used(surveyed: Surveyed, run: Run) -> None:
    used = planted.volumes()[~(surveyed.missing | surveyed.lost | surveyed.spikes)].astype(float)
    plain = (used.mean(axis=0) / used.std(axis=0, ddof=1))[~np.isnan(surveyed.tsnr)]
    # Resampling smooths a little.
    assert np.nanmedian(surveyed.tsnr) == pytest.approx(np.median(plain), rel=0.1)
    assert np.isnan(surveyed.tsnr[~run.mask("brain")]).all()


def test_what_answers_is_found_with_its_size_and_its_course(surveyed: Surveyed, run: Run) -> None:
    within, outside = planted.inside() & run.mask("brain"), run.mask("brain") & ~planted.inside()
    for contrast in surveyed.contrasts.values():
        assert np.nanmedian(contrast.t[within]) > 8
        assert abs(np.nanmedian(contrast.t[outside])) < 0.5
    known = np.isfinite(surveyed.regions["left"])
    assert np.corrcoef(surveyed.regions["left"][known], planted.faces()[known])[0, 1] > 0.95
    percent = float(np.nanmedian(surveyed.contrasts["faces"].effect[within]))
    assert percent * planted.faces().max() == pytest.approx(planted.PERCENT, rel=0.1)


@pytest.mark.parametrize(
    ("contrast", "words"), [("cats", "faces or houses"), ("faces-cats", "difference of two")]
)
def test_a_contrast_of_what_is_not_in_the_design_is_refused(run: Run, contrast: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        VolumeSurvey(run, planted.N, planted.TR, contrasts=[contrast])


def test_a_pulse_of_a_recording_is_taken_out_of_each_slice(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")
    from bci.io.volumes.quality_page import run_sections
    from bci.session.volume_quality import VolumeRun

    seconds = np.arange(0, planted.N * planted.TR + 9.0, 0.02)
    rows = (f"{time:.2f},{np.cos(2 * np.pi * 1.13 * time):.4f}" for time in seconds)
    (tmp_path / "body.csv").write_text("\n".join(["time,pulse", *rows]) + "\n")
    times = tuple(np.linspace(0, 1.9, planted.SHAPE[2]).tolist())
    at = 5.0 + np.arange(planted.N)[:, None] * planted.TR + np.array(times)
    # Voxels beat against their neighbours, so that no motion of the head explains it.
    sign = np.where(np.indices(planted.SHAPE)[:2].sum(axis=0) % 2, 1.0, -1.0) * run.mask("brain")
    beats = 12.0 * np.cos(2 * np.pi * 1.13 * at + 0.5)[:, None, None, :] * sign
    volumes = list((planted.volumes() + beats).astype(np.float32))
    without = VolumeRun("r", volumes, planted.TR, run, slice_times_s=times)
    body = without.with_physiology(tmp_path / "body.csv", "pulse", None, 5.0)
    found = [one.survey(["faces"]) for one in (without, body)]
    before, after = (float(np.nanmedian(one.cleaned)) for one in found)
    assert after > 1.4 * before
    for one, words in zip(found, ("drift and motion", "drift, motion and physiology"), strict=True):
        assert f"without {words}</" in "".join(run_sections(one, planted.AFFINE))
    with pytest.raises(ConfigError, match="expected a channel 'heart', came pulse"):
        without.with_physiology(tmp_path / "body.csv", "heart", None, 5.0)


def test_a_condition_with_a_slash_is_a_file_of_the_folder(surveyed: Surveyed, tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")
    from bci.io.volumes.quality_page import write_quality

    one = surveyed.contrasts["faces"]
    found = replace(surveyed, contrasts=dict.fromkeys(("../faces", "face/left", "face_left"), one))
    made = write_quality(tmp_path / "out", "r", found, planted.AFFINE, {})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(made["files"]) == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert sum(name.endswith("_t.nii.gz") for name in made["files"]) == 3


def test_the_command_writes_page_numbers_and_maps(tmp_path: Path) -> None:
    nibabel = pytest.importorskip(
        "nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test"
    )
    series = planted.write_run(tmp_path / "run.nii")
    done = call("volumes", "quality", series, "--out", tmp_path / "out", "--volume", 0,
                "--design", tmp_path / "events.tsv", "--contrast", "faces-houses", "--json")  # fmt: skip
    assert done.status == 0, done.words
    assert (done.result["missing"], done.result["lost"]) == (1, 1)
    assert done.result["which"]["missing"] == [planted.MISSING]
    assert json.loads((tmp_path / "out" / "quality.json").read_text())["tsnr_median"] > 20
    with (tmp_path / "out" / "motion.tsv").open() as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == planted.N
    assert (rows[planted.MISSING]["trans_x"], rows[planted.LOST]["lost"]) == ("n/a", "1")
    page = (tmp_path / "out" / "quality.html").read_text()
    assert "the head is lost: moved by some" in page
    assert page.count("data:image/png") == 4
    map_ = nibabel.load(tmp_path / "out" / "faces-houses_t.nii.gz")
    assert np.allclose(map_.affine, planted.AFFINE)
    assert map_.get_fdata()[planted.inside()].mean() > 8
    refused = call("volumes", "quality", series, "--out", tmp_path / "out", "--contrast", "faces")
    assert (refused.status, "--design FILE" in refused.words) == (2, True)

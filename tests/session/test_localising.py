"""A mask holds the voxels that answer, on the side where they were planted; what repeats is told from what does not."""

from pathlib import Path

import numpy as np
import planted_answers as planted
import pytest
from commands import call

from bci.errors import ConfigError
from bci.signal.run import Design
from bci.signal.volumes.localiser import halved, reliability
from bci.signal.volumes.survey import Contrast, Surveyed


def test_two_runs_give_the_mask_of_what_answers_with_its_side(tmp_path: Path) -> None:
    nibabel = pytest.importorskip(
        "nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test"
    )
    runs = [planted.write_run(tmp_path / f"run-{seed}.nii", seed) for seed in (3, 4)]
    done = call("volumes", "reference", runs[0], "--volume", 0, "--out", tmp_path / "masks", "--json")
    assert done.status == 0, done.words
    inside = int(planted.inside().sum())
    common = ("--masks", tmp_path / "masks", "--design", tmp_path / "events.tsv")
    done = call("volumes", "mask", *runs, *common, "--contrast", "faces-houses", "--voxels", inside,
                "--out", tmp_path / "faces.nii.gz", "--json")  # fmt: skip
    assert done.status == 0, done.words
    assert done.result["left"] == done.result["voxels"] == inside
    mask = nibabel.load(tmp_path / "faces.nii.gz").get_fdata() > 0
    assert (mask & planted.inside()).sum() > 0.9 * inside
    assert (tmp_path / "faces.png").stat().st_size > 1000
    refused = call("volumes", "mask", runs[0], *common, "--reliable", 0.3, "--out", tmp_path / "r.nii.gz")
    assert (refused.status, "three conditions or more" in refused.words) == (2, True)


def test_halves_take_turns_within_each_condition_in_the_order_of_time() -> None:
    design = Design(np.array([9.0, 1, 5, 3, 7, 11]), np.ones(6), ("a", "a", "b", "c", "c", "b"))
    assert halved(design).conditions == ("a#even", "a#odd", "b#odd", "c#odd", "c#even", "b#even")
    with pytest.raises(ConfigError, match="once only c"):
        halved(Design(np.arange(5.0), np.ones(5), ("a", "a", "b", "b", "c")))


def test_reliability_is_the_correlation_of_two_halves_over_conditions() -> None:
    rng = np.random.default_rng(0)
    shape, nothing = (2, 1, 1), np.zeros(0, bool)
    true = {name: np.array([rng.normal(), rng.normal()]).reshape(shape) for name in "abcdef"}
    contrasts = {}
    for name, answer in true.items():
        for half, sign in (("#odd", 1.0), ("#even", -1.0)):
            # The first voxel answers alike in both halves, the second the other way round.
            effect = (answer * np.array([1.0, sign]).reshape(shape)).astype(np.float32)
            contrasts[name + half] = Contrast(effect, effect)
    whole = np.zeros(shape, np.float32)
    run = Surveyed(1.0, np.zeros((0, 10)), np.zeros(0), nothing, nothing, nothing, {}, whole, whole, whole, 9, 9,
                   contrasts)  # fmt: skip
    assert reliability([run, run]).ravel() == pytest.approx([1.0, -1.0])

"""Scanned training runs: betas as they come and of whole runs, each run anew, and a head that lies elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from bci.config.toml import check_settings
from bci.decoder.spec import BundleSpec
from bci.errors import BundleError, ConfigError
from bci.signal.volumes.rigid import displacement, moved
from bci.sim.cortex.reference import reference_pictures
from models.insilico.layout import layout_of
from models.insilico.learned import learned
from models.insilico.scans import MASK, run_of, scanned_epochs
from models.insilico.trials import HELD_OUT, TRAINING, answers, participant_of, positions_of
from models.insilico.whole_run import Betas
from models.systems.hyper.bundle import with_mask
from models.systems.hyper.settings import HyperConfig, portable

PICTURES = reference_pictures(8, 16, seed=8)
UNITS, TRIALS = 48, 3


def settings(**changes: object) -> HyperConfig:
    betas = {"step": "single_trial_betas", "onsets": "events", "wait_s": 7.5, "volumes": 60, "duration_s": 1.5,
             "drift": "polynomial", "order": 1}  # fmt: skip
    values: dict[str, object] = {
        "kind": "hyper-insilico", "name": "scanned", "seed": 1, "generator": Path(), "stimuli": Path(), "scan": Path(),
        "participant": {"modality": "fmri", "snr": 2.0, "units": UNITS, "scanner": {"voxel_mm": 10.0}},
        "trials": {"train": 100, "test": 10, "runs": 50, "stimulus_s": 1.5, "blank_s": 10.0, "lead_in_s": 24.0},
        "pipeline": [{"step": "motion_correction", "mask": MASK, "voxels": UNITS}, betas],
        "epoch": {"start": 7.5, "stop": 9.0, "mean": True},
    }  # fmt: skip
    return check_settings(values | changes, HyperConfig, "a test")


def test_runs_follow_each_other_with_a_lead_in_each() -> None:
    layout = layout_of(settings(), 5)
    assert layout.runs.tolist() == [0, 0, 1, 1, 2]
    assert layout.onsets.tolist() == [35.5, 47.0, 35.5, 47.0, 35.5]
    # The last epoch of a run lies within it.
    assert layout.volumes[0] * layout.tr > 47.0 + 9.0
    assert layout.since_beginning[2] == layout.volumes[0] * 1.5 + 35.5


def test_runs_take_turns_with_several_blanks() -> None:
    timing = settings().trials.model_dump()
    layout = layout_of(settings(trials=timing | {"blank_s": [10.0, 3.0]}), 5)
    assert layout.onsets.tolist() == [35.5, 47.0, 28.5, 33.0, 35.5]
    assert layout.volumes.tolist() == [46, 32, 46]
    assert layout.since_beginning.tolist()[2:] == [46 * 1.5 + 28.5, 46 * 1.5 + 33.0, 78 * 1.5 + 35.5]
    rows = settings().participant.model_dump() | {"scanner": None}
    with pytest.raises(ConfigError, match="blank_s: expected one, came 2; only runs"):
        settings(participant=rows, trials=timing | {"blank_s": [10.0, 3.0]})


def test_betas_come_run_by_run_and_those_of_whole_runs_know_more() -> None:
    setup = settings()
    participant = participant_of(setup, PICTURES, TRAINING)
    run = run_of(participant)
    whole: list[np.ndarray] = []
    windows = scanned_epochs(setup, participant, PICTURES[:TRIALS], run, whole)
    assert [window.samples.shape for window in windows] == [(1, UNITS)] * TRIALS
    assert [betas.shape for betas in whole] == [(2, UNITS), (1, UNITS)]
    causal = np.concatenate([window.samples for window in windows])
    offline = np.concatenate(whole)
    assert np.isfinite(offline).all()
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(causal, offline, strict=True)]
    assert 0.3 < np.median(alike) < 0.9999


def test_training_scores_its_betas_as_the_live_code_does_and_fills_in_what_that_needs() -> None:
    timing = settings().trials.model_dump() | {"runs": 20, "lead_in_s": 6.0}
    motion, betas = (dict(step) for step in settings().pipeline)
    step = betas | {"motion": False, "drift": "none", "freedom": 3, "trained": 5, "frozen": False}
    setup = settings(trials=timing, pipeline=[motion, step])
    latents = np.arange(16.0).reshape(8, 2)
    raw: Betas = []
    plain = answers(
        setup.model_copy(update={"pipeline": (motion, step | {"trained": 0})}),
        participant_of(setup, PICTURES, TRAINING), PICTURES, latents, raw,
    )  # fmt: skip
    whole: Betas = []
    filled, trials = learned(setup, participant_of(setup, PICTURES, TRAINING), PICTURES, latents, whole)
    written = filled.pipeline[1]
    assert np.allclose(written["mean"], plain.brain.mean(axis=0), rtol=1e-5)
    assert np.allclose(written["spread"], plain.brain.std(axis=0, ddof=1), rtol=1e-5)
    assert trials.runs.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    # Live, with what training wrote: to the bit, in both runs, each from its own beginning.
    held: Betas = []
    live = answers(filled, participant_of(setup, PICTURES, TRAINING), PICTURES, latents, held)
    assert live.brain.tobytes() == trials.brain.tobytes()
    assert held[0].tobytes() == whole[0].tobytes()
    assert np.abs(whole[0].mean(axis=0)).mean() < 0.2 < np.abs(raw[0].mean(axis=0)).mean()
    # A bundle keeps them once, in its pipeline.
    assert portable(filled) == portable(setup)
    assert not {"mean", "spread"} & set(portable(filled)["pipeline"][1])


def test_settings_whose_betas_are_not_scored_are_learned_from_as_they_are() -> None:
    setup = settings()
    participant = participant_of(setup, PICTURES, TRAINING)
    same, trials = learned(setup, participant, PICTURES[:TRIALS], np.zeros((TRIALS, 2)))
    assert same is setup
    again = answers(setup, participant, PICTURES[:TRIALS], np.zeros((TRIALS, 2)))
    assert trials.brain.tobytes() == again.brain.tobytes()


def test_voxels_of_a_head_that_lies_elsewhere_are_found_by_registration() -> None:
    scanned = {**settings().participant.model_dump(), "scanner": {"voxel_mm": 7.0}}
    before = participant_of(settings(participant=scanned), PICTURES, TRAINING)
    away = type(before)(before.inner, HELD_OUT, voxel_mm=7.0, position=(6.0, -5.0, 4.0, 3.0, -3.0, 4.0))
    run = run_of(away, before)
    assert run.trained is not None
    points = moved(before.places.astype(float), before.affine)
    assert np.median(displacement(points, np.eye(4), away.pose(0))) > 6
    assert np.median(displacement(points, run.trained.to_today, away.pose(0))) < 0.5


def test_training_runs_take_turns_of_positions_each_registered_to_the_first() -> None:
    where = ((0.0,) * 6, (6.0, -5.0, 4.0, 3.0, -3.0, 4.0))
    scanner = {"voxel_mm": 7.0, "motion_mm": 0.0, "noise_percent": 0.0, "positions": where}
    motion, betas = (dict(step) for step in settings().pipeline)
    setup = settings(
        participant=settings().participant.model_dump() | {"scanner": scanner},
        trials=settings().trials.model_dump()
        | {"runs": 100, "blank_s": 3.0, "lead_in_s": 6.0},  # one trial a run
        pipeline=[motion, betas | {"motion": False, "drift": "none", "freedom": 3}],
    )
    assert positions_of(setup) == where
    assert positions_of(settings()) == ()
    at_rest, in_turns = (
        answers(
            setup, participant_of(setup, PICTURES, TRAINING), PICTURES[:2], np.zeros((2, 2)), positions=turns
        )
        for turns in ((), where)
    )
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(at_rest.brain, in_turns.brain, strict=True)]
    # The second is of a head elsewhere: its voxels are found again, and lie between those that were scanned.
    assert alike[0] > 0.9999
    assert 0.9 < alike[1] < 0.99


def test_a_scanned_participant_needs_betas_and_a_place_for_its_mask_which_the_bundle_names() -> None:
    with pytest.raises(ConfigError, match="needs scan, a folder"):
        settings(scan=None)
    with pytest.raises(ConfigError, match=r"end .* with single_trial_betas"):
        settings(pipeline=[{"step": "motion_correction", "mask": MASK, "voxels": UNITS}])
    run = run_of(participant_of(settings(), PICTURES, TRAINING))
    steps = with_mask(settings().pipeline, run)
    assert steps[0]["sha256"] == run.hashes[f"masks.{MASK}"]
    assert "sha256" not in steps[1]


def test_a_bundle_whose_epochs_begin_elsewhere_than_its_betas_is_refused() -> None:
    parts = {
        "schema_version": 1,
        "name": "betas",
        "signal": {"rate": 1 / 1.5, "shape": [4, 4, 4]},
        "pipeline": [dict(step) for step in settings().pipeline],
        "latent": 2,
        "image": {"height": 8, "width": 8},
        "graphs": [{"file": "whole.onnx", "role": "whole"}],
    }
    right = parts | {"window": {"start": 7.5, "stop": 9.0}}
    assert BundleSpec.from_json(json.dumps(right).encode(), "a bundle").window.samples(1 / 1.5) == 1
    wrong = parts | {"window": {"start": 6.0, "stop": 7.5}}
    with pytest.raises(BundleError, match=r"wait_s after an onset, 7.5 s.*from 6 s"):
        BundleSpec.from_json(json.dumps(wrong).encode(), "a bundle")

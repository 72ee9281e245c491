"""What a decoder was not trained on is told: the shipped decoders and every readout, by the benchmark's own input."""

import os
from pathlib import Path

import numpy as np
import pytest

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.signal.clock import ManualClock
from bci.signal.labels import label_key
from bci.sim.eeg import AlphaSimulator
from benchmarks import trust
from benchmarks.trust_inputs import REAL, has_inputs, planted_inputs, sliding
from models.readouts.bayes import InvertedEncoder
from models.readouts.family import FAMILY
from models.readouts.linear import LinearReadout
from models.readouts.novelty import Limits, Novelty
from models.readouts.solvers import Ridge

DATA = Path(os.environ.get("BCI_DATA") or "../shared/data")

#: Slow to fit; the guard is the base class's and the same.
QUICK = [name for name in FAMILY if not name.startswith(("network", "dense", "elastic"))] + ["network-1"]


@pytest.mark.parametrize("name", QUICK)
def test_every_readout_is_sure_of_nothing_that_it_was_not_trained_on(name):
    rows = trust.measure_readout(name)
    assert len(rows) == 10
    assert all(row["met"] for row in rows), [row for row in rows if not row["met"]]


@pytest.mark.parametrize("name", ["hyper-insilico", "hyper-insilico-fmri"])
def test_the_shipped_decoders_of_faces_refuse_noise_artefacts_crossed_wires_and_dead_amplifiers(name):
    rows = trust.measure_bundle(trust.BUNDLES / name, None, quick=True)
    judged = [row for row in rows if row["met"] is not None]
    assert len(judged) >= 10
    assert all(row["met"] for row in judged), [row for row in judged if not row["met"]]
    session = next(row for row in rows if row["input"] == "another session")
    assert session["flagged"] <= trust.REFUSED
    other = next(row for row in rows if row["input"] == "another subject")
    assert other["flagged"] >= 0.95, other


def test_the_eyes_open_decoder_refuses_noise_artefacts_crossed_wires_mains_and_dead_amplifiers():
    if not (DATA / "eegmmidb_S001").is_dir():
        pytest.skip("NO DATA: the recordings of the shipped decoder are not in $BCI_DATA")
    rows = trust.measure_bundle(trust.BUNDLES / "alpha", DATA, quick=True)
    assert len(rows) >= 11
    assert all(row["n"] > 100 for row in rows)
    assert all(row["met"] is not False for row in rows), [row for row in rows if row["met"] is False]


def test_the_decoder_of_attended_flashes_refuses_what_no_brain_answered():
    if not (DATA / "p300_bi2012").is_dir():
        pytest.skip("NO DATA: the recording of the shipped decoder is not in $BCI_DATA")
    rows = trust.measure_bundle(trust.BUNDLES / "p300", DATA, quick=True)
    assert len(rows) >= 11
    assert rows[0]["n"] + rows[1]["n"] == 768, "every flash, for a bundle that was trained without its fold"
    assert rows[1]["flagged"] > 0.3, "what an electrode did while it was loose made room for nothing"
    assert all(row["met"] is not False for row in rows), [row for row in rows if row["met"] is False]


def test_a_run_with_a_loose_electrode_makes_no_room_for_noise():
    rng = np.random.default_rng(4)
    mixing = rng.standard_normal((8, 60))

    def draw(n):
        return rng.standard_normal((n, 8)) @ mixing + 0.3 * rng.standard_normal((n, 60))

    runs = [draw(100) for _ in range(5)]
    runs[4][50:] += 8 * rng.standard_normal((50, 60))
    x = np.concatenate(runs)
    folds = [(np.arange(500) // 100 != k, np.arange(500) // 100 == k) for k in range(5)]
    novelty = Novelty.fit(x, folds)
    assert (novelty(draw(400)) > 1).mean() <= 0.02
    assert (novelty(3 * rng.standard_normal((400, 60))) > 1).mean() >= 0.95
    assert (novelty(x[450:]) > 1).mean() >= 0.5


def test_the_trials_that_limits_were_fitted_to_are_held_on_demand():
    rng = np.random.default_rng(6)
    mixing = rng.standard_normal((8, 60))
    x = rng.standard_normal((200, 8)) @ mixing + rng.standard_normal((200, 60))
    folds = [(np.arange(200) // 50 != k, np.arange(200) // 50 == k) for k in range(4)]
    refused = [(Novelty.fit(x, folds, hold_fitted=held)(x) > 1).mean() for held in (False, True)]
    assert refused[1] <= min(0.02, refused[0])


def test_limits_of_few_trials_reach_as_far_as_a_trial_to_come_and_not_as_far_as_noise():
    rng = np.random.default_rng(9)
    mixing = rng.standard_normal((3, 6))

    def draw(n):
        return rng.standard_normal((n, 3)) @ mixing + 0.3 * rng.standard_normal((n, 6))

    folds = [(np.arange(15) // 5 != k, np.arange(15) // 5 == k) for k in range(3)]
    real, noise = [], []
    for _ in range(40):
        novelty = Novelty.fit(draw(15), folds, hold_fitted=True)
        real.append((novelty(draw(100)) > 1).mean())
        noise.append((novelty(12 * rng.standard_normal((100, 6))) > 1).mean())
    # Drawn around the quantiles of fifteen trials alone they refuse 12 %.
    assert np.mean(real) <= 0.02
    assert np.mean(noise) >= 0.95


def test_no_shipped_bundle_that_claims_a_confidence_is_passed_over():
    for file in trust.BUNDLES.glob("*/bundle.json"):
        assert has_inputs(file) == (Bundle.load(file.parent).spec.confidence.kind != "none"), file


def test_the_simulated_eyes_of_the_demo_are_like_training_and_as_volts_they_are_not():
    bundle = Bundle.load(trust.BUNDLES / "alpha")
    simulator = AlphaSimulator(1, seconds=40.0)
    keys = [label_key(label) for label in simulator.signal.channels]
    columns = [keys.index(label_key(label)) for label in bundle.signal.channels]
    samples = np.ascontiguousarray(simulator.read(0, simulator.n)[:, columns])
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    for unit, refused in ((1.0, (0.0, 0.1)), (1e-6, (1.0, 1.0))):
        windows = sliding(bundle, samples * np.float32(unit))
        frames = [decoder.decode(window) for window in windows if window.settled]
        assert len(frames) > 350
        assert refused[0] <= np.mean([not frame.valid for frame in frames]) <= refused[1]


def test_every_shipped_bundle_tells_novelty_and_beats_chance():
    for folder in trust.BUNDLES.glob("*/bundle.json"):
        spec = Bundle.load(folder.parent).spec
        if spec.provenance.config.get("kind") == "measure":
            # Nothing of a measure was fitted: there is no training that input could be unlike, and it claims nothing.
            assert spec.confidence.kind == "none", folder
            continue
        assert spec.novelty is not None, folder
        assert spec.scores["beats_chance"] is True, folder


def test_the_novelty_has_limits_on_both_sides_and_looks_at_each_trial_alone():
    (brain, latents), inputs = planted_inputs()
    frozen = LinearReadout(Ridge()).fit(brain, latents).frozen()
    cases = dict(inputs)
    together = np.concatenate([cases[REAL], cases["white noise, 300 × the signal"]])
    assert np.array_equal(frozen.unlike(together)[:300], frozen.unlike(cases[REAL]))
    # At some amplitude noise has the length of a trial; what little of it passes then is not surer than a trial.
    median = np.median(frozen.confidence(cases[REAL]))
    for times in np.geomspace(0.1, 10, 15):
        noise = 50 + times * cases[REAL].std(0).mean() * np.random.default_rng(1).standard_normal((100, 240))
        assert frozen.unlike(noise).mean() > 0.7, times
        assert (frozen.confidence(noise) < median).all()


def test_trials_that_average_more_or_fewer_presentations_are_not_taken_for_foreign():
    rng = np.random.default_rng(3)
    weights, factors = rng.standard_normal((12, 240)) * 0.13, rng.standard_normal((12, 240)) * 0.2

    def draw(n, repeats):
        z = rng.standard_normal((n, 12))
        noise = 0.7 * rng.standard_normal((n, 240)) + rng.standard_normal((n, 12)) @ factors
        return z @ weights + noise / np.sqrt(repeats), z

    brain, latents = draw(240, 4)
    encoder = InvertedEncoder().fit(brain, latents, repeats=4)
    for repeats in (1, 4, 16):
        new, _ = draw(200, repeats)
        assert encoder.frozen(repeats).unlike(new).mean() <= 0.02
    assert encoder.frozen(4).unlike(draw(200, 1)[0]).mean() > 0.9


def test_an_answer_several_times_as_strong_as_in_training_is_refused_though_its_shape_is_the_same():
    rng = np.random.default_rng(8)
    weights = rng.standard_normal((12, 240)) * np.sqrt(0.4 / 12)

    def draw(n, times):
        z = rng.standard_normal((n, 12))
        return np.sqrt(times) * z @ weights + rng.standard_normal((n, 240)), z

    frozen = LinearReadout(Ridge()).fit(*draw(300, 1)).frozen()
    refused = [frozen.unlike(draw(200, times)[0]).mean() for times in (1, 1.3, 10)]
    assert refused[0] <= 0.02
    assert refused[1] <= 0.05
    assert refused[2] >= 0.9


def test_a_statistic_that_is_nothing_but_rounding_has_no_limit():
    limits = Limits.of(np.column_stack([np.linspace(0.9, 1.1, 100), np.full(100, 1e-9)]))
    assert limits.low[1] == 0
    assert (limits(np.array([[1.0, 0.0], [1.0, 9e-5]])) <= 1).all()
    # Trials that lie in fewer directions than there are voxels leave rounding beside their axes.
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((5, 40))
    folds = [(np.arange(200) % 4 != k, np.arange(200) % 4 == k) for k in range(4)]
    novelty = Novelty.fit(rng.standard_normal((200, 5)) @ mixing, folds)
    assert (novelty(rng.standard_normal((200, 5)) @ mixing) > 1).mean() <= 0.02
    assert (novelty(rng.standard_normal((200, 40)) * 3) > 1).all()

"""Every readout keeps one promise: frozen at training, blind to other test trials, clear about bad input."""

import numpy as np
import pytest
from planted_brain import world

from bci.errors import ConfigError, DataError
from models.checks import check_generator
from models.metrics.calibration import coverage
from models.metrics.latents import cosine, r_squared
from models.readouts.bayes import InvertedEncoder
from models.readouts.collapse import diagnose
from models.readouts.deep import LEVIN, DeepReadout
from models.readouts.dense import Dense
from models.readouts.family import FAMILY, build_readout
from models.readouts.folds import run_folds
from models.readouts.gradient import Schedule
from models.readouts.interface import score
from models.readouts.kernel import KernelReadout
from models.readouts.linear import LinearReadout
from models.readouts.size import choose_size
from models.readouts.solvers import BandedRidge, ChosenVoxels, LeastSquares, Principal, PseudoInverse, Ridge
from models.readouts.sparse import ElasticNet, PartialLeastSquares
from models.readouts.voxels import choose_voxels

FAST = Schedule(epochs=40, rate=3e-3)
READOUTS = {
    "inverted encoder": InvertedEncoder,
    "inverted encoder of components": lambda: InvertedEncoder(components=60, relevance=True),
    "least squares": lambda: LinearReadout(LeastSquares()),
    "ridge": lambda: LinearReadout(Ridge()),
    "banded ridge": lambda: LinearReadout(BandedRidge(tuple(k % 2 for k in range(240)), tries=2)),
    "chosen voxels": lambda: LinearReadout(ChosenVoxels(count=60)),
    "components, then ridge": lambda: LinearReadout(Principal(60)),
    "encoder, pseudo-inverted": lambda: LinearReadout(PseudoInverse()),
    "components, then encoder": lambda: LinearReadout(Principal(60, PseudoInverse((0.0,)))),
    "lasso": lambda: LinearReadout(ElasticNet(steps=6), folds=2),
    "partial least squares": lambda: LinearReadout(PartialLeastSquares((2, 8))),
    "kernel ridge": KernelReadout,
    "dense layer": lambda: LinearReadout(Dense(schedule=FAST), folds=2),
    "linear network": lambda: DeepReadout(LEVIN["linear, no bias"], schedule=FAST),
    "deep network": lambda: DeepReadout(LEVIN["two hidden layers"], schedule=FAST),
}
RUNS = np.arange(200) // 20


@pytest.fixture(scope="module")
def planted():
    made = world()
    return made.draw(200), made.draw(60, seed=2)


@pytest.fixture(scope="module")
def fitted(planted):
    (brain, latents), _ = planted
    kept = {}

    def fit(name):
        if name not in kept:
            kept[name] = READOUTS[name]().fit(brain, latents, runs=RUNS)
        return kept[name]

    return fit


@pytest.mark.parametrize("name", READOUTS)
def test_a_readout_reads_new_trials_and_says_how_surely(fitted, planted, name):
    _, (brain, latents) = planted
    readout = fitted(name)
    belief = readout.posterior(brain)
    assert belief.mean.shape == latents.shape
    np.testing.assert_allclose(belief.mean, readout.predict(brain))
    came = cosine(latents - 1, belief.mean - 1)
    assert came.mean() > 0.4
    says = readout.confidence(brain)
    assert says.shape == (60,)
    assert ((says >= 0) & (says <= 1)).all()
    # Without a penalty the error depends on the number of trials, and folds have fewer.
    if name not in ("encoder, pseudo-inverted", "least squares"):
        assert 0.8 < coverage(latents, belief.mean, belief.sd, 0.9) < 0.99
    wider = belief.interval(0.99)[1] - belief.interval(0.5)[1]
    assert (wider > 0).all()


@pytest.mark.parametrize("name", READOUTS)
def test_a_prediction_does_not_change_when_other_test_trials_change(fitted, planted, name):
    _, (brain, _) = planted
    readout = fitted(name)
    others = brain.copy()
    others[1:] = 1e3 - 7 * brain[1:][::-1]
    np.testing.assert_allclose(readout.predict(others)[0], readout.predict(brain)[0], rtol=1e-9)
    np.testing.assert_allclose(readout.confidence(others)[0], readout.confidence(brain)[0], rtol=1e-9)
    np.testing.assert_allclose(readout.predict(brain[:1])[0], readout.predict(brain)[0], rtol=1e-9)


#: What keeps a member of the family short, or what it cannot do without.
OPTIONS = {
    "banded-ridge": {"bands": tuple(k % 3 for k in range(240)), "tries": 1},
    "components-ridge": {"components": 40},
    "components-encoder": {"components": 40},
    "elastic-net": {"steps": 3},
    "dense": {"epochs": 2},
    **{name: {"epochs": 2} for name in FAMILY if name.startswith("network")},
}


@pytest.mark.parametrize("name", FAMILY)
def test_no_member_of_the_family_looks_at_other_test_trials(planted, name):
    (brain, latents), (new, _) = planted
    readout = build_readout(name, **OPTIONS.get(name, {})).fit(brain, latents, runs=RUNS)
    alone = readout.predict(new[:1])[0], readout.confidence(new[:1])[0]
    others = 1e3 - 7 * new[1:]
    for neighbours, at in ((new, 0), (np.vstack([new[:1], others]), 0), (np.vstack([others, new[:1]]), -1)):
        np.testing.assert_allclose(readout.predict(neighbours)[at], alone[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(readout.confidence(neighbours)[at], alone[1], rtol=1e-9, atol=1e-9)
    assert "predictions vary" in str(readout.collapse_)


def test_folds_hold_out_whole_runs_and_every_trial_once():
    runs = np.array([2, 0, 0, 1, 3, 3, 2, 1, 4])
    seen = np.zeros(len(runs), int)
    for kept, out in run_folds(runs, 3):
        assert not set(runs[kept]) & set(runs[out])
        assert (kept ^ out).all()
        seen += out
    assert (seen == 1).all()
    with pytest.raises(DataError, match="at least 2 runs to hold one out, came 1"):
        next(run_folds(np.zeros(5, int), 3))


@pytest.mark.parametrize("name", READOUTS)
def test_bad_training_data_are_refused_with_both_sides_named(planted, name):
    (brain, latents), _ = planted
    with pytest.raises(DataError, match=r"200 trials of brain data and 199 latents"):
        READOUTS[name]().fit(brain, latents[1:])
    broken = brain.copy()
    broken[3, 5] = np.nan
    with pytest.raises(
        DataError, match=r"NaN or infinity in 1 of 200 trials \(first: 3\) and 1 of 240 voxels .*5\)"
    ):
        READOUTS[name]().fit(broken, latents)
    still = brain.copy()
    still[:, [2, 9]] = 4.0
    with pytest.raises(
        DataError, match=r"240 voxels that vary .* 2 constant or nearly constant ones \(columns 2, 9\)"
    ):
        READOUTS[name]().fit(still, latents)
    with pytest.raises(DataError, match=r"at least \d+ trials .*came 1\b"):
        READOUTS[name]().fit(brain[:1], latents[:1])


@pytest.mark.parametrize("name", READOUTS)
def test_another_subjects_voxels_and_an_unfitted_readout_are_refused(fitted, planted, name):
    _, (brain, _) = planted
    with pytest.raises(
        DataError, match=r"240 voxels of the fit, came 239: they belong to another subject or mask"
    ):
        fitted(name).predict(brain[:, 1:])
    with pytest.raises(DataError, match="Call fit first"):
        READOUTS[name]().predict(brain)


def test_too_few_trials_for_the_chosen_model_names_the_model(planted):
    (brain, latents), _ = planted
    with pytest.raises(DataError, match=r"at least 14 trials for PseudoInverse .* came 10"):
        LinearReadout(PseudoInverse((0.0,))).fit(brain[:10], latents[:10])
    with pytest.raises(DataError, match=r"at least 61 trials for Principal .* came 50"):
        LinearReadout(Principal(60)).fit(brain[:50], latents[:50])


def test_least_squares_inverts_a_noiseless_encoding_model():
    rng = np.random.default_rng(0)
    z, w = rng.standard_normal((80, 6)), rng.standard_normal((6, 40))
    brain, new = z @ w + 3, rng.standard_normal((5, 6))
    for solver in (PseudoInverse((0.0,)), LeastSquares(), Principal(6, PseudoInverse((0.0,))), Principal(6)):
        readout = LinearReadout(solver).fit(brain, z)
        tolerance = 1e-8 if solver != Principal(6) else 0.05  # ridge shrinks a little
        np.testing.assert_allclose(readout.predict(new @ w + 3), new, atol=tolerance)


def test_an_error_measured_on_averages_is_not_claimed_for_single_trials(planted):
    (brain, latents), _ = planted
    readout = LinearReadout(Ridge()).fit(brain, latents, repeats=4)
    assert readout.predict(brain, repeats=1).shape == latents.shape
    with pytest.raises(DataError, match=r"at least 4 presentations, .* came 1\."):
        readout.posterior(brain, repeats=1)


def test_banded_ridge_puts_the_penalty_where_the_silent_voxels_are():
    made = world(silent=0.7, factors=0)
    (brain, latents), (new, truth) = made.draw(150), made.draw(200, seed=3)
    band = tuple(int(k >= 0.7 * 240) for k in range(240))
    banded = LinearReadout(BandedRidge(band)).fit(brain, latents)
    plain = LinearReadout(Ridge()).fit(brain, latents)
    assert r_squared(truth, banded.predict(new), 1) > r_squared(truth, plain.predict(new), 1) + 0.03
    assert np.mean(banded.solution_.chosen["shares"][:, 1]) > 0.8


def test_voxels_are_chosen_on_training_data_and_belong_to_their_subject():
    rng = np.random.default_rng(2)
    brain = rng.standard_normal((90, 30))
    brain[:, [4, 11, 20]] += 2.0
    mask = choose_voxels(brain, 3, subject="sub-01")
    assert mask.index.tolist() == [4, 11, 20]
    assert mask(brain, "sub-01").shape == (90, 3)
    with pytest.raises(DataError, match=r"'sub-01'.*'sub-02'"):
        mask(brain, "sub-02")
    with pytest.raises(DataError, match=r"30 voxels of subject 'sub-01'.*\(90, 29\)"):
        mask(brain[:, 1:])
    with pytest.raises(DataError, match="1 to 30 voxels to choose, came 31"):
        choose_voxels(brain, 31, subject="sub-01")


def test_reliable_voxels_are_those_whose_repeats_agree():
    rng = np.random.default_rng(3)
    stimuli = np.repeat(np.arange(30), 3)
    brain = rng.standard_normal((90, 25))
    brain[:, [7, 8]] += 2 * rng.standard_normal((30, 2))[stimuli]
    mask = choose_voxels(brain, 2, subject="sub-01", by="reliability", stimuli=stimuli)
    assert mask.index.tolist() == [7, 8]
    with pytest.raises(DataError, match="at most 1 times"):
        choose_voxels(brain, 2, subject="sub-01", by="reliability", stimuli=np.arange(90))


def test_voxels_that_latents_predict_are_found_where_no_stimulus_was_repeated():
    rng = np.random.default_rng(7)
    latents = rng.standard_normal((120, 4))
    brain = 5 + rng.standard_normal((120, 25))
    brain[:, [3, 14]] += 0.8 * latents[:, :2]
    mask = choose_voxels(brain, 2, subject="sub-01", by="encoding", latents=latents)
    assert mask.index.tolist() == [3, 14]
    # A voxel that answers strongly and always alike says nothing about which picture it was.
    assert choose_voxels(brain, 2, subject="sub-01").index.tolist() != [3, 14]
    with pytest.raises(DataError, match="latent of each trial to measure encoding, came none"):
        choose_voxels(brain, 2, subject="sub-01", by="encoding")
    with pytest.raises(DataError, match="120 trials of brain data and 119 latents"):
        choose_voxels(brain, 2, subject="sub-01", by="encoding", latents=latents[1:])


def test_collapse_is_said_in_words():
    rng = np.random.default_rng(4)
    truth = rng.standard_normal((100, 20))
    assert "COLLAPSED" in str(diagnose(truth, np.zeros_like(truth)))
    assert "COLLAPSED" in str(diagnose(truth, 1 + 0.01 * truth))
    assert "inflated" in str(diagnose(truth, truth + 2 * rng.standard_normal(truth.shape)))
    good = diagnose(truth, 0.6 * truth)
    assert str(good).startswith("not collapsed")
    assert good.variance_ratio == pytest.approx(0.36)
    assert diagnose(truth, np.outer(truth[:, 0], np.ones(20))).dimensions == pytest.approx(1)


def test_a_network_that_weight_decay_crushes_is_found_collapsed(planted):
    (brain, latents), _ = planted
    crushed = DeepReadout(
        LEVIN["three hidden layers"], schedule=Schedule(epochs=4, rate=1e-2, decay=10.0)
    ).fit(brain, latents)
    assert crushed.collapse_.collapsed
    linear = DeepReadout(LEVIN["linear"], schedule=FAST).fit(brain, latents)
    assert not linear.collapse_.collapsed


def test_the_size_of_latents_is_chosen_by_what_the_generator_draws():
    rng = np.random.default_rng(6)
    truth = rng.standard_normal((50, 16))
    shrunk = 0.3 * truth

    def drawn(z):
        return np.tanh(z)

    best, scores = choose_size(truth, shrunk, lambda a, b: -float(((drawn(a) - drawn(b)) ** 2).mean()))
    assert best.kind == "rescale"
    assert scores["rescale"] > scores["keep"]
    wild = truth + 6 * (rng.uniform(size=truth.shape) < 0.05)
    best, _ = choose_size(truth, wild, lambda a, b: -float(((a - b) ** 2).mean()))
    assert best.kind == "truncate"
    assert choose_size(truth, truth, lambda a, b: -float(((a - b) ** 2).mean()))[0].kind == "keep"


def test_a_generator_of_another_size_is_refused():
    check_generator(512, 512)
    with pytest.raises(DataError, match=r"generator of 512 latents, .* came one of 100"):
        check_generator(512, 100)


def test_the_score_counts_from_the_training_mean_and_refuses_another_generators_latents(fitted, planted):
    _, (brain, latents) = planted
    readout = fitted("ridge")
    assert 0.1 < score(readout, brain, latents) < 1
    with pytest.raises(
        DataError, match="12 dimensions of the fit, came 11: they belong to another generator"
    ):
        score(readout, brain, latents[:, 1:])


def test_every_readout_has_a_name_and_a_wrong_one_is_refused():
    options = {"banded-ridge": {"bands": (0, 1)}, "components-ridge": {"components": 9}}
    options["components-encoder"] = {"components": 9}
    for name in FAMILY:
        assert hasattr(build_readout(name, **options.get(name, {})), "posterior")
    with pytest.raises(
        ConfigError,
        match=r"one of the readouts inverted-encoder, .* came 'rigde' \(did you mean 'ridge'\?\)\. N",
    ):
        build_readout("rigde")
    with pytest.raises(
        ConfigError, match=r"'ridge' takes \(alphas\), came alpha \(did you mean 'alphas'\?\)\.$"
    ):
        build_readout("ridge", alpha=3.0)
    with pytest.raises(ConfigError, match="'components'"):
        build_readout("components-ridge")

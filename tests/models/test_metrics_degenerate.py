"""Predictions that say nothing score as a guess does, and those that hold NaN score NaN, without a p value."""

import inspect
import math

import numpy as np
import pytest

from bci.errors import DataError
from models.metrics import (
    blocks,
    calibration,
    ceiling,
    distributions,
    identification,
    images,
    latents,
    networks,
    probability,
    ranks,
    semantic,
    significance,
    table,
)
from models.metrics.identification import correlation_table, headline, identify, n_way, two_way
from models.metrics.latents import LATENT_SCORES, cosine, profile_correlation, r_squared, scaled_r_squared
from models.metrics.ranks import class_area
from models.metrics.table import latent_rows, picture_rows

STIMULI, REPEATS, D = 8, 3, 33
WHICH = np.repeat(np.arange(STIMULI), REPEATS)


def rng():
    return np.random.default_rng(23)


def truth():
    return rng().standard_normal((STIMULI, D))


#: Predictions that say nothing of the stimulus; .1 and 7.3 have means that differ from them in the last bit.
EMPTY = {
    "all zero": np.zeros((len(WHICH), D)),
    "each a constant": np.full((len(WHICH), D), 0.1),
    "each a constant of its own": np.linspace(0.1, 7.3, len(WHICH))[:, None] * np.ones(D),
    "all one latent": np.broadcast_to(np.random.default_rng(5).standard_normal(D), (len(WHICH), D)),
    "all one latent, float32": np.broadcast_to(
        np.random.default_rng(5).standard_normal(D).astype(np.float32), (len(WHICH), D)
    ),
}


@pytest.mark.parametrize("predicted", EMPTY.values(), ids=EMPTY.keys())
def test_predictions_that_say_nothing_identify_as_a_guess_does(predicted):
    found = identify(predicted, truth(), WHICH, rng())
    assert found["two_way"] == pytest.approx(1 / 2)
    assert found["n_way"] == pytest.approx(1 / STIMULI)
    assert found["two_way_p"] == found["n_way_p"] == 1
    assert headline(found)["headline"].startswith("no information: two-way identification 50.0%")


@pytest.mark.parametrize("name", [name for name in EMPTY if name != "each a constant of its own"])
def test_no_row_of_the_table_finds_anything_in_them(name):
    rows = latent_rows(
        {"empty": EMPTY[name]}, truth(), averaged="", which=WHICH, rng=rng(), permutations=99, resamples=20
    )
    assert {row.metric: row.p for row in rows} == {row.metric: 1.0 for row in rows}
    for row in rows:
        if row.chance is not None:
            assert row.score == pytest.approx(row.chance), row.metric
        assert math.isfinite(row.score), row.metric


def with_nan(bad=np.nan):
    """Return predictions that are right, but for one number of one trial."""
    predicted = truth()[WHICH] + 0.1 * rng().standard_normal((len(WHICH), D))
    predicted[4, 2] = bad
    return predicted


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_with_nan_makes_every_row_of_the_table_nan_without_a_p(bad):
    rows = latent_rows(
        {"a": with_nan(bad), "b": with_nan(0.0)},
        truth(),
        averaged="",
        which=WHICH,
        rng=rng(),
        permutations=99,
        resamples=20,
    )
    for row in rows:
        assert math.isnan(row.score) == math.isnan(row.low) == math.isnan(row.high) == (row.system == "a")
        assert (row.p is None) == (row.system == "a"), row.metric


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_identification_of_nan_is_not_scored_and_says_of_how_many_trials(bad):
    found = identify(with_nan(bad), truth(), WHICH, rng())
    assert math.isnan(found["two_way"])
    assert math.isnan(found["n_way"])
    assert found["two_way_p"] is found["n_way_p"] is None
    assert headline(found) == {
        "headline": "not scored: the latent read was NaN in 1 trial",
        "informed": False,
    }
    similar = correlation_table(truth(), with_nan(bad)[:STIMULI])
    assert np.flatnonzero(np.isnan(two_way(similar))).tolist() == [4]
    assert np.flatnonzero(np.isnan(n_way(similar, 3))).tolist() == [4]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_of_each_item_are_nan_where_the_item_is_and_nowhere_else(bad):
    predicted = with_nan(bad)
    for name, score in LATENT_SCORES.items():
        assert np.flatnonzero(np.isnan(score(truth()[WHICH], predicted))).tolist() == [4], name
        assert np.flatnonzero(np.isnan(score(predicted, truth()[WHICH]))).tolist() == [4], name
    assert np.flatnonzero(np.isnan(profile_correlation(truth()[WHICH], predicted))).tolist() == [2]
    assert math.isnan(r_squared(truth()[WHICH], predicted))
    assert math.isnan(scaled_r_squared(truth()[WHICH], predicted))


def test_what_does_not_vary_has_no_correlation_though_its_mean_is_rounded():
    for value in (0.1, 7.3, 1e-9, 1e12 / 3):
        even = np.full((2, D), value)
        assert np.isnan(latents.pattern_correlation(truth()[:2], even)).all()
        assert (correlation_table(truth(), even) == 0).all()
        assert (correlation_table(even, truth()) == 0).all()


def test_zeros_have_no_length_and_truths_at_the_centre_nothing_to_explain():
    assert cosine(truth(), np.zeros((STIMULI, D))).tolist() == [0] * STIMULI
    assert scaled_r_squared(truth(), np.zeros((STIMULI, D))) == 0
    assert math.isnan(r_squared(np.ones((3, 2)), np.zeros((3, 2)), 1.0))
    rows = latent_rows(
        {"a": truth()}, np.zeros((STIMULI, D)), averaged="", rng=rng(), permutations=9, resamples=9
    )
    assert next(math.isnan(row.score) and row.p is None for row in rows if row.metric == "R²")


def test_a_statistic_that_is_nan_has_no_p_and_never_the_smallest():
    one = significance.permutation_test(lambda order: math.nan, 5, permutations=99, rng=rng())
    assert one.p is None
    some = significance.permutation_test(
        lambda order: 1.0 if order[0] == 0 else math.nan, 5, permutations=99, rng=rng()
    )
    assert some.p is None
    of_run = blocks.cut_blocks(np.zeros(40, int), 4)
    labels = np.arange(40) >= 20
    scores = np.where(np.arange(40) == 3, np.nan, np.arange(40.0))
    assert blocks.permuted_labels(ranks.auc, labels, scores, of_run, permutations=99, rng=rng())[2] is None
    assert blocks.falling_with(scores, labels * 1.0, of_run, permutations=9, rng=rng()) == (None, 1.0)
    assert np.isnan(significance.holm([0.01, math.nan, 0.2])).tolist() == [False, True, False]
    assert np.isnan(significance.bootstrap_stimuli(scores, np.arange(40), resamples=500, rng=rng())).all()


def test_ranks_of_constants_are_a_guess_and_those_of_nan_are_nan():
    labels = np.arange(10) >= 4
    assert ranks.auc(labels, np.full(10, 0.3)) == 0.5
    alarms, hits = ranks.roc(labels, np.full(10, 0.3))
    assert np.trapezoid(hits, alarms) == 0.5
    bad = np.where(np.arange(10) == 2, np.nan, 0.3)
    assert math.isnan(ranks.auc(labels, bad))
    flat = np.full(10, 0.3)
    assert ranks.area_difference_variance(labels, flat, flat) == 0.0
    assert math.isnan(ranks.area_difference_variance(labels, flat, bad))
    assert math.isnan(ranks.area_difference_variance(labels, bad, flat))
    assert math.isnan(ranks.area_difference_variance(np.arange(10) == 4, flat, flat))
    assert ranks.spearman(bad, np.arange(10.0)) is None


def test_a_probability_of_one_half_hits_half_and_nan_is_no_hit_of_the_other_class():
    labels = np.array([True, True, True, False])
    assert probability.accuracy(labels, np.full(4, 0.5)) == 0.5
    assert probability.balanced_accuracy(labels, np.full(4, 0.5)) == 0.5
    assert probability.accuracy(labels, np.array([0.6, 0.4, 0.5, 0.2])) == 0.625
    nan = np.array([0.9, 0.9, 0.9, math.nan])
    for score in (
        probability.accuracy,
        probability.balanced_accuracy,
        probability.brier,
        probability.log_loss,
    ):
        assert math.isnan(score(labels, nan)), score.__name__
    assert math.isnan(probability.balanced_accuracy(np.ones(4, bool), np.full(4, 0.9)))
    assert math.isnan(probability.calibration(nan, labels)[1])


def test_uncertainty_that_is_nan_is_neither_a_miss_nor_the_lowest_confidence():
    mean, sd = np.zeros((4, 2)), np.ones((4, 2))
    assert calibration.coverage(mean, mean, sd * 0, 0.9) == 1
    assert math.isnan(calibration.coverage(mean, mean + np.array([np.nan, 0]), sd, 0.9))
    assert math.isnan(calibration.coverage(mean, mean, sd * [1, np.nan], 0.9))
    error, stated = np.arange(4.0), np.array([0.1, np.nan, 0.2, 0.3])
    curve = calibration.risk_coverage(error, stated)
    assert math.isnan(curve.area)
    assert np.isnan(curve.risk).all()
    assert calibration.falls_with_confidence(error, stated) == (None, None)
    assert calibration.falls_with_confidence(error, np.ones(4)) == (None, None)
    np.testing.assert_allclose(calibration.risk_coverage(error, np.ones(4)).risk, error.mean())
    bins = calibration.error_by_confidence(error, np.ones(4), bins=2)
    assert bins == [(1.0, 1.5, 2), (1.0, 1.5, 2)]


def test_the_ceiling_of_a_dead_voxel_is_zero_and_that_of_nan_unknown():
    responses = rng().standard_normal((24, 3))
    responses[:, 1] = 0.1
    assert ceiling.noise_ceiling(responses, WHICH)[1] == pytest.approx(0, abs=1e-6)
    responses[5, 2] = np.nan
    found = ceiling.noise_ceiling(responses, WHICH)
    assert np.isnan(found).tolist() == [False, False, True]
    assert ceiling.describe_ceiling(found) == "unknown: 1 of 3 voxels hold NaN"


def test_an_attribute_is_not_read_from_constants_nor_from_nan():
    normal = np.eye(D)[3]
    boundary = semantic.Boundary("smile", normal, 0.0, 1.0)
    z = truth()[WHICH]
    for predicted in (z * 0, np.broadcast_to(z[0], z.shape), z * 0 + 0.1):
        read = semantic.score_attribute(boundary, z, predicted, rng=rng(), permutations=99)
        assert (read.r, read.t_test, read.permutation) == (0.0, 1.0, 1.0)
    read = semantic.score_attribute(boundary, z, with_nan(), rng=rng(), permutations=99)
    assert math.isnan(read.r)
    assert read.t_test is read.permutation is None


def test_distances_between_samples_know_constants_and_refuse_nan():
    x = rng().standard_normal((60, 3))
    still = np.full((60, 3), 0.1)
    assert distributions.frechet_distance(still, still) == pytest.approx(0, abs=1e-12)
    assert distributions.frechet_distance(still, x) > 1
    assert distributions.kernel_distance(still, still, rng=rng()).mean == pytest.approx(0, abs=1e-9)
    assert distributions.class_divergence(np.full((40, 4), 0.25)) == (pytest.approx(1), pytest.approx(0))
    bad = np.where(np.arange(180).reshape(60, 3) == 7, np.nan, x)
    for refuse in (
        lambda: distributions.frechet_distance(x, bad),
        lambda: distributions.kernel_distance(bad, x, rng=rng()),
        lambda: distributions.class_divergence(np.where(bad == bad, 1 / 3, np.nan)),
        lambda: distributions.signal_frechet(x[:, :, None], bad[:, :, None]),
    ):
        with pytest.raises(DataError, match="finite"):
            refuse()


def test_uniform_pictures_are_a_guess_and_pictures_of_nan_are_refused():
    seen = rng().uniform(size=(6, 12, 12, 3))
    for level in (0.0, 0.1, 0.5, 1.0):
        rows = picture_rows(
            {"grey": np.full_like(seen, level)},
            seen,
            seen.mean(0),
            averaged="",
            rng=rng(),
            permutations=99,
            resamples=20,
        )
        by = {row.metric: row for row in rows}
        assert by["2-way identification, pixels"].score == pytest.approx(1 / 2)
        assert by["6-way identification, pixels"].score == pytest.approx(1 / 6)
        assert by["pixel correlation"].score == 0
        assert all(row.p == 1 for row in rows)
    with pytest.raises(DataError, match="came nan to nan"):
        picture_rows({"nan": seen * np.nan}, seen, seen.mean(0), averaged="", rng=rng())


def test_features_of_networks_that_do_not_vary_identify_as_a_guess_does():
    x, still = rng().standard_normal((6, 9)), np.full((6, 9), 0.1)
    assert networks._values("two-way", x, still).tolist() == [0.5] * 6
    assert np.isnan(networks._values("distance", x, still)).all()
    assert np.isnan(networks._values("unit distance", x, 0 * still)).all()


def test_classes_that_nothing_tells_apart_have_half_the_area_and_nan_has_none():
    classes = np.array([0, 1, 2] * 4)
    for k in (2, 3):
        own = classes[classes < k]
        assert class_area(np.zeros((len(own), k)), own) == 0.5
        broken = rng().standard_normal((len(own), k))
        broken[1, 0] = np.nan
        assert math.isnan(class_area(broken, own))


def test_every_public_score_is_under_test_here():
    """A new function of `models.metrics` belongs into this module, with input that says nothing and with NaN."""
    here = inspect.getsource(inspect.getmodule(test_every_public_score_is_under_test_here))
    exempt = {
        # no scores: helpers, texts, draws and tables of what is scored above
        *(
            "bootstrap",
            "cut_blocks",
            "centred_ranks",
            "centred",
            "does_not_vary",
            "finite_or_nan",
            "pair",
            "derangement",
        ),
        *("pictures", "picture_pair", "resize", "why_no_anchor", "rows_as_text", "interpolate", "log_power"),
        *("fit_boundary", "stimulus_means", "score_networks", "correlations", "wins"),
        # called above through a list or through LATENT_SCORES and IMAGE_SCORES
        *("brier", "log_loss", "balanced_accuracy"),
        *(
            "similarity",
            "pixel_correlation",
            "ssim_anchor",
            "ssim_hyper",
            "ssim_hyper_table",
            "windowed_ssim",
        ),
        "frechet_of_moments",
    }
    modules = (blocks, calibration, ceiling, distributions, identification, images, latents, networks)
    modules += (probability, ranks, semantic, significance, table)
    public = {
        name
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public - exempt == {name for name in public - exempt if f"{name}(" in here}

"""Scores of latents, identification, ceilings, calibration and attributes give planted answers."""

import numpy as np
import pytest

from bci.errors import DataError
from models.metrics.calibration import (
    coverage,
    error_by_confidence,
    falls_with_confidence,
    risk_coverage,
)
from models.metrics.ceiling import describe_ceiling, noise_ceiling
from models.metrics.identification import correlation_table, n_way, two_way
from models.metrics.latents import (
    derangement,
    pattern_correlation,
    profile_correlation,
    r_squared,
    scaled_r_squared,
    similarity,
)
from models.metrics.semantic import fit_boundary, interpolate, score_attribute
from models.metrics.significance import bootstrap_stimuli, holm, permutation_test


def rng():
    return np.random.default_rng(11)


def test_similarity_of_standard_latents_is_a_half_for_zeros_and_a_third_for_random_ones():
    zeros = similarity(rng().standard_normal((200, 512)), np.zeros((200, 512)))
    assert zeros.mean() == pytest.approx(0.5, abs=0.005)
    random = similarity(
        rng().standard_normal((200, 512)), np.random.default_rng(5).standard_normal((200, 512))
    )
    assert random.mean() == pytest.approx(1 / 3, abs=0.005)


def test_r_squared_counts_from_the_centre_it_is_given_and_scaling_undoes_a_wrong_size():
    truth = rng().standard_normal((50, 4))
    assert r_squared(truth + 3, np.full((50, 4), 3.0), 3) == 0
    assert r_squared(truth, 3 * truth) < 0
    assert scaled_r_squared(truth, 3 * truth) == pytest.approx(1)


def test_profile_and_pattern_correlate_along_different_axes():
    truth = rng().standard_normal((20, 6))
    assert profile_correlation(truth, truth * np.arange(1, 7)) == pytest.approx(np.ones(6))
    assert pattern_correlation(truth, truth * np.arange(1, 21)[:, None]) == pytest.approx(np.ones(20))
    with pytest.raises(DataError, match=r"\(20, 6\) and \(20, 5\)"):
        pattern_correlation(truth, truth[:, 1:])


def test_a_derangement_leaves_nothing_in_place():
    assert all((derangement(n, rng()) != np.arange(n)).all() for n in (2, 3, 50))


def test_n_way_is_what_drawing_candidates_gives():
    table = np.round(rng().standard_normal((12, 12)) + np.eye(12), 1)  # with ties
    source, hits = rng(), np.zeros((12, 1000))
    for item in range(12):
        others = np.delete(np.arange(12), item)
        for draw in range(1000):
            drawn = table[item, source.choice(others, 3, replace=False)]
            best = drawn.max()
            hits[item, draw] = (table[item, item] > best) + (table[item, item] == best) / (
                1 + (drawn == best).sum()
            )
    np.testing.assert_allclose(n_way(table, 4), hits.mean(1), atol=0.06)
    np.testing.assert_allclose(n_way(table, 2), two_way(table))


def test_identification_is_at_chance_without_information_and_perfect_with_all():
    truth, noise = rng().standard_normal((300, 64)), np.random.default_rng(3).standard_normal((300, 64))
    blind, seeing = correlation_table(truth, noise), correlation_table(truth, truth + 0.1 * noise)
    assert two_way(blind).mean() == pytest.approx(0.5, abs=0.03)
    assert n_way(blind, 200).mean() == pytest.approx(1 / 200, abs=0.006)
    assert n_way(seeing, 300).mean() == 1
    with pytest.raises(DataError, match="2 to 300 candidates for 300 test items, came 301"):
        n_way(blind, 301)


def test_two_way_saturates_where_r_squared_is_nearly_nothing():
    source = rng()
    truth, noise = source.standard_normal((100, 512)), source.standard_normal((100, 512))
    predicted = 0.02 * (truth + 4 * noise)
    assert r_squared(truth, predicted) < 0.05
    assert two_way(correlation_table(truth, predicted)).mean() > 0.98


def test_the_noise_ceiling_is_the_correlation_of_the_best_prediction():
    source, stimuli = rng(), np.repeat(np.arange(400), 5)
    signal = source.standard_normal((400, 3)) * [1.0, 0.5, 0.0]
    responses = signal[stimuli] + source.standard_normal((2000, 3))
    ceiling = noise_ceiling(responses, stimuli)
    means = responses.reshape(400, 5, 3).mean(1)
    best = [np.corrcoef(means[:, k], signal[:, k])[0, 1] for k in (0, 1)]
    np.testing.assert_allclose(ceiling[:2], best, atol=0.03)
    assert ceiling[2] < 0.35
    assert (noise_ceiling(responses, stimuli, averaged=1)[:2] < ceiling[:2]).all()
    assert noise_ceiling(responses, np.arange(2000)) is None
    assert describe_ceiling(None).startswith("unknown")
    assert "median r" in describe_ceiling(ceiling)


def test_coverage_is_the_level_for_true_uncertainty_only():
    source = rng()
    mean, sd = source.standard_normal((500, 8)), np.linspace(0.5, 2, 8)
    truth = mean + sd * source.standard_normal((500, 8))
    assert coverage(truth, mean, sd, 0.5) == pytest.approx(0.5, abs=0.02)
    assert coverage(truth, mean, sd, 0.9) == pytest.approx(0.9, abs=0.02)
    assert coverage(truth, mean, sd / 2, 0.9) < 0.65


def test_risk_falls_with_confidence_where_confidence_means_something():
    error = rng().uniform(size=200)
    good, blind = risk_coverage(error, -error), risk_coverage(error, np.ones(200))
    assert good.area == pytest.approx(good.best)
    assert (np.diff(good.risk) >= 0).all()
    np.testing.assert_allclose(blind.risk, error.mean())
    assert good.coverage[-1] == 1
    assert falls_with_confidence(error, -error) == pytest.approx((-1, 0))
    bins = error_by_confidence(error, -error, bins=4)
    assert [n for _, _, n in bins] == [50] * 4
    assert bins[0][1] > bins[-1][1]


def test_shuffling_stimuli_finds_what_is_there_and_nothing_else():
    source = rng()
    truth, noise = source.standard_normal(40), source.standard_normal(40)
    for other, found in ((truth + noise, True), (noise, False)):
        test = permutation_test(
            lambda order, other=other: float(np.corrcoef(truth[order], other)[0, 1]),
            40,
            permutations=199,
            rng=source,
        )
        assert (test.p <= 0.01) == found
        assert test.chance[0] < 0 < test.chance[1]
    ties = permutation_test(lambda order: 1.0, 5, permutations=19, rng=source)
    assert ties.p == 1


def test_holm_is_never_below_the_plain_value_and_never_falls():
    p = rng().uniform(size=(3, 4))
    corrected = holm(p)
    assert (corrected >= p).all()
    assert corrected.min() == pytest.approx(min(1, p.min() * 12))


def test_more_trials_of_a_stimulus_do_not_narrow_its_interval():
    source = rng()
    values = source.standard_normal(30)
    once = bootstrap_stimuli(values, np.arange(30), resamples=2000, rng=source)
    many = bootstrap_stimuli(np.repeat(values, 10), np.repeat(np.arange(30), 10), resamples=2000, rng=source)
    assert many[1] - many[0] == pytest.approx(once[1] - once[0], rel=0.1)
    wanted = 2 * 1.96 * values.std() / np.sqrt(30)
    assert once[1] - once[0] == pytest.approx(wanted, rel=0.1)


def test_subjects_are_resampled_too():
    source = rng()
    subjects = [source.standard_normal(50) * 0.1 + mean for mean in (0.0, 1.0, 2.0)]
    stimuli = [np.arange(50)] * 3
    low, high = bootstrap_stimuli(subjects, stimuli, resamples=1000, rng=source)
    assert high - low > 1.0  # the subjects differ more than their stimuli


def test_a_planted_attribute_is_found_read_and_edited():
    source = rng()
    normal = np.zeros(20)
    normal[3] = 1.0
    latents = source.standard_normal((600, 20))
    boundary = fit_boundary("smile", latents, latents @ normal > 0.2)
    assert boundary.normal @ normal > 0.98
    assert boundary.accuracy > 0.9
    truth = source.standard_normal((40, 20))
    read = score_attribute(
        boundary, truth, truth + source.standard_normal((40, 20)), rng=source, permutations=199
    )
    assert 0.4 < read.r < 0.95
    assert read.t_test < 0.01
    assert read.permutation <= 0.01
    shuffled = score_attribute(boundary, truth, truth[derangement(40, source)], rng=source, permutations=199)
    assert shuffled.permutation > 0.05
    moved = boundary.scores(boundary.edit(truth, 2.0)) - boundary.scores(truth)
    np.testing.assert_allclose(moved, 2.0)
    path = interpolate(truth[0], truth[1], 5)
    np.testing.assert_allclose(path[[0, 2, 4]], [truth[0], truth[:2].mean(0), truth[1]])


def test_latents_of_another_generator_are_refused_by_a_boundary():
    latents = rng().standard_normal((40, 6))
    boundary = fit_boundary("pose", latents, latents[:, 0] > 0)
    with pytest.raises(DataError, match="6 dimensions of the fit, came 7: they belong to another generator"):
        boundary.scores(np.zeros((2, 7)))
    with pytest.raises(DataError, match="at least 4 latents with and 4 without 'pose'"):
        fit_boundary("pose", latents, np.arange(40) < 2)

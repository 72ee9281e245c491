"""Scores have the values that can be worked out by hand, and significance respects dependence in time."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, spearmanr
from sklearn.metrics import roc_auc_score

from models.metrics.blocks import bootstrap, cut_blocks, falling_with, permuted_labels
from models.metrics.probability import balanced_accuracy, brier, calibration, log_loss
from models.metrics.ranks import area_difference_variance, auc, roc, spearman


def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("levels", [3, 1000])  # with many ties, and with few
def test_auc_equals_counting_pairs_and_scikit_learn(levels):
    scores = rng().integers(0, levels, 80).astype(float)
    labels = rng().permutation(80) < 30
    positive, negative = scores[labels][:, None], scores[~labels][None]
    pairs = (positive > negative).mean() + 0.5 * (positive == negative).mean()
    assert auc(labels, scores) == pytest.approx(pairs)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert auc(labels, scores) == pytest.approx(
        mannwhitneyu(scores[labels], scores[~labels]).statistic / (30 * 50)
    )


def test_auc_refuses_a_single_class():
    with pytest.raises(ValueError, match="both classes"):
        auc(np.ones(3, bool), np.arange(3.0))


def test_the_variance_of_a_difference_of_areas_is_how_much_it_varies_over_fresh_trials():
    """Of six trials a time, read by two readings that share half of their noise."""
    random, labels = rng(), np.arange(6) % 2 > 0
    gaps, variances = [], []
    for _ in range(6000):
        own, shared = random.standard_normal((2, 6)), random.standard_normal(6)
        one, other = labels + own[0] + shared, 0.5 * labels + own[1] + shared
        gaps.append(auc(labels, one) - auc(labels, other))
        variances.append(area_difference_variance(labels, one, other))
    assert np.mean(variances) == pytest.approx(np.var(gaps), rel=0.06)


def test_the_variance_of_a_difference_of_areas_is_not_known_from_one_trial_of_a_class():
    assert np.isnan(area_difference_variance(np.arange(4) == 1, np.arange(4.0), np.ones(4)))


def test_the_area_under_the_roc_curve_is_the_auc():
    scores = rng().integers(0, 9, 60).astype(float)
    labels = rng().permutation(60) < 25
    alarms, hits = roc(labels, scores)
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.trapezoid(hits, alarms) == pytest.approx(auc(labels, scores))


def test_spearman_shares_ranks_among_ties_and_is_none_without_variation():
    a, b = rng().integers(0, 4, 50).astype(float), rng().normal(size=50)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(a, np.ones(50)) is None


def test_brier_and_log_loss_of_a_constant_are_known():
    labels = np.array([True, False, False, False])
    quarter = np.full(4, 0.25)
    assert brier(labels, quarter) == pytest.approx(3 / 16)
    assert log_loss(labels, quarter) == pytest.approx(-(np.log(0.25) + 3 * np.log(0.75)) / 4)
    assert balanced_accuracy(labels, quarter) == 0.5


def test_calibration_of_probabilities_that_mean_what_they_say_is_nearly_perfect():
    source = rng()
    stated = source.uniform(0.5, 1.0, 40_000)
    right = source.uniform(size=40_000) < stated
    table, error = calibration(stated, right)
    assert len(table) == 5
    assert sum(row.n for row in table) == 40_000
    assert error < 0.01
    overconfident = calibration(np.full(1000, 0.95), np.arange(1000) < 700)
    assert overconfident[1] == pytest.approx(0.25)


def test_blocks_lie_within_one_run_and_count_what_they_leave_out():
    blocks = cut_blocks(np.repeat([0, 1], [7, 5]), 3)
    assert blocks.index.tolist() == [[0, 1, 2], [3, 4, 5], [7, 8, 9]]
    assert blocks.run.tolist() == [0, 0, 1]
    assert blocks.left_out == 3


def sluggish(n, memory, source):
    """Noise that remembers `memory` windows: neighbours are nearly copies."""
    noise = np.convolve(source.normal(size=n + memory), np.ones(memory) / memory)
    return noise[memory : memory + n]


def test_blocks_keep_the_false_alarm_rate_where_shuffled_windows_do_not():
    source = rng()
    alarms = {"blocks": 0, "windows": 0}
    for _ in range(60):
        scores = np.concatenate([sluggish(120, 20, source), sluggish(120, 20, source)])
        labels = np.arange(240) >= 120
        for name, size in (("blocks", 40), ("windows", 1)):
            blocks = cut_blocks(labels.astype(int), size)
            _, _, p = permuted_labels(auc, labels, scores, blocks, permutations=99, rng=source)
            alarms[name] += p < 0.05
    assert alarms["blocks"] <= 9  # 3 expected of 60
    assert alarms["windows"] >= 15


def test_a_planted_difference_is_found_and_its_interval_holds_it():
    source = rng()
    labels = np.arange(400) >= 200
    scores = labels * 1.5 + sluggish(400, 5, source) * np.sqrt(5)
    blocks = cut_blocks(labels.astype(int), 20)
    observed, permuted, p = permuted_labels(auc, labels, scores, blocks, permutations=999, rng=source)
    assert p == pytest.approx(0.001)
    assert abs(permuted.mean() - 0.5) < 0.05
    truth = 0.856  # Φ(1.5 / √2)
    low, high = bootstrap(lambda k: auc(labels[k], scores[k]), blocks, resamples=500, rng=source)
    assert low < observed < high
    assert low < truth < high


def test_confidence_that_falls_with_the_error_is_found_and_one_that_does_not_is_not():
    source = rng()
    run = np.repeat([0, 1], 300)
    blocks = cut_blocks(run, 15)
    difficulty = np.concatenate([sluggish(300, 10, source), sluggish(300, 10, source)])
    wrong = (difficulty > 0.1).astype(float)
    falls, p = falling_with(-difficulty, wrong, blocks, permutations=499, rng=source)
    assert falls < -0.5
    assert p < 0.01
    _, p = falling_with(source.normal(size=600), wrong, blocks, permutations=499, rng=source)
    assert p > 0.05


def test_a_difference_between_runs_alone_does_not_count_as_confidence():
    source = rng()
    run = np.repeat([0, 1], 300)
    blocks = cut_blocks(run, 15)
    wrong = (source.uniform(size=600) < np.where(run == 0, 0.4, 0.02)).astype(float)
    confidence = run + 0.1 * source.normal(size=600)  # knows the run and nothing within it
    falls, p = falling_with(confidence, wrong, blocks, permutations=499, rng=source)
    assert falls < -0.2
    assert p > 0.05


def test_without_a_single_error_no_claim_can_be_tested():
    blocks = cut_blocks(np.zeros(20, int), 5)
    assert falling_with(np.arange(20.0), np.zeros(20), blocks, permutations=9, rng=rng()) == (None, 1.0)

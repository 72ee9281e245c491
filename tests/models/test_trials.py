"""Trials fit together or say what does not, and are averaged, selected and held out as said."""

from typing import Any

import numpy as np
import pytest

from bci.errors import DataError
from models.datasets.trials import Stimuli, Trials

RNG = np.random.default_rng(0)


def stimuli(n: int = 4, **more: Any) -> Stimuli:
    latents = RNG.standard_normal((n, 3)).astype(np.float32)
    return Stimuli(tuple(f"s{i}" for i in range(n)), **{"latents": latents, "generator": "faces"} | more)


def trials(shown: list[int], **more: Any) -> Trials:
    brain = np.arange(5.0 * len(shown)).reshape(len(shown), 5)
    return Trials(brain, np.array(shown), stimuli(), "s1", **more)


def test_each_trial_has_the_latent_of_what_it_showed() -> None:
    found = trials([2, 0, 2])
    assert np.array_equal(found.latents, found.stimuli.latents[[2, 0, 2]])
    assert found.repeats.tolist() == [1, 1, 1]


def test_the_mean_over_presentations_counts_them() -> None:
    found = trials([1, 3, 1, 1], runs=np.array([0, 0, 1, 1]), repeats=np.array([1, 2, 1, 2])).averaged()
    assert found.shown.tolist() == [1, 3]
    assert found.repeats.tolist() == [4, 2]
    assert found.runs is None
    assert found.brain[0].tolist() == [(0 + 10 + 2 * 15) / 4 + k for k in range(5)]
    assert found.brain[1].tolist() == [5.0 + k for k in range(5)]


def test_a_held_out_run_shares_no_stimulus_with_training() -> None:
    found = trials([0, 1, 1, 2, 3, 2], runs=np.array([5, 5, 7, 7, 9, 9]))
    folds = list(found.folds())
    assert [test.runs.tolist() for _, test in folds] == [[5, 5], [7, 7], [9, 9]]
    assert [learn.shown.tolist() for learn, _ in folds] == [[2, 3, 2], [0, 3], [0, 1, 1]]
    with pytest.raises(DataError, match="two runs or more to hold one out, came 0"):
        next(trials([0, 1]).folds())
    with pytest.raises(DataError, match=r"run 0 shares its stimuli .* \(2 of 4"):
        next(trials([0, 1, 1, 0], runs=np.array([0, 0, 1, 1])).folds())


def test_selecting_keeps_the_stimuli() -> None:
    found = trials([3, 1, 0], runs=np.array([0, 1, 1])).select([True, False, True])
    assert found.shown.tolist() == [3, 0]
    assert found.runs is not None
    assert found.runs.tolist() == [0, 1]
    assert len(found.stimuli) == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: trials([0, 4]), "show stimuli 0 to 3, came 0 to 4"),
        (lambda: trials([0, 1], runs=np.array([0])), r"runs of each of 2 trials, came .*\(1,\)"),
        (lambda: trials([0, 1], repeats=np.array([1, 0])), "at least 1 presentation, came 0"),
        (lambda: stimuli(4, latents=np.zeros((3, 2))), "came 4 names, 3 latents"),
        (lambda: stimuli(4, latents=None), "came neither"),
        (lambda: stimuli(1, latents=np.full((1, 2), np.nan)), "with NaN or infinity"),
        (lambda: trials([0, 1]).check_generator("letters", 3), "'letters' with 3 dimensions, came those of 'faces'"),
        (lambda: trials([0, 1]).check_generator("faces", 100), "with 100 dimensions, came those of 'faces' with 3"),
        (lambda: trials([0, 1]).check_subject("s2", 5), "subject 's2' with 5 voxels, came 's1' with 5"),
        (lambda: trials([0, 1]).check_subject("s1", 9), "'s1' with 9 voxels, came 's1' with 5"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_both_sides(make: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make()


def test_answers_that_are_no_numbers_are_refused() -> None:
    brain = np.zeros((4, 6))
    brain[2, 5] = np.nan
    with pytest.raises(DataError, match=r"1 of 4 trials \(first: 2\) and 1 of 6 voxels \(first: 5\)"):
        Trials(brain, np.arange(4), stimuli(), "s1")

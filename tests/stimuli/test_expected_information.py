"""Expected information: a planted brain is known after fewer trials than at random, and what is expected comes."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from protocol_settings import settings

from bci.errors import ConfigError
from stimuli.information import LinearAnswers
from stimuli.protocols import count, open_protocol
from stimuli.protocols.expected_information import Chooser, scaled
from stimuli.trials import Ending, Latent, Outcome, Palette, Picture, Reading

D, K = 12, 5


def planted(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Return candidates of which few show what most do not, weights of their answers, and a factor of the noise."""
    random = np.random.default_rng(seed)
    numbers = random.standard_normal((300, D)).astype(np.float32)
    numbers[20:, D // 2 :] = 0
    mixed = random.standard_normal((K, K)) * 0.3
    return numbers, random.standard_normal((D, K)), np.linalg.cholesky(0.1 * np.eye(K) + mixed @ mixed.T)


def error_after(choose: str, seed: int, trials: int, late: int = 0) -> float:
    """Return how wrong the weights are after some trials, 1 for knowing nothing; readings come so many trials late."""
    numbers, weights, factor = planted(seed)
    true = scaled(numbers)[:, :D] @ weights
    random = np.random.default_rng([seed, 1])
    choice = Chooser({"choose": choose, "repeats": 1, "seed": seed}, numbers, K)
    waiting: list[Reading] = []
    for trial in range(trials):
        number = choice.next()
        assert number is not None
        answer = true[number] + 0.3 * factor @ random.standard_normal(K)
        waiting.append(Reading(trial, answer.astype(np.float32), 1.0))
        due = waiting[: len(waiting) - late]
        waiting = waiting[len(due) :]
        choice.take(number, Outcome(trial, Ending.SHOWN, float(trial), late=tuple(due)))
    return float(((choice.known.weights[:D] - weights) ** 2).sum() / (weights**2).sum())


@pytest.mark.parametrize("late", [0, 3])
def test_weights_are_known_better_than_after_as_many_random_trials(late: int) -> None:
    chosen = [error_after("expected_information", seed, 40, late) for seed in range(6)]
    control = [error_after("random", seed, 40, late) for seed in range(6)]
    assert np.mean(chosen) < 0.8 * np.mean(control)
    assert sum(a < b for a, b in zip(chosen, control, strict=True)) >= 5


def test_what_an_answer_is_expected_to_tell_is_what_it_takes_from_the_entropy() -> None:
    random = np.random.default_rng(3)
    weights, known = random.standard_normal((4, K)), LinearAnswers(4, K)
    for _ in range(60):
        features = random.standard_normal(4)
        known.learn(features, features @ weights + 0.5 * random.standard_normal(K))
    noise, prior = known.noise, known.prior
    gram = known._gram

    def entropy(gram: NDArray[np.float64]) -> float:
        # Of all weights at once, as one Gaussian of 4 K dimensions.
        precision = np.kron(np.linalg.inv(noise), gram) + np.eye(4 * K) / prior
        return -0.5 * float(np.linalg.slogdet(precision)[1])

    candidates = random.standard_normal((5, 4))
    expected = known.information(candidates)
    told = [entropy(gram) - entropy(gram + np.outer(x, x)) for x in candidates]
    assert expected == pytest.approx(told, rel=1e-9)
    # The same stimulus, its answer still to come, tells less a second time.
    assert np.all(known.information(candidates, candidates) < expected)


def test_weights_noise_and_their_ratio_are_found() -> None:
    random = np.random.default_rng(5)
    mixed = random.standard_normal((K, 2))
    covariance = 0.2 * np.eye(K) + 0.4 * mixed @ mixed.T
    weights, known = random.standard_normal((6, K)), LinearAnswers(6, K)
    for _ in range(600):
        features = random.standard_normal(6) / np.sqrt(6)
        noise = np.linalg.cholesky(covariance) @ random.standard_normal(K)
        known.learn(features, features @ weights + noise)
    assert np.sqrt(((known.weights - weights) ** 2).mean()) < 0.15
    assert np.linalg.norm(known.noise - covariance) < 0.1 * np.linalg.norm(covariance)
    assert known.prior == pytest.approx(1.0, rel=0.5)


def test_answers_without_any_signal_are_taken_for_noise() -> None:
    random, known = np.random.default_rng(6), LinearAnswers(20, 3)
    for _ in range(40):
        known.learn(random.standard_normal(20) / np.sqrt(20), random.standard_normal(3))
    assert np.abs(known.weights).max() < 0.3
    for _ in range(3):
        known.learn(np.zeros(20), np.zeros(3))
    assert np.isfinite(known.information(np.eye(20))).all()
    silent = LinearAnswers(4, 2)
    silent.learn(np.ones(4), np.zeros(2))
    assert np.isfinite(silent.information(np.eye(4))).all()


def test_answers_that_are_noise_alone_do_not_bring_the_same_picture_over_and_over() -> None:
    random = np.random.default_rng(2)
    numbers = random.standard_normal((24, 16)).astype(np.float32)
    choice, shown = Chooser({"choose": "expected_information", "repeats": 6, "seed": 1}, numbers, 16), []
    for trial in range(24):
        number = choice.next()
        assert number is not None
        shown.append(number)
        read = random.standard_normal(16).astype(np.float32)
        choice.take(number, Outcome(trial, Ending.SHOWN, float(trial), read, 1.0))
    assert all(one != other for one, other in pairwise(shown))
    assert len(set(shown)) >= 16


def folder_of(path: Path, n: int = 6) -> Path:
    random = np.random.default_rng(0)
    for place in range(n):
        Image.new("RGB", (8, 8), (place, 0, 0)).save(path / f"p{place}.png")
    rows = {f"p{place}": random.standard_normal(16).tolist() for place in range(n)}
    (path / "latents.json").write_text(json.dumps(rows))
    return path


def shown(spec: dict[str, Any], read: Any, palette: Palette) -> list[Any]:
    protocol, trials = open_protocol(spec, palette), []
    trial = next(protocol, None)
    while trial is not None:
        trials.append(trial)
        try:
            trial = protocol.send(read(len(trials) - 1, trial))
        except StopIteration:
            break
    return trials


def test_no_picture_comes_more_often_than_it_may_and_the_same_answers_give_the_same_pictures(
    tmp_path: Path,
) -> None:
    spec = settings(
        protocol="expected_information", folder=str(folder_of(tmp_path)), trials=50, repeats=2, seed=4
    )
    palette = Palette((8, 8), latent=16, reading=3)
    assert count(spec) == 12

    def read(number: int, trial: Any) -> Outcome:
        answer = np.random.default_rng(number).standard_normal(3).astype(np.float32)
        return Outcome(number, Ending.SHOWN, float(number), answer, 1.0)

    trials = shown(spec, read, palette)
    assert sorted(trial.number for trial in trials) == sorted(list(range(6)) * 2)
    assert all(isinstance(trial.stimulus, Picture) for trial in trials)
    assert trials[0].file.endswith(f"{trials[0].name}.png")
    assert [trial.number for trial in shown(spec, read, palette)] == [trial.number for trial in trials]
    control = shown(spec | {"choose": "random"}, read, palette)
    assert sorted(trial.number for trial in control[:6]) == list(range(6))
    assert [trial.number for trial in control] != [trial.number for trial in trials]


def test_a_picture_of_which_nothing_was_read_may_come_again(tmp_path: Path) -> None:
    spec = settings(protocol="expected_information", folder=str(folder_of(tmp_path)), trials=40)

    def read(number: int, trial: Any) -> Outcome:
        ending = Ending.ABORTED if number == 0 else Ending.SHOWN
        answer = None if number in (0, 3) else np.full(3, float(number), np.float32)
        return Outcome(number, ending, float(number), answer, 1.0)

    trials = shown(spec, read, Palette((8, 8), latent=16, reading=3))
    # Six pictures, one of them aborted at first, and one shown without a reading.
    assert len(trials) == 8
    read_of = [trial.number for number, trial in enumerate(trials) if number not in (0, 3)]
    assert sorted(read_of) == list(range(6))


def test_points_of_the_latent_space_are_candidates_where_no_folder_is_named() -> None:
    spec = settings(protocol="expected_information", points=5, trials=3, spread=2.0)
    trials = shown(spec, lambda n, t: Outcome(n, Ending.SHOWN, 0.0), Palette((8, 8), latent=16, reading=2))
    assert len({trial.number for trial in trials}) == 3
    assert all(
        isinstance(trial.stimulus, Latent) and trial.stimulus.latent.shape == (16,) for trial in trials
    )


def test_what_cannot_be_chosen_by_is_refused_in_words(tmp_path: Path) -> None:
    points = settings(protocol="expected_information")
    with pytest.raises(ConfigError, match="expected a bundle with a generator graph"):
        open_protocol(points, Palette((8, 8), reading=3))
    with pytest.raises(ConfigError, match=r"without a \[decoder\]"):
        open_protocol(points, Palette((8, 8), latent=4))
    folder = str(folder_of(tmp_path))
    with pytest.raises(ConfigError, match="needs the folder"):
        settings(protocol="expected_information", features="pictures")
    spec = settings(protocol="expected_information", folder=folder, features="pictures")
    with pytest.raises(ConfigError, match=r"python -m models\.encoding\.candidates"):
        open_protocol(spec, Palette((8, 8), latent=16, reading=3))


def test_features_of_pictures_are_written_for_the_protocol(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="encoding models need the extra train")
    from models.encoding.candidates import main

    random = np.random.default_rng(1)
    for name in ("a", "b", "c"):
        Image.fromarray(random.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / f"{name}.png")
    assert main([str(tmp_path), "--components", "2"]) == 0
    rows = json.loads((tmp_path / "features.json").read_text())
    assert {name: len(row) for name, row in rows.items()} == {"a": 2, "b": 2, "c": 2}
    spec = settings(protocol="expected_information", folder=str(tmp_path), features="pictures", trials=3)
    trials = shown(spec, lambda n, t: Outcome(n, Ending.SHOWN, 0.0), Palette((64, 64), reading=2))
    assert sorted(trial.number for trial in trials) == [0, 1, 2]
    assert main([str(tmp_path / "none")]) == 2

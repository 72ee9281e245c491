"""The comparison of readouts: folds by run, everything fitted inside them, the oracle above all."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("joblib")

from blobs import save_blobs
from test_hyper_insilico import CONFIG

from bci.errors import ConfigError, DataError
from models.comparison.compare import compare, fit_fold
from models.comparison.page import metric, ranking, write_comparison
from models.comparison.settings import load_comparison
from models.datasets.trials import Stimuli, Trials

COMPARE = """
kind = "comparison"
name = "tiny"
data = "tiny.toml"
candidates = 8
oracle_trials = 20
permutations = 50
[[readouts]]
name = "ridge"
[[readouts]]
title = "hardly fitted"
name = "ridge"
options = { alphas = [1e9] }
[[readouts]]
title = "too many"
name = "components-ridge"
options = { components = 5000 }
"""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("comparison")
    save_blobs(root / "generator")
    (root / "tiny.toml").write_text(CONFIG)
    (root / "compare.toml").write_text(COMPARE)
    return root, compare(root / "compare.toml", root / "out")


def test_readouts_are_ranked_beside_baselines_and_the_oracle(compared: tuple[Path, dict[str, Any]]) -> None:
    root, report = compared
    assert [name for name, _ in ranking(report)] == ["ridge", "hardly fitted"]
    ridge = report["systems"]["ridge"]["rows"]
    assert metric(ridge, "cosine")["score"] > 0.5
    assert metric(ridge, "cosine")["p"] < 0.05
    assert metric(ridge, "8-way identification")["chance"] == pytest.approx(1 / 8)
    mean = metric(report["baselines"]["training mean"], "cosine")
    assert mean["low"] - 0.1 < 0 < mean["high"] + 0.1
    assert report["oracle"]["two_way"] >= metric(ridge, "2-way identification")["score"] - 0.05
    assert report["oracle"]["candidates"] == 8
    assert 0.7 < report["systems"]["ridge"]["coverage"]["90%"] <= 1
    assert "COLLAPSED" in report["systems"]["hardly fitted"]["collapse"]
    assert "refused" in report["systems"]["too many"]
    page = Path(report["page"]).read_text()
    for words in ("ridge reads best", "not fitted", "oracle", "training mean"):
        assert words in page
    assert json.loads((root / "out" / "report.json").read_text())["test"]["folds"] == 4
    assert len(list((root / "out" / "units").glob("*.json"))) == 3 * 4
    assert len(list((root / "out" / "scores").glob("*.json"))) == 2 + 2, "a row that is scored is a unit"


def test_a_readout_that_predicts_nan_stands_last_and_without_scores(
    compared: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    report = copy.deepcopy(compared[1])
    for row in report["systems"]["ridge"]["rows"]:
        row |= {"score": None, "low": None, "high": None, "p": None}
    assert [name for name, _ in ranking(report)] == ["hardly fitted", "ridge"]
    page = write_comparison(tmp_path / "page", report).read_text()
    assert "–" in page
    report["systems"]["hardly fitted"] = {"refused": "for this test"}
    assert "No information" in write_comparison(tmp_path / "again", report).read_text()


def test_a_second_comparison_computes_nothing_and_says_the_same(
    compared: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, report = compared

    def never(**_: Any) -> dict[str, Any]:
        raise AssertionError("every unit was there")

    monkeypatch.setattr("models.comparison.compare.fit_fold", never)
    monkeypatch.setattr("models.comparison.compare.score_row", never)
    assert compare(root / "compare.toml", root / "out") == report


def planted(runs: list[int], shown: list[int]) -> Trials:
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((max(shown) + 1, 3)).astype(np.float32)
    brain = latents[shown] @ rng.standard_normal((3, 12)) + 0.1 * rng.standard_normal((len(shown), 12))
    stimuli = Stimuli(names=tuple(map(str, range(len(latents)))), latents=latents)
    return Trials(brain, np.array(shown), stimuli, "planted", runs=np.array(runs), simulated=True)


def fold(trials: Trials, run: int, voxels: dict[str, Any] | None = None) -> dict[str, Any]:
    return fit_fold(trials=trials, readout="ridge", options={}, voxels=voxels, run=run, data="", versions={})


def test_what_is_held_out_reaches_neither_the_fit_nor_the_choice_of_voxels() -> None:
    trials = planted([k // 20 for k in range(60)], list(range(60)))
    spoilt = Trials(
        np.where((trials.runs == 1)[:, None], 100.0 * trials.brain[::-1], trials.brain),
        trials.shown,
        trials.stimuli,
        "planted",
        runs=trials.runs,
        simulated=True,
    )
    voxels = {"count": 6, "by": "encoding"}
    one, other = fold(trials, 1, voxels), fold(spoilt, 1, voxels)
    assert one["training_mean"] == other["training_mean"]
    assert one["predicted"] != other["predicted"]
    again = fold(trials.select(np.arange(60) != 25), 1, voxels)
    assert np.allclose(again["predicted"], np.delete(one["predicted"], 5, 0))


def test_a_picture_in_two_runs_is_learned_from_in_neither_fold() -> None:
    trials = planted([0] * 20 + [1] * 20 + [2] * 20, [*range(20), *range(10), *range(20, 50)])
    assert fold(trials, 0)["trained_on"] == 30
    assert fold(trials, 2)["trained_on"] == 40


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("candidates", "candidate"), "candidate: "),
        (('title = "too many"', 'title = "ridge"'), "ridge twice"),
        (('name = "components-ridge"', 'name = "componnents"'), "componnents"),
    ],
)
def test_a_misspelt_comparison_is_refused_by_name(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    (tmp_path / "compare.toml").write_text(COMPARE.replace(*change))
    (tmp_path / "tiny.toml").write_text(CONFIG)
    with pytest.raises(ConfigError, match=words):
        compare(tmp_path / "compare.toml", tmp_path / "out")


def test_more_trials_than_there_are_is_refused(compared: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    root, _ = compared
    (root / "many.toml").write_text(COMPARE.replace("candidates = 8", "candidates = 8\ntrials = 4000"))
    assert load_comparison(root / "many.toml").trials == 4000
    with pytest.raises(DataError, match="Ask for fewer"):
        compare(root / "many.toml", tmp_path / "out")

"""All brain readers in one table: any system by a few lines, beside baselines, best and oracle; resumable."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("joblib")

from blobs import save_blobs
from commands import call
from sklearn.metrics import roc_auc_score
from test_hyper_insilico import CONFIG

from bci.errors import ConfigError, DataError
from models.comparison.exchange import exchanged, own, ranked, resampled, tables
from models.comparison.systems import compare_systems, known_readers
from models.comparison.systems_page import ranking
from models.systems.registry import add_folder, remove_folder

COMPARE = """
kind = "comparison-of-systems"
name = "tiny"
side = 16
others = 60
permutations = 60
chunk = 25
readers = ["copies the truth", "refuses", "ridge to latents", "eigenfaces", "ridge to pixels"]
[[sets]]
title = "tiny"
data = "tiny.toml"
"""

#: A system of a few lines: it learns nothing, and draws what the first latent of the lesson would be, or refuses.
SYSTEM = '''
import numpy as np
from bci.errors import DataError
from models.systems.reader import PictureReader
from models.systems.system import System

def never(*_, **__):
    raise AssertionError("neither trained nor checked here")

def read(lesson, brain):
    """Draw the training picture whose response is the most alike."""
    near = ((brain[:, None] - lesson.brain) ** 2).sum(-1).argmin(1)
    return lesson.pictures[near]

def refuse(lesson, brain):
    raise DataError("expected another brain, came this one.")

def readers():
    return (PictureReader("nearest trial", "of this test", read), PictureReader("refuses", "of this test", refuse))

SYSTEM = System("of-a-test", "of this test", never, never, never, readers=readers)
'''


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("systems")
    save_blobs(root / "generator")
    (root / "tiny.toml").write_text(CONFIG)
    (root / "compare.toml").write_text(COMPARE.replace("copies the truth", "nearest trial"))
    (root / "folder" / "of_a_test").mkdir(parents=True)
    (root / "folder" / "of_a_test" / "__init__.py").touch()
    (root / "folder" / "of_a_test" / "system.py").write_text(SYSTEM)
    add_folder(root / "folder")
    try:
        yield root, compare_systems(root / "compare.toml", root / "out")
    finally:
        remove_folder(root / "folder")


def test_every_reader_stands_beside_baselines_its_best_and_the_oracle(compared: Any) -> None:
    root, report = compared
    found = report["sets"][0]
    rows = {title: row.get("scores") for title, row in ranking(found)}
    for title in ("ridge to latents", "eigenfaces", "ridge to pixels"):
        assert rows[title]["two-way"]["score"] > 0.8
        assert rows[title]["two-way"]["p"] < 0.05
        assert (
            rows[title]["two-way"]["low"] <= rows[title]["two-way"]["score"] <= rows[title]["two-way"]["high"]
        )
    assert rows["mean picture"]["two-way"]["score"] == pytest.approx(0.5)
    assert rows["mean picture"]["two-way"]["p"] == 1.0
    low, high = rows["random pictures"]["two-way"]["chance"][1:]
    assert low <= rows["random pictures"]["two-way"]["score"] <= high
    assert rows["best of eigenfaces"]["pixel r"]["score"] > rows["eigenfaces"]["pixel r"]["score"]
    assert found["oracle"]["two-way"] >= rows["ridge to latents"]["two-way"]["score"] - 0.05
    assert "median r" in found["ceiling"]
    page = Path(report["page"]).read_text()
    for words in ("simulated", "ridge to pixels", "best of eigenfaces", "oracle", "Noise ceiling"):
        assert words in page
    assert (root / "out" / "pictures-0.png").read_bytes()[:4] == b"\x89PNG"


def test_a_system_of_a_few_lines_takes_part_and_one_that_cannot_learn_says_why(compared: Any) -> None:
    rows = compared[1]["sets"][0]["rows"]
    assert rows["nearest trial"]["scores"]["two-way"]["score"] > 0.6
    assert rows["refuses"]["refused"] == "expected another brain, came this one."
    assert rows["refuses"]["about"] == "of this test"


def test_the_command_goes_on_with_what_is_there_and_says_the_same(
    compared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, report = compared

    def never(**_: Any) -> dict[str, Any]:
        raise AssertionError("every unit was there")

    monkeypatch.setattr("models.comparison.systems.read_unit", never)
    monkeypatch.setattr("models.comparison.systems.part_unit", never)
    done = call("compare", "--systems", root / "compare.toml", "--out", root / "out", "--json")
    assert done.status == 0, done.words
    assert done.result["sets"] == report["sets"]
    assert json.loads((root / "out" / "report.json").read_text()) == report


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("ridge to pixels", "ridge to pixel"), "ridge to pixels"),
        (("tiny.toml", "grip-train.toml"), "hyper-insilico"),
        (("side = 16", "side = 17"), "side"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    compared: Any, change: tuple[str, str], words: str
) -> None:
    root, _ = compared
    (root / "wrong.toml").write_text((root / "compare.toml").read_text().replace(*change))
    with pytest.raises((ConfigError, DataError), match=words):
        compare_systems(root / "wrong.toml", root / "wrong")


def test_the_command_refuses_the_other_kind_of_file(compared: Any) -> None:
    refused = call("compare", "--systems", "hyper-insilico-compare", "--json")
    assert refused.status == 2
    assert "comparison-of-systems" in refused.result["message"]
    assert call("compare", "--json").status == 2
    checked = call("check", compared[0] / "compare.toml", "--json")
    assert checked.status == 0, checked.words
    assert checked.result["readers"][0] == "nearest trial"


def test_every_title_is_of_one_reader() -> None:
    known = known_readers()
    wanted = {"HYPER", "dreamed, network", "multiscale", "end to end", "by gradient", "distilled"}
    assert wanted | {"eigenfaces", "VAE-GAN", "ridge to pixels"} <= set(known)
    assert all(reader.about and reader.title == title for title, reader in known.items())


def test_exchanging_pictures_gives_chance_and_labels_are_exchanged_where_pictures_are_few() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 256, (6, 16, 16, 3), np.uint8)
    which = np.arange(12) % 6
    found = tables(truth, truth[which], which)
    assert found["pixel r"][np.arange(12), which] == pytest.approx(np.ones(12))
    assert found["two-way"][np.arange(12), which] == pytest.approx(np.ones(12))
    null = exchanged(found["two-way"], which, which, count=200, seed=[0])
    assert np.mean(null) == pytest.approx(0.5, abs=0.05)
    assert null[:50] != exchanged(found["two-way"], which, which, count=50, seed=[1])
    few = exchanged(np.eye(2)[np.arange(40) % 2], np.arange(40) % 2, np.arange(40), count=100, seed=[0])
    assert np.mean(few) == pytest.approx(0.5, abs=0.05)
    assert len(set(few)) > 3, "two pictures alone would have two orders"
    # Of two pictures: drawings that all lean to the first are told apart by how far.
    label = np.arange(40) % 2
    lean = 3 - 0.8 * label + random.standard_normal(40)
    ranks = ranked(np.stack([lean, np.zeros(40)], 1), label)
    assert own(ranks, label).mean() == pytest.approx(roc_auc_score(label == 0, lean))
    null = exchanged(ranks, label, np.arange(40), count=200, seed=[0])
    assert np.mean(null) == pytest.approx(0.5, abs=0.05)
    spread = resampled(np.repeat([0.0, 1.0], 50), np.repeat([0, 1], 50), count=100, seed=[0])
    assert set(spread) == {0.0, 0.5, 1.0}, "trials of one picture move together"

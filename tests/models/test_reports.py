"""Reports: planted answers come out on the page, with whole pictures exchanged and resampled."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_bundle import tiny_bundle

pytest.importorskip("sklearn")
pytest.importorskip("skimage")

from bci.errors import ConfigError, DataError
from bci.io.files.folder import plain
from bci.signal.foreign import is_seen
from models.metrics.identification import wins
from models.metrics.table import latent_rows
from models.reports.bundle import report_bundle
from models.reports.charts import Line, chart, ticks
from models.reports.decoded import Decoded
from models.reports.labels import label
from models.reports.page import (
    curves_section,
    identification_section,
    metrics_section,
    verdict,
)
from models.reports.pairs import draw_finite, pairs_section, places
from models.reports.scoring import score_decoded
from models.reports.semantics import semantic_analysis
from models.reports.writing import write_report

K, REPEATS, D = 12, 3, 6


def draw(latents: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pictures whose pixels are fixed mixtures of the latent."""
    mixture = np.random.default_rng(9).standard_normal((D, 16 * 16 * 3))
    levels = 127.5 + 40 * np.asarray(latents, np.float64) @ mixture
    return np.clip(levels, 0, 255).astype(np.uint8).reshape(-1, 16, 16, 3)


def decoded(noise: float, *, signal: float = 1.0) -> Decoded:
    rng = np.random.default_rng(4)
    latents = rng.standard_normal((K, D)).astype(np.float32)
    which = np.repeat(np.arange(K), REPEATS)
    predicted = signal * latents[which] + noise * rng.standard_normal((len(which), D)).astype(np.float32)
    return Decoded(
        names=tuple(f"{k:03d}" for k in range(K)),
        latents=latents,
        seen=draw(latents),
        predicted=predicted,
        which=which,
        confidence=rng.random(len(which)),
        averaged=np.stack([predicted[which == k].mean(0) for k in range(K)]),
        how=f"mean of {REPEATS} trials",
        mean_picture=draw(latents).mean(0) / 255,
        mean_of="the pictures",
        brain=np.repeat(latents, REPEATS, 0) + rng.standard_normal((len(which), D)),
    )


def test_a_good_decoder_is_informed_and_averaging_helps(tmp_path: Path) -> None:
    found = decoded(0.8)
    report = score_decoded(found, draw, permutations=50, resamples=50)
    single, averaged = (report["identification"][level]["two_way"] for level in found.levels)
    assert report["informed"]
    assert 0.8 < single < averaged
    assert report["test"] | {"averaged": None} == {
        "pictures": K,
        "trials": K * REPEATS,
        "repeats": "3",
        "averaged": None,
        "mean_picture_of": "the pictures",
    }
    metrics = {row["metric"] for row in report["rows"]}
    assert {"cosine", "R²", "pixel correlation", "SSIM (anchor)", "SSIM (HYPER)"} <= metrics
    assert all({"shuffled"} <= set(row["baselines"]) for row in report["rows"])
    assert all(row["said"].startswith("weights missing") for row in report["networks"])
    curve = report["curves"]["single trials"]
    assert [point["chance"] for point in curve] == [1 / point["ways"] for point in curve]
    assert curve[0]["score"] >= curve[-1]["score"]
    assert report["ceiling"].startswith("median r")
    sections = [verdict(report), identification_section(report), pairs_section(found, draw)]
    page = write_report(
        tmp_path / "r", "t", [*sections, curves_section(report), metrics_section(report)], report
    )
    text = page.read_text()
    assert text.count("data:image/png;base64") == 3 * K + 8
    assert 'src="http' not in text
    assert json.loads((tmp_path / "r" / "report.json").read_text())["informed"] is True


def test_a_decoder_of_noise_has_no_information_and_the_page_says_so() -> None:
    report = score_decoded(decoded(1.0, signal=0.0), None, permutations=50, resamples=50)
    low, high = report["identification"]["single trials"]["two_way_chance"]
    assert low <= report["identification"]["single trials"]["two_way"] <= high
    assert report["headline"].startswith("no information")
    assert "<strong>No information</strong>" in verdict(report)
    assert "cannot be drawn alone" in report["missing"][0]


@pytest.mark.parametrize("draws", [draw, None])
def test_a_reading_of_nan_leaves_a_page_without_scores_and_without_p(draws: Any) -> None:
    found = decoded(0.8)
    found.predicted[4, 2] = np.nan
    assert found.averaged is not None
    found.averaged[1, 2] = np.nan
    report = plain(score_decoded(found, draws, permutations=20, resamples=20))
    assert verdict(report).count("Not scored") == 1
    assert "NaN in 1 trial" in verdict(report)
    assert "holds NaN in 1 of 36 trials" in report["missing"][0]
    assert report["confidence"] is None
    for scores in report["identification"].values():
        assert scores["two_way"] is scores["two_way_p"] is None
    assert all(row["score"] is row["p"] is None for row in report["rows"])
    page = "".join((identification_section(report), curves_section(report), metrics_section(report)))
    assert "nan" not in page.lower().replace("holds nan", "")
    assert "–" in page
    assert places(found.predicted, found.latents, found.which)[4] is None
    grey = draw_finite(draw, found.predicted)[4]
    assert np.unique(grey).tolist() == [128]
    assert "holds NaN" in semantic_analysis(found, draw, None)[0]["missing"]


def test_a_reading_that_is_like_every_picture_alike_has_not_found_its_own() -> None:
    found = decoded(0.0)
    assert places(found.latents, found.latents, np.arange(K)) == [1] * K
    assert places(np.zeros((K, D)), found.latents, np.arange(K)) == [K // 2 + 1] * K


def test_more_trials_of_one_picture_make_no_interval_narrower() -> None:
    rng, found = np.random.default_rng(0), decoded(0.8)
    few, many = (
        latent_rows(
            {"read": np.repeat(found.predicted, times, 0)},
            found.latents,
            averaged="",
            which=np.repeat(found.which, times),
            rng=rng,
            permutations=10,
            resamples=2000,
        )[0]
        for times in (1, 20)
    )
    assert many.n == few.n == K
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.1)


def test_what_is_not_installed_is_said_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decoded(0.5)
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    monkeypatch.setitem(sys.modules, "models.metrics.semantic", None)
    report = score_decoded(found, draw, permutations=5, resamples=5)
    assert len(report["missing"]) == 1
    metrics = {row["metric"] for row in report["rows"]}
    assert "SSIM (anchor)" not in metrics
    assert {"pixel correlation", "SSIM (HYPER)"} <= metrics
    assert "is not installed" in metrics_section(report)
    assert "is not installed" in semantic_analysis(found, draw, None)[0]["missing"]


def test_sessions_and_bundles_are_reported_on_without_the_trainers() -> None:
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'sklearn', 'skimage', 'onnx', 'joblib', 'safetensors'):\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import models.sessions.evaluate, models.systems.hyper.report, models.systems.alpha.evaluate\n"
        "print('loaded')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("loaded", "")


def package(tmp_path: Path, kind: str) -> Any:
    """Return what a generator's package says that was told attributes along its first latents."""
    table = {
        "smile": np.eye(D)[0].tolist(),
        "age": np.eye(D)[1].tolist(),
        "eyeglasses": np.eye(D)[2].tolist(),
    }
    (tmp_path / "attributes.json").write_text(json.dumps(table))
    provenance = SimpleNamespace(config={"pictures": {"source": "folder"}})
    files = {"attributes.json": ""} if kind == "told" else {}
    return SimpleNamespace(
        folder=tmp_path, spec=SimpleNamespace(name="toy", latent=D, files=files, provenance=provenance)
    )


def test_planted_attributes_are_found_where_they_are_read_and_nowhere_else(tmp_path: Path) -> None:
    found = decoded(0.1)
    lost = found.predicted.copy()
    lost[:, 1] = np.random.default_rng(1).standard_normal(len(lost))  # age is not read at all
    averaged = np.stack([lost[found.which == k].mean(0) for k in range(K)])
    blind = Decoded(**{**vars_of(found), "predicted": lost, "averaged": averaged})
    report, section = semantic_analysis(
        blind, draw, package(tmp_path, "told"), permutations=500, labelled=800
    )
    rows = {(row["attribute"], row["averaged"]): row for row in report["attributes"]}
    level = f"mean of {REPEATS} trials"
    assert rows["smile", level]["r"] > 0.9
    assert rows["smile", level]["permutation_p_holm"] < 0.05
    assert rows["smile", level]["permutation_p_holm"] >= rows["smile", level]["permutation_p"]
    assert rows["age", level]["permutation_p_holm"] > 0.05
    assert all(row["cosine_with_truth"] > 0.9 for row in rows.values())
    assert rows["eyeglasses", level]["share_with_it"] == pytest.approx(0.35, abs=0.06)
    assert section.count("Edited along a boundary") == 1
    assert "From the true latent" in section


def vars_of(found: Decoded) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


def test_pictures_of_unknown_attributes_are_not_labelled(tmp_path: Path) -> None:
    assert "did not learn drawn faces" in str(label(package(tmp_path, "other"), draw))
    assert "not at hand" in str(label(None, draw))


def test_wins_knows_ties_and_refuses_more_ways_than_truths() -> None:
    table = np.array([[0.5, 0.5, 0.1], [0.2, 0.9, 0.4]])
    np.testing.assert_allclose(wins(table, 2), [[0.75, 0.75, 0.0], [0.0, 1.0, 0.5]])
    np.testing.assert_allclose(wins(table, 3), [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    with pytest.raises(DataError, match="2 to 3 candidates"):
        wins(table, 4)


@pytest.mark.parametrize("which", [[0] * K, [0, 1] * (K // 2)])
def test_trials_of_too_few_pictures_are_refused(which: list[int]) -> None:
    found = decoded(0.5)
    with pytest.raises(DataError, match="at least 2 pictures"):
        Decoded(**{**vars_of(found), "predicted": found.predicted[:K], "which": np.array(which)})


def test_a_chart_stands_for_itself() -> None:
    drawn = chart([Line("a < b", [1, 2, 3], [0.2, 0.4, 0.9])], title="T", x_label="x", percent=True)
    assert "a &lt; b" in drawn
    assert drawn.count("<circle") == 3
    assert ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make the folder"):
        write_report(tmp_path / "file" / "below", "t", [], {})


def test_names_of_pictures_and_bundles_are_text_on_a_page(tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script>\x1b[2J\u202e'
    bundle = tiny_bundle(tmp_path / "b", latent=D, height=16, width=16, name=hostile, title=hostile)
    found = replace(
        decoded(0.8), names=tuple(f"{k}{hostile}" for k in range(K)), mean_of=hostile, how=hostile
    )
    report_bundle(bundle, found, tmp_path / "r", facts=[(hostile, hostile)], permutations=10)
    text = (tmp_path / "r" / "index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert all(character == "\n" or is_seen(character) for character in text)

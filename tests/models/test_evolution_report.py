"""A session of evolving pictures is scored: a planted rise is found beside the control, none where there is none."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import tiny_bundle

from bci.errors import RecordingError
from bci.session.recorded import RecordedSession
from bci.session.tables import FRAME_FIELDS, MARK_FIELDS, SHOWN_FIELDS
from models.sessions.evolution import evaluate_evolution, proposals_of

D, GENERATIONS, POPULATION = 6, 9, 8


def write(folder: Path, table: str, rows: Sequence[dict[str, Any]]) -> None:
    with (folder / f"{table}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


ONE_GENERATOR = ("cma", "random", "reference")
TWO_GENERATORS = ("cma", "random", "cma@2", "random@2", "reference")


def session(place: Path, rise: float, names: Sequence[str] = ONE_GENERATOR, **experiment: Any) -> Path:
    """Plant a session in which the first value that is read of an optimiser's pictures rises by `rise` a generation.

    Of every picture that is the third of its generation nothing is read; the second generator's are answered by 2 more.
    """
    random = np.random.default_rng(5)
    bundle = tiny_bundle(place / "bundle", latent=D)
    folder = place / "session"
    folder.mkdir()
    asked = {"protocol": "evolution", "fitness": "value", "value": 0} | experiment
    config = {"experiment": asked, "decoder": {"bundle": str(bundle.folder)}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "environment.json").write_text(json.dumps({"bundle": {"hash": bundle.hash}}))
    (folder / "summary.json").write_text(json.dumps({"simulated": True}))
    trials, frames, shown = [], [], []
    for generation in range(GENERATIONS):
        for name in names:
            for number_in_it in range(2 if name == "reference" else POPULATION):
                number = len(trials)
                latent = random.standard_normal(D)
                label = f"{name}-{generation}-{number_in_it}"
                trials.append(
                    {"trial": number, "stimulus": number, "name": label, "ending": "shown", "confidence": "nan",
                     "latent": "", "stimulus_latent": json.dumps(latent.tolist())}
                )  # fmt: skip
                shown.append(
                    dict.fromkeys(SHOWN_FIELDS, "")
                    | {"change": number, "kind": "stimulus", "frame": number, "reason": label, "flip": number}
                    | {"trial": number}
                )
                if number_in_it == 2:
                    continue
                read = random.standard_normal(D)
                read[0] += rise * generation * name.startswith("cma") + 2 * name.endswith("@2")
                frames.append(
                    dict.fromkeys(FRAME_FIELDS, "0")
                    | {
                        "frame": number,
                        "latent": json.dumps(read.tolist()),
                        "valid": "1",
                        "confidence": "0.5",
                    }
                    | {"event": f"stimulus {number} {label}", "event_raw": number, "event_time": number}
                    | {"trial": number}
                )
    write(folder, "trials", trials)
    write(folder, "frames", frames)
    write(folder, "shown", shown)
    write(folder, "marks", [dict.fromkeys(MARK_FIELDS, "")])
    return folder


def test_a_rise_is_found_beside_the_control_and_the_references(tmp_path: Path) -> None:
    folder = session(tmp_path, rise=0.5)
    report = evaluate_evolution(folder, permutations=500)
    cma, random = report["optimisers"]["cma"], report["optimisers"]["random"]
    assert (report["generations"], cma["trials"], cma["unread"]) == (9, 72, 9)
    # The last third of nine generations, 6 to 8, lies 3.5 above the control, the first third .5.
    assert cma["last"] - cma["first"] == pytest.approx(3.0, abs=0.6)
    assert cma["above_random"]["difference"] == pytest.approx(3.5, abs=0.6)
    assert cma["above_random"]["p"] == pytest.approx(1 / 501)
    assert cma["above_references"]["p"] < 0.01
    assert random["above_random"] is None
    assert random["above_references"]["p"] > 0.05
    page = Path(report["page"]).read_text()
    assert "cma: fitness rose above random search" in page
    assert [f'alt="{n}, generation {g}"' in page for n in ("cma", "random") for g in (0, 4, 8)] == [True] * 6
    assert json.loads((folder / "report" / "report.json").read_text())["simulated"] is True


def test_a_picture_whose_event_is_of_uncertain_time_is_in_no_score_and_counted(tmp_path: Path) -> None:
    folder = session(tmp_path, rise=0.5)
    before = proposals_of(RecordedSession.read(folder))
    off = [number for number, one in enumerate(before) if one.optimiser == "cma" and one.generation == 8][:2]
    none = dict.fromkeys(MARK_FIELDS, "")
    write(folder, "marks", [none | {"kind": "uncertain", "time": str(float(number))} for number in off])
    after = proposals_of(RecordedSession.read(folder))
    changed = [k for k, (a, b) in enumerate(zip(before, after, strict=True)) if a.uncertain != b.uncertain]
    assert changed == off
    assert np.isnan([after[k].fitness for k in off]).all()
    cma = evaluate_evolution(folder, permutations=20)["optimisers"]["cma"]
    assert (cma["trials"], cma["unread"], cma["uncertain"]) == (72, 9, 2)
    late = [o.fitness for o in after if o.optimiser == "cma" and o.generation >= 6]
    assert cma["last"] == pytest.approx(np.nanmean(late))


def test_a_second_generator_has_its_own_control_and_is_compared_with_the_first(tmp_path: Path) -> None:
    report = evaluate_evolution(session(tmp_path, 0.0, TWO_GENERATORS), permutations=500)
    rows = report["optimisers"]
    assert rows["random@2"]["above_random"] is None
    assert rows["cma@2"]["above_random"]["p"] > 0.05, "as good as random search among its own pictures"
    assert rows["cma@2"]["above_random"]["difference"] == pytest.approx(0.0, abs=0.7)
    assert rows["cma@2"]["above_first"]["difference"] == pytest.approx(2.0, abs=0.7)
    assert rows["cma@2"]["above_first"]["p"] == pytest.approx(1 / 501)
    assert rows["cma"]["above_first"] is None
    page = Path(report["page"]).read_text()
    assert "cma@2: fitness cannot be told from random search@2" in page
    assert "Its pictures of the two generators were answered differently" in page


def test_optimisers_of_one_session_are_compared_with_each_other(tmp_path: Path) -> None:
    names = ("cma", "genetic", "full_cma", "random", "reference")
    report = evaluate_evolution(session(tmp_path, 0.5, names), permutations=500)
    compared = {tuple(one["optimisers"]): one for one in report["compared"]}
    assert set(compared) == {("cma", "genetic"), ("cma", "full_cma"), ("genetic", "full_cma")}
    # Those that rise lie 3.5 above the one that does not, over generations 6 to 8, and are as good as each other.
    assert compared["cma", "genetic"]["difference"] == pytest.approx(3.5, abs=0.7)
    assert compared["cma", "genetic"]["p"] == pytest.approx(1 / 501)
    assert abs(compared["genetic", "full_cma"]["difference"]) < 0.9
    assert compared["genetic", "full_cma"]["p"] > 0.05
    page = Path(report["page"]).read_text()
    assert "cma rose above genetic" in page
    assert "genetic cannot be told from full_cma" in page
    best = max(
        (one for one in proposals_of(RecordedSession.read(tmp_path / "session")) if one.optimiser == "cma"),
        key=lambda one: np.nan_to_num(one.fitness, nan=-np.inf),
    )
    assert f"generation {best.generation}, {best.fitness:.3f}" in page


def test_where_nothing_has_evolved_that_is_said(tmp_path: Path) -> None:
    report = evaluate_evolution(session(tmp_path, rise=0.0), permutations=500)
    assert report["optimisers"]["cma"]["above_random"]["p"] > 0.05
    assert "cannot be told from random search" in Path(report["page"]).read_text()


def test_towards_a_picture_the_proposals_themselves_are_compared_with_it(tmp_path: Path) -> None:
    (tmp_path / "latents.json").write_text(json.dumps({"a": [1.0, -1.0, 2.0, 0.0, 0.5, 3.0]}))
    folder = session(tmp_path, rise=0.0, fitness="towards", folder=str(tmp_path), picture="a")
    proposals = proposals_of(RecordedSession.read(folder))
    assert all(-1 <= one.fitness <= 1 for one in proposals if np.isfinite(one.fitness))
    last = np.mean([o.latent for o in proposals if (o.optimiser, o.generation) == ("cma", 8)], axis=0)
    report = evaluate_evolution(folder, permutations=20)
    expected = np.corrcoef(last, [1.0, -1.0, 2.0, 0.0, 0.5, 3.0])[0, 1]
    assert report["optimisers"]["cma"]["target"] == pytest.approx(expected, abs=1e-6)


def test_a_session_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = session(tmp_path, rise=0.0, protocol="images")
    with pytest.raises(RecordingError, match="no session in which pictures evolve"):
        evaluate_evolution(folder)

"""Pictures of two generators evolve by a simulated neuron's rate: one bundle reads, two draw, all is proposed again."""

import json
from pathlib import Path

import pytest
from PIL import Image
from sessions import PATIENT_SCREEN, bci
from tiny_bundle import tiny_bundle

from bci.decoder.spec import EpochSpec
from bci.io.shipped import SHIPPED
from stimuli.replay import propose_again

pytestmark = pytest.mark.system

EPOCH = EpochSpec(start=0.05, stop=0.25, markers="stimulus .*")


def test_what_the_optimisers_are_told_is_the_rate_and_what_they_propose_is_drawn(tmp_path: Path) -> None:
    text = (SHIPPED["configs"] / "evolve-two-generators.toml").read_text(encoding="utf-8")
    second = tiny_bundle(
        tmp_path / "second", rate=160.0, length=32, latent=5, height=64, width=64, window=EPOCH
    )
    changes = {
        '"../runs/characters-insilico"': json.dumps(str(second.folder)),
        '"../models': f'"{SHIPPED["bundles"].parent.as_posix()}',
        'kind = "window"': 'kind = "headless"',
        '["cma", "random"]': '["cma"]',
        "population = 10": "population = 4",
        "generations = 24": "generations = 2",
        "lead_in_s = 2.0": "lead_in_s = 0.2",
        "[display]\n": f"[display]\n{PATIENT_SCREEN}\n",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    config = tmp_path / "evolve.toml"
    config.write_text(text, encoding="utf-8")
    done = bci("run", config, "--out", tmp_path / "out", "--json")
    assert done.result["ended_by"] == "the experiment has ended", done.words
    trials = [row for row in done.table("trials") if row["ending"] == "shown"]
    assert {row["name"].split("-")[1] for row in trials} == {"0", "1"}
    sizes = {(row["name"].split("-")[0], len(json.loads(row["stimulus_latent"]))) for row in trials}
    assert sizes == {("cma", 64), ("reference", 64), ("cma@2", 5)}
    frames = [row for row in done.table("frames") if row["valid"] == "1"]
    assert len(frames) >= 12
    # Spikes of 20 bins, of 10 ms each: a rate in steps of five.
    assert all(
        value % 5 == pytest.approx(0, abs=1e-3) for row in frames for value in json.loads(row["latent"])
    )
    environment = json.loads((done.folder / "environment.json").read_text(encoding="utf-8"))
    assert [environment[key]["folder"] for key in ("drawn_by", "also_drawn_by")] == [
        "hyper-insilico",
        "second",
    ]
    experiment = json.loads((done.folder / "config.json").read_text(encoding="utf-8"))["experiment"]
    replayed = propose_again(done.folder, experiment)
    assert replayed.equal == replayed.shown >= 20
    with Image.open(done.folder / "preview.png") as preview:
        assert preview.size[1] > 300

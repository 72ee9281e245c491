"""Protocols with real programs: latents are drawn beside the line, also when the program that draws them dies."""

import json
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from sessions import finish, only_folder, rows_in, segments_of, start, wait_for
from tiny_bundle import tiny_bundle

from bci.decoder.renderer import Artist
from bci.decoder.spec import EpochSpec
from bci.memory.frames import image_digest

pytestmark = pytest.mark.system

LATENTS = """
name = "points"
network = "machine"
[source]
kind = "simulate"
[decoder]
bundle = {bundle}
[display]
kind = "headless"
max_png = 0
[experiment]
protocol = "latents"
points = 5
repeats = 5
stimulus_s = 0.3
blank_s = 0.4
[supervision]
hung_after_s = 4
"""


def test_latents_are_drawn_shown_and_recorded_and_a_renderer_that_hangs_is_replaced(tmp_path: Path) -> None:
    window = EpochSpec(start=0.05, stop=0.25, markers="stimulus .*")
    bundle = tiny_bundle(tmp_path / "bundle", rate=160.0, length=32, latent=4, window=window)
    config = tmp_path / "points.toml"
    config.write_text(LATENTS.format(bundle=json.dumps(str(bundle.folder))))
    process = start("run", config, "--out", tmp_path / "out", "--json")
    wait_for(
        lambda: bool(found := only_folder(tmp_path / "out")) and rows_in(found / "trials.csv") > 2, "trials"
    )
    session = only_folder(tmp_path / "out")
    assert session is not None
    log = (session / "log.txt").read_text(encoding="utf-8")
    psutil.Process(int(re.findall(r" render started as process (\d+)", log)[-1])).suspend()
    done = finish(process)
    assert done.result["ended_by"] == "the experiment has ended", done.words
    assert done.result["restarts"] == {"render": 1}
    trials = done.table("trials")
    assert [int(row["trial"]) for row in trials] == list(range(25))
    whole = [row for row in trials if row["ending"] == "shown"]
    # Until it counts as hung no latent is drawn; then they are again.
    endings = [row["ending"] for row in trials]
    assert "shown" in endings[:3]
    assert "shown" in endings[endings.index("aborted") :]
    artist = Artist(bundle)
    flips = {row["trial"]: row for row in done.table("shown") if row["kind"] == "stimulus"}
    for row in whole:
        (image,) = artist(np.array([json.loads(row["stimulus_latent"])], np.float32))
        assert flips[row["trial"]]["digest"] == image_digest(image)
        assert flips[row["trial"]]["reason"] == row["name"]
    assert {row["trial"] for row in whole} == set(flips)
    assert len({row["digest"] for row in flips.values()}) > 2
    assert segments_of(session) == set()

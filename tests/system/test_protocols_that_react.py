"""Protocols with real programs: latents are drawn beside the line, also when the program that draws them dies."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from sessions import finish, only_folder, segments_of, start, wait_for
from tiny_bundle import tiny_bundle

from bci.config.session import parse_session
from bci.control.session_plan import supervise
from bci.control.snapshot import SessionState
from bci.control.supervisor import Supervisor
from bci.decoder.renderer import Artist
from bci.decoder.spec import EpochSpec
from bci.memory.frames import image_digest
from bci.memory.orders import ABORT, PAUSE, RESUME, START, Order

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
    wait_for(lambda: whole_trials(tmp_path / "out") > 2, "trials")
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


def whole_trials(out: Path) -> int:
    """Return how many trials of the one session under `out` are over, and were shown."""
    folder = only_folder(out)
    table = folder / "trials.csv" if folder else None
    return table.read_text("utf-8").count(",shown,") if table and table.exists() else 0


def test_an_experiment_begins_pauses_goes_on_and_ends_by_orders_and_the_recording_says_when(
    tmp_path: Path,
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", rate=160.0, length=32)
    words = {"protocol": "text", "words": ["rest", "go"], "repeats": 50, "stimulus_s": 0.2, "blank_s": 0.1}
    values = {
        "name": "orders", "network": "machine",
        "source": {"kind": "simulate"}, "decoder": {"bundle": str(bundle.folder)},
        "display": {"kind": "headless", "max_png": 0, "contact_sheet": 0},
        "experiment": words | {"lead_in_s": 0.2, "begin": "order", "on_pause": "repeat"},
    }  # fmt: skip
    # Seconds and whole trials since the order before.
    steps = iter([(0.3, 0, START), (1.0, 2, PAUSE), (1.0, 0, RESUME), (0.5, 2, ABORT)])
    due = next(steps)
    since = (0.0, 0)
    orders: list[Order] = []

    def observe(supervisor: Supervisor) -> object:
        nonlocal due, since
        now = (supervisor.snapshot().elapsed, whole_trials(tmp_path / "out"))
        if supervisor.state is SessionState.RUNNING and all(
            a - b >= c for a, b, c in zip(now, since, due, strict=False)
        ):
            orders.append(supervisor.order("engine", due[2]))
            since, due = now, next(steps, (float("inf"), 0, ""))
        return now[0] > 60.0

    supervisor = supervise(parse_session(values, tmp_path, "orders"), tmp_path / "out", observe)
    summary = supervisor.run()
    session = Path(summary["session"])
    assert summary["ended_by"] == "the experiment was aborted by order", summary
    assert [str(supervisor.answer(order).verdict) for order in orders] == ["done"] * 4
    with (session / "marks.csv").open(newline="", encoding="utf-8") as file:
        marks = [row for row in csv.DictReader(file) if row["source"] == "engine"]
    assert [row["kind"] for row in marks] == ["begun", "paused", "resumed", "aborted"]
    began, paused, resumed, aborted = (float(row["time"]) for row in marks)
    with (session / "events.tsv").open(newline="", encoding="utf-8") as file:
        events = list(csv.DictReader(file, delimiter="\t"))
    assert summary["experiment"] == {"events": len(events)}
    assert [row["trial_type"] for row in events if row["name"] == "order"] == [START, PAUSE, RESUME, ABORT]
    assert {row["trial_type"] for row in events} == {START, PAUSE, RESUME, ABORT, "stimulus", "marker"}
    # 160 samples a second from the first one on: the amplifier here is a simulator that keeps its rate.
    assert all(abs(float(row["onset"]) * 160 - int(row["sample"])) <= 2 for row in events)
    with (session / "trials.csv").open(newline="", encoding="utf-8") as file:
        onsets = [float(row["onset"]) for row in csv.DictReader(file) if row["ending"] == "shown"]
    assert min(onsets) > began + 0.2
    assert not [onset for onset in onsets if paused < onset < resumed + 0.2 or onset > aborted]
    assert [onset for onset in onsets if onset < paused]
    assert [onset for onset in onsets if onset > resumed]

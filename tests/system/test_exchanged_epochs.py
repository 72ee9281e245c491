"""A bundle that decodes epochs is exchanged by a command while letters flash: each flash is read by one of two."""

import csv
import re
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import Done, call
from sessions import PATIENT_SCREEN, finish, only_folder, start, wait_for
from tiny_bundle import tiny_bundle

from bci.cli import watch
from bci.control.mqtt.asking import ask, broker_of
from bci.control.mqtt.commands import make_command
from bci.control.mqtt.wall_clock import wall_clock
from bci.control.snapshot import SessionSnapshot
from bci.decoder.spec import EpochSpec

pytestmark = pytest.mark.system

#: It would last three minutes; an order ends it.
SESSION = r"""
name = "exchanged"
network = "machine"
[source]
kind = "simulate"
[decoder]
bundle = "bundles/old"
[decoder.events]
"2" = 'stimulus \d+ A'
"1" = 'stimulus \d+ [BC]'
[display]
kind = "headless"
max_png = 0
{patient}
[control]
broker = "embedded"
bundles = "bundles"
[experiment]
protocol = "text"
words = ["A", "B", "C"]
repeats = 300
stimulus_s = 0.1
blank_s = 0.1
lead_in_s = 0.2
"""

#: Half a second, and so flashes, go by until its filter has settled; what it reads differs from what the old one does.
BAND = {"step": "band_pass", "low": 4.0, "high": 12.0, "order": 2}


@dataclass(frozen=True)
class Exchanged:
    """A session whose bundle was exchanged, and what another terminal said of it meanwhile."""

    done: Done
    loaded: Done
    watched: Done


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Exchanged:
    base = tmp_path_factory.mktemp("exchanged")
    epoch = EpochSpec(start=0.05, stop=0.25, markers="[12]")
    for name, pipeline in (("old", []), ("new", [BAND])):
        folder = base / "bundles" / name
        tiny_bundle(folder, rate=160.0, length=32, window=epoch, pipeline=pipeline, name=name)
    (base / "exchanged.toml").write_text(SESSION.replace("{patient}", PATIENT_SCREEN))
    process = start("run", base / "exchanged.toml", "--out", base / "out", "--json")
    wait_for(lambda: read_by(base / "out", 0) > 1, "flashes that were read")
    session = only_folder(base / "out")
    loaded = call("control", session, "load_bundle", "new", "--expires", 60, "--json")
    if loaded.status == 0:
        wait_for(lambda: read_by(base / "out", 1) > 2, "flashes that the new bundle read")
    watched = watched_until_its_end(session)
    return Exchanged(finish(process), loaded, watched)


def watched_until_its_end(session: Path | None) -> Done:
    """Look at a session from another terminal, which shows something before it is ended."""
    showing = threading.Event()

    class Noted(watch.Watch):
        def show(self, snapshot: SessionSnapshot) -> None:
            super().show(snapshot)
            showing.set()

    def end() -> None:
        showing.wait(60)
        assert session is not None
        ask(*broker_of(session), "session", make_command("abort", issued=wall_clock(), expires_s=60), 60)

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "Watch", Noted)
        watched = call("page", session, "--text")
    ending.join()
    return watched


def test_every_flash_is_read_once_by_the_old_bundle_or_the_new_one_and_reproduced(
    exchanged: Exchanged,
) -> None:
    done = exchanged.done
    assert exchanged.loaded.result["verdict"] == "done", exchanged.loaded.words
    assert done.status == 0, done.words
    flashed = [
        row["text"] for row in done.table("markers") if re.fullmatch(r"stimulus \d+ [ABC]", row["text"])
    ]
    frames, marks = done.table("frames"), done.table("marks")
    lost = [mark for mark in marks if mark["kind"] == "epoch_lost"]
    assert len(frames) + len(lost) == len(flashed) == done.result["windows"]
    # None twice: events have distinct times.
    assert len({row["event_time"] for row in frames}) == len(frames)
    bundles = [int(row["bundle"]) for row in frames]
    assert bundles == sorted(bundles)
    assert set(bundles) == {0, 1}
    (swapped,) = [mark for mark in marks if mark["kind"] == "swapped"]
    assert int(swapped["count"]) == bundles.index(1)
    assert all(row["valid"] == "1" for row in frames), "an epoch of filters that had not settled"
    again = call("reproduce", done.folder, "--json")
    assert again.status == 0, again.words
    assert again.result["equal"] == again.result["frames"] == len(frames)
    assert len(again.result["bundles"]) == 2


def test_another_terminal_says_how_the_session_stands_until_it_ends(exchanged: Exchanged) -> None:
    assert exchanged.watched.status == 0, exchanged.watched.words
    last = exchanged.watched.words[-300:]
    assert re.search(r"trial \d+ of 900", last), last
    assert re.search(r"[1-9]\d* reconstructions", last), last


def read_by(out: Path, bundle: int) -> int:
    """Return how many flashes one of the decoder's bundles has read so far, of the one session under `out`."""
    folder = only_folder(out)
    table = folder / "frames.csv" if folder else None
    if table is None or not table.exists():
        return 0
    with table.open(newline="", encoding="utf-8") as file:
        return sum(row["bundle"] == str(bundle) for row in csv.DictReader(file))

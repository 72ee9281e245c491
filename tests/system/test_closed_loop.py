"""A closed loop with real programs: stimuli on the screen, epochs around their flips, feedback, its own record."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from commands import call
from PIL import Image
from sessions import PATIENT_SCREEN, bci, finish, only_folder, rows_in, start, wait_for
from tiny_bundle import tiny_bundle

from bci.cli import demos
from bci.config.session import load_session
from bci.decoder.bundle import Bundle
from bci.decoder.spec import EpochSpec, SignalSpec

pytestmark = pytest.mark.system

CONFIG = """
name = "loop"
network = "machine"
[source]
kind = "simulate"
[decoder]
bundle = {bundle}
[display]
kind = "headless"
max_png = 0
{patient}
[preview]
[experiment]
folder = {folder}
repeats = 2
stimulus_s = 0.3
feedback_s = 0.5
blank_s = 0.2
lead_in_s = 0.3
"""


def epochs_bundle(tmp_path: Path) -> Bundle:
    """Write a bundle that decodes a fifth of a second after each stimulus."""
    window = EpochSpec(start=0.05, stop=0.25, markers="stimulus .*")
    return tiny_bundle(tmp_path / "bundle", rate=160.0, length=32, window=window)


def grey_faces(tmp_path: Path, n: int) -> Path:
    """Write `n` pictures of different grey; return their folder."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(n):
        Image.fromarray(np.full((6, 8, 3), 60 * number, np.uint8)).save(folder / f"face-{number}.png")
    latents = {f"face-{number}": [number, -1] for number in range(n)}
    (folder / "latents.json").write_text(json.dumps(latents))
    return folder


def test_every_stimulus_is_flipped_decoded_fed_back_recorded_and_reproduced(tmp_path: Path) -> None:
    bundle = epochs_bundle(tmp_path)
    folder = grey_faces(tmp_path, 3)
    config = tmp_path / "loop.toml"
    text = CONFIG.format(
        patient=PATIENT_SCREEN, bundle=json.dumps(str(bundle.folder)), folder=json.dumps(str(folder))
    )
    config.write_text(text.replace("[display]", "adaptation = { memory = 20 }\n[display]"))
    done = bci("run", config, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.words
    assert done.result["ended_by"] == "the experiment has ended"
    trials = done.table("trials")
    assert len(trials) == 6
    shown, frames, marks = done.table("shown"), done.table("frames"), done.table("marks")
    onsets = [row for row in shown if row["kind"] == "stimulus"]
    whole = [row for row in trials if row["ending"] == "shown"]
    # On a machine that stalls a trial may be aborted, and then says so; most are whole.
    assert len(whole) >= 3
    for row in whole:
        (flip,) = [o for o in onsets if abs(float(o["flip"]) - float(row["onset"])) < 1e-5]
        assert (flip["frame"], flip["reason"]) == (row["stimulus"], row["name"])
        assert float(row["onset"]) >= float(row["planned"]) - 0.05
        assert json.loads(row["latent"])
    epochs = [mark for mark in marks if mark["kind"] == "epoch"]
    lost = [mark for mark in marks if mark["kind"] == "epoch_lost"]
    assert len(epochs) == len(frames) == done.result["reconstructions"]
    assert len(epochs) + len(lost) == len(onsets) == done.result["windows"]
    for mark, frame in zip(epochs, frames, strict=True):
        assert int(frame["first"]) == int(mark["first"]) + 8
        assert mark["detail"].startswith("stimulus ")
    assert [row for row in shown if row["kind"] == "frame"]
    assert done.result["programs"]["preview"]["paired"] == len(
        [frame for frame in frames if frame["valid"] == "1"]
    )
    assert (done.folder / "preview.png").read_bytes().startswith(b"\x89PNG")
    with (done.folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file))[:4] == ["trial", "stimulus", "name", "ending"]
    again = call("reproduce", done.folder, "--json")
    assert again.status == 0, again.words
    assert again.result["equal"] == again.result["frames"] == len(frames)
    valid = [frame for frame in frames if frame["valid"] == "1"]
    assert again.result["adaptations"] == again.result["adaptations_equal"] == len(valid) > 0
    assert call("verify", done.folder, "--json").result["damaged"] == 0


def test_the_shipped_closed_loop_can_run_and_epochs_without_markers_are_refused(tmp_path: Path) -> None:
    configs = Path(__file__).resolve().parents[2] / "configs"
    for name in ("hyper-insilico", "hyper-insilico-fmri"):
        checked = call("check", configs / f"{name}.toml", "--json")
        assert checked.status == 0, checked.words
        assert checked.result["trials"] == 48
    scanned = call("check", configs / "fmri-hyper.toml", "--json")
    assert scanned.status == 0, scanned.words
    assert scanned.result["trials"] == 24
    text = (configs / "hyper-insilico.toml").read_text(encoding="utf-8")
    alone = tmp_path / "alone.toml"
    alone.write_text(text[: text.index("[experiment]")])
    refused = call("check", alone, "--json")
    assert refused.status == 2
    assert "names no stream" in " ".join(refused.words.split())


def test_a_preview_that_cannot_be_is_refused(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", rate=160.0, length=32)
    config = tmp_path / "loop.toml"
    text = CONFIG.format(
        patient=PATIENT_SCREEN, bundle=json.dumps(str(bundle.folder)), folder=json.dumps(str(tmp_path))
    )
    config.write_text(text[: text.index("[experiment]")])
    refused = call("check", config, "--json")
    assert refused.status == 2
    assert "there is no [experiment]" in " ".join(refused.words.split())
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "face.png")
    config.write_text(text)
    refused = call("check", config, "--json")
    assert refused.status == 2
    assert "nothing to pair" in " ".join(refused.words.split())


def test_a_session_goes_on_without_its_preview(tmp_path: Path) -> None:
    bundle = epochs_bundle(tmp_path)
    folder = grey_faces(tmp_path, 3)
    config = tmp_path / "loop.toml"
    text = CONFIG.format(
        patient=PATIENT_SCREEN, bundle=json.dumps(str(bundle.folder)), folder=json.dumps(str(folder))
    )
    config.write_text(text + "[supervision]\nrestarts = 0\n")
    process = start("run", config, "--out", tmp_path / "out", "--json")
    wait_for(
        lambda: bool(found := only_folder(tmp_path / "out")) and rows_in(found / "trials.csv") > 0, "a trial"
    )
    session = only_folder(tmp_path / "out")
    assert session is not None
    log = (session / "log.txt").read_text(encoding="utf-8")
    psutil.Process(int(re.findall(r" preview started as process (\d+)", log)[-1])).kill()
    done = finish(process)
    assert done.result["ended_by"] == "the experiment has ended"
    assert done.result["latched"] == ""
    assert [failure.partition(" ")[0] for failure in done.result["failures"]] == ["preview"]
    assert len(done.table("trials")) == 6
    assert "the session goes on without preview" in (session / "log.txt").read_text(encoding="utf-8")


SCANNER = """
name = "scanner"
network = "machine"
[source]
kind = "insilico"
modality = "fmri"
units = 16
[decoder]
bundle = {bundle}
adaptation = {{ memory = 20 }}
[display]
kind = "headless"
max_png = 0
{patient}
[experiment]
folder = {folder}
repeats = 1
stimulus_s = 1.0
feedback_s = 2.5
blank_s = 0.1
lead_in_s = 2.0
"""


def test_volumes_seconds_apart_are_no_silence_and_their_epochs_are_decoded_fed_back_and_reproduced(
    tmp_path: Path,
) -> None:
    voxels = tuple(f"v{k}" for k in range(16))
    bundle = tiny_bundle(
        tmp_path / "bundle",
        channels=voxels,
        length=1,
        signal=SignalSpec(name="BOLD", rate=1 / 1.5, shape=(16,), unit="percent"),
        window=EpochSpec(start=0.0, stop=1.5, markers="stimulus .*"),
    )
    folder = grey_faces(tmp_path, 2)
    config = tmp_path / "scanner.toml"
    text = SCANNER.format(patient="", bundle=json.dumps(str(bundle.folder)), folder=json.dumps(str(folder)))
    config.write_text(text)
    done = bci("run", config, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.words
    # At true TR: a volume every 1.5 s, three times the silence that an amplifier may keep.
    assert done.result["reconstructions"] == 2
    shown = done.table("shown")
    assert not [row["reason"] for row in shown if "no data" in row["reason"]]
    assert [row for row in shown if row["kind"] == "frame"]
    kinds = {mark["kind"] for mark in done.table("marks")}
    assert not kinds & {"stalled", "gap", "epoch_lost", "skipped"}
    again = call("reproduce", done.folder, "--json")
    assert again.result["equal"] == again.result["frames"] == 2
    other = tmp_path / "other.toml"
    other.write_text(text.replace("units = 16", "units = 24"))
    refused = call("check", other, "--json")
    assert refused.status == 2
    assert "expected (16,), came (24,)" in " ".join(refused.words.split())
    hasty = tmp_path / "hasty.toml"
    hasty.write_text(text.replace("max_png = 0", "max_png = 0\ndata_age_limit = 0.5"))
    refused = call("check", hasty, "--json")
    assert refused.status == 2
    assert "longer than the 1.5 s from sample to sample" in " ".join(refused.words.split())


@pytest.mark.parametrize("fault", ["kill", "suspend"])
def test_an_engine_that_is_killed_or_frozen_goes_on_with_the_next_trial_and_calls_its_own_aborted(
    tmp_path: Path, fault: str
) -> None:
    bundle = epochs_bundle(tmp_path)
    folder = grey_faces(tmp_path, 4)
    config = tmp_path / "loop.toml"
    text = CONFIG.format(
        patient=PATIENT_SCREEN, bundle=json.dumps(str(bundle.folder)), folder=json.dumps(str(folder))
    )
    config.write_text(
        text.replace("stimulus_s = 0.3", "stimulus_s = 1.0") + "[supervision]\nhung_after_s = 4\n"
    )
    process = start("run", config, "--out", tmp_path / "out", "--json")

    def session() -> Path:
        found = only_folder(tmp_path / "out")
        assert found is not None
        return found

    wait_for(lambda: bool(only_folder(tmp_path / "out")) and rows_in(session() / "trials.csv") > 1, "trials")
    shown = session() / "shown.csv"
    before = shown.read_text().count(",stimulus,")
    wait_for(lambda: shown.read_text().count(",stimulus,") > before, "another stimulus")
    log = (session() / "log.txt").read_text(encoding="utf-8")
    getattr(psutil.Process(int(re.findall(r" engine started as process (\d+)", log)[-1])), fault)()
    done = finish(process)
    assert done.status == 4, done.words
    assert done.result["restarts"]["engine"] == 1
    first, second = done.table("trials"), done.table("trials-2")
    numbers = [int(row["trial"]) for row in (*first, *second)]
    assert numbers == list(range(8))
    assert second[0]["ending"] == "aborted"
    assert [row["ending"] for row in second[1:]].count("shown") >= len(second) - 3


def test_the_demo_s_closed_loop_is_the_one_of_its_session_file() -> None:
    configs = Path(__file__).resolve().parents[2] / "configs"
    written = load_session(configs / "hyper-insilico.toml").model_dump()
    demo = demos.closed_loop(demos.SNR, headless=False, speed=1.0, seed=0).model_dump()
    for section, key in (("experiment", "folder"), ("source", "reference"), ("decoder", "bundle")):
        assert written[section].pop(key).resolve() == demo[section].pop(key).resolve()
    assert written["experiment"].pop("repeats") > demo["experiment"].pop("repeats")
    assert written["preview"].pop("kind") == "auto"
    assert demo["preview"].pop("kind") == "window"
    for section in ("source", "decoder", "experiment", "display", "preview"):
        assert demo[section] == written[section]

"""Four commands from a stream to a decoder of one's own: collect, look, train, run with what was trained."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commands import call
from PIL import Image
from sessions import PATIENT_SCREEN, finish, start

pytestmark = pytest.mark.system

SESSION = """
name = "collect"
network = "machine"
[subject]
id = "S01"
[source]
kind = "insilico"
subject = 1
session = 0
snr = 4.0
[display]
kind = "headless"
picture_px = [64, 64]
max_png = 0
{patient}
[experiment]
folder = "{pictures}"
repeats = 1
stimulus_s = 0.2
blank_s = 0.1
lead_in_s = 1.5
"""

TRAINING = """
kind = "events"
name = "shades"
folds = "pictures"
shuffles = 19
picture = [64, 64]
[data]
sessions = ["{session}"]
[signal]
channels = ["PO7", "PO3", "POz", "PO4", "PO8", "O1", "Oz", "O2"]
unit = "uV"
[[pipeline]]
step = "band_pass"
low = 1.0
high = 30.0
order = 2
[epoch]
start = 0.05
stop = 0.3
[readout]
block = 10
"""


def shades(folder: Path) -> Path:
    """Write ten dark and ten light pictures, each kind into a folder of its own."""
    random = np.random.default_rng(4)
    for kind, level in (("dark", 40), ("light", 215)):
        (folder / kind).mkdir(parents=True)
        for i in range(10):
            pixels = np.clip(level + random.normal(0, 12, (8, 8, 1)), 0, 255).astype(np.uint8)
            image = Image.fromarray(np.repeat(pixels, 3, axis=2)).resize((64, 64))
            image.save(folder / kind / f"{i}.png")
    return folder


def test_a_stream_and_a_folder_of_pictures_become_a_decoder_in_four_commands(tmp_path: Path) -> None:
    session_file, training_file = tmp_path / "collect.toml", tmp_path / "train.toml"
    session_file.write_text(
        SESSION.format(patient=PATIENT_SCREEN, pictures=shades(tmp_path / "pictures").as_posix())
    )
    out, bundle = tmp_path / "sessions", tmp_path / "bundle"

    collected = finish(start("run", session_file, "--out", out, "--json"))
    assert collected.status == 0, collected.words
    assert collected.result["decoders"] == {}
    assert "Nothing was decoded: this session collects. 20 trials were shown." in collected.result["told"]
    with (collected.folder / "events.tsv").open(newline="", encoding="utf-8") as file:
        events = [row for row in csv.DictReader(file, delimiter="\t") if row["trial_type"] == "stimulus"]
    assert {event["stim_file"].split("/")[1] for event in events} == {"dark", "light"}
    assert all(float(event["onset"]) > 0 for event in events)
    assert call("reproduce", collected.folder, "--json").result["pictures_equal"] == 20

    training_file.write_text(TRAINING.format(session=collected.folder.as_posix()))
    found = call("data", training_file, "--json").result
    assert found["columns"] == ["session", "dark", "light", "trials"]
    assert found["rows"][0][-1] + sum(found["left_out"].values()) == 20

    trained = call("train", training_file, "--out", bundle, "--json")
    assert trained.status == 0, trained.words
    assert trained.result["auc"] > trained.result["shuffled"][1]
    stated = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert stated["result"]["labels"] == ["dark", "light"]

    read = finish(start("run", session_file, "--bundle", bundle, "--out", out, "--json"))
    assert read.status == 0, read.words
    assert read.result["reconstructions"] > 5
    scores = read.result["identification"]
    assert set(scores["by_class"]) == {"dark", "light"}
    assert scores["balanced_accuracy"] > 0.5
    assert call("reproduce", read.folder, "--json").result["reproduced"]

"""A BIDS data set is training data: its recordings, its events, its bad channels, one participant."""

from pathlib import Path

import numpy as np
import pytest

from bci.errors import ConfigError, RecordingError
from bci.io.files.bids import export_bids
from bci.io.files.formats.file import FileRecording
from bci.signal.types import Event, Signal
from models.systems.events.folds import folds_of
from models.systems.events.own_data import open_events
from models.systems.events.scoring import predict
from models.systems.events.trials import cut_trials
from models.systems.registry import system_of_file

pytest.importorskip("mne_bids", reason="MNE-BIDS MISSING: pip install mne-bids to test training on BIDS")

RATE = 100.0
SIGNAL = Signal("amp", RATE, (3,), ("O1", "Oz", "O2"), "uV")
TRAINING = """
kind = "events"
name = "cues"
folds = "recordings"
shuffles = 19
[classes]
left = "left"
right = "right"
[data.bids]
folder = "set"
{more}
[signal]
channels = ["O1", "Oz"]
[[pipeline]]
step = "band_pass"
low = 1.0
high = 30.0
order = 2
[epoch]
start = 0.0
stop = 0.4
[readout]
block = 5
"""


def exported(out: Path, subject: str = "01", runs: tuple[str, ...] = ("1", "2")) -> Path:
    """Write a data set whose left cues are answered on O1 and right ones on Oz."""
    for seed, run in enumerate(runs):
        random = np.random.default_rng(seed)
        samples = random.normal(0, 4, (1500, 3)).astype("f4")
        sides = random.permutation(["left", "right"] * 10)
        events = []
        for i, side in enumerate(sides):
            at = 200 + 60 * i
            samples[at + 10 : at + 30, 0 if side == "left" else 1] += 10
            events.append(Event(at / RATE, str(side)))
        events.append(Event(0.5, "begin"))
        recording = FileRecording(
            "made", SIGNAL, len(samples), lambda a, b, held=samples: held[a:b], markers=tuple(events)
        )
        export_bids(recording, out, subject=subject, task="cues", run=run, kind="eeg")
    return out


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bids")
    exported(folder / "set")
    return folder


def training(folder: Path, more: str = "") -> Path:
    path = folder / "train.toml"
    path.write_text(TRAINING.format(more=more))
    return path


def test_recordings_and_events_of_a_data_set_are_trials(root: Path, tmp_path: Path) -> None:
    path = training(tmp_path)
    config, base = open_events(path, root)
    assert config.data is not None
    assert config.data.bids is not None
    assert len(config.data.bids.files) == 2
    trials = cut_trials(config, base)
    assert trials.left_out.get("other markers") == 2
    assert trials.signal.unit == "uV"
    predicted = predict(config, trials, list(folds_of(config, trials)))
    assert (predicted.scores.argmax(axis=1) == trials.classes).mean() > 0.9
    found = system_of_file(path).find_data(path, data_root=root)
    assert [row[0].rpartition("/")[2] for row in found.rows[:2]] == [
        "sub-01_task-cues_run-1_eeg.vhdr",
        "sub-01_task-cues_run-2_eeg.vhdr",
    ]


def test_one_run_is_chosen(root: Path, tmp_path: Path) -> None:
    config, _ = open_events(training(tmp_path, 'runs = ["2"]'), root)
    assert config.data is not None
    assert config.data.bids is not None
    assert [Path(name).name for name in config.data.bids.files] == ["sub-01_task-cues_run-2_eeg.vhdr"]


def test_two_participants_are_refused_with_both_named(tmp_path: Path) -> None:
    exported(tmp_path / "set", runs=("1",))
    exported(tmp_path / "set", subject="02", runs=("1",))
    with pytest.raises(RecordingError, match="of one participant, came 01, 02"):
        open_events(training(tmp_path), tmp_path)
    config, _ = open_events(training(tmp_path, 'subject = "02"'), tmp_path)
    assert config.data is not None


def test_a_channel_that_the_data_set_calls_bad_is_not_read(tmp_path: Path) -> None:
    (table,) = exported(tmp_path / "set", runs=("1",)).rglob("*_channels.tsv")
    lines = table.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    row = lines[1].split("\t")
    row[header.index("status")] = "bad"
    table.write_text("\n".join([lines[0], "\t".join(row), *lines[2:]]) + "\n", encoding="utf-8")
    config, base = open_events(training(tmp_path), tmp_path)
    with pytest.raises(RecordingError, match=r"channels\.tsv calls O1 bad"):
        cut_trials(config, base)


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ('subject = "09"', RecordingError, r"a recording of subject 09, came none\. It holds sub-01"),
        ('task = "rest"', RecordingError, "a recording of task rest, came none"),
        ('subjekt = "01"', ConfigError, "subjekt"),
    ],
)
def test_what_is_not_in_the_data_set_is_refused(
    root: Path, tmp_path: Path, more: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_events(training(tmp_path, more), root)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected a data set 'set'"):
        open_events(training(tmp_path), tmp_path)
    (tmp_path / "set").mkdir()
    with pytest.raises(RecordingError, match="is it a BIDS data set"):
        open_events(training(tmp_path), tmp_path)

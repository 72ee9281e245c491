"""Classes of events: planted responses are found across folds, noise is not, and the bundle reads what was fitted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="training needs the extra train")

from commands import call
from planted_trials import event_trials

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import UNLIKE, OnnxDecoder
from bci.errors import AtChance, ConfigError, RecordingError
from bci.io.files.formats.file import FileRecording
from bci.io.files.recording import chunks, open_recording
from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.signal.clock import ManualClock
from bci.signal.types import Event, Signal, Window
from models.datasets.recordings import open_recordings
from models.metrics.ranks import class_area
from models.systems.events import trials as trials_module
from models.systems.events.folds import folds_of
from models.systems.events.readout import fit, softmax
from models.systems.events.scoring import Predicted, area_by_fold, averaged, exchanged, predict
from models.systems.events.settings import BlockMeansSettings, load_events
from models.systems.events.train import fit_all
from models.systems.events.trials import cut_trials
from models.systems.registry import system_of_bundle, system_of_file

RATE, LENGTH = 100, 6000
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SETTINGS = """
kind = "events"
name = "planted"
seed = 3
folds = {folds}
shuffles = 40

[classes]
left = "1"
right = "2|3"

[[recordings]]
path = "one.npz"
rate = 100
channels = ["C3", "Cz", "C4"]
unit = "uV"

[signal]
channels = ["C3", "C4"]
unit = "uV"

[[pipeline]]
step = "band_pass"
low = 0.5
high = 20.0
order = 2

[epoch]
start = 0.0
stop = 0.4

[readout]
block = 4
"""


def plant(
    folder: Path, strength: float, name: str = "one.npz", seed: int = 0, every: int = 60
) -> NDArray[np.int16]:
    """Write a recording in which the left channel answers to 1 and the right one to 2 and 3; return its markers."""
    random = np.random.default_rng(seed)
    data = random.standard_normal((LENGTH, 3)).astype(np.float32)
    stim = np.zeros(LENGTH, np.int16)
    onsets = np.arange(100, LENGTH - 100, every)
    stim[onsets] = random.choice([1, 2, 3, 7], len(onsets), p=[0.4, 0.2, 0.3, 0.1])
    shape = strength * np.sin(np.linspace(0, np.pi, 30))
    for onset in onsets:
        if stim[onset] in (1, 2, 3):
            data[onset + 5 : onset + 35, 0 if stim[onset] == 1 else 2] += shape
    np.savez(folder / name, data=data, stim=stim)
    return stim


def settings(folder: Path, folds: str = "4", **changes: str) -> Path:
    path = folder / "planted.toml"
    text = SETTINGS.format(folds=folds)
    for before, after in changes.items():
        text = text.replace(before, after)
    path.write_text(text)
    return path


def train(folder: Path, path: Path, even_at_chance: bool = False) -> tuple[dict[str, Any], Bundle]:
    system = system_of_file(path)
    scores = system.train(
        path,
        folder / "bundle",
        data_root=folder,
        progress=lambda done, text: None,
        even_at_chance=even_at_chance,
    )
    return scores, Bundle.load(folder / "bundle")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Bundle]:
    folder = tmp_path_factory.mktemp("events")
    plant(folder, strength=2.0)
    return folder, *train(folder, settings(folder))


def test_a_planted_response_is_found_and_averages_tell_more(
    trained: tuple[Path, dict[str, Any], Bundle],
) -> None:
    _, scores, _ = trained
    assert scores["auc"] > 0.95
    assert scores["p"] == pytest.approx(1 / 41)
    low, middle, high = scores["shuffled"]
    assert low < 0.5 < high < 0.8
    assert middle == pytest.approx(0.5, abs=0.06)
    assert scores["averaged"]["5"]["auc"] >= scores["averaged"]["1"]["auc"]
    assert sum(scores["trials"].values()) + sum(scores["left_out"].values()) == 97
    assert scores["left_out"]["other markers"] > 0


def test_a_marker_of_uncertain_time_is_left_out_of_training_and_counted(
    trained: tuple[Path, dict[str, Any], Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = trained
    config = load_events(folder / "planted.toml")
    whole = cut_trials(config, folder)
    ((recording, digest),), rate = open_recordings(config.recordings, folder, config.signal)
    assert isinstance(recording, FileRecording)
    place = [k for k, event in enumerate(recording.markers) if event.text in "123"][20]
    markers = [replace(e, uncertainty=0.02) if k == place else e for k, e in enumerate(recording.markers)]
    spoilt = replace(recording, markers=tuple(markers))
    monkeypatch.setattr(trials_module, "open_recordings", lambda *_: ([(spoilt, digest)], rate))
    trials = cut_trials(config, folder)
    assert trials.left_out == {**whole.left_out, "uncertain time": 1}
    assert len(np.setdiff1d(whole.index, trials.index)) == len(whole) - len(trials) == 1


def test_in_noise_nothing_is_found(tmp_path: Path) -> None:
    plant(tmp_path, strength=0.0)
    scores, _ = train(tmp_path, settings(tmp_path), even_at_chance=True)
    low, _, high = scores["shuffled"]
    assert low <= scores["auc"] <= high
    assert scores["p"] > 0.025


def test_the_bundle_reads_epochs_as_the_readout_that_was_fitted(
    trained: tuple[Path, dict[str, Any], Bundle],
) -> None:
    folder, _, bundle = trained
    config = load_events(folder / "planted.toml")
    trials = cut_trials(config, folder)
    assert bundle.spec.result.labels_in_order == ("left", "right")
    recording = open_recording(folder / "one.npz", rate=RATE, channels=("C3", "Cz", "C4"), unit="uV")
    wanted = [event for event in recording.markers if event.text != "7"]
    decoder = OnnxDecoder(bundle, clock=ManualClock(0.0))
    cutter = bundle.cut.recorded(recording.signal, bundle.adapt(recording.signal), wanted)
    read = [decoder.decode(w) for chunk in chunks(recording, 100, 0, LENGTH) for w in cutter.push(chunk)]
    assert {one.reason for one in read if not one.valid} <= {"settling", UNLIKE}
    settled = [one for one in read if one.reason != "settling"]
    assert len(settled) == len(trials)
    good = np.array([one.valid for one in settled])
    assert good.mean() > 0.9
    valid = [one for one in settled if one.valid]
    assert (np.array([one.latent.argmax() for one in valid]) == trials.classes[good]).mean() > 0.9
    assert all(one.latent.sum() == pytest.approx(1, abs=1e-6) for one in valid)
    assert [one.confidence for one in valid] == pytest.approx([one.latent.max() for one in valid])


def test_probabilities_of_trials_that_were_not_fitted_on_are_as_often_right_as_they_say(
    tmp_path: Path,
) -> None:
    plant(tmp_path, strength=0.6, every=45)
    config = load_events(settings(tmp_path))
    trials = cut_trials(config, tmp_path)
    folds = list(folds_of(config, trials))
    temperature = fit_all(config, trials, folds).temperature
    predicted = predict(config, trials, folds)
    stated = softmax(predicted.scores / temperature)
    own = stated[np.arange(len(trials)), trials.classes]
    raw = softmax(predicted.scores)[np.arange(len(trials)), trials.classes]
    assert -np.log(own).mean() <= -np.log(raw).mean()
    right = (stated.argmax(axis=1) == trials.classes).mean()
    assert stated.max(axis=1).mean() == pytest.approx(right, abs=0.1)


def test_no_fold_is_fitted_on_a_sample_that_it_is_scored_on(tmp_path: Path) -> None:
    plant(tmp_path, strength=1.0, every=20)
    config = load_events(settings(tmp_path, folds="5"))
    trials = cut_trials(config, tmp_path)
    folds = folds_of(config, trials)
    assert np.array_equal(np.concatenate([fold.score for fold in folds]), np.arange(len(trials)))
    for fold in folds:
        used = np.zeros(LENGTH, bool)
        for row in fold.fit:
            used[trials.start[row] : trials.end[row]] = True
        assert not any(used[trials.start[row] : trials.end[row]].any() for row in fold.score)
    dropped = [len(trials) - len(fold.score) - len(fold.fit) for fold in folds]
    assert sum(dropped) > 0, "epochs at a boundary overlap, and are dropped"


def test_recordings_can_be_folds_of_their_own(tmp_path: Path) -> None:
    for seed, name in enumerate(("one.npz", "two.npz")):
        plant(tmp_path, 2.0, name, seed)
    second = SETTINGS[SETTINGS.index("[[recordings]]") : SETTINGS.index("[signal]")].replace("one", "two")
    path = settings(tmp_path, folds='"recordings"', **{"[signal]": second + "[signal]"})
    scores, bundle = train(tmp_path, path)
    assert len(scores["auc_folds"]) == 2
    assert set(bundle.spec.provenance.data) == {"one.npz", "two.npz"}


def test_a_report_makes_the_folds_again_and_says_whether_they_score_the_same(
    trained: tuple[Path, dict[str, Any], Bundle], tmp_path: Path
) -> None:
    folder, scores, bundle = trained
    system = system_of_bundle(bundle)
    report = system.report(bundle, tmp_path / "report", data_root=folder)
    assert report["as_stated"] is True
    assert report["auc"] == scores["auc"]
    page = Path(report["page"]).read_text()
    for words in ("Single trials tell the classes apart", "Mean responses", "At C"):
        assert words in page
    assert json.loads((tmp_path / "report" / "report.json").read_text())["trials"] == scores["trials"]
    decoded = system.held_out(bundle, data_root=folder, progress=lambda done, text: None)
    assert len(decoded) == sum(scores["trials"].values())
    assert not decoded.simulated


def test_another_recording_of_the_same_name_is_refused(
    trained: tuple[Path, dict[str, Any], Bundle], tmp_path: Path
) -> None:
    plant(tmp_path, strength=2.0, seed=9)
    with pytest.raises(
        RecordingError, match="the recording that bundle 'planted' was trained on, came another"
    ):
        system_of_bundle(trained[2]).held_out(
            trained[2], data_root=tmp_path, progress=lambda done, text: None
        )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            'right = "2|3"',
            'right = "9"',
            r"0 of 'right' \('9'\); left out: \d+ other markers.*markers there: '1'",
        ),
        ('right = "2|3"', 'right = "1|2"', "marker '1' is of left and right"),
        ('unit = "uV"\n\n[signal]', 'unit = "mV"\n\n[signal]', "expected a recording in uV, came mV"),
        ('path = "one.npz"', 'path = "two.npz"', "expected the recording two.npz"),
        ("folds = 4", "folds = 60", "expected trials of every class beside each"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, before: str, after: str, words: str) -> None:
    plant(tmp_path, strength=1.0, every=200)
    with pytest.raises(RecordingError, match=words):
        train(tmp_path, settings(tmp_path, **{before: after}))
    assert not (tmp_path / "bundle").exists()


def test_a_pattern_that_cannot_be_matched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"classes\.left"):
        load_events(settings(tmp_path, **{'left = "1"': 'left = "("'}))


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
def test_a_seed_that_no_generator_takes_is_refused_by_its_key(tmp_path: Path, seed: str) -> None:
    with pytest.raises(ConfigError, match="seed: expected a number"):
        load_events(settings(tmp_path, **{"seed = 3": f"seed = {seed}"}))


def test_averages_are_of_one_class_and_one_fold() -> None:
    scores = np.arange(14, dtype=float)[:, None] * [1.0, -1.0]
    classes = np.array([0, 1] * 7)
    fold = np.repeat([0, 1], 7)
    two = averaged(Predicted(scores, classes, fold), 2)
    assert two.scores[:, 0].tolist() == [1, 5, 2, 9, 8, 12]
    assert (two.classes.tolist(), two.fold.tolist()) == ([0, 0, 1, 0, 1, 1], [0, 0, 0, 1, 1, 1])


def test_classes_that_came_in_blocks_are_exchanged_block_by_block() -> None:
    random = np.random.default_rng(4)
    blocks = np.repeat([0, 1, 0, 1, 1, 0, 2], [9, 11, 10, 10, 8, 12, 10])
    changed = 0
    for _ in range(20):
        other = exchanged(blocks, random)
        changed += not np.array_equal(other, blocks)
        # No block is torn: where classes followed each other of one kind, they still do.
        assert set(np.flatnonzero(np.diff(other))) <= set(np.flatnonzero(np.diff(blocks)))
    assert changed > 15
    mixed = random.integers(0, 3, 70)
    torn = exchanged(mixed, random)
    assert np.array_equal(np.bincount(torn), np.bincount(mixed))
    assert (torn == mixed).mean() < 0.6


def test_the_area_of_three_classes_is_the_mean_of_each_against_the_others() -> None:
    classes = np.array([0, 0, 1, 1, 2, 2])
    assert class_area(np.eye(3)[classes], classes) == 1.0
    assert class_area(np.zeros((6, 3)), classes) == 0.5


def test_what_is_left_over_of_an_epoch_is_not_used() -> None:
    random = np.random.default_rng(1)
    epochs = random.standard_normal((60, 11, 2)).astype(np.float32)
    classes = np.arange(60) % 3
    epochs[classes == 1, 3:6, 0] += 1.0
    readout = fit(event_trials(epochs, classes, ("a", "b", "c")), np.arange(60), BlockMeansSettings(block=3))
    assert readout.weights.shape == (3, 6)
    other = epochs.copy()
    other[:, 9:] = 99.0
    assert np.array_equal(readout.scores(epochs), readout.scores(other))
    assert not np.array_equal(readout.scores(epochs), readout.scores(epochs * 2))


def test_epochs_unlike_those_of_training_are_invalid(trained: tuple[Path, dict[str, Any], Bundle]) -> None:
    _, _, bundle = trained
    decoder = OnnxDecoder(bundle, clock=ManualClock(0.0))
    random = np.random.default_rng(2)
    noise = (500 * random.standard_normal((LENGTH, 2))).astype(np.float32)
    signal = bundle.spec.signal.signal()
    chunk = Window(
        signal, 0, noise, np.arange(LENGTH) / RATE, np.zeros((LENGTH, 2), bool), LENGTH - 1, reset="start"
    )
    events = [Event(second, "1") for second in range(10, 50)]
    read = [
        decoder.decode(window)
        for window in bundle.cut.recorded(signal, bundle.adapt(signal), events).push(chunk)
    ]
    assert len(read) == 40
    assert sum(one.valid for one in read) <= 2
    assert "unlike" in read[0].reason


def test_a_readout_at_chance_is_refused_unless_it_is_wanted_and_then_says_so(tmp_path: Path) -> None:
    plant(tmp_path, strength=0.0)
    path = settings(tmp_path)
    system = system_of_file(path)
    with pytest.raises(AtChance, match="no better than chance"):
        system.train(
            path,
            tmp_path / "bundle",
            data_root=tmp_path,
            progress=lambda done, text: None,
            even_at_chance=False,
        )
    assert not (tmp_path / "bundle").exists()
    _, bundle = train(tmp_path, path, even_at_chance=True)
    assert bundle.spec.at_chance


def test_values_that_no_brain_gives_are_said_though_nothing_is_written(tmp_path: Path) -> None:
    plant(tmp_path, strength=0.0)
    held = dict(np.load(tmp_path / "one.npz"))
    (name,) = (name for name, values in held.items() if values.shape == (LENGTH, 3))
    np.savez(tmp_path / "one.npz", **held | {name: 1e7 * held[name]})
    command = ("train", settings(tmp_path), "--data", tmp_path, "--out", tmp_path / "bundle", "--json")
    given = call(*command)
    assert (given.status, "a millionth of it would fit" in given.result["message"]) == (2, True)
    settings(tmp_path, **{"[signal]": "[signal]\nany_amplitude = true"})
    done = call(*command)
    assert done.status == 3, done.words
    assert any("one.npz: channels move by" in words for words in done.result["warnings"])
    assert "warning: one.npz: channels move by" in " ".join(done.words.split())


def test_flashes_that_were_attended_are_told_from_others_in_a_real_recording(data: Path) -> None:
    config = load_events(CONFIGS / "p300-train.toml")
    trials = cut_trials(config, data)
    assert (len(trials), dict(trials.left_out)) == (768, {})
    assert np.bincount(trials.classes).tolist() == [128, 640]
    predicted = predict(config, trials, folds_of(config, trials))
    assert np.mean(area_by_fold(predicted)) >= 0.88
    # The bundle that is shipped was made of the same recording, and states the same.
    shipped = Bundle.load(CONFIGS.parent / "models" / "bundles" / "p300")
    assert shipped.spec.scores["auc"] == pytest.approx(np.mean(area_by_fold(predicted)), abs=1e-3)


def test_a_training_file_is_checked_by_cutting_what_it_names(tmp_path: Path) -> None:
    path = settings(tmp_path)
    system = system_of_file(path)
    assert system.check(path, data_root=tmp_path) == [f"the recording one.npz below {tmp_path}"]
    plant(tmp_path, strength=1.0)
    assert system.check(path, data_root=tmp_path) == []
    with pytest.raises(RecordingError, match="0 of 'right'"):
        system.check(settings(tmp_path, **{'right = "2|3"': 'right = "9"'}), data_root=tmp_path)


def test_the_recording_of_a_session_of_ours_is_trained_on_as_it_lies(tmp_path: Path) -> None:
    stim = plant(tmp_path, strength=2.0)
    data = np.load(tmp_path / "one.npz")["data"]
    onsets = np.flatnonzero(stim)
    names = {1: "stimulus 4 left-hand", 2: "stimulus 5 right-hand", 3: "stimulus 6 right-foot", 7: "fixation"}
    info = StreamInfo(Signal("EEG", RATE, (3,), ("C3", "Cz", "C4"), "uV"), "amp", kind="EEG")
    flips = StreamInfo(Signal("Flips", 0.0, (1,), dtype="str"), "bci-flips", kind="Markers")
    with XdfWriter(tmp_path / "recording.xdf", ManualClock(1000.0)) as writer:
        stream, markers = writer.add_stream(info), writer.add_stream(flips)
        writer.write(stream, data, 1000 + np.arange(LENGTH) / RATE)
        writer.write_texts(markers, [names[int(stim[at])] for at in onsets], 1000 + onsets / RATE)
    path = settings(
        tmp_path,
        **{
            'path = "one.npz"\nrate = 100\nchannels = ["C3", "Cz", "C4"]\nunit = "uV"': 'path = "recording.xdf"',
            'left = "1"': 'left = "stimulus .* left-.*"',
            'right = "2|3"': 'right = "stimulus .* right-.*"',
        },
    )
    scores, bundle = train(tmp_path, path)
    assert scores["auc"] > 0.95
    assert scores["left_out"]["other markers"] == int((stim == 7).sum())
    assert bundle.cut.needs_markers

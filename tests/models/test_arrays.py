"""Arrays train a decoder: what is planted in them is found, what does not fit is refused, and features run nowhere."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

pytest.importorskip("sklearn", reason="training needs the extra train")

from commands import call

from bci.config.session import parse_session
from bci.control.roster import Roster
from bci.control.session_specs import legend_of
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import UNLIKE, OnnxDecoder
from bci.decoder.spec import EpochSpec, WindowSpec
from bci.errors import BciError, BundleMismatch, RecordingError
from bci.io.files.recording import chunks, open_recording
from bci.signal.clock import ManualClock
from models.systems.events.folds import folds_of
from models.systems.events.own_data import open_events
from models.systems.events.trials import cut_trials
from models.systems.numbers.own_data import open_numbers
from models.systems.numbers.trials import cut_windows
from models.systems.pictures.settings import load_pictures_file
from models.systems.pictures.trials import cut_pictures
from models.systems.registry import system_of_bundle, system_of_file

N, CHANNELS, LENGTH = 80, 3, 20
CLASSES = """
kind = "events"
name = "planted"
shuffles = 19
folds = "recordings"
[data.arrays]
files = ["trials.npz"]
rate = 50
[signal]
channels = ["C3", "Cz", "C4"]
[epoch]
stop = 0.4
[readout]
block = 5
"""
FEATURES = """
kind = "events"
name = "features"
shuffles = 19
[data.arrays]
files = ["trials"]
[classes]
left = "1"
right = "2"
"""
NUMBERS = """
kind = "numbers"
name = "force"
folds = 4
[data.arrays]
files = ["trials.npz"]
rate = 50
[signal]
channels = ["C3", "Cz", "C4"]
[target]
name = "force"
[window]
length = 20
[readout]
log = false
"""
PICTURES = """
kind = "pictures"
name = "own"
generator = "dcgan-faces"
[data.arrays]
files = ["trials.npz"]
"""


def planted(seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return trials, (trials, channels, samples), in microvolts, of which the class raises one channel or another."""
    random = np.random.default_rng(seed)
    y = np.tile([1, 2, 1, 2, 2, 1], N)[:N]
    samples = random.standard_normal((N, CHANNELS, LENGTH)) * 10
    samples[y == 1, 0, 5:15] += 12
    samples[y == 2, 2, 5:15] += 12
    return {"X": samples, "y": y, "runs": np.arange(N) * 4 // N}


def noise(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal(shape)


def settings(folder: Path, text: str = CLASSES, **changes: NDArray[Any] | None) -> Path:
    """Write planted trials, some of them in place of others, and their training file; return its path."""
    arrays = {name: values for name, values in (planted() | changes).items() if values is not None}
    np.savez(folder / "trials.npz", **arrays)
    path = folder / "planted.toml"
    path.write_text(text)
    return path


def train(path: Path) -> Bundle:
    system_of_file(path).train(
        path,
        path.parent / "bundle",
        data_root=path.parent,
        progress=lambda done, text: None,
        even_at_chance=False,
    )
    return Bundle.load(path.parent / "bundle")


def refused(path: Path) -> str:
    with pytest.raises(RecordingError) as error:
        cut_trials(*open_events(path, path.parent))
    return str(error.value)


def session(bundle: Bundle) -> Any:
    values = {
        "name": "live",
        "network": "machine",
        "decoder": {"bundle": str(bundle.folder)},
        "stream": {"source_id": "amp", "markers": ["amp-markers"]},
    }
    return parse_session(values, bundle.folder, "test")


def test_planted_classes_are_read_and_the_bundle_says_which_stream_it_reads(tmp_path: Path) -> None:
    bundle = train(settings(tmp_path))
    assert bundle.spec.scores["auc"] > 0.9
    assert bundle.spec.result.labels == ("1", "2")
    assert (bundle.signal.rate, bundle.signal.channels) == (50.0, ("C3", "Cz", "C4"))
    assert isinstance(bundle.spec.window, EpochSpec)
    assert bundle.spec.live
    assert Roster(session(bundle), "key").driver is not None
    assert legend_of(bundle.spec) == " · bars: 1, 2"
    decoded = system_of_bundle(bundle).held_out(bundle, data_root=tmp_path, progress=lambda done, text: None)
    assert len(decoded.which) == N


def test_the_recording_that_trials_were_cut_from_scores_live_as_they_do(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    onsets = 200 + 40 * np.arange(N)
    samples = random.standard_normal((onsets[-1] + 100, CHANNELS)) * 10
    y = random.integers(1, 3, N)
    stim = np.zeros(len(samples), np.int64)
    for onset, value in zip(onsets, y, strict=True):
        stim[onset : onset + 2] = value
        samples[onset + 5 : onset + 15, 2 * (value - 1)] += 20
    np.savez(tmp_path / "whole.npz", data=samples.astype(np.float32), stim=stim)
    # As another program filters and cuts.
    filtered = sosfilt(
        butter(2, [1, 20], "bandpass", fs=50, output="sos"), samples.astype(np.float32), axis=0
    )
    cut = np.stack([filtered[onset : onset + LENGTH].T for onset in onsets])
    steps = '[[pipeline]]\nstep = "band_pass"\nlow = 1.0\nhigh = 20.0\norder = 2\n[epoch]'
    bundle = train(settings(tmp_path, CLASSES.replace("[epoch]", steps), X=cut, y=y))
    played = open_recording(tmp_path / "whole.npz", rate=50, channels=("C3", "Cz", "C4"), unit="uV")
    cutter = bundle.cut.recorded(played.signal, bundle.adapt(played.signal), played.markers)
    decoder = OnnxDecoder(bundle, clock=ManualClock(0.0))
    live = [decoder.decode(window) for chunk in chunks(played, 7) for window in cutter.push(chunk)]
    assert len(live) == N
    graph = onnxruntime.InferenceSession(bundle.read("readout.onnx"))
    rows = np.swapaxes(cut, 1, 2).astype(np.float32)
    offline = np.concatenate([graph.run(["probabilities"], {"window": row[None]})[0] for row in rows])
    assert {one.reason for one in live if not one.valid} <= {UNLIKE}
    np.testing.assert_allclose([one.latent for one in live], offline, atol=1e-6)
    assert (np.argmax(offline, axis=1) == y - 1).mean() > 0.9


def test_data_says_what_each_run_holds_and_what_is_left_out(tmp_path: Path) -> None:
    arrays = planted()
    arrays["X"][3, 1, 7] = np.nan
    arrays["X"][40] = arrays["X"][8]
    done = call(
        "data", settings(tmp_path, **arrays), "--data", tmp_path, "--out", tmp_path / "page", "--json"
    )
    assert done.status == 0, done.words
    assert done.result["columns"] == ["run", "1", "2", "trials"]
    assert [row[0] for row in done.result["rows"]] == [*(f"trials.npz {run}" for run in range(4)), "all"]
    assert done.result["rows"][-1][-1] == N - 1
    assert done.result["left_out"] == {"not finite": 1}
    assert done.result["defects"] == ["1 of 79 trials hold the very samples of another one"]


def test_features_are_evaluated_and_run_nowhere(tmp_path: Path) -> None:
    arrays = planted()
    (tmp_path / "trials").mkdir()
    for name, values in {**arrays, "X": arrays["X"].mean(axis=2)}.items():
        np.save(tmp_path / "trials" / f"{name}.npy", values)
    path = settings(tmp_path, FEATURES)
    found = system_of_file(path).find_data(path, data_root=tmp_path)
    assert "this decoder can be evaluated, not run live" in found.defects[0]
    bundle = train(path)
    assert bundle.spec.scores["auc"] > 0.9
    assert not bundle.spec.live
    assert "**This decoder can be evaluated, not run live**" in (bundle.folder / "card.md").read_text()
    report = system_of_bundle(bundle).report(bundle, tmp_path / "page", data_root=tmp_path)
    assert report["as_stated"]
    with pytest.raises(BundleMismatch, match="this decoder can be evaluated, not run live"):
        Roster(session(bundle), "key")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y": np.arange(79) % 2}, "what each of 80 trials of X is, came an array of shape (79,)"),
        ({"y": None}, "expected an array 'y', came X, runs"),
        ({"y": np.ones(N)}, "expected 2 to 64 classes, came 1 different values of y: 1."),
        ({"y": np.arange(N)}, "came 80 different values of y"),
        ({"y": np.zeros((N, 2))}, "Latents are read by kind = 'pictures'"),
        ({"runs": np.arange(3)}, "expected runs as a whole number or a name for each of 80 trials"),
        ({"X": noise(N, CHANNELS, LENGTH, 1)}, "came float64 of shape (80, 3, 20, 1)"),
        ({"X": noise(N, LENGTH, CHANNELS)}, "Its last two axes seem to be exchanged"),
        ({"X": noise(N, CHANNELS, 25)}, "expected X of 20 samples, as the training file cuts at 50 Hz, came 25"),
        ({"X": noise(N, 60)}, "came features: (trials, features) = (80, 60)"),
        ({"X": np.ones((N, CHANNELS, LENGTH))}, "holds the very trials of"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused_with_both_sides(
    tmp_path: Path, changes: dict[str, NDArray[Any] | None], words: str
) -> None:
    assert words in refused(settings(tmp_path, **changes))


def test_a_unit_a_million_times_too_small_is_refused_and_said_where_it_is_meant(tmp_path: Path) -> None:
    words = refused(settings(tmp_path, X=planted()["X"] * 1e6))
    assert "where EEG, ECoG and LFP move by 1 to 20,000: a millionth of it would fit" in words
    assert "[signal] any_amplitude = true" in words
    meant = CLASSES.replace("[signal]", "[signal]\nany_amplitude = true")
    path = settings(tmp_path, meant, X=planted()["X"] * 1e6)
    trials = cut_trials(*open_events(path, tmp_path))
    assert "a millionth of it would fit, so the unit is probably another" in trials.defects[0]


def test_trials_that_overlap_a_scored_one_are_not_fitted_on(tmp_path: Path) -> None:
    overlapping = np.arange(N) * (LENGTH // 2)
    path = settings(tmp_path, CLASSES.replace('"recordings"', "4"), runs=None, onsets=overlapping)
    config, root = open_events(path, tmp_path)
    trials = cut_trials(config, root)
    sizes = [len(fold.fit) for fold in folds_of(config, trials)]
    assert sizes == [59, 58, 58, 59]  # of 60 apart from the part, one or two overlap it


def test_a_planted_number_is_read_of_arrays_and_the_bundle_runs_live(tmp_path: Path) -> None:
    force = np.random.default_rng(2).uniform(0, 10, N)
    samples = noise(N, CHANNELS, LENGTH) + force[:, None, None] * np.array([[1.0], [0.0], [-1.0]])
    bundle = train(settings(tmp_path, NUMBERS, X=samples, y=force))
    assert bundle.spec.scores["r"] > 0.9
    assert (bundle.spec.window, bundle.spec.live) == (WindowSpec(length=20, hop=1), True)


def test_a_logarithm_of_what_is_below_zero_is_refused(tmp_path: Path) -> None:
    path = settings(tmp_path, NUMBERS.replace("log = false", ""), y=noise(N))
    with pytest.raises(RecordingError, match=r"readout\.log: expected powers"):
        cut_windows(*open_numbers(path, tmp_path))


def test_latents_of_another_size_than_the_generator_s_are_refused_with_both(tmp_path: Path) -> None:
    config = load_pictures_file(settings(tmp_path, PICTURES, y=noise(N, 32)))
    with pytest.raises(
        RecordingError, match=r"'dcgan-faces', \(trials, 64\), came float64 of shape \(80, 32\)"
    ):
        cut_pictures(config, tmp_path, 64)


def test_planted_latents_are_read_of_features_and_drawn(tmp_path: Path) -> None:
    places = noise(20, 3)
    latents = 4 * places @ np.linalg.qr(np.random.default_rng(3).standard_normal((64, 3)))[0].T
    shown = np.arange(N) % 20
    text = PICTURES.replace("[data", 'size = "keep"\nfolds = 2\n[data', 1)
    bundle = train(settings(tmp_path, text, X=np.tile(places[shown], 3) + noise(N, 9) / 2, y=latents[shown]))
    scores = bundle.spec.scores
    assert isinstance(scores["two_way_chance"], list)
    assert float(str(scores["two_way"])) > 0.75 > float(str(scores["two_way_chance"][1]))
    assert not bundle.spec.live


@pytest.mark.parametrize(
    ("kept", "folds", "words"),
    [
        ([0, 1, 2, 3], "2", "at least 2 trials of each class beside each of 2 folds, came 1 of '1', of 4 trials"),
        (list(range(N)), '4\nreadout = { block = 21 }', "readout.block: expected at most the 20 samples"),
    ],
)  # fmt: skip
def test_too_few_trials_and_too_long_blocks_are_refused_before_anything_is_scored(
    tmp_path: Path, kept: list[int], folds: str, words: str
) -> None:
    arrays = {name: values[kept] for name, values in planted().items()} | {"runs": None}
    text = CLASSES.replace('"recordings"', folds)
    path = settings(tmp_path, text.replace("[readout]\nblock = 5\n", ""), **arrays)
    with pytest.raises(BciError) as error:
        train(path)
    assert words in str(error.value)


def test_a_number_that_never_varies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected a number that varies, came 3 in each of 80 windows"):
        cut_windows(*open_numbers(settings(tmp_path, NUMBERS, y=np.full(N, 3.0)), tmp_path))

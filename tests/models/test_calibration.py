"""A readout is fitted anew to cued blocks, scored by blocks it never saw, and trusted only when it beats chance."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import tiny_bundle

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.errors import BundleError, ConfigError, RecordingError
from bci.io.files.formats.file import FileRecording
from bci.io.files.recording import chunks, open_recording
from bci.signal.clock import ManualClock
from bci.signal.windows import windows
from models.systems.alpha.calibrate import Calibration, calibrate
from models.systems.alpha.calibration_file import CalibrationConfig, load_calibration, plan_of, recipe_of
from models.systems.alpha.cued import cued_blocks, cut_cued, uncertain_cues
from models.systems.alpha.evaluate import evaluate
from models.systems.alpha.fitting import StateEstimator, Trials
from models.systems.alpha.readout import RelativePower

ROOT = Path(__file__).resolve().parents[2]
RATE, SECONDS, PAIRS, LEFT_OUT = 100.0, 8.0, 5, 2.0
CHANNELS = ("1", "2", "3")
PIPELINE = ({"step": "band_covariance", "bands": [[8.0, 13.0], [2.0, 30.0]], "block": 10, "order": 2},)

TEXT = """
name = "mine"
base = "base"
seed = 4
[stream]
source_id = "amp"
[blocks]
pairs = 5
seconds = 8
left_out_s = 2
[[states]]
label = "1"
say = "open"
[[states]]
label = "2"
say = "close"
[readout]
bands = [0]
reference = 1
single = 0
shrinkage = [0.1, 0.5]
block_seconds = 2.0
"""


def record(folder: Path, name: str, alpha: float, seed: int = 0, lead_s: float = 3.0) -> Path:
    """Write noise on three channels; in every second block two of them carry a 10 Hz rhythm of `alpha`."""
    random = np.random.default_rng(seed)
    n = round((lead_s + 2 * PAIRS * SECONDS) * RATE)
    time = np.arange(n) / RATE
    block = np.floor((time - lead_s) / SECONDS).astype(int)
    x = 3 * random.normal(size=(n, 3))
    swell = 0.5 + np.abs(np.convolve(random.normal(size=n), np.hanning(150) / 6, "same"))
    x[:, :2] += alpha * ((block % 2 == 1) * swell * np.sin(2 * np.pi * 10 * time))[:, None]
    stim = np.where(block >= 0, 1 + block % 2, 0).astype(np.int16)
    np.savez(folder / f"{name}.npz", data=x.astype(np.float32), stim=stim)
    (folder / f"{name}.yml").write_text(f"acquisition:\n  samplingrate: {RATE:g}\n")
    return folder / f"{name}.npz"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration")
    tiny_bundle(
        folder / "base", rate=RATE, channels=CHANNELS, unit="", pipeline=PIPELINE, length=10, hop=2, latent=1
    )
    (folder / "calibrate.toml").write_text(TEXT)
    return folder


@pytest.fixture
def config(place: Path) -> CalibrationConfig:
    return load_calibration(place / "calibrate.toml")


@pytest.fixture(scope="module")
def base(place: Path) -> Bundle:
    return Bundle.load(place / "base")


@pytest.fixture(scope="module")
def found(place: Path, base: Bundle) -> Calibration:
    return calibrate(load_calibration(place / "calibrate.toml"), base, record(place, "heeding", alpha=6.0))


def test_a_planted_rhythm_beats_chance_and_the_bundle_reads_it(
    found: Calibration, base: Bundle, place: Path
) -> None:
    area = found.scores["auc"]
    assert found.beats_chance
    assert area["value"] > 0.95 > area["shuffled_95th"] > area["shuffled_mean"]
    assert area["interval_95"][0] <= area["value"] <= area["interval_95"][1]
    assert area["chance"] == found.scores["balanced_accuracy"]["chance"] == 0.5
    assert found.scores["brier"]["value"] < found.scores["brier"]["constant"]
    assert found.scores["test"]["blocks"] == 2 * PAIRS
    bundle = found.write(place / "mine")
    assert bundle.spec.scores["auc"] == area
    # Another session of the same person: the latent is the state.
    fresh = open_recording(record(place, "later", alpha=6.0, seed=9))
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    right = []
    for window in windows(
        chunks(fresh, 50), bundle.adapt(fresh.signal), length=bundle.length, hop=bundle.hop
    ):
        seconds = float(window.times[-1]) - 3.0
        if seconds > 0 and seconds % SECONDS > LEFT_OUT and window.settled:
            right.append((decoder.decode(window).latent[0] > 0.5) == (seconds // SECONDS % 2 == 1))
    assert len(right) > 200
    assert np.mean(right) > 0.9


def test_the_generator_is_kept_byte_by_byte_and_the_readout_is_not(
    found: Calibration, base: Bundle, place: Path
) -> None:
    bundle = found.write(place / "kept")
    assert bundle.read("generator.onnx") == base.read("generator.onnx")
    assert bundle.read("readout.onnx") != base.read("readout.onnx")
    assert bundle.spec.image == base.spec.image
    told = bundle.spec.provenance
    assert told.config["base"] == {"name": "tiny", "hash": base.hash}
    ((name, digest),) = told.data.items()
    assert name.endswith("/heeding.npz")
    assert digest == hashlib.sha256((place / "heeding.npz").read_bytes()).hexdigest()
    assert str(place) not in (place / "kept" / "bundle.json").read_text() + bundle.read("card.md").decode()


def test_a_calibrated_bundle_can_be_the_base_of_the_next(found: Calibration, place: Path) -> None:
    found.write(place / "first")
    text = TEXT[: TEXT.index("[readout]")].replace('base = "base"', 'base = "first"')
    (place / "again.toml").write_text(text)
    config = load_calibration(place / "again.toml")
    again = calibrate(config, Bundle.load(config.base), place / "heeding.npz")
    assert again.scores == found.scores


def test_without_the_rhythm_nothing_is_claimed(config: CalibrationConfig, base: Bundle, place: Path) -> None:
    found = calibrate(config, base, record(place, "heedless", alpha=0.0, seed=3))
    assert not found.beats_chance
    assert found.scores["auc"]["p_shuffled"] > 0.1
    assert found.spec.confidence.kind == "none"


def test_a_pair_is_predicted_by_what_never_saw_it(
    config: CalibrationConfig, base: Bundle, place: Path
) -> None:
    recording = open_recording(record(place, "folds", alpha=2.0, seed=5))
    trials, block, _ = cut_cued(config, plan_of(config, base, recording.signal), recording)
    assert trials.fold is not None
    assert np.array_equal(np.unique(block), np.arange(2 * PAIRS))
    assert np.array_equal(trials.fold, block // 2)
    estimator = StateEstimator(RelativePower((0,), 1), (0.1, 0.5), 5, 100)
    held = trials.fold == 2
    spoilt = replace_in(trials, held)
    a, b = estimator.cross_predict(trials), estimator.cross_predict(spoilt)
    kept = RelativePower((0,), 1)(trials.windows)
    readout = estimator.fit(only(trials, ~held)).readout_
    assert np.array_equal(a[held], readout.calibrate(readout.score(kept[held])))
    assert not np.array_equal(a[~held], b[~held])


def replace_in(trials: Trials, which: np.ndarray) -> Trials:
    """Exchange the states of some windows."""
    return replace(trials, states=np.where(which, ~trials.states, trials.states))


def only(trials: Trials, which: np.ndarray) -> Trials:
    assert trials.fold is not None
    return Trials(*(part[which] for part in (trials.windows, trials.states, trials.run, trials.start, trials.end)),
                  trials.fold[which])  # fmt: skip


def test_only_what_lies_inside_a_block_behind_its_left_out_start_is_used(
    config: CalibrationConfig, base: Bundle, place: Path
) -> None:
    recording = open_recording(record(place, "spans", alpha=2.0))
    blocks = cued_blocks(config, recording)
    assert [b.state for b in blocks] == [0, 1] * PAIRS
    assert [b.first for b in blocks] == [round((3 + k * SECONDS + LEFT_OUT) * RATE) for k in range(2 * PAIRS)]
    assert [b.end for b in blocks] == [round((3 + (k + 1) * SECONDS) * RATE) for k in range(2 * PAIRS)]
    trials, block, _ = cut_cued(config, plan_of(config, base, recording.signal), recording)
    firsts, ends = np.array([b.first for b in blocks]), np.array([b.end for b in blocks])
    assert (trials.start >= firsts[block]).all()
    assert (trials.end <= ends[block]).all()
    assert np.array_equal(trials.states, block % 2 == 1)


def test_a_block_whose_cue_is_of_uncertain_time_is_left_out_and_counted(
    config: CalibrationConfig, base: Bundle, place: Path
) -> None:
    recording = open_recording(record(place, "uncertain", alpha=2.0))
    assert isinstance(recording, FileRecording)
    whole = cued_blocks(config, recording)
    cue = next(marker for marker in recording.markers if marker.text == config.states[1].label)
    markers = [replace(cue, uncertainty=0.02) if one is cue else one for one in recording.markers]
    spoilt = replace(recording, markers=tuple(markers))
    assert cued_blocks(config, spoilt) == [whole[0], *whole[2:]]
    assert (uncertain_cues(config, recording), uncertain_cues(config, spoilt)) == (0, 1)


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("pairs = 5", "pairs = 3", ConfigError, r"blocks\.pairs"),
        ("left_out_s = 2", "left_out_s = 5", ConfigError, "less than half"),
        ('label = "2"', 'label = "1"', ConfigError, "two labels"),
        ('label = "2"', 'label = "end"', ConfigError, "cannot be called 'end'"),
        ("seed = 4", "sede = 4", ConfigError, "sede: there is no such key"),
        ("[readout]", "[readout", ConfigError, "not valid TOML"),
        ('label = "2"', 'label = "3"', RecordingError, "came 5 of '1' and 0 of '3'"),
        ("reference = 1", "reference = 4", ConfigError, "bands up to number 4"),
        ("[readout]", '[signal]\nchannels = ["9"]\nunit = ""\n[readout]', ConfigError, "no channel '9'"),
        (
            "[readout]",
            '[signal]\nchannels = ["1"]\nunit = "mV"\n[readout]',
            ConfigError,
            "expected a signal in mV",
        ),
        (TEXT[TEXT.index("[readout]") :], "", BundleError, "does not say how its readout was fitted"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_words(
    place: Path, base: Bundle, tmp_path: Path, old: str, new: str, error: type[Exception], said: str
) -> None:
    assert old in TEXT
    (tmp_path / "other.toml").write_text(TEXT.replace(old, new))
    with pytest.raises(error, match=said):
        calibrate(load_calibration(tmp_path / "other.toml"), base, record(tmp_path, "heeding", alpha=6.0))


def test_a_recording_at_another_rate_needs_a_pipeline_of_its_own(
    config: CalibrationConfig, base: Bundle, tmp_path: Path
) -> None:
    path = record(tmp_path, "faster", alpha=6.0)
    path.with_suffix(".yml").write_text("acquisition:\n  samplingrate: 128\n")
    with pytest.raises(ConfigError, match=r"expected a stream of 100 Hz.*came 128 Hz\. Give \[\[pipeline"):
        calibrate(config, base, path)


def test_evaluation_says_why_nothing_of_it_is_left_to_score(found: Calibration, place: Path) -> None:
    found.write(place / "scored")
    with pytest.raises(BundleError, match="was calibrated: each of its blocks was held out"):
        evaluate(place / "scored", place)


def test_the_shipped_file_can_be_read_and_fits_the_shipped_bundle() -> None:
    config = load_calibration(ROOT / "configs" / "alpha-calibrate.toml")
    recipe = recipe_of(config, Bundle.load(config.base))
    assert [state.label for state in config.states] == ["eyes open", "eyes closed"]
    assert recipe.readout.bands == (0,)
    cues = config.cues()
    assert (len(cues), cues[-1].text, cues[-1].time) == (13, "end", config.seconds)


def test_a_state_may_have_a_picture_which_opens_a_window_and_must_be_there(place: Path) -> None:
    assert load_calibration(place / "calibrate.toml").screen is None
    path = place / "pictured.toml"
    path.write_text(TEXT.replace('say = "open"', 'say = "open"\npicture = "open.png"'))
    with pytest.raises(
        ConfigError, match=r"state '1': expected a picture at .*open.png, but .* none of that name"
    ):
        load_calibration(path)
    (place / "open.png").write_bytes(b"")
    pictured = load_calibration(path)
    assert pictured.states[0].picture == place.resolve() / "open.png"
    assert pictured.states[1].picture is None
    assert pictured.screen is not None
    path.write_text(TEXT + '[display]\nkind = "headless"\n')
    with pytest.raises(ConfigError, match="a participant looks at a window"):
        load_calibration(path)

"""A number that stands in a channel is read from windows, exported, reported on; noise is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("onnx", reason="training needs the extra train")

from bci.decoder.bundle import Bundle
from bci.errors import AtChance, ConfigError, RecordingError
from models.systems.numbers.readout import cross_predict, fit
from models.systems.numbers.settings import RidgeSettings, load_numbers
from models.systems.numbers.trials import contiguous_folds, cut_windows
from models.systems.registry import system_of_bundle, system_of_file

SETTINGS = """
kind = "numbers"
name = "force"
folds = 3
[[recordings]]
path = "one.npz"
rate = 200
unit = "uV"
channels = ["E1", "E2", "force"]
[signal]
channels = ["E1", "E2"]
unit = "uV"
[target]
channel = "force"
name = "force"
unit = "N"
[[pipeline]]
step = "band_power"
bands = [[10, 30], [40, 80]]
block = 20
[window]
length = 5
[readout]
penalties = [1, 100]
"""


def plant(folder: Path, strength: float, name: str = "one.npz") -> Path:
    """Write a minute in which the power of E2 follows the force of half a second before; return its training file."""
    random = np.random.default_rng(5)
    force = 5 * (1 + np.sin(2 * np.pi * np.arange(12_000) / 200 / 7 + random.uniform(0, 1)))
    data = random.standard_normal((12_000, 3))
    data[:, 1] *= 1 + strength * np.roll(force, 50)
    data[:, 2] = force
    np.savez(folder / name, data=data.astype(np.float32))
    path = folder / "force.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any], Bundle]:
    folder = tmp_path_factory.mktemp("numbers")
    path = plant(folder, 1.0)
    scores = system_of_file(path).train(
        path, folder / "bundle", data_root=folder, progress=lambda done, text: None, even_at_chance=False
    )
    return folder, path, scores, Bundle.load(folder / "bundle")


def test_a_planted_number_is_read_of_windows_held_out(
    trained: tuple[Path, Path, dict[str, Any], Bundle],
) -> None:
    _, _, scores, bundle = trained
    assert scores["r"] > 0.8
    assert scores["p"] < 0.02
    assert scores["shifted"][0] < 0.3
    assert bundle.spec.result.describe([3.0]) == "force 3 N"
    assert bundle.spec.scores["beats_chance"] is True


def test_the_graph_gives_what_was_fitted_and_claims_nothing_of_what_is_unlike(
    trained: tuple[Path, Path, dict[str, Any], Bundle],
) -> None:
    folder, path, scores, _ = trained
    config = load_numbers(path)
    trials = cut_windows(config, folder)
    readout = fit(trials, np.arange(len(trials)), config.readout)
    session = onnxruntime.InferenceSession(
        (folder / "bundle" / "readout.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    for row in (0, 100, 400):
        value, confidence, novelty = session.run(None, {"window": trials.windows[row : row + 1]})
        np.testing.assert_allclose(value, readout(trials.windows[row : row + 1]), rtol=1e-4)
        if novelty[0] <= 1:
            assert confidence[0] == pytest.approx(scores["r2"], abs=1e-6)
    for strange in (1e4, 0.0):
        _, confidence, novelty = session.run(None, {"window": trials.windows[:1] * np.float32(strange)})
        assert novelty[0] > 1
        assert confidence[0] == 0


def test_no_window_shares_a_sample_with_one_that_it_is_scored_beside(
    trained: tuple[Path, Path, dict[str, Any], Bundle],
) -> None:
    folder, path, _, _ = trained
    trials = cut_windows(load_numbers(path), folder)
    for fold in contiguous_folds(trials, np.arange(len(trials)), 3):
        for row in fold.score:
            apart = np.abs(trials.end[fold.fit] - trials.end[row])
            assert apart.min() >= trials.span
    changed = cross_predict(trials, contiguous_folds(trials, np.arange(len(trials)), 3), RidgeSettings())
    assert np.isfinite(changed).all()


def test_a_report_makes_the_folds_again_and_says_the_same(
    trained: tuple[Path, Path, dict[str, Any], Bundle], tmp_path: Path
) -> None:
    folder, _, scores, bundle = trained
    system = system_of_bundle(bundle)
    report = system.report(
        bundle, tmp_path / "page", data_root=folder, weights=None, progress=lambda d, t: None
    )
    assert report["as_stated"]
    assert report["r"] == scores["r"]
    assert json.loads((tmp_path / "page" / "report.json").read_text())["r"] == scores["r"]
    assert "The number is read" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    decoded = system.held_out(bundle, data_root=folder, progress=lambda d, t: None)
    assert len(decoded.predicted) == scores["windows"]


def test_noise_writes_no_bundle(tmp_path: Path) -> None:
    path = plant(tmp_path, 0.0)
    with pytest.raises(AtChance, match="shifted in time"):
        system_of_file(path).train(
            path, tmp_path / "bundle", data_root=tmp_path, progress=lambda d, t: None, even_at_chance=False
        )
    assert not (tmp_path / "bundle").exists()


def test_what_cannot_be_trained_on_is_refused_in_words(tmp_path: Path) -> None:
    path = plant(tmp_path, 1.0)
    path.write_text(SETTINGS.replace('channel = "force"', 'channel = "grip"'))
    with pytest.raises(RecordingError, match="'grip'"):
        cut_windows(load_numbers(path), tmp_path)
    path.write_text(SETTINGS.replace('channels = ["E1", "E2"]', 'channels = ["E1", "force"]'))
    with pytest.raises(ConfigError, match="number itself"):
        load_numbers(path)
    path.write_text(SETTINGS.replace("length = 5", "length = 590"))
    with pytest.raises(RecordingError, match="at least 30 windows"):
        cut_windows(load_numbers(path), tmp_path)


def test_a_recording_that_is_a_copy_of_another_is_found_by_its_samples(tmp_path: Path) -> None:
    plant(tmp_path, 1.0)
    data = np.load(tmp_path / "one.npz")["data"]
    np.savez_compressed(tmp_path / "two.npz", data=data)
    path = tmp_path / "force.toml"
    path.write_text(
        SETTINGS
        + '[[recordings]]\npath = "two.npz"\nrate = 200\nunit = "uV"\nchannels = ["E1", "E2", "force"]\n'
    )
    with pytest.raises(RecordingError, match=r"two\.npz holds the very samples of one\.npz"):
        cut_windows(load_numbers(path), tmp_path)

"""The phase of a planted rhythm is read from the past, exported, reported on; another channel's rhythm is not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("onnx", reason="training needs the extra train")

from bci.decoder.bundle import Bundle
from bci.errors import AtChance, ConfigError, RecordingError
from models.systems.registry import system_of_bundle, system_of_file
from models.systems.rhythm.readout import fit_rhythm
from models.systems.rhythm.settings import load_rhythm
from models.systems.rhythm.trials import cut_rhythm

SETTINGS = """
kind = "rhythm"
name = "planted"
folds = 3
[[recordings]]
path = "one.npz"
rate = 250
unit = "mV"
channels = ["A", "B"]
[signal]
channels = ["A"]
unit = "mV"
[target]
channel = "A"
name = "theta"
low = 4
high = 12
[[pipeline]]
step = "high_pass"
low = 1
order = 2
[[pipeline]]
step = "decimate"
factor = 5
[window]
length = 20
hop = 3
[readout]
penalties = [1, 100]
"""
RATE, PLANTED = 250, 8 * (1 + 0.03 * np.sin(2 * np.pi * 0.1 * np.arange(7500) / 250))
PHASE = 2 * np.pi * np.cumsum(PLANTED) / RATE


def plant(folder: Path) -> Path:
    """Write half a minute: a wave of slowly changing frequency in noise, and noise; return a training file."""
    random = np.random.default_rng(5)
    data = random.standard_normal((len(PHASE), 2))
    data[:, 0] += 3 * np.cos(PHASE)
    np.savez(folder / "one.npz", data=data.astype(np.float32))
    path = folder / "rhythm.toml"
    path.write_text(SETTINGS)
    return path


def train(path: Path) -> dict[str, Any]:
    return system_of_file(path).train(
        path,
        path.parent / "bundle",
        data_root=path.parent,
        progress=lambda done, text: None,
        even_at_chance=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Bundle]:
    path = plant(tmp_path_factory.mktemp("rhythm"))
    scores = train(path)
    return path, scores, Bundle.load(path.parent / "bundle")


def test_the_planted_phase_is_read_of_windows_held_out(trained: tuple[Path, dict[str, Any], Bundle]) -> None:
    path, scores, _ = trained
    assert scores["phase_locking"] > 0.95
    assert scores["p"] < 0.02
    assert 0.8 < scores["untrained"]["phase_locking"] < scores["phase_locking"]
    trials = cut_rhythm(load_rhythm(path), path.parent)
    # The truth that training takes is the phase that was planted, at the newest sample and not before.
    error = np.angle(trials.analytic * np.exp(-1j * PHASE[trials.cut.end - 1]))
    assert np.degrees(np.abs(error.mean())) < 2
    assert np.degrees(np.median(np.abs(error))) < 10


def test_the_graph_gives_phase_and_power_all_round(trained: tuple[Path, dict[str, Any], Bundle]) -> None:
    path, scores, bundle = trained
    config = load_rhythm(path)
    trials = cut_rhythm(config, path.parent)
    readout = fit_rhythm(trials, np.arange(len(trials)), config.readout)
    session = onnxruntime.InferenceSession(bundle.read("readout.onnx"), providers=["CPUExecutionProvider"])
    quarters = set()
    for row in range(0, len(trials), 7):
        window = trials.cut.windows[row : row + 1]
        rhythm, confidence, novelty = session.run(None, {"window": window})
        read = complex(readout(window)[0])
        turned = np.exp(1j * rhythm[0, 0]) * np.exp(-1j * np.angle(read))
        assert abs(np.angle(turned)) < 1e-5
        assert rhythm[0, 1] == pytest.approx(abs(read) ** 2 + scores["unknown"], rel=1e-5)
        quarters.add(np.floor(rhythm[0, 0] / (np.pi / 2)))
        if novelty[0] <= 1:
            assert confidence[0] == pytest.approx(scores["explained"], abs=1e-6)
    assert len(quarters) == 4
    _, confidence, novelty = session.run(None, {"window": trials.cut.windows[:1] * np.float32(1e4)})
    assert novelty[0] > 1
    assert confidence[0] == 0


def test_a_report_makes_the_folds_again_and_says_the_same(
    trained: tuple[Path, dict[str, Any], Bundle], tmp_path: Path
) -> None:
    path, scores, bundle = trained
    system = system_of_bundle(bundle)
    report = system.report(
        bundle, tmp_path / "page", data_root=path.parent, weights=None, progress=lambda d, t: None
    )
    assert report["as_stated"]
    assert report["phase_locking"] == scores["phase_locking"]
    decoded = system.held_out(bundle, data_root=path.parent, progress=lambda d, t: None)
    assert len(decoded.predicted) == scores["windows"]
    nearest = ((decoded.predicted[:, None] - decoded.latents[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == decoded.which).mean() > 0.7  # of four quarters


def test_the_phase_of_a_channel_that_has_nothing_in_common_is_not_read(tmp_path: Path) -> None:
    path = plant(tmp_path)
    path.write_text(SETTINGS.replace('channel = "A"', 'channel = "B"'))
    with pytest.raises(AtChance, match="shifted in time"):
        train(path)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("before", "after", "kind", "words"),
    [
        ('channel = "A"', 'channel = "CA1"', RecordingError, "in a channel 'CA1', came A, B"),
        ("high = 12", "high = 125", RecordingError, "below half the rate, 125 Hz, came 4 to 125 Hz"),
        ("high = 12", "high = 3", ConfigError, "from low to high, came 4 to 3 Hz"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_words(
    tmp_path: Path, before: str, after: str, kind: type[Exception], words: str
) -> None:
    path = plant(tmp_path)
    path.write_text(SETTINGS.replace(before, after))
    with pytest.raises(kind, match=words):
        train(path)

"""A number that stands in a channel is read from windows, exported, reported on; noise is not."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("onnx", reason="training needs the extra train")

from planted_collection import collected_session, pictures

from bci.decoder.bundle import Bundle
from bci.errors import AtChance, ConfigError, RecordingError
from models.datasets.sessions import open_sessions
from models.systems.numbers.own_data import open_numbers
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
    alone = trials.of(np.arange(0, len(trials), int(np.ceil(trials.span / np.diff(trials.end).min()))))
    assert alone.overlap == 1
    assert trials.overlap == pytest.approx(len(trials) / len(alone), rel=0.05)
    assert trials.overlap > 1
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sub-P1_run-1.npz", "sub-P2/sub-P2_run-1.npz"),
        ("subject0001/session001/1.npz", "subject0002/session001/1.npz"),
    ],
)
def test_recordings_whose_paths_say_two_participants_are_refused(
    tmp_path: Path, one: str, other: str
) -> None:
    for signal, name in enumerate((one, other), 1):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        plant(tmp_path, float(signal), name=name)
    path = tmp_path / "force.toml"
    of_two = SETTINGS.replace("one.npz", one)
    first = of_two[of_two.index("[[recordings]]") : of_two.index("[signal]")]
    path.write_text(of_two + first.replace(one, other))
    whose = [re.split("[_/]", name)[0] for name in (one, other)]
    with pytest.raises(
        RecordingError, match=f"one participant, came {whose[0]} in {one} and {whose[1]} in {other}"
    ):
        cut_windows(load_numbers(path), tmp_path)


@pytest.mark.parametrize(("factor", "fits"), [(1e6, "a millionth of it"), (1e-6, "a million times as much")])
def test_a_recording_in_another_unit_than_stated_is_refused_before_anything_is_fitted(
    tmp_path: Path, factor: float, fits: str
) -> None:
    path = plant(tmp_path, 1.0)
    data = np.load(tmp_path / "one.npz")["data"] * np.array([factor, factor, 1], np.float32)
    np.savez(tmp_path / "one.npz", data=data)
    with pytest.raises(
        RecordingError, match=f"one\\.npz: channels move by .* uV in a second.*: {fits} would fit"
    ):
        cut_windows(load_numbers(path), tmp_path)
    path.write_text(SETTINGS.replace("[signal]", "[signal]\nany_amplitude = true"))
    assert len(cut_windows(load_numbers(path), tmp_path))


def test_a_number_leads_a_generator_from_one_latent_to_another(tmp_path: Path) -> None:
    from bci.decoder.renderer import Artist
    from bci.io.shipped import SHIPPED
    from models.generators.package import GeneratorPackage

    faces = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    ends = np.random.default_rng(3).standard_normal((2, faces.spec.latent)).astype(np.float32)
    (tmp_path / "ends.json").write_text(json.dumps({"low": ends[0].tolist(), "high": ends[1].tolist()}))
    path = plant(tmp_path, 1.0)
    path.write_text(path.read_text() + '[draw]\ngenerator = "dcgan-faces"\nlatents = "ends.json"\n')
    system_of_file(path).train(
        path, tmp_path / "bundle", data_root=tmp_path, progress=lambda done, text: None, even_at_chance=False
    )
    bundle = Bundle.load(tmp_path / "bundle")
    result = bundle.spec.result
    assert result.kind == "number"
    assert bundle.spec.provenance.data["generator dcgan-faces"] == faces.hash
    draw = Artist(bundle).draw
    for share, place in ((-1.0, 0.0), (0.0, 0.0), (0.25, 0.25), (1.0, 1.0), (3.0, 1.0)):
        number = result.low + share * (result.high - result.low)
        drawn = draw(np.array([number], np.float32))
        expected = faces.draw((ends[:1] + place * (ends[1:] - ends[:1])).astype(np.float32))[0]
        assert drawn is not None
        assert np.abs(drawn.astype(int) - expected).max() <= 1
    held = system_of_bundle(bundle).held_out(bundle, data_root=tmp_path, progress=lambda done, text: None)
    assert held.seen.shape[1:] == (*bundle.image_size, 3)
    (tmp_path / "ends.json").write_text(json.dumps({"low": ends[0].tolist()}))
    with pytest.raises(ConfigError, match=r"latents low and high in .*, came none of high among low"):
        system_of_file(path).train(
            path, tmp_path / "other", data_root=tmp_path, progress=lambda done, text: None
        )


def of_sessions(path: Path, sessions: str = '["s*"]') -> Path:
    """Make a training file one of sessions, which are sampled at 100 Hz."""
    text = path.read_text().replace("[40, 80]", "[30, 45]")
    first, last = text.index("[[recordings]]"), text.index("[signal]")
    path.write_text(f"{text[:first]}[data]\nsessions = {sessions}\n{text[last:]}")
    return path


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions whose stream holds the force beside two electrodes, the second with a hole."""
    folder = tmp_path_factory.mktemp("sessions")
    stimuli = pictures(folder / "pets", each=4)
    for i in range(2):
        collected_session(
            folder / f"s{i}", stimuli, 50, seed=i, channels=("E1", "E2", "force"), gap_at=9.0 if i else None
        )
    return folder


def test_sessions_hold_a_number_in_a_channel_of_their_stream(sessions: Path, tmp_path: Path) -> None:
    path = of_sessions(plant(tmp_path, 1.0))
    config, root = open_numbers(path, sessions)
    assert config.data is not None
    assert config.data.sessions == ("s0", "s1")
    trials = cut_windows(config, root)
    assert list(trials.data) == ["s0", "s1"]
    recording = open_sessions(config.data, root, needs_trials=False)[1].recording
    samples = recording.read(0, recording.n)[:, 2]
    rows = trials.run == 1
    np.testing.assert_array_equal(trials.values[rows], samples[trials.end[rows] - 1].astype(float))
    # No window lies across the hole: blocks begin anew behind it.
    hole = recording.segments[0][1]
    begins = trials.end[rows] - trials.span
    assert not ((begins < hole) & (trials.end[rows] > hole)).any()
    found = system_of_file(path).find_data(path, data_root=sessions)
    assert (found.columns[0], [row[0] for row in found.rows]) == ("session", ["s0", "s1"])


@pytest.mark.parametrize(
    ("sessions_named", "more", "words"),
    [
        ('["none-*"]', "", "expected a session's folder 'none-\\*'"),
        ('["s0"]', 'kinds = ["cue"]\n', "without bids, classes or kinds"),
    ],
)
def test_sessions_that_hold_no_number_are_refused(
    sessions: Path, tmp_path: Path, sessions_named: str, more: str, words: str
) -> None:
    path = of_sessions(plant(tmp_path, 1.0), f"{sessions_named}\n{more}")
    with pytest.raises((ConfigError, RecordingError), match=words):
        open_numbers(path, sessions)


def test_recordings_and_sessions_are_not_mixed(tmp_path: Path) -> None:
    path = plant(tmp_path, 1.0)
    path.write_text(path.read_text() + '[data]\nsessions = ["s0"]\n')
    with pytest.raises(ConfigError, match=r"or \[data\] with sessions or arrays, came both"):
        load_numbers(path)

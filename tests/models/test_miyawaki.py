"""Multiscale local decoders: exact where the truth is known, coefficients by two ways alike, a bundle of volumes."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from commands import call

from bci.config.toml import check_settings
from bci.decoder.bundle import Bundle
from bci.errors import ConfigError, DataError
from bci.io.shipped import SHIPPED
from models.reports.responses import write_responses
from models.systems.miyawaki import combination as combined
from models.systems.miyawaki.bases import make_bases, square_scales
from models.systems.miyawaki.data import open_data
from models.systems.miyawaki.heldout import decode_figures
from models.systems.miyawaki.planted import figures, plant, random_pictures
from models.systems.miyawaki.receptive_fields import fit_fields
from models.systems.miyawaki.regressors import REGRESSORS, fit_decoders
from models.systems.miyawaki.scores import score
from models.systems.miyawaki.settings import MiyawakiConfig
from models.systems.miyawaki.system import SYSTEM
from models.systems.miyawaki.train import fit, train_miyawaki

SMALL = """
kind = "miyawaki"
name = "small"
best = 40
folds = 2
[data]
source = "planted"
voxels = 150
samples = 150
repeats = 3
snr = 2.0
"""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def quiet(done: float, text: str) -> None:
    pass


def test_bases_cover_every_place_and_draw_back_what_they_read() -> None:
    bases = make_bases(10, square_scales(2))
    assert [int((bases.scale == k).sum()) for k in range(4)] == [100, 90, 90, 81]
    flat = np.full((1, 100), 0.7)
    assert np.allclose(bases.contrasts(flat), 0.7)
    for layer in bases.layers():  # each scale alone draws an even picture as it is
        assert np.allclose(bases.contrasts(flat) @ layer, flat)
    one = random_pictures(3, rng())
    assert np.allclose(bases.contrasts(one) @ bases.layers()[0], one)


@pytest.mark.parametrize("shapes", [[], [(1, 1), (1, 1)], [(11, 1)], [(0, 2)]])
def test_shapes_that_do_not_fit_are_refused(shapes: list[tuple[int, int]]) -> None:
    with pytest.raises(ConfigError, match="rectangles of different shapes"):
        make_bases(10, shapes)


@pytest.mark.parametrize("name", sorted(REGRESSORS))
def test_each_regressor_reads_pictures_from_clear_responses(name: str) -> None:
    pictures = random_pictures(240, rng(1))
    cortex = plant(160, 20.0, 2)
    bases = make_bases(10, [(1, 1), (2, 2)])
    decoders = fit_decoders(name, cortex.answer(pictures, rng(3)), bases.contrasts(pictures), best=60)
    new = random_pictures(60, rng(4))
    read = decoders(cortex.answer(new, rng(5)))
    wanted = bases.contrasts(new)
    least = {"univariate": 0.35, "logistic": 0.6}.get(name, 0.7)
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(read.T, wanted.T, strict=True)]) > least


def test_bayesian_ridge_and_least_squares_are_those_of_the_library() -> None:
    from sklearn.linear_model import BayesianRidge, LinearRegression

    random = rng(14)
    x = random.standard_normal((200, 30)) @ random.standard_normal((30, 30))
    y = x @ random.standard_normal(30) + 8 * random.standard_normal(200)
    standard = (x - x.mean(0)) / x.std(0)
    for name, library in (("bayesian", BayesianRidge()), ("linear", LinearRegression())):
        decoders, fitted = fit_decoders(name, x, y[:, None]), library.fit(standard, y)
        np.testing.assert_allclose(
            decoders.weights[:, 0], fitted.coef_, atol=1e-3 * np.abs(fitted.coef_).max()
        )
        assert decoders.offset[0] == pytest.approx(fitted.intercept_)


def test_receptive_fields_read_weak_responses_nearly_as_well_as_the_oracle() -> None:
    random, bases = rng(7), make_bases(10, [(1, 1), (2, 2)])
    cortex, pictures = plant(400, 0.1, 8), random_pictures(500, rng(9))
    answers = cortex.answer(pictures, random)
    new = random_pictures(100, rng(10))
    seen = cortex.answer(new, random)
    read = fit_fields(bases, answers, pictures)(seen)
    single = make_bases(10, [(1, 1)])
    weighed = fit_decoders("omp", answers, single.contrasts(pictures), best=100)(seen)
    known, alone = score(new, cortex.read(seen)), bases.scale == 0
    assert score(new, read[:, alone])["r"] > 0.9 * known["r"] > score(new, weighed)["r"]
    # Every rectangle is read by the same model: its contrast is the mean of its pixels'.
    np.testing.assert_allclose(read, bases.contrasts(read[:, alone]), atol=1e-9)


def test_voxels_that_answer_nothing_add_nothing_to_receptive_fields() -> None:
    random, bases = rng(11), make_bases(10, [(1, 1)])
    cortex, pictures = plant(120, 1.0, 12), random_pictures(400, rng(13))
    silent = random.standard_normal((400, 200))
    decoders = fit_fields(bases, np.hstack([cortex.answer(pictures, random), silent]), pictures)
    used = np.abs(decoders.weights).sum(1) > 0
    assert used[:120].mean() > 0.9
    assert used[120:].mean() < 0.15
    with pytest.raises(DataError, match="as many responses as pictures"):
        fit_fields(bases, silent[:-1], pictures)


def test_projected_gradient_and_least_squares_agree_and_beat_equal_weights() -> None:
    bases, random = make_bases(10, square_scales(2)), rng(6)
    pictures = random_pictures(300, random)
    clear = bases.contrasts(pictures)
    read = clear + random.standard_normal(clear.shape) * np.array([0.8, 0.3, 0.3, 0.1])[bases.scale]
    learned, descended = (learn(bases, read, pictures) for learn in (combined.learn_scales, combined.descend))
    np.testing.assert_allclose(learned.coefficients, descended.coefficients, atol=1e-4)
    errors = {
        name: score(pictures, made(read))["error"]
        for name, made in (
            ("scales", learned), ("elements", combined.learn_elements(bases, read, pictures)),
            ("equal", combined.equal(bases)),
        )
    }  # fmt: skip
    assert errors["elements"] <= errors["scales"] <= errors["equal"]
    low, high = combined.bootstrap(bases, read, pictures, draws=40)
    assert (low <= learned.coefficients + 1e-9).all()
    assert (learned.coefficients <= high + 1e-9).all()


def test_an_empty_picture_is_scored_as_what_it_is() -> None:
    _, shown = figures()
    empty = score(shown, np.zeros_like(shown))
    assert empty["accuracy"] == empty["background"] > 0.7
    assert empty["balanced"] == 0.5
    assert empty["r"] == 0.0
    itself = score(shown, shown)
    assert (itself["accuracy"], itself["balanced"], itself["error"]) == (1.0, 1.0, 0.0)
    assert itself["r"] == pytest.approx(1.0)


def test_a_bundle_reads_figures_volume_by_volume(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    scores = train_miyawaki(path, tmp_path / "bundle", None, quiet)
    assert scores["beats_chance"]
    assert scores["r"] > 0.5
    assert [one["scale"] for one in scores["coefficients"]] == [[1, 1], [1, 2], [2, 1], [2, 2]]
    bundle = Bundle.load(tmp_path / "bundle")
    assert (bundle.length, bundle.hop, bundle.image_size) == (1, 1, (80, 80))
    decoded = decode_figures(bundle, None)
    config = check_settings(bundle.spec.provenance.config, MiyawakiConfig, "it")
    data = open_data(config, tmp_path)
    again = fit(config, data, quiet)(data.test_voxels)
    np.testing.assert_allclose(decoded.predicted, again, atol=1e-4)
    assert decoded.averaged is not None
    single = score(data.shown[data.which], decoded.predicted)["r"]
    assert score(data.shown, decoded.averaged)["r"] > single
    # Figures are no random pictures, and are read; another amplitude, or none, is unlike training.
    assert bundle.spec.novelty is not None
    assert bundle.spec.novelty.flagged <= 0.02
    readout = onnxruntime.InferenceSession(bundle.read("readout.onnx"))
    volume, usual = data.test_voxels[0], data.voxels.mean(0)
    for factor, unlike in ((1.0, False), (3.0, True), (0.0, True)):
        other = (usual + factor * (volume - usual)).astype(np.float32)
        assert (readout.run(["novelty"], {"window": other[None, None]})[0] > 1) == unlike
    # What it never saw can be played live: a response a sample.
    assert write_responses(bundle, decoded, tmp_path / "played" / "held-out.npy") == len(data.which)
    played = np.load(tmp_path / "played" / "held-out.npy")
    np.testing.assert_array_equal(played, data.test_voxels.astype(np.float32))
    assert played.shape[1:] == bundle.spec.signal.shape


def test_responses_are_written_of_what_a_session_can_play_and_else_it_is_said(tmp_path: Path) -> None:
    given = ("evaluate", SHIPPED["bundles"] / "alpha", "--out", tmp_path / "page", "--responses")
    refused = call(*given, tmp_path / "held-out.npy", "--json")
    assert refused.status == 2
    assert "one sample at a time" in refused.result["message"]
    assert "'alpha'" in refused.result["message"]
    assert "expected a .npy file" in call(*given, tmp_path / "held-out.csv", "--json").result["message"]
    assert list(tmp_path.iterdir()) == []


def saved(folder: Path, **changes: np.ndarray) -> Path:
    """Write arrays of a small experiment, and the training file that names them."""
    cortex, random = plant(60, 2.0, 1), rng(2)
    pictures = random_pictures(60, random)
    _, shown = figures()
    arrays = {
        "voxels": cortex.answer(pictures, random), "pictures": pictures, "runs": np.arange(60) // 15,
        "test_voxels": cortex.answer(shown, random), "test_pictures": shown, **changes,
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    names = "\n".join(f'{name} = "{name}.npy"' for name in arrays)
    text = SMALL[: SMALL.index("[data]")].replace("folds = 2", 'folds = 2\nregressor = "univariate"')
    (folder / "own.toml").write_text(f'{text}[data]\nsource = "files"\n{names}\n')
    return folder / "own.toml"


def test_arrays_of_an_experiment_are_trained_on(tmp_path: Path) -> None:
    scores = train_miyawaki(saved(tmp_path), tmp_path / "bundle", tmp_path, quiet, even_at_chance=True)
    assert 0 < scores["accuracy"] <= 1
    assert not decode_figures(Bundle.load(tmp_path / "bundle"), tmp_path).simulated
    (tmp_path / "runs.npy").unlink()
    assert SYSTEM.check(tmp_path / "own.toml", data_root=tmp_path) == [f"the array runs.npy below {tmp_path}"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"voxels": np.ones((59, 60))}, "expected"),
        ({"pictures": np.full((60, 100), 0.3)}, "contrasts of 0 and 1"),
        ({"test_pictures": random_pictures(60, rng(2))[:10]}, "no decoder is fitted to"),
        ({"test_voxels": np.full((10, 60), np.nan)}, "finite"),
        ({"runs": np.zeros(60, int)}, "at least 2 runs"),
        ({"voxels": np.ones((60, 60))}, "voxels that vary"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    changes: dict[str, np.ndarray], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words):
        train_miyawaki(saved(tmp_path, **changes), tmp_path / "bundle", tmp_path, quiet)
    assert not (tmp_path / "bundle").exists()

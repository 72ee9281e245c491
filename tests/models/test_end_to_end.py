"""End-to-end reconstruction: the published sizes, terms and turns; a bundle that draws what its network draws."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.errors import ConfigError, DataError
from models.networks.architectures import ARCHITECTURES
from models.networks.convnet import Convnet
from models.sessions.readings import Reading
from models.sessions.stimuli import Shown, in_pixels
from models.systems.end_to_end.architecture import plan_discriminator, plan_generator
from models.systems.end_to_end.data import exchanged, open_data, random_input
from models.systems.end_to_end.heldout import decode_pictures
from models.systems.end_to_end.learning import Learner, learn, open_comparator
from models.systems.end_to_end.losses import Turns
from models.systems.end_to_end.networks import Comparator, Discriminator, Drawing, Generator
from models.systems.end_to_end.planted import draw_pictures, plant
from models.systems.end_to_end.settings import EndToEndConfig, load_end_to_end
from models.systems.end_to_end.system import SYSTEM
from models.systems.end_to_end.train import train_end_to_end
from models.systems.registry import compares_pictures

SMALL = """
kind = "end-to-end"
name = "small"
regions = ["early"]
[data]
source = "planted"
side = 32
early = 100
higher = 20
samples = 160
test = 12
repeats = 2
snr = 8.0
[size]
generator = 0.03125
discriminator = 0.1
[learning]
steps = 50
"""


def quiet(done: float, text: str) -> None:
    pass


def small(tmp_path: Path, text: str = SMALL) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(text)
    return path


def test_the_networks_have_the_published_sizes() -> None:
    plan = plan_generator()
    assert plan.dense == (4096, 4096, 4096)
    drawing, discriminator = Drawing(plan), Discriminator(plan_discriminator())
    with torch.no_grad():
        drawn = drawing(torch.zeros(1, plan.latent))
        assert drawn.shape == (1, 3, 227, 227)
        assert discriminator(drawn).shape == (1, 2)
    doubling = [layer.stride == (2, 2) for layer in drawing.convolutions]
    assert (len(doubling), sum(doubling)) == (9, 6)
    assert sum(p.numel() for p in drawing.parameters()) == 5_753_955


@pytest.mark.parametrize("side", [32, 64, 100, 227])
def test_smaller_pictures_need_smaller_networks_of_the_same_kind(side: int) -> None:
    with torch.no_grad():
        drawn = Generator(5, plan_generator(side, 1 / 16))(torch.zeros(1, 5))
        assert drawn.shape == (1, 3, side, side)
        assert Discriminator(plan_discriminator(side, 1 / 16))(drawn).shape == (1, 2)


@pytest.mark.parametrize("side", [8, 300])
def test_pictures_that_no_generator_has_are_refused(side: int) -> None:
    with pytest.raises(ConfigError, match="side of 16 to 256"):
        plan_generator(side)


def learner(weights: dict[str, float], comparator: Comparator | None = None, **learning: float) -> Learner:
    config = EndToEndConfig.model_validate(
        {
            "kind": "end-to-end",
            "name": "one",
            "losses": weights,
            "learning": learning,
            "size": {"generator": 0.01, "discriminator": 0.1},
        }
    )
    random = np.random.default_rng(3)
    pictures, _ = draw_pictures(40, 32, random)
    voxels = random.standard_normal((40, 10)).astype(np.float32)
    return Learner(config, voxels, pictures, comparator or Comparator(Convnet(ARCHITECTURES["small"])))


@pytest.mark.parametrize("left_out", ["image", "feature", "adversarial"])
def test_a_term_without_weight_is_left_out_and_each_other_says_its_gradient(left_out: str) -> None:
    said = learner({left_out: 0.0}).update()
    for name in ("image", "feature", "adversarial"):
        assert (name in said, said.get(f"{name}_gradient", 0.0) > 0) == (name != left_out,) * 2
    assert said["discriminator_learns"] == float(left_out != "adversarial")


def test_a_network_whose_turn_it_is_not_does_not_learn() -> None:
    def weights(network: torch.nn.Module) -> list[Any]:
        return [p.detach().clone() for p in network.parameters()]

    def same(network: torch.nn.Module, before: list[Any]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(weights(network), before, strict=True))

    one = learner({})
    cases = (Turns(low=1e8, resume=1e9, high=1e10), "discriminator"), (Turns(0.0, 0.0, 1e-9), "generator")
    for turns, waits in cases:
        one._turns = turns
        other = {"discriminator": "generator", "generator": "discriminator"}[waits]
        before = {name: weights(getattr(one, name)) for name in (waits, other)}
        assert one.update()[f"{waits}_learns"] == 0.0
        assert same(getattr(one, waits), before[waits])
        assert not same(getattr(one, other), before[other])


@pytest.mark.parametrize("average", [0.0, 0.6])
def test_the_generator_that_is_kept_is_the_mean_over_updates_where_one_is_asked_for(average: float) -> None:
    one = learner({"adversarial": 0.0}, average=average)
    wanted = last = torch.nn.utils.parameters_to_vector(one.generator.parameters()).detach()
    for update in range(1, 30):
        one.update()
        last = torch.nn.utils.parameters_to_vector(one.generator.parameters()).detach()
        share = min(average, update / (update + 10))
        wanted = share * wanted + (1 - share) * last
    kept = torch.nn.utils.parameters_to_vector(one.result().parameters()).detach()
    torch.testing.assert_close(kept, wanted)
    assert torch.equal(kept, last) == (average == 0.0)


def test_a_comparator_is_brought_to_a_size_and_its_weights_are_said() -> None:
    pictures, _ = draw_pictures(16, 32, np.random.default_rng(0))
    config = EndToEndConfig.model_validate(
        {"kind": "end-to-end", "name": "one", "comparator": {"power": 4.0}}
    )
    comparator = open_comparator(config, pictures, quiet)
    planes = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
    assert float(comparator(planes).square().mean()) == pytest.approx(4.0, rel=1e-3)
    assert comparator.says == "small, pool4, random weights, seed 0"
    with pytest.raises(ConfigError, match="came 'pool9'"):
        Comparator(Convnet(ARCHITECTURES["small"]), "pool9")


def test_early_voxels_answer_places_and_higher_ones_do_not() -> None:
    random = np.random.default_rng(1)
    pictures, _ = draw_pictures(200, 32, random)
    cortex = plant(pictures, 60, 30, 1e9, random)
    one = pictures[:20]
    moved = np.roll(one, 8, axis=2)  # whole cells of the grid
    change = np.abs(cortex.answer(moved, random) - cortex.answer(one, random)).mean(0)
    assert change[cortex.regions["higher"]].max() < 0.2 < change[cortex.regions["early"]].mean()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("end_to_end")
    return train_end_to_end(
        small(folder), folder / "bundle", None, quiet, even_at_chance=True
    ), folder / "bundle"


def test_a_bundle_draws_what_the_network_draws(trained: tuple[dict[str, Any], Path]) -> None:
    scores, folder = trained
    assert scores["two_way"] > scores["two_way_chance"][1]
    bundle = Bundle.load(folder)
    config = load_end_to_end(folder.parent / "small.toml")
    data = open_data(config, folder)
    kept = data.only(config.regions)
    fitted = learn(config, data.voxels[:, kept], data.pictures, open_comparator(config, data.pictures, quiet))
    rows = data.test_voxels
    decoded = decode_pictures(bundle, None)
    assert decoded.draw is not None
    assert np.abs(decoded.draw(decoded.predicted).astype(int) - fitted(rows[:, kept])).max() <= 1
    readout, generator = (
        onnxruntime.InferenceSession(bundle.read(name)) for name in ("readout.onnx", "generator.onnx")
    )
    for row in rows[:3]:
        latent, novelty = readout.run(["latent", "novelty"], {"window": row[None, None]})
        assert novelty[0] <= 1
        np.testing.assert_allclose(latent, fitted.latents(row[None, kept]), atol=1e-5)
        with torch.no_grad():
            expected = fitted.generator.drawing(torch.from_numpy(latent)).numpy()
        np.testing.assert_allclose(generator.run(None, {"latent": latent})[0], expected, atol=1e-5)
    assert bundle.spec.novelty is not None
    assert bundle.spec.novelty.flagged <= 0.02
    for foreign in (np.zeros_like(rows[0]), 4 * rows[0]):
        assert readout.run(["novelty"], {"window": foreign[None, None]})[0] > 1
    assert {"image_gradient", "feature_gradient", "adversarial_gradient"} <= set(fitted.record[0])
    course = [row["image"] for row in fitted.record]
    assert np.mean(course[-10:]) < np.mean(course[:10])


def test_a_report_compares_pictures(trained: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    bundle = Bundle.load(trained[1])
    assert SYSTEM.compares_pictures
    report = SYSTEM.report(bundle, tmp_path / "report")
    assert report["identification"]["single trials"]["two_way"] == pytest.approx(
        trained[0]["two_way"], abs=0.02
    )
    assert {row["metric"] for row in report["rows"]} >= {"pixel correlation", "2-way identification, pixels"}


def test_a_session_s_readings_become_pictures_where_latents_are_the_decoder_s_own(
    trained: tuple[dict[str, Any], Path],
) -> None:
    bundle = Bundle.load(trained[1])
    assert compares_pictures(bundle)
    faces, _ = draw_pictures(2, 32, np.random.default_rng(6))
    shown = Shown(Path("faces"), {}, lambda name: faces[int(name)])
    latents = np.random.default_rng(7).standard_normal((3, bundle.latent_size)).astype(np.float32)
    readings = [Reading(name, latent, 0.5) for name, latent in zip("010", latents, strict=True)]
    draw, drawn, known = in_pixels(bundle, readings, shown)
    assert [one.name for one in drawn] == ["0", "1", "0"]
    assert np.array_equal(draw(np.stack([one.latent for one in drawn])), Artist(bundle)(latents))
    assert np.array_equal(draw(np.stack([known["0"], known["1"]])), faces)


def test_controls_have_no_response_at_its_picture(trained: tuple[dict[str, Any], Path]) -> None:
    data = open_data(load_end_to_end(trained[1].parent / "small.toml"), Path())
    mixed, noise = (control(data, np.random.default_rng(0)) for control in (exchanged, random_input))
    assert sorted(mixed.voxels[:, 0]) == sorted(data.voxels[:, 0])
    assert (mixed.voxels == data.voxels).all(1).mean() < 0.1
    assert np.array_equal(mixed.test_voxels, data.test_voxels)
    assert abs(np.corrcoef(noise.test_voxels.ravel(), data.test_voxels.ravel())[0, 1]) < 0.1


def saved(folder: Path, **changes: np.ndarray) -> Path:
    """Write arrays of a small experiment, and the training file that names them."""
    random = np.random.default_rng(5)
    pictures, _ = draw_pictures(48, 32, random)
    half = np.arange(12) < 6
    arrays = {
        "voxels": random.standard_normal((40, 12)), "pictures": pictures[:40],
        "test_voxels": random.standard_normal((8, 12)), "test_pictures": pictures[40:],
        "early": half, "higher": ~half, **changes,
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    named = [f'{name} = "{name}.npy"' for name in arrays]
    text = "\n".join(['source = "files"', *named[:4], "[data.regions]", *named[4:]])
    head, tail = SMALL.split("[data]")[0], SMALL[SMALL.index("[size]") :].replace("steps = 50", "steps = 2")
    (folder / "own.toml").write_text(f"{head}[data]\n{text}\n{tail}")
    return folder / "own.toml"


def test_arrays_of_an_experiment_are_trained_on(tmp_path: Path) -> None:
    scores = train_end_to_end(saved(tmp_path), tmp_path / "bundle", tmp_path, quiet, even_at_chance=True)
    assert not scores["simulated"]
    decoded = decode_pictures(Bundle.load(tmp_path / "bundle"), tmp_path)
    assert (decoded.averaged, decoded.simulated) == (None, False)
    (tmp_path / "voxels.npy").unlink()
    assert SYSTEM.check(tmp_path / "own.toml", data_root=tmp_path) == [
        f"the array voxels.npy below {tmp_path}"
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"voxels": np.ones((39, 12))}, "expected pictures of shape"),
        ({"pictures": np.ones((40, 32, 32, 3))}, "as uint8"),
        ({"test_pictures": draw_pictures(8, 32, np.random.default_rng(5))[0]}, "nothing is fitted to"),
        ({"test_voxels": np.full((8, 12), np.nan)}, "finite"),
        ({"higher": np.arange(12) > 3}, "regions early and higher .* share 2 voxels"),
        ({"higher": np.ones(11, bool)}, "12 truth values"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    changes: dict[str, np.ndarray], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words):
        train_end_to_end(saved(tmp_path, **changes), tmp_path / "bundle", tmp_path, quiet)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('regions = ["early"]', 'regions = ["erly"]', "did you mean|early"),
        ("[size]", "[losses]\nimage = 0\nfeature = 0\nadversarial = 0\n[size]", "all 0"),
        ("steps = 50", "steps = 50\nlow = 0.6", "low < resume < high"),
        (
            "[size]",
            '[comparator]\narchitecture = "vgg16"\nlearned_from_planted = 5\n[size]',
            "of the small network",
        ),
    ],
)
def test_a_training_file_that_cannot_be_is_refused(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        train_end_to_end(small(tmp_path, SMALL.replace(old, new)), tmp_path / "bundle", None, quiet)

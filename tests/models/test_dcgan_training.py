"""Training of a generator goes on where it was killed, learns, and leaves a package that says what it is."""

import json
import multiprocessing
import os

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors import safe_open
from typer.testing import CliRunner

from bci.cli.app import app
from bci.errors import BundleError, BundleMismatch, ConfigError
from models.drawings.face import NAMES
from models.generators.adversarial.game import AdversarialGame
from models.generators.adversarial.record import CHECKPOINT, Record
from models.generators.adversarial.replicas import Replicas
from models.generators.adversarial.running import run
from models.generators.adversarial.starting_latents import component_latents
from models.generators.dcgan_settings import DcganConfig
from models.generators.package import GeneratorPackage
from models.generators.registry import load_generator_config
from models.generators.regression import picture_loss
from models.generators.settings import PictureSettings
from models.generators.sources import open_source
from models.generators.spec import DESCRIPTION, GRAPH
from models.generators.training import train_generator

NETWORK = {"latent": 6, "width": 4, "critic_width": 4, "size": 16}
SWITCHES = {
    "as published": {"average": "none"},
    "warm, anchored, exponential": {"warm_steps": 4, "anchor": 1.0, "average": "exponential"},
    "two critic steps, uniform, penalties": {
        "critic_steps": 2,
        "average": "uniform",
        "loss": "hinge",
        "r1": 1.0,
        "r1_every": 2,
        "orthogonal": 1e-4,
        "decay_rate_over": 0.5,
    },
}


def config(network=None, **game):
    return DcganConfig.model_validate(
        {
            "kind": "dcgan",
            "name": "small",
            "seed": 3,
            "pictures": {"source": "faces", "held_out": 8},
            "network": NETWORK | (network or {}),
            "game": {"steps": 8, "batch": 4} | game,
            "run": {"look_every": 3},
        }
    )


def stripes(n=40, seed=0):
    """Give pictures of 16 × 16 with a bright bar at some height."""
    heights = np.random.default_rng(seed).integers(0, 12, n)
    images = np.full((n, 16, 16, 3), 20, np.uint8)
    for image, height in zip(images, heights, strict=True):
        image[height : height + 4] = 230
    return images


def quiet(done, text):
    pass


def train(settings, images, folder, **options):
    """Run from latents of the pictures' components, where latents are asked for."""
    redraws = settings.game.warm_steps or settings.game.anchor
    latents = component_latents(images, settings.network.latent, settings.seed) if redraws else None
    return run(settings, images, latents, folder, Replicas(), quiet, **options)


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_a_run_that_was_killed_ends_with_the_same_bits(tmp_path, switches):
    settings = config(**switches)
    whole, seen = train(settings, stripes(), tmp_path / "whole")
    for stop in (4, 7, None):
        again, seen_again = train(settings, stripes(), tmp_path / "cut", stop_after=stop)
    expected, found = weights(whole), weights(again)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert json.dumps(seen_again) == json.dumps(seen)  # in order too: a package's hash depends on it
    curve = json.loads((tmp_path / "cut" / "curve.json").read_text())
    assert [row["step"] for row in curve] == [row["step"] for row in seen]


def test_the_generator_learns_where_bars_are(tmp_path):
    images = stripes(200)
    settings = config(steps=1, batch=16, warm_steps=90, warm_rate=1e-2)
    _, history = train(settings, images, tmp_path)
    redrawing = [row["redrawing"] for row in history if "redrawing" in row]
    assert redrawing[-1] < 0.35 * redrawing[0]


def test_the_critic_learns_to_tell_and_moves_only_in_its_own_step():
    game = AdversarialGame(config(steps=40, critic_rate=2e-3, rate=1e-6), stripes(), None, Replicas())
    critic = weights(game.critic)
    measures = [game.update() for _ in range(40)]
    assert not torch.equal(critic["body.0.weight"], game.critic.state_dict()["body.0.weight"])
    assert np.mean([m.real + m.fake for m in measures[-5:]]) > 1.8
    assert all(p.requires_grad for p in game.critic.parameters())
    assert game.step == 40


def test_more_critic_steps_see_more_pictures_per_update():
    one, three = (
        AdversarialGame(config(critic_steps=k), stripes(), None, Replicas()).steps_per_epoch for k in (1, 3)
    )
    assert (one, three) == (10, 3)


def test_a_checkpoint_of_another_architecture_names_both_sides(tmp_path):
    train(config(), stripes(), tmp_path)
    with pytest.raises(ConfigError, match=r'expected the generator .*"width": 8.* came .*"width": 4'):
        train(config(network={"width": 8}), stripes(), tmp_path)
    with pytest.raises(ConfigError, match="expected a checkpoint of this configuration"):
        train(config(rate=1e-3), stripes(), tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"no safetensors")
    with pytest.raises(ConfigError, match="expected a checkpoint, came"):
        train(config(), stripes(), tmp_path)


def test_a_run_may_be_made_longer(tmp_path):
    train(config(steps=6), stripes(), tmp_path / "two")
    longer, _ = train(config(steps=9), stripes(), tmp_path / "two")
    once, _ = train(config(steps=9), stripes(), tmp_path / "one")
    expected, found = weights(once), weights(longer)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_checkpoint_holds_tensors_and_text_alone(tmp_path):
    train(config(), stripes(), tmp_path)
    with safe_open(tmp_path / CHECKPOINT, "pt") as file:
        header = file.metadata()
        names = set(file.keys())
    assert json.loads(header["generator"]) == {"kind": "dcgan", "latent": 6, "size": 16, "width": 4}
    assert {"critic.body.0.weight", "generator_optimiser.0.exp_avg", "averaged.stages.0.0.weight"} <= names


def test_looks_are_recorded_for_tensorboard_and_as_pictures(tmp_path):
    pytest.importorskip("tensorboard")
    record = Record(tmp_path)
    record.look([{"step": 7, "diversity": 0.5}], stripes(5))
    record.close()
    assert (tmp_path / "samples" / "0000007.png").is_file()
    assert list((tmp_path / "tensorboard").glob("events*"))


TEXT = """
kind = "dcgan"
name = "tiny-faces"
seed = 2
[pictures]
source = "faces"
number = 60
held_out = 50
[network]
latent = 40
width = 4
critic_width = 4
size = 16
[game]
steps = 4
batch = 4
warm_steps = 4
warm_from = "attributes"
anchor = 1.0
[run]
look_every = 4
[package]
rule = "truncate"
limit = 1.5
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train the file above once; give the folder, and what was said."""
    root = tmp_path_factory.mktemp("generator")
    (root / "tiny.toml").write_text(TEXT)
    said = train_generator(root / "tiny.toml", root / "package", run_folder=root / "run")
    return root, said


def test_a_file_becomes_a_package_with_scores_beside_their_baselines(trained):
    root, said = trained
    package = GeneratorPackage.load(root / "package")
    assert package.hash == said["hash"]
    assert (package.spec.latent, package.spec.rule, package.spec.limit) == (40, "truncate", 1.5)
    assert set(package.spec.scores["frechet"]) == {"drawn", "other_real_pictures", "linear_generator"}
    assert "wears eyeglasses" in package.spec.scores["coverage"]
    directions = json.loads((root / "package" / "attributes.json").read_text())
    assert len(directions["smile"]) == 40
    card = (root / "package" / "card.md").read_text()
    assert "| **drawn** |" in card
    assert "drawings" in card
    assert (
        "`bci train tiny.toml --out FOLDER`, seed" in card
    )  # the file that was trained, not one that bears its name


def test_a_package_draws_any_number_and_applies_its_rule(trained):
    package = GeneratorPackage.load(trained[0] / "package")
    z = np.random.default_rng(0).standard_normal((5, 40), np.float32)
    assert package.draw(z).shape == (5, 16, 16, 3)
    assert np.array_equal(package.draw(10 * z), package.draw(np.clip(10 * z, -1.5, 1.5), rule="keep"))
    with pytest.raises(BundleMismatch, match=r"expected latents of tiny-faces, \(n, 40\), came \(2, 7\)"):
        package.draw(np.zeros((2, 7), np.float32))


def test_the_command_trains_the_same_package_again(trained):
    root, said = trained
    words = [
        "train",
        str(root / "tiny.toml"),
        "--out",
        str(root / "again"),
        "--run",
        str(root / "new"),
        "--json",
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["hash"] == said["hash"]


@pytest.mark.parametrize("damage", ["graph", "description", "missing"])
def test_a_damaged_package_is_refused(trained, tmp_path, damage):
    folder = tmp_path / "package"
    folder.mkdir()
    for path in (trained[0] / "package").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if damage == "graph":
        (folder / GRAPH).write_bytes((folder / GRAPH).read_bytes()[:-1] + b"\0")
    elif damage == "description":
        (folder / DESCRIPTION).write_text((folder / DESCRIPTION).read_text().replace('"rule"', '"rules"'))
    else:
        (folder / DESCRIPTION).unlink()
    with pytest.raises(BundleError, match=r"expected|must be"):
        GeneratorPackage.load(folder)


def test_a_folder_with_something_else_is_not_overwritten(trained, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="expected a new folder or a generator's package"):
        train_generator(trained[0] / "tiny.toml", tmp_path)


def test_the_command_tells_generators_from_decoders(trained, tmp_path):
    (tmp_path / "other.toml").write_text('kind = "gpt"\n')
    result = CliRunner().invoke(app, ["train", str(tmp_path / "other.toml"), "--out", str(tmp_path / "x")])
    assert "came 'gpt'" in str(result.exception)
    decoder = tmp_path / "decoder.toml"
    decoder.write_text('name = "alpha"\n')
    result = CliRunner().invoke(app, ["train", str(decoder), "--out", str(tmp_path / "x"), "--fresh"])
    assert "trained in one go" in str(result.exception)


@pytest.mark.parametrize("name", ["faces", "characters"])
def test_the_shipped_configurations_can_be_read(name, request):
    settings = load_generator_config(request.config.rootpath / "configs" / f"dcgan-{name}.toml")
    assert settings.name == f"dcgan-{name}"


def test_a_wrong_key_is_named(tmp_path):
    (tmp_path / "wrong.toml").write_text(TEXT.replace("anchor = 1.0", "ancor = 1.0"))
    with pytest.raises(ConfigError, match="ancor"):
        load_generator_config(tmp_path / "wrong.toml")


def test_attributes_are_for_faces_alone(tmp_path):
    (tmp_path / "x.toml").write_text(TEXT.replace('source = "faces"', 'source = "folder"\npath = "x"'))
    with pytest.raises(ConfigError, match="warm_from = 'attributes' needs"):
        load_generator_config(tmp_path / "x.toml")


def test_too_few_pictures_are_refused_with_both_numbers(tmp_path):
    (tmp_path / "few.toml").write_text(TEXT.replace("number = 60", "number = 2"))
    with pytest.raises(ConfigError, match=r"expected at least 54 pictures .* came 52"):
        train_generator(tmp_path / "few.toml", tmp_path / "out", run_folder=tmp_path / "run")


def train_in_company(rank, count, store, answers):
    """Train as one of several processes, which torchrun would have started."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
    torch.set_num_threads(1)
    # A file to meet at needs no port that somebody else may take.
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count)
    replicas = Replicas.join()
    game = AdversarialGame(config(), stripes(), None, replicas)
    for _ in range(3):
        game.update()
    answers.put({name: value.detach().numpy() for name, value in game.generator.named_parameters()})
    replicas.leave()


@pytest.mark.system
def test_processes_that_train_together_keep_equal_weights(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [
        context.Process(target=train_in_company, args=(rank, 2, tmp_path / "store", answers), daemon=True)
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    one, other = (answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(60)
    assert all(np.array_equal(one[name], other[name]) for name in one)
    alone = AdversarialGame(config(), stripes(), None, Replicas())
    for _ in range(3):
        alone.update()
    assert any(
        not np.array_equal(one[name], value.detach().numpy())
        for name, value in alone.generator.named_parameters()
    )


@pytest.mark.parametrize("name", ["dcgan-faces", "dcgan-characters"])
def test_the_shipped_generators_load_and_draw_what_their_configuration_says(name, request):
    root = request.config.rootpath
    package = GeneratorPackage.load(root / "models" / "bundles" / name)
    settings = load_generator_config(root / "configs" / f"{name}.toml")
    assert DcganConfig.model_validate(package.spec.provenance.config) == settings
    z = np.random.default_rng(0).standard_normal((4, package.spec.latent), np.float32)
    drawn = package.draw(z)
    assert drawn.shape == (4, 64, 64, 3)
    assert drawn.std(0).mean() > 10  # four latents, four pictures


def test_faces_are_held_as_far_as_asked_and_are_otherwise_the_same(tmp_path):
    def faces(pose):
        settings = config().model_copy(
            update={"pictures": PictureSettings(source="faces", number=12, held_out=8, pose=pose)}
        )
        return open_source(settings, None, tmp_path, quiet)

    free, aligned = faces(1.0), faces(0.25)
    held = [NAMES.index(name) for name in ("yaw", "pitch", "roll", "size")]
    other = [i for i in range(len(NAMES)) if i not in held]
    assert np.array_equal(aligned.attributes[:, held], 0.25 * free.attributes[:, held])
    assert np.array_equal(aligned.attributes[:, other], free.attributes[:, other])
    assert aligned.sha256 != free.sha256
    # Both lie in one cache and are told apart there.
    assert faces(0.25).sha256 == aligned.sha256
    with pytest.raises(ValueError, match="pose is of drawn faces"):
        PictureSettings(source="folder", path="x", pose=0.5)


def test_slopes_weigh_what_is_sharp_and_not_what_is_bright():
    flat, bar = torch.full((1, 3, 16, 16), 0.4), torch.full((1, 3, 16, 16), 0.4)
    bar[..., 8:] = 0.8
    assert float(picture_loss(flat + 0.1, flat, 5.0)) == pytest.approx(float(picture_loss(flat + 0.1, flat)))
    assert float(picture_loss(flat, bar, 5.0)) > float(picture_loss(flat, bar)) + 0.1

"""Systems and kinds of generators are known by their folders: commands run one that no file of the project names."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import call
from tiny_bundle import tiny_bundle

from bci.decoder.bundle import Bundle
from bci.decoder.spec import Provenance
from bci.errors import BundleError, ConfigError
from models.generators import registry as generators
from models.generators.package import GeneratorPackage
from models.systems import registry as systems
from models.trainers import trainer_of

TOYS = Path(__file__).parent / "toy_kinds"

SHADES = 'kind = "shades"\nname = "grey"\nseed = 5\nnoise = 1.0\n'
LINEAR = """
kind = "linear"
name = "components"
latent = 12
size = 32
[pictures]
source = "faces"
number = 240
held_out = 120
"""


@pytest.fixture
def toys() -> Iterator[None]:
    """Add the folders of this test, as a lab would add its own, and take them out again."""
    systems.add_folder(TOYS / "systems")
    generators.add_folder(TOYS / "generators")
    yield
    systems.remove_folder(TOYS / "systems")
    generators.remove_folder(TOYS / "generators")
    ours = ("models.systems.shades", "models.systems.twin", "models.generators.kinds.linear")
    for name in [name for name in sys.modules if name.startswith(ours)]:
        del sys.modules[name]


def bci(*words: object) -> dict[str, Any]:
    """Run a command in this process, which must succeed, and return its JSON line."""
    done = call(*words, "--json")
    assert done.status == 0, done.words
    return done.result


def test_the_systems_of_the_project_are_found_by_the_kinds_that_files_and_bundles_name() -> None:
    known = systems.systems()
    assert {"decoder", "hyper-insilico"} <= set(known)
    configs = Path(__file__).resolve().parents[2] / "configs"
    for name, kind in (("alpha-train", "decoder"), ("hyper-insilico-train", "hyper-insilico")):
        assert systems.system_of_file(configs / f"{name}.toml") is known[kind]
        assert trainer_of(configs / f"{name}.toml") is known[kind]
    assert trainer_of(configs / "dcgan-faces.toml") is generators.generator_kind("dcgan")
    bundles = configs.parent / "models" / "bundles"
    for name, kind in (("alpha", "decoder"), ("hyper-insilico", "hyper-insilico")):
        assert systems.system_of_bundle(Bundle.load(bundles / name)) is known[kind]


def test_asking_which_kinds_there_are_imports_neither_torch_nor_a_trainer() -> None:
    program = (
        "import sys\n"
        "from models.trainers import systems, trained_kinds\n"
        "assert systems() and trained_kinds()\n"
        "heavy = {'torch', 'sklearn', 'onnx', 'matplotlib', 'models.systems.alpha.train', "
        "'models.systems.hyper.train', 'models.generators.dcgan'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_system_gives_the_windows_that_its_report_scores_as_trials_of_two_pictures(
    data: Path, tmp_path: Path
) -> None:
    bundle = Bundle.load(Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha")
    system = systems.system_of_bundle(bundle)
    decoded = system.held_out(bundle, data_root=data, progress=lambda done, text: None)
    assert decoded.names == ("eyes open", "eyes closed")
    assert decoded.latents.tolist() == [[0.0], [1.0]]
    assert not decoded.simulated
    report = system.report(bundle, tmp_path / "report", data_root=data)
    right = (decoded.predicted[:, 0] >= 0.5) == decoded.which.astype(bool)
    assert len(decoded) == report["test"]["scored"]
    assert right.mean() == pytest.approx(report["accuracy"]["value"])
    assert right.mean() > 0.95


@pytest.mark.usefixtures("toys")
def test_a_system_of_another_folder_is_trained_and_evaluated_through_the_commands(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "grey.toml").write_text(SHADES)
    trained = bci("train", tmp_path / "grey.toml", "--out", tmp_path / "grey")
    assert trained["left_out_accuracy"] > 0.8
    report = bci("evaluate", tmp_path / "grey", "--out", tmp_path / "report")
    assert (report["bundle"], report["hash"]) == ("grey", trained["hash"])
    assert report["informed"]
    # A tenth of the noise is left in a window's mean: what was planted is read nearly as it was.
    assert report["identification"]["single trials"]["two_way"] > 0.95
    assert report["oracle"] == {}
    averaged = {row["averaged"] for row in report["rows"] if row["system"] == "read"}
    assert averaged == {"single trials", "mean of what was read in 2 trials"}
    assert "Report on a decoder" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("toys")
def test_noise_alone_is_reported_as_no_information(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "grey.toml").write_text(SHADES.replace("noise = 1.0", "noise = 1e6"))
    bci("train", tmp_path / "grey.toml", "--out", tmp_path / "grey")
    report = bci("evaluate", tmp_path / "grey", "--out", tmp_path / "report")
    low, high = report["identification"]["single trials"]["two_way_chance"]
    assert low <= report["identification"]["single trials"]["two_way"] <= high
    assert not report["informed"]


@pytest.mark.usefixtures("toys")
def test_a_kind_of_generator_of_another_folder_is_trained_exported_and_built_again(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from models.generators.interface import build

    (tmp_path / "linear.toml").write_text(LINEAR)
    out = tmp_path / "components"
    scores = bci("train", tmp_path / "linear.toml", "--out", out, "--run", tmp_path / "run")
    assert scores["parameters"] == (12 + 1) * 3 * 32 * 32
    package = GeneratorPackage.load(out)
    assert package.hash == scores["hash"]
    assert package.spec.architecture == {"kind": "linear", "latent": 12, "size": 32}
    assert build(package.spec.architecture).architecture == package.spec.architecture
    assert 0.5 < json.loads((out / "training.json").read_text())[0]["explained"] < 1.0
    # Latents of zeros are the mean picture: the graph draws what was found in closed form.
    mean = package.draw(np.zeros((1, 12), np.float32))
    assert 20 < mean.std() < 100


def test_options_of_generators_are_refused_for_a_system(tmp_path: Path) -> None:
    (tmp_path / "hyper.toml").write_text('kind = "hyper-insilico"\n')
    done = call("train", tmp_path / "hyper.toml", "--out", tmp_path / "out", "--fresh")
    assert done.status == 2
    assert "--run and --fresh are for generators" in " ".join(done.words.split())


@pytest.mark.usefixtures("toys")
def test_two_modules_that_describe_one_kind_are_refused(tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    twin.mkdir()
    (twin / "__init__.py").write_text('"""A twin."""\n')
    (twin / "system.py").write_text("from models.systems.shades.system import SYSTEM\n")
    systems.add_folder(tmp_path)
    try:
        with pytest.raises(ConfigError, match=r"one module that describes the kind 'shades', came .*twin"):
            systems.systems()
    finally:
        systems.remove_folder(tmp_path)


def test_a_file_and_a_bundle_of_an_unknown_kind_are_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    (tmp_path / "new.toml").write_text('kind = "shades"\n')
    with pytest.raises(
        ConfigError,
        match=r"'dcgan', .*'hyper-insilico'.*, or none for a decoder, came 'shades'",
    ):
        trainer_of(tmp_path / "new.toml")
    with pytest.raises(
        ConfigError, match=r"training file of a system, .*decoder.*hyper-insilico.*, came kind 'shades'"
    ):
        systems.system_of_file(tmp_path / "new.toml")
    with pytest.raises(ConfigError, match=r"training file of a generator, .*dcgan.*, came kind 'shades'"):
        generators.load_generator_config(tmp_path / "new.toml")
    bundle = tiny_bundle(tmp_path / "bundle", provenance=Provenance(config={"kind": "shades"}))
    with pytest.raises(BundleError, match=r"system of kind .*hyper-insilico.*, came one of kind 'shades'"):
        systems.system_of_bundle(bundle)


def test_a_bundle_that_names_no_kind_is_of_the_first_system(tmp_path: Path) -> None:
    assert systems.system_of_bundle(tiny_bundle(tmp_path / "bundle")).kind == "decoder"

"""What the thesis of LFP-GAN leaves to others: a variational encoder, a classifier of windows; images' mean windows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from models.systems.lfp_gan.classifier import LfpClassifier, classify, compare_seen
from models.systems.lfp_gan.data import ShownWindows, open_windows
from models.systems.lfp_gan.game import play
from models.systems.lfp_gan.moments import Responses
from models.systems.lfp_gan.networks import SignalEncoder, Stack
from models.systems.lfp_gan.pretraining import Pretrained, pretrain
from models.systems.lfp_gan.progressive_game import play_progressive
from models.systems.lfp_gan.report import at_training, classifier_section
from models.systems.lfp_gan.settings import LfpGanConfig, load_lfp_gan
from models.systems.lfp_gan.statistics import as_rows
from models.systems.lfp_gan.tables import signal_decoder, signal_encoder
from models.systems.lfp_gan.train import train_lfp_gan
from models.systems.lfp_gan.variational import NO_GAME, VariationalSignals

TINY = """
kind = "lfp-gan"
name = "tiny"
[data]
source = "surrogate"
images = 10
repeats = 5
[networks]
layers = 1
width = 2
image_width = 2
[pretraining]
steps = 4
image_steps = 2
windows = 64
batch = 8
divergence = 0.1
[game]
steps = 2
batch = 4
critic_steps = 1
look = 2
responses = 1.0
[classifier]
steps = 2
features = 3
batch = 8
"""


def quiet(done: float, text: str) -> None:
    pass


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(TINY)
    return folder


@pytest.fixture(scope="module")
def config(tiny: Path) -> LfpGanConfig:
    return load_lfp_gan(tiny / "tiny.toml")


@pytest.fixture(scope="module")
def shown(config: LfpGanConfig) -> ShownWindows:
    return open_windows(config, Path())


@pytest.fixture(scope="module")
def pretrained(config: LfpGanConfig, shown: ShownWindows) -> Pretrained:
    return pretrain(config, shown, quiet)


@pytest.mark.parametrize("variant", ["lfp-gan", "eeg-gan"])
def test_networks_learn_where_they_are_told_to_and_come_back(
    variant: str, config: LfpGanConfig, shown: ShownWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A device that computes nothing, and refuses what lies on the processor, as a card does.
    place = torch.device("meta")
    of_images = (
        {"responses": 1.0, "mismatched": 0.5}
        if variant == "lfp-gan"
        else {"responses": 0.0, "mismatched": 0.0}
    )
    game = config.game.model_copy(update={"steps": 2, "look": 2, "moments": 1.0} | of_images)
    grown = config.progressive.model_copy(update={"blocks": 2, "maps": 4, "latent": 6})
    there = config.model_copy(update={"variant": variant, "game": game, "progressive": grown})
    for module in ("pretraining", "game", "progressive_game", "classifier"):
        monkeypatch.setattr(f"models.systems.lfp_gan.{module}.device_of", lambda name: place)
    learned_on = set()

    def copied(value: torch.Tensor, *_: object) -> torch.Tensor:
        learned_on.add(value.device.type)
        return torch.rand(value.shape) if value.is_meta else value

    monkeypatch.setattr(torch.Tensor, "cpu", copied)
    first = pretrain(there, shown, quiet)
    if variant == "eeg-gan":
        played = play_progressive(there, shown, quiet)
    else:
        played = play(there, shown, first, quiet)
        classify(there, shown, first, quiet)
    assert learned_on == {"meta"}
    assert set(played.record[-1]) == {"step", "distance", "frechet_power", "frechet_waves"}


def test_a_card_that_is_not_there_and_images_that_eeg_gan_does_not_know_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "card.toml"
    file.write_text(TINY.replace('name = "tiny"', 'name = "tiny"\ndevice = "cuda"', 1))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="expected an NVIDIA card that torch can use, came none"):
        train_lfp_gan(file, tmp_path / "out", None, quiet)
    file.write_text(TINY.replace('name = "tiny"', 'name = "tiny"\nvariant = "eeg-gan"', 1))
    with pytest.raises(
        ConfigError, match=r"EEG-GAN knows no image, and game\.responses = 1 .*asks something of images"
    ):
        load_lfp_gan(file)


def test_a_variational_encoder_that_gives_no_variances_cannot_be_built() -> None:
    decoder = Stack(signal_decoder(layers=3, width=4))
    with pytest.raises(ConfigError, match=r"gives 10×115, expected a mean and a variance .*: 20×115"):
        VariationalSignals(signal_encoder(layers=3, width=4), decoder)
    with pytest.raises(ConfigError, match="gives 20×115, a classifier takes codes of 10×115"):
        LfpClassifier(signal_encoder(layers=3, width=4, variational=True), 8, 4)
    with pytest.raises(ConfigError, match="came 8 and 1"):
        LfpClassifier(signal_encoder(layers=3, width=4), 8, 1)


def test_the_game_s_encoder_codes_the_means_of_the_variational_one() -> None:
    torch.manual_seed(0)
    table = signal_encoder(layers=3, width=4)
    both = VariationalSignals(
        signal_encoder(layers=3, width=4, variational=True), Stack(signal_decoder(layers=3, width=4))
    )
    encoder, windows = SignalEncoder(table), torch.randn(2, 22, 313)
    both.into(encoder)
    with torch.no_grad():
        torch.testing.assert_close(encoder(windows), both.distribution(windows)[0])


def test_a_divergence_that_weighs_much_leaves_a_code_that_is_normal(
    config: LfpGanConfig, shown: ShownWindows
) -> None:
    spread = []
    for weight in (1e-4, 100.0):
        settings = config.pretraining.model_copy(
            update={"divergence": weight, "steps": 40, "image_steps": 0, "batch": 4}
        )
        networks = pretrain(config.model_copy(update={"pretraining": settings}), shown, quiet).networks
        with torch.no_grad():
            code = networks.signal_encoder(torch.from_numpy(shown.test[0]))
        spread.append(float(code.square().mean()))
    # Its means say nothing then, and all of it is the variance that was drawn.
    assert 3 * spread[1] < spread[0], spread


def test_an_image_s_mean_window_is_asked_for_and_the_windows_scatter_left_alone() -> None:
    random = torch.Generator().manual_seed(0)
    measured = np.random.default_rng(0).standard_normal((6, 2, 50)).astype(np.float32)
    responses = Responses.of(measured, np.array([0, 0, 0, 2, 2, 2]), 3)
    np.testing.assert_allclose(responses.means[2], measured[3:].mean(0), rtol=1e-5)
    mean = torch.zeros(2, 50, requires_grad=True)
    scatter = torch.ones((), requires_grad=True)
    which = torch.zeros(4000, dtype=torch.int64)
    first, second = (mean + scatter * torch.randn(4000, 2, 50, generator=random) for _ in range(2))
    responses.error(first, second, which).backward()
    assert mean.grad is not None
    assert scatter.grad is not None
    np.testing.assert_allclose(50 * mean.grad, -responses.means[0], atol=0.05)
    assert abs(float(scatter.grad)) < 0.02  # of a plain squared error it is 2


def test_a_classifier_learns_what_was_planted_and_sees_when_it_is_not_there(
    config: LfpGanConfig, shown: ShownWindows, pretrained: Pretrained
) -> None:
    waves = np.random.default_rng(1).standard_normal((len(shown.images), 22, 1)).astype(np.float32)
    time = np.sin(np.arange(shown.length) / 20).astype(np.float32)
    planted = replace(shown, windows=0.3 * shown.windows + waves[shown.which] * time)
    settings = config.classifier.model_copy(update={"steps": 150, "batch": 32, "rate": 3e-3})
    found = classify(config.model_copy(update={"classifier": settings}), planted, pretrained, quiet)
    assert found.scores["chance"] == 1 / 8
    assert found.scores["windows"] == 8
    assert found.scores["accuracy"] >= 0.5
    real, _ = planted.test
    others = 0.3 * shown.windows[~shown.held_out][: len(real)]
    rows = compare_seen(found.network, real, {"with waves": real[::-1].copy(), "without": others})
    assert rows["with waves"]["frechet"] == pytest.approx(0, abs=1e-3)
    assert rows["without"]["frechet"] > 1
    few = config.model_copy(update={"classifier": settings.model_copy(update={"features": 10})})
    with pytest.raises(ConfigError, match="it has features and images, 10, came 10"):
        classify(few, planted, pretrained, quiet)


def test_both_are_reached_from_a_training_file_and_told_on_the_report(tiny: Path) -> None:
    train_lfp_gan(tiny / "tiny.toml", tiny / "bundle", None, quiet, even_at_chance=True)
    bundle = Bundle.load(tiny / "bundle")
    scores = bundle.spec.scores
    assert set(scores["made"]) == {
        "lfp-gan", NO_GAME, "Gaussian, training mean and covariance", "white noise",
    }  # fmt: skip
    assert "image_r" not in scores["made"][NO_GAME]
    assert set(scores["classifier"]["seen"]) == {"measured", *scores["made"]}
    page = classifier_section(bundle)
    for row in scores["classifier"]["seen"].values():
        assert f"{row['divergence']:.2f}" in page
    assert NO_GAME in page
    (row,) = as_rows(at_training(bundle))
    assert row[0] == NO_GAME
    assert f"{scores['made'][NO_GAME]['spectrum_median']:.2f}" in row[1]

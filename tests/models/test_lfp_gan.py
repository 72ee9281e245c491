"""LFP-GAN: tables that cannot be built wrong, the right penalty, windows of a recording, a bundle that makes them."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bci.cli.rehearsal import rehearse
from bci.config.session import load_session
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import UNLIKE, OnnxDecoder
from bci.errors import ConfigError
from bci.live.source import open_source, read_spec
from bci.signal.clock import ManualClock
from bci.sim.made import OVERLAP, MadeLfp
from bci.sim.seeds import numbered
from models.systems.lfp_gan.data import open_windows
from models.systems.lfp_gan.game import ConditionalMaker, play
from models.systems.lfp_gan.heldout import _window
from models.systems.lfp_gan.moments import Moments
from models.systems.lfp_gan.networks import (
    Critic,
    Generator,
    ImageDecoder,
    ImageEncoder,
    SignalEncoder,
    Stack,
    require_no_batch_norm,
    with_deviation,
)
from models.systems.lfp_gan.pretraining import pretrain
from models.systems.lfp_gan.progressive import ProgressiveCritic, ProgressiveGenerator, at_block
from models.systems.lfp_gan.progressive_game import ProgressiveMaker, play_progressive
from models.systems.lfp_gan.settings import LfpGanConfig, load_lfp_gan
from models.systems.lfp_gan.surrogate import CHANNELS, PERIOD, RATE, SurrogateLfp, density
from models.systems.lfp_gan.system import SYSTEM
from models.systems.lfp_gan.tables import (
    Layer,
    Table,
    combination,
    image_decoder,
    image_encoder,
    noise_network,
    require_join,
    signal_decoder,
    signal_encoder,
)
from models.systems.lfp_gan.train import train_lfp_gan
from models.systems.lfp_gan.wasserstein import critic_loss, slope_of, slope_penalty

ROOT = Path(__file__).resolve().parents[2]


def test_the_signal_s_table_has_the_published_lengths_there_and_back() -> None:
    there, back = signal_encoder(), signal_decoder()
    lengths = [size for (size,) in (*there.sizes, *back.sizes)]
    assert (len(lengths), there.size, lengths[8], lengths[17]) == (18, (313,), 115, 313)
    assert lengths[9:17] == lengths[:8][::-1]
    assert (there.channels, there.gives[0], back.channels, back.gives[0]) == (23, 10, 10, 22)


def test_the_image_s_table_is_right_where_the_printed_one_was_not() -> None:
    there, back = image_encoder(), image_decoder()
    assert there.sizes[2] == back.sizes[7] == (199, 263)
    assert (back.layers[3].size, back.layers[3].kernel, back.layers[3].output_padding) == (
        (72, 122),
        (5, 5),
        1,
    )
    assert (back.layers[9].size, back.layers[9].kernel, back.layers[9].output_padding) == (
        (475, 603),
        (20, 20),
        1,
    )
    assert (back.layers[10].size, back.layers[10].output_padding) == ((918, 1174), 0)
    assert there.gives == (2, (5, 23))


@pytest.mark.parametrize(
    ("table", "number", "change", "named"),
    [
        (image_encoder(), 3, {"size": (119, 263)}, ("199×263", "119×263")),
        (image_decoder(), 8, {"size": (119, 263)}, ("199×263", "119×263")),
        (image_decoder(), 4, {"output_padding": 0}, ("71×121", "72×122")),
        (image_decoder(), 10, {"output_padding": 0}, ("474×602", "475×603")),
        (noise_network(), 2, {"kernel": (30,)}, ("248", "238")),
    ],
)
def test_what_was_printed_wrong_cannot_be_built(
    table: Table, number: int, change: dict[str, object], named: tuple[str, str]
) -> None:
    layers = list(table.layers)
    layers[number - 1] = replace(layers[number - 1], **change)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"layer {number}: .* makes {named[0]} of .* states {named[1]}"):
        replace(table, layers=tuple(layers))


def test_parts_that_do_not_fit_together_are_refused_with_both_numbers() -> None:
    narrow = replace(combination(), channels=10)
    with pytest.raises(ConfigError, match=r"takes 10 channels, .* give 10 \+ 2 = 12"):
        Critic(signal_encoder(), image_encoder((24, 36)), narrow)
    ten = noise_network()
    ten = replace(ten, layers=(*ten.layers[:-1], replace(ten.layers[-1], channels=10)))
    with pytest.raises(ConfigError, match=r"takes 10 channels, .* give 10 \+ 2 = 12"):
        Generator(ten, image_encoder((24, 36)), signal_decoder())
    short = Table("image code of 3×23", 1, (3, 23), (Layer(2, (1, 1), (3, 23)),))
    with pytest.raises(ConfigError, match="takes codes of 115, image code of 3×23 gives 3×23"):
        require_join(combination(), signal_encoder(), short)
    with pytest.raises(ConfigError, match="312 samples and 9 layers"):
        signal_encoder(length=312)
    with pytest.raises(ConfigError, match="came 500×500"):
        image_encoder((500, 500))


def small_critic(seed: int = 0) -> Critic:
    torch.manual_seed(seed)
    return Critic(signal_encoder(layers=3, width=4), image_encoder((24, 36), 2), combination(4))


def test_a_critic_gives_each_sample_a_value_of_its_own() -> None:
    critic = small_critic()
    windows, images = torch.randn(5, 22, 313), torch.rand(5, 1, 24, 36)
    with torch.no_grad():
        together = critic(windows, images)
        alone = torch.cat([critic(windows[k : k + 1], images[k : k + 1]) for k in range(5)])
    assert together.shape == (5,)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    with pytest.raises(ConfigError, match="batch norm in 1"):
        require_no_batch_norm(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    with pytest.raises(ConfigError, match=r"each of 5 samples, came .* \(5, 2\)"):
        slope_penalty(lambda x: x[:, :2, 0], windows, windows, torch.Generator())


def test_networks_give_what_their_tables_say() -> None:
    image = image_encoder((24, 36), 2)
    noise = noise_network()
    with torch.no_grad():
        codes = ImageEncoder(image)(torch.rand(2, 1, 24, 36))
        assert ImageDecoder(image_decoder((24, 36), 2))(codes).shape == (2, 1, 24, 36)
        generator = Generator(noise, image, signal_decoder(layers=3, width=4))
        made = generator(generator.draw(2, torch.Generator()), codes)
        assert made.shape == (2, 22, 313)
        assert SignalEncoder(signal_encoder(layers=3, width=4))(made).shape == (2, 10, 115)
        assert Stack(signal_decoder(layers=1, width=4))(torch.zeros(1, 10, 115)).shape == (1, 22, 313)
        with pytest.raises(ConfigError, match="takes samples of 10×115, came 10×114"):
            generator.decoder(torch.zeros(1, 10, 114))
    # The last channel is the deviation, which the others lost.
    both = with_deviation(torch.stack([made[0], 10 * made[0]]))
    torch.testing.assert_close(both[0, :22], both[1, :22], atol=1e-4, rtol=1e-4)
    assert float(both[1, 22, 0] - both[0, 22, 0]) == pytest.approx(math.log(10), abs=1e-3)


def slope(k: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: k * x[:, 0]


def test_the_penalty_is_one_sided_scaled_by_the_distance_and_leaves_it_alone() -> None:
    random = torch.Generator().manual_seed(0)
    near, far = torch.zeros(6, 2), torch.ones(6, 2)
    for k, real, made, distance, expected in (
        (0.5, far, near, 0.5, -0.5),  # a slope below one costs nothing
        (3.0, far, near, 3.0, -3.0 + 10 * 3.0 * 4.0),
        (3.0, near, far, -3.0, 3.0),  # a distance below zero scales to nothing
    ):
        loss, said = critic_loss(slope(k), real, made, 10.0, random)
        assert (said, float(loss)) == pytest.approx((distance, expected), abs=1e-4)
    # d/dk of -k + 10 W max(0, k-1)^2 with W = k held: the distance is no part of the gradient.
    k = torch.tensor(2.0, requires_grad=True)
    loss, _ = critic_loss(lambda x: k * x[:, 0], far, near, 10.0, random)
    loss.backward()
    assert k.grad is not None
    assert float(k.grad) == pytest.approx(-1 + 10 * 2.0 * 2 * (2.0 - 1), abs=1e-3)
    u = slope_of(10.0) - 1
    assert 2 * 10 * u * (1 + u) == pytest.approx(1.0)


def test_moments_ask_for_power_where_there_is_little() -> None:
    random = np.random.default_rng(0)
    loud = random.standard_normal((64, 2, 256)).astype(np.float32)
    spectrum = np.fft.rfft(loud)
    spectrum[..., 100:] *= 0.01
    quiet = np.fft.irfft(spectrum, 256).astype(np.float32)
    moments = Moments.of(quiet, 1000.0, 4, 450)
    made = torch.from_numpy(loud).requires_grad_(True)
    moments.error(made).backward()
    assert made.grad is not None
    power = np.abs(np.fft.rfft(made.grad.numpy())).mean((0, 1))
    assert power[105:115].mean() > 10 * power[40:90].mean()


def test_the_surrogate_has_its_spectrum_bursts_and_responses_and_reads_alike_in_any_order() -> None:
    source = SurrogateLfp(3, pictures=4)
    whole = source.read(0, 60 * 1250)
    np.testing.assert_array_equal(whole[1000:3000], SurrogateLfp(3, pictures=4).read(1000, 3000))
    assert [e.text for e in source.markers_between(0.0, 1.2)] == [
        f"image {source.picture_at(k)}" for k in range(4)
    ]
    shown = whole[: 198 * PERIOD].reshape(198, PERIOD, CHANNELS)
    which = np.array([source.picture_at(k) for k in range(198)])
    means = np.stack([shown[which == k].mean(0) for k in range(4)])
    planted = np.stack([100 * source.response(k) for k in range(4)])
    a, b = ((side - side.mean(0)).ravel() for side in (means, planted))
    assert np.corrcoef(a, b)[0, 1] > 0.8
    rest = (shown - planted[which]).reshape(-1, CHANNELS)
    frequency = np.fft.rfftfreq(1250, 1 / RATE)
    power = (
        np.abs(np.fft.rfft(rest[: 59 * 1250].reshape(59, 1250, CHANNELS) * np.hanning(1250)[:, None], axis=1))
        ** 2
    ).mean((0, 2))
    known = density(frequency)
    few, many = slice(3, 6), slice(20, 30)
    assert power[few].mean() / power[many].mean() == pytest.approx(
        known[few].mean() / known[many].mean(), rel=0.35
    )
    away = slice(56, 65)  # bursts stand above the known spectrum there
    assert power[away].mean() / power[many].mean() > 1.5 * known[away].mean() / known[many].mean()


def test_eeg_gan_grows_block_by_block_to_the_window_s_own_length() -> None:
    torch.manual_seed(0)
    generator, critic = ProgressiveGenerator(3, 313, 5, 6, 8), ProgressiveCritic(3, 313, 5, 6)
    noise, real = torch.randn(2, 8), torch.randn(2, 3, 313)
    lengths = []
    for block in range(5):
        generator.block = critic.block = block
        for share in (0.4, 1.0):
            generator.share = critic.share = share
            with torch.no_grad():
                made, shorter = generator(noise), at_block(real, block, 5, generator.base)
                assert made.shape == shorter.shape
                assert critic(made).shape == (2,)
        lengths.append(made.shape[2])
    assert lengths == [20, 40, 80, 160, 313]
    # A block that is not there yet leaves what was: nothing jumps when it comes.
    generator.block = 2
    generator.share = 1.0
    with torch.no_grad():
        before = generator(noise)
        generator.block, generator.share = 3, 1e-6
        after = generator(noise)
    torch.testing.assert_close(
        after, nn.functional.interpolate(before, scale_factor=2.0, mode="linear"), atol=1e-4, rtol=1e-3
    )


TINY = """
kind = "lfp-gan"
name = "tiny"
variant = "{variant}"
[data]
source = "surrogate"
images = 12
repeats = 3
[networks]
layers = 1
width = 2
image_width = 2
[pretraining]
steps = 3
image_steps = 3
windows = 64
batch = 8
[game]
steps = 4
batch = 4
critic_steps = 1
look = 4
moments = 1.0
{images}
[progressive]
blocks = 2
maps = 4
latent = 6
"""


def tiny(variant: str) -> str:
    images = "mismatched = 0.5" if variant == "lfp-gan" else ""  # EEG-GAN knows no image
    return TINY.format(variant=variant, images=images)


def quiet(done: float, text: str) -> None:
    pass


@pytest.fixture(scope="module", params=["lfp-gan", "eeg-gan"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "tiny.toml").write_text(tiny(request.param))
    train_lfp_gan(folder / "tiny.toml", folder / "bundle", None, quiet, even_at_chance=True)
    return folder


def test_a_bundle_makes_what_its_network_makes_as_one_recording_whatever_is_read(trained: Path) -> None:
    config = load_lfp_gan(trained / "tiny.toml")
    shown = open_windows(config, trained)
    pretrained = pretrain(config, shown, quiet)
    if config.variant == "eeg-gan":
        maker = play_progressive(config, shown, quiet).maker
    else:
        maker = play(config, shown, pretrained, quiet).maker
    source = MadeLfp(Bundle.load(trained / "bundle"), seed=5)
    noise = torch.from_numpy(numbered(5, 0, 3).standard_normal(source._values, np.float32))[None].double()
    with torch.no_grad():  # in double precision: the bound is for the graph's rounding alone
        if isinstance(maker, ConditionalMaker):
            made = maker.generator.double()(noise.view(1, 8, -1), maker.images[7:8].double())
        else:
            assert isinstance(maker, ProgressiveMaker)
            made = maker.generator.double()(noise)
    expected = (made[0].numpy() * shown.scale + shown.mean).T
    np.testing.assert_allclose(source.window_for(7, 3), expected, atol=1e-5 * float(np.abs(expected).max()))
    whole = source.read(0, 3000)
    np.testing.assert_array_equal(source.read(700, 1500), whole[700:1500])
    middle = slice(3 * source.period + OVERLAP, 4 * source.period)
    image = source.image_at(3) if source.knows_images else 0
    np.testing.assert_array_equal(whole[middle], source.window_for(image, 3)[OVERLAP : source.period])
    markers = source.markers_between(0.0, 3000 / 1250)
    assert len(markers) == (math.ceil(3000 / source.period) if source.knows_images else 0)
    few = MadeLfp(Bundle.load(trained / "bundle"), seconds=0.5).markers_between(0.0, 9.0)
    assert len(few) == (3 if source.knows_images else 0)  # none behind the end
    if source.knows_images:
        assert sorted(
            int(e.text.split()[1]) for e in source.markers_between(0, 12 * source.period / 1250)
        ) == [*range(12)]


def test_a_session_decodes_what_a_network_makes_for_images_and_refuses_one_that_knows_none(
    trained: Path, tmp_path: Path
) -> None:
    file = tmp_path / "session.toml"
    text = (ROOT / "configs" / "lfp-gan.toml").read_text("utf-8").replace('"window"', '"headless"')
    file.write_text(
        text.replace('model = "lfp-gan"', 'model = "bundle"').replace(
            'bundle = "lfp-gan"', 'bundle = "bundle"'
        )
    )
    (tmp_path / "bundle").symlink_to(trained / "bundle")
    session = load_session(file)
    if load_lfp_gan(trained / "tiny.toml").variant == "eeg-gan":
        with pytest.raises(ConfigError, match=r"knows none .EEG-GAN.. Name a bundle of LFP-GAN"):
            rehearse(session, tmp_path)
        return
    plan = rehearse(session, tmp_path).plan
    source = open_source(read_spec(plan.line["source"].specify()))
    twin = MadeLfp(Bundle.load(trained / "bundle"), seed=0)
    np.testing.assert_array_equal(source.read(0, 900), twin.read(0, 900))
    assert source.markers[:3] == twin.markers[:3]
    assert source.n is None


def test_a_bundle_reads_windows_of_tested_images_and_none_that_are_unlike_training(trained: Path) -> None:
    bundle = Bundle.load(trained / "bundle")
    shown = open_windows(load_lfp_gan(trained / "tiny.toml"), trained)
    windows, _ = shown.test
    decoder = OnnxDecoder(bundle, clock=ManualClock())

    def reasons(some: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[str]:
        raw = (some * np.float32(shown.scale) + shown.mean).transpose(0, 2, 1)
        return [decoder.decode(_window(bundle, one)).reason for one in raw]

    assert bundle.spec.novelty is not None
    told = [reason == UNLIKE for reason in reasons(windows)]
    assert np.mean(told) == pytest.approx(bundle.spec.novelty.flagged)
    assert np.mean(told) <= 0.2
    noise = np.random.default_rng(0).standard_normal(windows.shape).astype(np.float32)
    for odd in (5 * windows, 0 * windows, 3 * noise):
        assert set(reasons(odd)) == {UNLIKE}


@pytest.mark.parametrize("trained", ["lfp-gan"], indirect=True)
def test_a_report_sets_what_is_made_beside_a_gaussian(trained: Path, tmp_path: Path) -> None:
    report = SYSTEM.report(Bundle.load(trained / "bundle"), tmp_path / "report")
    assert set(report["made"]) == {"made", "Gaussian, training mean and covariance", "white noise"}
    page = (tmp_path / "report" / "index.html").read_text("utf-8")
    for figure in ("Distribution of amplitudes", "Spectra", "Correlations between channels", "ends included"):
        assert figure in page
    assert report["identification"]["single trials"]["two_way"] >= 0


def test_what_is_trained_on_never_touches_a_tested_image_s_presentation() -> None:
    config = LfpGanConfig.model_validate(
        {"kind": "lfp-gan", "name": "a", "data": {"source": "surrogate", "images": 12, "repeats": 3}}
    )
    shown = open_windows(config, Path())
    starts: list[int] = []
    reading = shown.recording.read

    class Watched:
        name, n, segments, signal = (
            getattr(shown.recording, key) for key in ("name", "n", "segments", "signal")
        )

        def read(self, first: int, end: int) -> object:
            starts.append(first)
            return reading(first, end)

    watched = replace(shown, recording=Watched())  # type: ignore[arg-type]
    windows, refused = watched.at_random(80, np.random.default_rng(0))
    assert windows.shape == (80, 22, 313)
    assert 0 < refused < 0.6
    tested = shown.onsets[shown.held_out]
    assert min(np.abs(tested - first).min() for first in starts) >= 313

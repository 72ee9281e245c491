"""DCGAN: sizes, losses, averages and monitors do what their mathematics says."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bci.decoder.wire import read_facts
from bci.errors import ConfigError
from models.generators.adversarial.averaging import Averaged, settle
from models.generators.adversarial.losses import fake_loss, generator_loss, orthogonality, r1, real_loss
from models.generators.adversarial.monitors import diagnose, look
from models.generators.adversarial.starting_latents import (
    attribute_directions,
    attribute_latents,
    component_latents,
)
from models.generators.dcgan import Dcgan, DcganCritic, initialise
from models.generators.features import edges_and_colours
from models.generators.frozen import for_decoder
from models.generators.graphs import draw_graph, round_to_half
from models.generators.interface import build, normaliser, parameter_count
from models.generators.rules import truncated
from models.generators.untransposed import untransposed


def small(seed=0):
    torch.manual_seed(seed)
    generator = Dcgan(latent=12, width=8, size=16)
    initialise(generator, "orthogonal")
    settle(generator, [torch.randn(32, 12) for _ in range(4)])
    return generator.eval()


@pytest.fixture(scope="module")
def graphs():
    """Give the small generator as a graph, with weights as float32 and as float16."""
    return {half: draw_graph(small(), half=half) for half in (False, True)}


def test_the_published_size_has_its_published_number_of_parameters():
    generator = Dcgan(latent=100, width=64, size=64)
    assert parameter_count(generator) == 3_576_707
    assert [tuple(x.shape[1:]) for x in generator.layers(torch.zeros(2, 100))] == [
        (512, 4, 4),
        (256, 8, 8),
        (128, 16, 16),
        (64, 32, 32),
        (3, 64, 64),
    ]


def test_a_generator_is_built_again_from_its_architecture():
    generator = small()
    again = build(generator.architecture)
    again.load_state_dict(generator.state_dict())
    z = torch.randn(3, 12)
    assert torch.equal(again.eval()(z), generator(z))
    with pytest.raises(ConfigError, match=r"expected a generator of kind .*dcgan.*, came 'pggan'"):
        build({"kind": "pggan"})
    with pytest.raises(ConfigError, match="expected settings of a dcgan"):
        build({"kind": "dcgan", "size": 48})


@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
def test_a_critic_gives_one_value_per_picture_whatever_its_normalisation(norm):
    critic = DcganCritic(width=4, size=16, norm=norm)
    initialise(critic, "orthogonal")
    assert critic(torch.randn(5, 3, 16, 16)).shape == (5,)


def test_orthogonal_kernels_have_no_penalty_and_others_do():
    torch.manual_seed(1)
    critic = DcganCritic(width=4, size=16, norm="none")
    initialise(critic, "orthogonal")
    assert orthogonality(critic).item() < 1e-8
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.add_(0.1)
    assert orthogonality(critic).item() > 0.1


def test_losses_are_those_of_the_table():
    judged = torch.tensor([-2.0, 0.5])
    cross = torch.nn.functional.binary_cross_entropy_with_logits
    assert real_loss("non-saturating", judged) == pytest.approx(float(cross(judged, torch.ones(2))))
    assert fake_loss("non-saturating", judged) == pytest.approx(float(cross(judged, torch.zeros(2))))
    assert generator_loss("non-saturating", judged) == pytest.approx(float(cross(judged, torch.ones(2))))
    assert float(real_loss("hinge", judged)) == pytest.approx((3.0 + 0.5) / 2)
    assert float(fake_loss("hinge", judged)) == pytest.approx((0.0 + 1.5) / 2)
    assert float(fake_loss("wasserstein", judged) + real_loss("wasserstein", judged)) == pytest.approx(0.0)


def test_r1_is_half_the_squared_slope():
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 1))
    expected = 0.5 * critic[1].weight.detach().square().sum().item()
    assert r1(critic, torch.randn(6, 3, 4, 4)).item() == pytest.approx(expected, rel=1e-5)


def test_the_averages_are_the_mean_over_epochs_and_an_exponential_one():
    layer = torch.nn.Linear(1, 1, bias=False)
    uniform, exponential = Averaged(layer, "uniform"), Averaged(layer, "exponential", 0.9)
    seen, expected = [], layer.weight.item()
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            layer.weight.fill_(value)
        uniform.epoch(layer)
        exponential.step(layer)
        seen.append(value)
        beta = min(0.9, len(seen) / (len(seen) + 10))
        expected = beta * expected + (1 - beta) * value
    assert float(uniform.network.weight) == pytest.approx(3.0)
    assert float(exponential.network.weight) == pytest.approx(expected)


def test_settling_measures_the_statistics_of_the_batches_it_is_given():
    generator = small()
    batches = [torch.randn(16, 12) for _ in range(3)]
    settle(generator, batches)
    first = generator.stages[0][1]
    with torch.no_grad():
        before = [generator.stages[0][0](z[:, :, None, None]) for z in batches]
    mean = torch.stack([x.mean((0, 2, 3)) for x in before]).mean(0)
    assert torch.allclose(first.running_mean, mean, atol=1e-6)
    assert not generator.training


def test_truncated_latents_stay_within_their_limit_and_are_drawn_again_not_clipped():
    z = truncated(500, 20, 0.7, np.random.default_rng(0))
    assert np.abs(z).max() <= 0.7
    assert (np.abs(z) > 0.699).mean() < 0.01
    with pytest.raises(ValueError, match="above 0"):
        truncated(1, 1, 0.0, np.random.default_rng(0))


def test_the_rules_keep_rescale_and_truncate():
    z = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert torch.equal(normaliser("keep")(z), z)
    assert normaliser("rescale")(z).norm(dim=1).tolist() == pytest.approx([2.0, 0.0])
    assert float(normaliser("truncate", 2.0)(z).max()) == 2.0


@pytest.mark.parametrize("half", [False, True])
def test_the_exported_graph_draws_the_same_at_every_batch(graphs, half):
    generator, graph = small(), graphs[half]
    network = generator.folded()
    if half:
        round_to_half(network)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for n in (1, 2, 5):
        z = np.random.default_rng(n).standard_normal((n, 12), np.float32)
        with torch.no_grad():
            expected = (network if half else generator)(torch.from_numpy(z)).numpy()
        (drawn,) = session.run(["image"], {"latent": z})
        assert drawn.shape == (n, 3, 16, 16)
        assert np.abs(drawn - expected).max() <= 1e-5
    assert not read_facts(graph, "generator.onnx").control_flow


@pytest.mark.parametrize("half", [False, True])
def test_a_graph_for_a_card_draws_the_same_without_transposed_convolutions(graphs, half):
    graph = draw_graph(small(), half=half, for_card=True)
    assert "ConvTranspose" in read_facts(graphs[half], "generator.onnx").nodes
    assert "ConvTranspose" not in read_facts(graph, "generator.onnx").nodes
    assert len(graph) < 1.2 * len(graphs[half])
    z = np.random.default_rng(3).standard_normal((3, 12), np.float32)
    drawn = [
        onnxruntime.InferenceSession(one, providers=["CPUExecutionProvider"]).run(["image"], {"latent": z})[0]
        for one in (graphs[half], graph)
    ]
    assert drawn[0].std() > 0.01
    assert np.abs(drawn[0] - drawn[1]).max() <= 1e-6


def test_a_transposed_convolution_of_another_kind_is_refused():
    with pytest.raises(
        ValueError, match=r"expected a transposed convolution that doubles .* for_card = false"
    ):
        untransposed(torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 3, 4, stride=2)))


def test_weights_in_half_the_space_take_half_the_space(graphs):
    assert len(graphs[True]) < 0.7 * len(graphs[False])


@pytest.mark.parametrize("rule", ["keep", "rescale", "truncate"])
def test_the_graph_for_a_decoder_applies_the_rule_and_takes_one_latent(graphs, rule):
    generator = small()
    graph = for_decoder(graphs[False], rule, 0.8)
    shapes = [
        [d.dim_value for d in end.type.tensor_type.shape.dim]
        for end in (onnx.load_from_string(graph).graph.input[0], onnx.load_from_string(graph).graph.output[0])
    ]
    assert shapes == [[1, 12], [1, 3, 16, 16]]
    z = 2.0 * np.random.default_rng(3).standard_normal((1, 12), np.float32)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = generator(normaliser(rule, 0.8)(torch.from_numpy(z))).numpy()
    assert np.abs(session.run(["image"], {"latent": z})[0] - expected).max() <= 1e-5


def test_components_are_standard_normal_and_keep_what_pictures_differ_in():
    source = np.random.default_rng(4)
    brightness = source.uniform(40, 210, 300)
    images = np.clip(brightness[:, None, None, None] + source.normal(0, 2, (300, 8, 8, 3)), 0, 255)
    latents = component_latents(images.astype(np.uint8), 5, seed=1)
    assert np.allclose(latents.mean(0), 0, atol=1e-3)
    assert np.allclose(latents.std(0), 1, atol=0.02)
    ranks = np.argsort(np.argsort(brightness)), np.argsort(np.argsort(latents[:, 0]))
    assert abs(np.corrcoef(*ranks)[0, 1]) > 0.99


def test_attributes_lie_along_known_directions_of_the_latents():
    source = np.random.default_rng(6)
    attributes = np.stack([source.uniform(-1, 1, 500), source.uniform(size=500) < 0.3], 1).astype(np.float32)
    latents = attribute_latents(attributes, 5, seed=2)
    rows = attribute_directions(2, 5, seed=2)
    assert np.allclose(rows @ rows.T, np.eye(2), atol=1e-6)
    along = latents @ rows.T
    assert np.array_equal(along[:, 0].argsort(), attributes[:, 0].argsort())
    assert along[attributes[:, 1] == 1, 1].min() > along[attributes[:, 1] == 0, 1].max()
    assert np.allclose(latents.std(0), 1, atol=0.12)
    with pytest.raises(ValueError, match="need 6 latents"):
        attribute_directions(6, 5, seed=2)


def test_edge_features_tell_the_direction_of_stripes():
    upright = np.zeros((1, 32, 32, 3), np.uint8)
    upright[:, :, ::4] = 255
    upright[:, :, 1::4] = 255
    lying = upright.transpose(0, 2, 1, 3)
    a, b = (edges_and_colours(images)[0, :512].reshape(64, 8).sum(0) for images in (upright, lying))
    assert a.argmax() == 0
    assert b.argmax() == 4


def noise(n, seed, contrast):
    return np.clip(np.random.default_rng(seed).normal(128, contrast, (n, 16, 16, 3)), 0, 255).astype(np.uint8)


def test_a_look_measures_diversity_and_drift():
    real, same = noise(32, 0, 40), noise(32, 1, 40)
    assert look(same, None, real) == {"diversity": pytest.approx(1.0, abs=0.05)}
    collapsed = np.repeat(noise(1, 2, 40), 32, 0) + noise(32, 3, 2) // 64
    assert look(collapsed, None, real)["diversity"] < 0.1
    assert look(same, same, real)["drift"] == 0.0
    assert look(same, noise(32, 9, 40), real)["drift"] == pytest.approx(1.0, abs=0.05)


GOOD = {"critic_loss": 1.0, "generator_loss": 1.0, "critic_right": 0.7, "diversity": 0.9, "drift": 0.1}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, None),
        ({"critic_right": 0.98}, "too good"),
        ({"diversity": 0.2}, "collapse"),
        ({"drift": 0.9}, "no convergence"),
        ({"generator_loss": float("inf")}, "divergence"),
    ],
)
def test_each_illness_has_its_diagnosis_and_health_has_none(change, word):
    said = diagnose([GOOD | change] * 4)
    assert [word in line for line in said] == ([True] if word else [])
    assert not diagnose([GOOD | change] * 3)  # a verdict needs four looks

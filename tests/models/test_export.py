"""What is exported is what was trained: one file, pinned versions, and the same numbers to 1e-5."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bci.decoder.wire import read_facts
from models.export import OPSET, export_generator
from models.generators.upsampling import UpsamplingGenerator
from models.systems.alpha.export import export_state_readout
from models.systems.alpha.path import PathGenerator
from models.systems.alpha.readout import LinearScore, RelativePower, Sigmoid, StateReadout

RANGES = [(0.0, 1.0), (-1.0, 1.0), (-1.0, 1.0)]


def run(model, **inputs):
    """Run a graph with ONNX Runtime."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def path_generator(seed):
    torch.manual_seed(seed)
    return PathGenerator(UpsamplingGenerator(RANGES, (12, 8, 6), 16), (0, 0, 0), (1, 0.5, -0.5)).eval()


@pytest.fixture(scope="module")
def generator():
    return path_generator(5)


@pytest.fixture(scope="module")
def readout():
    source = np.random.default_rng(4)
    size = 8 * 3
    return StateReadout(
        RelativePower((0, 1, 2), 3),
        LinearScore(source.normal(size=size), source.uniform(0.3, 2, size), source.normal(size=size), 0.3),
        Sigmoid(0.7, -0.2),
    )


def test_the_readout_graph_gives_what_numpy_gives(readout):
    source = np.random.default_rng(6)
    model = export_state_readout(readout, (10, 8, 32))
    windows = np.exp(source.normal(1, 2, (50, 10, 8, 32))).astype(np.float32)
    windows[3] = 0.0  # a silent electrode: the logarithm has a floor
    expected, confidence = readout.predict(windows), readout.confidence(windows)
    assert expected.std() > 0.2
    for window, p, c in zip(windows, expected, confidence, strict=True):
        found = run(model, window=window[None])
        np.testing.assert_allclose(found["latent"], [p], atol=1e-5)
        np.testing.assert_allclose(found["confidence"], [c], atol=1e-5)
        assert found["latent"].shape == (1, 1)
        assert found["confidence"].shape == (1,)


def test_the_generator_graph_gives_what_torch_gives(generator):
    model = export_generator(generator, 1)
    differences = []
    for t in np.linspace(-0.3, 1.3, 17, dtype=np.float32):
        with torch.no_grad():
            expected = generator(torch.tensor([[t]])).numpy()
        found = run(model, latent=np.array([[t]]))["image"]
        assert found.shape == (1, 3, 32, 32)
        differences.append(np.abs(found - expected).max())
    assert max(differences) <= 1e-5


def test_the_path_stands_still_beyond_its_ends(generator):
    model = export_generator(generator, 1)
    at = {t: run(model, latent=np.array([[t]], np.float32))["image"] for t in (-1.0, 0.0, 1.0, 7.0)}
    assert (at[-1.0] == at[0.0]).all()
    assert (at[7.0] == at[1.0]).all()
    assert not (at[0.0] == at[1.0]).all()


def test_an_export_is_one_plain_file_that_says_nothing_about_its_machine(generator, readout):
    for model in (export_generator(generator, 1), export_state_readout(readout, (10, 8, 32))):
        facts = read_facts(model, "export")
        assert facts.control_flow == ()
        assert not facts.external
        assert dict(facts.opsets) == {"": OPSET}
        assert {"Shape", "Gather", "RandomNormal"}.isdisjoint(facts.nodes)
        assert b".py" not in model
        for tensor in (*onnx.load_from_string(model).graph.input, *onnx.load_from_string(model).graph.output):
            assert all(dim.dim_value > 0 for dim in tensor.type.tensor_type.shape.dim)


def test_equal_weights_give_equal_bytes_and_others_do_not(generator):
    exported = export_generator(generator, 1)
    twin = path_generator(6)
    assert export_generator(twin, 1) != exported
    twin.load_state_dict(generator.state_dict())
    assert export_generator(twin, 1) == exported

"""Graphs that make the bytes of their pictures make those that the decoder would make of the image."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from tiny_bundle import generator, model, tensor, whole

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.quantiser import Quantiser
from bci.decoder.renderer import Artist
from bci.decoder.spec import ImageSpec
from bci.errors import BundleError
from bci.signal.clock import ManualClock
from bci.signal.types import Window
from models.export import GraphParts, floats, with_pixels
from models.systems.saving import save_decoder

Make = Callable[..., Bundle]

IMAGE = ImageSpec(height=6, width=8)
RANGES = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-2.5, 3.0))


def as_it_is() -> bytes:
    """Return a graph whose image is its input, (1, 3, 2, 4)."""
    parts = GraphParts()
    parts.node("Identity", ["latent"], "image")
    return parts.finish("as it is", floats("latent", [1, 3, 2, 4]), [floats("image", [1, 3, 2, 4])])


SPECS = {ends: ImageSpec(height=2, width=4, low=ends[0], high=ends[1]) for ends in RANGES}
SESSIONS = {
    ends: onnxruntime.InferenceSession(with_pixels(as_it_is(), spec), providers=["CPUExecutionProvider"])
    for ends, spec in SPECS.items()
}


def drawn(ends: tuple[float, float], image: Any) -> dict[str, Any]:
    names = ["image", "pixels", "finite"]
    return dict(zip(names, SESSIONS[ends].run(names, {"latent": image}), strict=True))


@given(st.sampled_from(RANGES), st.lists(st.floats(-40, 300, width=32), min_size=24, max_size=24))
def test_pixels_are_what_the_decoder_makes_of_the_image(
    ends: tuple[float, float], levels: list[float]
) -> None:
    low, high = ends
    image = (np.array(levels) / 255 * (high - low) + low).astype(np.float32).reshape(1, 3, 2, 4)
    found, quantise = drawn(ends, image), Quantiser(SPECS[ends])
    expected, came = quantise(image[0]), quantise.of(found)
    assert expected is not None
    assert came is not None
    assert came.tobytes() == expected.tobytes()
    assert found["finite"].tolist() == [0.0]


def test_halves_are_rounded_to_even_and_far_values_held() -> None:
    values = [0.5, 1.5, 2.5, 253.5, 254.5, 255.5, -0.5, -1e30] * 3
    found = drawn((0.0, 255.0), np.array(values, np.float32).reshape(1, 3, 2, 4))
    assert found["pixels"][0, :, :, 1].ravel().tolist() == [0, 2, 2, 254, 254, 255, 0, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 13, 23])
def test_a_value_that_is_no_number_makes_no_picture(value: float, place: int) -> None:
    image = np.zeros((1, 3, 2, 4), np.float32)
    image.flat[place] = value
    assert Quantiser(SPECS[-1.0, 1.0]).of(drawn((-1.0, 1.0), image)) is None


@pytest.mark.parametrize("one_graph", [False, True])
def test_a_decoder_shows_the_same_with_either(make_bundle: Make, one_graph: bool) -> None:
    plain = make_bundle(one_graph=one_graph, confidence="gaussian")
    assert "pixels" not in json.loads((plain.folder / "bundle.json").read_text())
    name = "whole.onnx" if one_graph else "generator.onnx"
    files = {graph.file: plain.read(graph.file) for graph in plain.spec.graphs}
    before = OnnxDecoder(plain, clock=ManualClock())
    bundle = save_decoder(plain.folder.parent / "pixels", plain.spec, files)
    assert bundle.spec.pixels
    assert bundle.read(name) == with_pixels(bundle.read(name), IMAGE)  # once is enough
    after = OnnxDecoder(bundle, clock=ManualClock())
    for seed in range(5):
        samples = np.random.default_rng(seed).standard_normal(bundle.window_shape, np.float32)
        samples *= 1 if seed else np.float32(np.nan)
        frames = [decoder.decode(window(bundle, samples)) for decoder in (before, after)]
        assert frames[0].image.tobytes() == frames[1].image.tobytes()
        assert frames[0].latent.tobytes() == frames[1].latent.tobytes()
        assert (frames[0].valid, frames[0].reason) == (frames[1].valid, frames[1].reason)
        if not one_graph and seed:
            drawings = [Artist(b).draw(frames[0].latent) for b in (plain, bundle)]
            assert drawings[0] is not None
            assert drawings[1] is not None
            assert drawings[0].tobytes() == drawings[1].tobytes() == frames[0].image.tobytes()


def window(bundle: Bundle, samples: Any) -> Window:
    bad = np.zeros((bundle.length, *bundle.output.flag_shape), bool)
    return Window(bundle.output, 0, samples, np.arange(bundle.length) / 100, bad, bundle.length - 1)


def test_a_bundle_whose_pixels_are_another_picture_is_refused(make_bundle: Make) -> None:
    darker = with_pixels(generator(2, 6, 8), ImageSpec(height=6, width=8, low=0.0))
    with pytest.raises(
        BundleError, match=r"expected pixels that are the image's levels between -1 and 1, came"
    ):
        make_bundle(pixels=True, replace={"generator.onnx": darker})


def test_a_bundle_that_promises_pixels_has_them(make_bundle: Make) -> None:
    with pytest.raises(
        BundleError, match=r"float32 outputs pixels, finite, image \(pixels uint8\), came image"
    ):
        make_bundle(pixels=True)


def test_a_graph_without_an_image_or_with_pixels_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="came one with no image"):
        with_pixels(whole((20, 3), 2, 6, 8).replace(b"image", b"imago"), IMAGE)
    own = [
        helper.make_node("Identity", ["latent"], ["pixels.low"]),
        helper.make_node("Neg", ["pixels.low"], ["image"]),
    ]
    shape = [1, 3, 6, 8]
    with pytest.raises(ValueError, match=r"came one with pixels\.low"):
        with_pixels(model(own, [tensor("latent", shape)], [tensor("image", shape)]), IMAGE)


@pytest.mark.parametrize("opset", [9, 11, 17, 21])
def test_graphs_from_elsewhere_are_of_any_opset(opset: int) -> None:
    made = helper.make_graph(
        [helper.make_node("Tanh", ["latent"], ["image"])],
        "old",
        [tensor("latent", [1, 3, 6, 8])],
        [tensor("image", [1, 3, 6, 8])],
    )
    old = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    graph = with_pixels(old.SerializeToString(), IMAGE)
    if opset < 10:
        assert graph is None
        return
    values = np.random.default_rng(0).standard_normal((1, 3, 6, 8), np.float32)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    image, pixels, finite = session.run(["image", "pixels", "finite"], {"latent": values})
    expected = Quantiser(IMAGE)(image[0])
    assert expected is not None
    assert pixels[0].tobytes() == expected.tobytes()
    assert finite.tolist() == [0.0]

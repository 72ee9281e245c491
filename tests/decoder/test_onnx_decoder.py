"""The decoder gives the planted answer, the same each time, and says when it must not be believed."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tiny_bundle import colours, model, tensor, tiny_bundle, weights

from bci.decoder.bundle import Bundle
from bci.decoder.decoder import Decoder
from bci.decoder.onnx import OnnxDecoder
from bci.errors import BundleMismatch, ProviderError
from bci.signal.clock import ManualClock
from bci.signal.types import Reconstruction, Window
from bci.signal.windows import windows

Make = Callable[..., Bundle]


class TickingClock(ManualClock):
    """Moves on by a second each time it is looked at."""

    def now(self) -> float:
        self.advance(1.0)
        return super().now()


def window(bundle: Bundle, samples: Any, **facts: Any) -> Window:
    n = bundle.length
    defaults = {
        "first": 40,
        "times": 100.0 + np.arange(n) / 100,
        "bad": np.zeros((n, bundle.output.shape[0]), bool),
        "last_sample": 40 + n - 1,
    }
    return Window(bundle.output, samples=np.asarray(samples, np.float32), **(defaults | facts))


def noise(bundle: Bundle, seed: int = 0) -> NDArray[np.float32]:
    """Give whole multiples of 1/4, so that the planted sums are exact."""
    numbers = np.random.default_rng(seed).integers(-8, 9, bundle.window_shape)
    return (numbers / 4).astype(np.float32)


def decoder_of(bundle: Bundle, **options: Any) -> OnnxDecoder:
    return OnnxDecoder(bundle, clock=ManualClock(), **options)


def same(a: Reconstruction, b: Reconstruction) -> bool:
    return (
        a.image.tobytes() == b.image.tobytes()
        and a.latent.tobytes() == b.latent.tobytes()
        and (a.confidence == b.confidence or (math.isnan(a.confidence) and math.isnan(b.confidence)))
    )


def test_the_planted_latent_and_picture_come_out(make_bundle: Make) -> None:
    bundle = make_bundle(length=16, latent=2)
    samples = noise(bundle)
    made = decoder_of(bundle).decode(window(bundle, samples))
    latent = samples.mean(axis=0) @ weights(3, 2)
    np.testing.assert_array_equal(made.latent, latent)
    levels = np.clip(np.rint((latent @ colours(2) + 1) * 127.5), 0, 255)
    assert made.image.shape == (6, 8, 3)
    assert (made.image == levels).all()
    assert len(set(levels)) > 1
    assert (made.valid, made.reason) == (True, "")
    assert math.isnan(made.confidence)


def test_one_graph_and_a_chain_give_the_same(make_bundle: Make, tmp_path: Path) -> None:
    chain = make_bundle(confidence="gaussian")
    one = tiny_bundle(tmp_path / "one", confidence="gaussian", one_graph=True)
    for seed in range(5):
        given_window = window(chain, noise(chain, seed) / 8)
        assert same(decoder_of(chain).decode(given_window), decoder_of(one).decode(given_window))


def test_it_is_a_decoder(make_bundle: Make) -> None:
    decoder: Decoder = decoder_of(make_bundle(length=30, hop=5))
    assert (decoder.length, decoder.hop) == (30, 5)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(8)))
def test_the_order_of_windows_does_not_matter(
    make_bundle: Make, cache: dict[str, Any], order: list[int]
) -> None:
    if not cache:
        bundle = make_bundle(confidence="gaussian")
        decoder = decoder_of(bundle)
        windows = [
            window(bundle, np.random.default_rng(i).normal(size=bundle.window_shape)) for i in range(7)
        ]
        windows.append(window(bundle, np.full(bundle.window_shape, np.nan)))
        cache.update(decoder=decoder, windows=windows, alone=[decoder_of(bundle).decode(w) for w in windows])
    for i in order:
        assert same(cache["decoder"].decode(cache["windows"][i]), cache["alone"][i])


@pytest.fixture(scope="module")
def cache() -> dict[str, Any]:
    return {}


def test_a_reconstruction_keeps_its_values_when_the_next_is_made(make_bundle: Make) -> None:
    bundle = make_bundle()
    decoder = decoder_of(bundle)
    first = decoder.decode(window(bundle, np.ones(bundle.window_shape)))
    image, latent = first.image.copy(), first.latent.copy()
    decoder.decode(window(bundle, -np.ones(bundle.window_shape)))
    assert (first.image == image).all()
    assert (first.latent == latent).all()


def test_samples_of_any_memory_layout_give_the_same(make_bundle: Make) -> None:
    bundle = make_bundle()
    decoder, samples = decoder_of(bundle), noise(bundle)
    straight = decoder.decode(window(bundle, samples))
    assert same(straight, decoder.decode(window(bundle, np.asfortranarray(samples))))
    assert same(straight, decoder.decode(window(bundle, np.repeat(samples, 2, axis=0)[::2])))


def test_warm_up_leaves_no_trace(make_bundle: Make) -> None:
    bundle = make_bundle()
    warm, cold = decoder_of(bundle), decoder_of(bundle)
    warm.warm_up()
    assert same(warm.decode(window(bundle, noise(bundle))), cold.decode(window(bundle, noise(bundle))))


def test_provenance_is_handed_on(make_bundle: Make) -> None:
    bundle = make_bundle()
    made = decoder_of(bundle).decode(window(bundle, noise(bundle), first=70, last_sample=179, skipped=3))
    assert (made.first, made.last_sample, made.skipped) == (70, 179, 3)


def test_stages_are_stamped_in_order(make_bundle: Make) -> None:
    bundle = make_bundle()
    decoder = OnnxDecoder(bundle, clock=TickingClock(1000.0))
    made = decoder.decode(window(bundle, noise(bundle)))
    assert made.stamps == {"data": pytest.approx(100.19), "cut": 1001.0, "decoded": 1002.0}
    given_stamps = {"data": 5.0, "arrived": 6.0, "cut": 7.0}
    made = decoder.decode(window(bundle, noise(bundle)), given_stamps)
    assert made.stamps == {**given_stamps, "decoded": 1004.0}
    assert given_stamps == {"data": 5.0, "arrived": 6.0, "cut": 7.0}
    unsettled = decoder.decode(window(bundle, noise(bundle), settled=False))
    assert unsettled.stamps == {"data": pytest.approx(100.19), "cut": 1005.0, "decoded": 1006.0}


def masked(bundle: Bundle, share: float) -> NDArray[np.bool_]:
    bad = np.zeros((bundle.length, bundle.output.shape[0]), bool)
    bad.reshape(-1)[: round(share * bad.size)] = True
    return bad


def test_an_unsettled_window_is_invalid(make_bundle: Make) -> None:
    bundle = make_bundle()
    check_invalid(bundle, window(bundle, noise(bundle), settled=False), "settling")


def test_a_window_with_too_much_masked_is_invalid(make_bundle: Make) -> None:
    bundle = make_bundle(masked_limit=0.2)
    check_invalid(bundle, window(bundle, noise(bundle), bad=masked(bundle, 0.4)), "masked 40 % > 20 %")
    assert decoder_of(bundle).decode(window(bundle, noise(bundle), bad=masked(bundle, 0.2))).valid


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_window_with_a_value_that_is_no_number_is_invalid(make_bundle: Make, value: float) -> None:
    bundle = make_bundle()
    samples = noise(bundle)
    samples[7, 1] = value
    check_invalid(bundle, window(bundle, samples), "window not finite")


def check_invalid(bundle: Bundle, given_window: Window, reason: str) -> None:
    made = decoder_of(bundle).decode(given_window)
    assert (made.valid, made.reason) == (False, reason)
    assert np.isnan(made.latent).all()
    assert made.latent.shape == (bundle.spec.latent,)
    assert math.isnan(made.confidence)
    assert not made.image.any()
    assert made.image.shape == (bundle.spec.image.height, bundle.spec.image.width, 3)


def test_what_the_bundles_own_pipeline_gives_is_decoded_once_it_can_be_trusted(make_bundle: Make) -> None:
    power = {"step": "band_power", "bands": [[8, 13], [15, 30]], "block": 16}
    bundle = make_bundle(rate=160.0, pipeline=[power], length=10, hop=5)
    assert bundle.window_shape == (10, 3, 2)
    samples = np.random.default_rng(0).standard_normal((6400, 3)).astype(np.float32)
    samples[3200:3240] = np.nan
    stream = Window(
        bundle.signal,
        0,
        samples,
        np.arange(6400) / 160,
        np.zeros((6400, 3), bool),
        last_sample=6399,
        reset="start",
    )
    decoder = decoder_of(bundle)
    pairs = [
        (cut, decoder.decode(cut))
        for cut in windows([stream], bundle.adapt(bundle.signal), length=bundle.length, hop=bundle.hop)
    ]
    reasons = [made.reason for _, made in pairs]
    assert len(reasons) == (400 - 10) // 5 + 1
    assert reasons[0] == "settling"
    assert set(reasons[-10:]) == {""}
    spoilt = [cut.last_sample for cut, made in pairs if made.reason.startswith("masked")]
    assert spoilt
    assert min(spoilt) >= 3200
    for cut, made in pairs:
        if made.valid:
            expected = cut.samples.reshape(10, 6).mean(axis=0) @ weights(6, 2)
            np.testing.assert_allclose(made.latent, expected, rtol=1e-5)


def test_a_latent_that_is_no_number_is_invalid(make_bundle: Make) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["window"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Reshape", ["mean", "one"], ["point"]),
        helper.make_node("Log", ["point"], ["latent"]),
    ]
    # Its picture is flat whatever the latent is.
    flat = model(
        [
            helper.make_node("Greater", ["latent", "latent"], ["never"]),
            helper.make_node("Cast", ["never"], ["nothing"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["nothing", "pixel"], ["grey"]),
            helper.make_node("Expand", ["grey", "extent"], ["image"]),
        ],
        [tensor("latent", [1, 1])],
        [tensor("image", [1, 3, 6, 8])],
        pixel=np.array([1, 1, 1, 1]),
        extent=np.array([1, 3, 6, 8]),
    )
    readout = model(nodes, [tensor("window", [1, 20, 3])], [tensor("latent", [1, 1])], one=np.array([1, 1]))
    bundle = make_bundle(latent=1, replace={"readout.onnx": readout, "generator.onnx": flat})
    assert decoder_of(bundle).decode(window(bundle, np.ones(bundle.window_shape))).valid
    check_invalid(bundle, window(bundle, -np.ones(bundle.window_shape)), "latent not finite")


def test_a_picture_that_is_no_number_is_invalid(make_bundle: Make) -> None:
    divide = model(
        [
            helper.make_node("Div", ["latent", "zero"], ["far"]),
            helper.make_node("Reshape", ["far", "pixel"], ["grey"]),
            helper.make_node("Expand", ["grey", "extent"], ["image"]),
        ],
        [tensor("latent", [1, 1])],
        [tensor("image", [1, 3, 6, 8])],
        zero=np.float32(0),
        pixel=np.array([1, 1, 1, 1]),
        extent=np.array([1, 3, 6, 8]),
    )
    bundle = make_bundle(latent=1, replace={"generator.onnx": divide})
    check_invalid(bundle, window(bundle, np.ones(bundle.window_shape)), "image not finite")


def test_confidence_is_the_graphs_and_falls_with_what_is_masked(make_bundle: Make) -> None:
    bundle = make_bundle(confidence="classifier", latent=1, masked_limit=0.5)
    decoder = decoder_of(bundle)
    samples = np.zeros(bundle.window_shape, np.float32)
    samples[:, 1] = 3.6  # its weight is 1/4
    assert decoder.decode(window(bundle, samples)).confidence == pytest.approx(0.9)
    half = decoder.decode(window(bundle, samples, bad=masked(bundle, 0.5)))
    assert half.valid
    assert half.confidence == pytest.approx(0.7)


def test_a_confidence_outside_its_range_is_invalid(make_bundle: Make) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["window"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Reshape", ["mean", "one"], ["latent"]),
        helper.make_node("Identity", ["mean"], ["confidence"]),
    ]
    outputs = [tensor("latent", [1, 1]), tensor("confidence", [1])]
    readout = model(nodes, [tensor("window", [1, 20, 3])], outputs, one=np.array([1, 1]))
    bundle = make_bundle(latent=1, confidence="gaussian", replace={"readout.onnx": readout})
    assert decoder_of(bundle).decode(window(bundle, np.full(bundle.window_shape, 0.5))).confidence == 0.5
    check_invalid(bundle, window(bundle, np.full(bundle.window_shape, 2.0)), "confidence 2 not in 0–1")


def test_a_window_of_another_shape_is_refused(make_bundle: Make) -> None:
    bundle = make_bundle(length=20)
    decoder = decoder_of(bundle)
    for shape in [(19, 3), (20, 4), (0, 3), (20, 3, 1)]:
        with pytest.raises(BundleMismatch, match=r"expected windows of shape \(20, 3\)"):
            decoder.decode(window(bundle, np.zeros(shape)))


def test_what_a_windows_values_ask_for_is_bounded(make_bundle: Make) -> None:
    # Asks for 2^33 · mean⁴ floats: little for the windows that it is tried with, 32 GiB for ones.
    nodes = [
        helper.make_node("ReduceMean", ["window"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "mean"], ["power"]),
        helper.make_node("Mul", ["power", "power"], ["more"]),
        helper.make_node("Mul", ["more", "many"], ["wish"]),
        helper.make_node("Cast", ["wish"], ["size"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Reshape", ["sum", "one"], ["latent"]),
    ]
    greedy = model(
        nodes,
        [tensor("window", [1, 20, 3])],
        [tensor("latent", [1, 1])],
        many=np.float32(2**33),
        one=np.array([1, 1]),
    )
    bundle = make_bundle(latent=1, replace={"readout.onnx": greedy})
    decoder = decoder_of(bundle)
    assert decoder.decode(window(bundle, np.zeros(bundle.window_shape))).valid
    with pytest.raises(
        ProviderError, match="expected graphs that run on CPUExecutionProvider with every window"
    ):
        decoder.decode(window(bundle, np.ones(bundle.window_shape)))
    assert decoder.decode(window(bundle, np.zeros(bundle.window_shape))).valid


def test_the_bundle_alone_says_how_many_threads(make_bundle: Make) -> None:
    assert decoder_of(make_bundle()).environment["threads"] == 1
    assert decoder_of(make_bundle(threads=2)).environment["threads"] == 2


def test_the_environment_is_a_fingerprint(make_bundle: Make) -> None:
    bundle = make_bundle()
    environment = dict(decoder_of(bundle).environment)
    assert environment == dict(decoder_of(bundle).environment)
    assert json.loads(json.dumps(environment)) == environment
    assert environment["bundle"] == bundle.hash
    assert environment["onnxruntime"] == onnxruntime.__version__
    assert environment["provider"] == "CPUExecutionProvider"
    assert environment["precision"] == "float32"
    assert environment["spinning"] is False
    assert environment["cpu"]


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is there")
def test_cuda_where_it_is_not_is_an_error(make_bundle: Make) -> None:
    with pytest.raises(
        ProviderError, match=r"expected ONNX Runtime with CUDAExecutionProvider.*'gpu' in place of"
    ):
        decoder_of(make_bundle(), provider="cuda")


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is there")
def test_a_library_that_claims_cuda_and_runs_on_the_cpu_is_an_error(
    make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a machine without a driver does: the provider is listed, and the session silently has only the CPU.
    claimed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: claimed)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    with pytest.raises(
        ProviderError, match="no usable card: expected a graph on CUDAExecutionProvider, came CPUExecution"
    ):
        decoder_of(make_bundle(), provider="cuda")


def test_an_unknown_provider_is_an_error(make_bundle: Make) -> None:
    with pytest.raises(ProviderError, match="'cpu' or 'cuda', came 'tpu'"):
        decoder_of(make_bundle(), provider="tpu")


def test_float16_runs_after_a_parity_check(make_bundle: Make) -> None:
    bundle = make_bundle(float16=True)
    samples = [noise(bundle, seed) / 8 for seed in range(4)]
    half = decoder_of(bundle, precision="float16", parity=samples)
    assert half.environment["precision"] == "float16"
    exact = decoder_of(bundle).decode(window(bundle, samples[0]))
    made = half.decode(window(bundle, samples[0]))
    assert np.abs(made.image.astype(int) - exact.image).max() <= 1
    # The two graphs are two: quarters become other quarters only where float16 ran.
    assert half.raw(samples[0])["image"].tobytes() != decoder_of(bundle).raw(samples[0])["image"].tobytes()


def test_float16_that_is_not_the_same_is_refused(make_bundle: Make) -> None:
    from tiny_bundle import generator

    bundle = make_bundle(float16=True, replace={"generator16.onnx": negated(generator(2, 6, 8, np.float16))})
    with pytest.raises(ProviderError, match=r"within one level of float32 on 1 windows, came 0 and 0 %"):
        decoder_of(bundle, precision="float16", parity=[np.ones(bundle.window_shape, np.float32)])


def negated(content: bytes) -> bytes:
    import onnx
    from onnx import numpy_helper

    other = onnx.load_from_string(content)
    for held in other.graph.initializer:
        if held.name == "colours":
            held.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(held) - np.float16(1), "colours"))
    return bytes(other.SerializeToString())


def test_float16_needs_its_graph_and_windows_to_compare(make_bundle: Make) -> None:
    with pytest.raises(ProviderError, match="expected float16 graphs in bundle 'tiny', came none"):
        decoder_of(make_bundle(), precision="float16", parity=[np.zeros((20, 3), np.float32)])
    with pytest.raises(ProviderError, match="needs windows"):
        decoder_of(make_bundle(float16=True), precision="float16")

"""On a machine with an NVIDIA GPU the decoder runs there, and shows the same."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.parity import compare
from bci.decoder.quantiser import Quantiser
from bci.signal.clock import ManualClock

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
        reason="NO GPU: ONNX Runtime here has no CUDAExecutionProvider",
    ),
]


def test_the_gpu_shows_what_the_cpu_shows_and_repeats_itself(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle(confidence="gaussian")
    windows = [np.random.default_rng(i).standard_normal(bundle.window_shape, np.float32) for i in range(20)]
    on_cpu = OnnxDecoder(bundle, clock=ManualClock())
    on_gpu = OnnxDecoder(bundle, clock=ManualClock(), provider="cuda")
    assert on_gpu.environment["provider"] == "CUDAExecutionProvider"
    on_gpu.warm_up()
    once = [on_gpu.raw(window) for window in windows]
    again = [on_gpu.raw(window) for window in reversed(windows)][::-1]
    for a, b in zip(once, again, strict=True):
        assert {name: array.tobytes() for name, array in a.items()} == {
            name: array.tobytes() for name, array in b.items()
        }
    assert compare([on_cpu.raw(window) for window in windows], once, Quantiser(bundle.spec.image)).holds

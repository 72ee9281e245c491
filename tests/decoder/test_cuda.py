"""What is asked of a graphics card, with ONNX Runtime replaced at its boundary."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest

from bci.control import doctor
from bci.decoder import cuda
from bci.decoder.bundle import Bundle
from bci.decoder.cuda import PROVIDER, CardSettings, require_cuda, trial_graph, visible
from bci.decoder.cuda_runner import REPEATS
from bci.decoder.onnx import OnnxDecoder
from bci.errors import ProviderError
from bci.signal.clock import ManualClock

Make = Callable[..., Bundle]

_Session, _Value = onnxruntime.InferenceSession, onnxruntime.OrtValue


class Runtime:
    """ONNX Runtime as a machine with a card would have it; what a test plants, it does.

    Attributes
    ----------
    providers : sequence of str
        Those that a session ends up with.
    refuses : callable
        Given the options of a session, why it does not load; empty where it does.
    noise : float
        What the card adds to all in its memory, the more the later the run.
    prints : str
        What loading its libraries prints.
    asked : list
        Options of each session.
    """

    def __init__(self) -> None:
        self.providers: Sequence[str] = (PROVIDER, "CPUExecutionProvider")
        self.refuses: Callable[[Mapping[str, str]], str] = lambda options: ""
        self.noise, self.runs = 0.0, 0
        self.prints = ""
        self.values: list[Any] = []
        self.asked: list[Mapping[str, str]] = []

    def session(self, model: bytes, options: Any, providers: Any, **rest: Any) -> Any:
        if isinstance(providers[0], str):
            return _Session(model, options, providers=providers, **rest)
        given = dict(providers[0][1])
        self.asked.append(given)
        if why := self.refuses(given):
            raise RuntimeError(why)
        return _OnCard(self, _Session(model, options, providers=["CPUExecutionProvider"]), given)

    def ortvalue_from_shape_and_type(self, shape: Any, kind: Any, where: str, device: int) -> Any:
        """Make what would lie in the card's memory in this machine's."""
        assert where == "cuda"
        self.values.append(_Value.ortvalue_from_shape_and_type(shape, kind, "cpu", 0))
        return self.values[-1]


class _OnCard:
    """A session that says it runs on a card."""

    def __init__(self, runtime: Runtime, session: Any, options: Mapping[str, str]) -> None:
        self._runtime, self._session, self._options = runtime, session, options
        self.run, self.io_binding = session.run, session.io_binding

    def get_providers(self) -> list[str]:
        return list(self._runtime.providers)

    def get_provider_options(self) -> dict[str, Any]:
        return {PROVIDER: self._options}

    def run_with_iobinding(self, binding: Any) -> None:
        self._runtime.runs += 1
        for value in self._runtime.values if self._runtime.noise else ():
            value.update_inplace(value.numpy() + np.float32(self._runtime.noise * self._runtime.runs))
        self._session.run_with_iobinding(binding)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    planted = Runtime()
    monkeypatch.setattr(onnxruntime, "InferenceSession", planted.session)
    monkeypatch.setattr(onnxruntime, "OrtValue", planted)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDER, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write(planted.prints))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    cuda.preload.cache_clear()
    yield planted
    cuda.preload.cache_clear()


def windows(bundle: Bundle) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    return [np.random.default_rng(i).standard_normal(bundle.window_shape, np.float32) for i in range(3)]


def on_card(bundle: Bundle, **given: Any) -> OnnxDecoder:
    return OnnxDecoder(bundle, clock=ManualClock(), provider="cuda", **given)


# -- looking ---------------------------------------------------------------------------------------------


def test_the_graph_that_is_tried_is_a_convolution() -> None:
    ones = {"x": np.ones((1, 1, 4, 4), np.float32), "w": np.ones((1, 1, 3, 3), np.float32)}
    (nine,) = _Session(trial_graph(), providers=["CPUExecutionProvider"]).run(["y"], ones)
    assert nine.tolist() == [[[[9.0, 9.0], [9.0, 9.0]]]]


def test_a_card_that_runs_a_graph_is_usable(runtime: Runtime) -> None:
    require_cuda(CardSettings(1, 2048))
    assert runtime.asked == [{"device_id": "1", "gpu_mem_limit": str(2 * 2**30)}]


def unloadable(runtime: Runtime) -> None:
    runtime.refuses = lambda options: "libcudnn.so.9: cannot open shared object file"
    runtime.prints = "Failed to load libcudnn.so.9\nPlease follow the instructions"


def silent_fallback(runtime: Runtime) -> None:
    runtime.providers = ("CPUExecutionProvider",)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (unloadable, r"libcudnn\.so\.9: cannot open.*; Failed to load libcudnn\.so\.9 Please follow"),
        (silent_fallback, f"expected a graph on {PROVIDER}, came CPUExecutionProvider"),
    ],
)
def test_a_wheel_without_its_libraries_is_no_usable_card(
    runtime: Runtime,
    plant: Callable[[Runtime], None],
    words: str,
    capfd: pytest.CaptureFixture[str],
    make_bundle: Make,
) -> None:
    plant(runtime)
    with pytest.raises(ProviderError, match=f"^no usable card: .*{words}.*--gpu setup"):
        require_cuda()
    with pytest.raises(ProviderError, match=r"^no usable card: "):
        on_card(make_bundle())
    assert capfd.readouterr().out == ""  # the last line of a command is JSON


def test_what_hides_a_card_is_named(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ProviderError, match="CUDA_VISIBLE_DEVICES='' hides card 0"):
        require_cuda()


@pytest.mark.parametrize(
    ("named", "device", "card"),
    [(None, 1, "1"), ("3,GPU-ab", 0, "3"), ("3, GPU-ab", 1, "GPU-ab"), ("0,-1,2", 2, ""), ("0", 1, "")],
)
def test_cuda_and_the_drivers_tool_speak_of_one_card(
    named: str | None, device: int, card: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible(device) == card


def test_the_doctor_says_whether_a_card_is_used(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name == "onnxruntime-gpu")
    monkeypatch.setattr(
        cuda, "describe_card", lambda device=0: {"name": "H100", "driver": "580.95", "memory": "80 GB"}
    )
    finding = doctor._card()
    assert finding.ok
    assert "H100, driver 580.95" in finding.seen
    silent_fallback(runtime)
    finding = doctor._card()
    assert not finding.ok
    assert finding.seen.startswith("no usable card: expected a graph on")
    assert finding.fix.startswith("install the extra 'gpu'")
    monkeypatch.setattr(doctor, "_installed", lambda name: False)
    assert doctor._card().fix == "python3 run.py --gpu setup"  # a card lies idle
    monkeypatch.setattr(cuda, "describe_card", lambda device=0: {})
    assert doctor._card().ok


# -- running ---------------------------------------------------------------------------------------------


def test_what_runs_on_a_card_says_what_it_took_and_that_it_repeats(
    runtime: Runtime, make_bundle: Make
) -> None:
    bundle = make_bundle(confidence="gaussian")
    decoder, on_cpu = on_card(bundle, card=CardSettings(2, 512)), OnnxDecoder(bundle, clock=ManualClock())
    for samples in windows(bundle):
        expected, found = on_cpu.raw(samples), decoder.raw(samples)
        assert {"latent", "image", "confidence"} <= set(found)
        assert all(array.tobytes() == expected[name].tobytes() for name, array in found.items())
    facts = json.loads(json.dumps(decoder.environment))
    assert facts["provider"] == PROVIDER
    assert {option["device_id"] for option in facts["options"]} == {"2"}
    assert {option["gpu_mem_limit"] for option in facts["options"]} == {str(512 * 2**20)}
    assert facts["repeats"] == {"runs": REPEATS, "equal": True}
    assert set(facts["cuda_graph"]) == {"captured"}
    assert {"card", "libraries"} <= set(facts)


def test_a_card_whose_bits_do_not_repeat_is_recorded_as_such(runtime: Runtime, make_bundle: Make) -> None:
    runtime.noise = 1e-3
    assert on_card(make_bundle()).environment["repeats"] == {"runs": REPEATS, "equal": False}


def test_a_cuda_graph_that_fails_says_why(runtime: Runtime, make_bundle: Make) -> None:
    runtime.refuses = lambda options: (
        "node Shape_3 is on the CPU" if options.get("enable_cuda_graph") == "1" else ""
    )
    facts = on_card(make_bundle()).environment
    assert set(facts["cuda_graph"]) == {"none: node Shape_3 is on the CPU"}
    assert {option["enable_cuda_graph"] for option in facts["options"]} == {"0"}


def test_libraries_that_are_loaded_are_loaded_once(runtime: Runtime) -> None:
    loaded: list[int] = []
    onnxruntime.preload_dlls = lambda: loaded.append(1)
    with contextlib.suppress(ProviderError):
        require_cuda()
        require_cuda()
    assert loaded == [1]

"""What is asked of a graphics card, with ONNX Runtime replaced at its boundary."""

import contextlib
import ctypes
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from bci.control import doctor
from bci.decoder import card_trial, card_use, cuda, cuda_stream, precision
from bci.decoder.bundle import Bundle
from bci.decoder.card_use import CardUse, in_words
from bci.decoder.cuda import PROVIDER, CardSettings, require_cuda, trial_graph, visible
from bci.decoder.cuda_runner import REPEATS
from bci.decoder.onnx import KEEP_WARM_S, OnnxDecoder
from bci.errors import ProviderError
from bci.signal.clock import ManualClock
from models.systems.saving import save_decoder

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
    forces : mapping
        Options of the provider that it takes otherwise than asked for.
    fails_from : int
        Number of the first run with a CUDA graph that fails.
    """

    def __init__(self) -> None:
        self.providers: Sequence[str] = (PROVIDER, "CPUExecutionProvider")
        self.refuses: Callable[[Mapping[str, str]], str] = lambda options: ""
        self.noise, self.runs = 0.0, 0
        self.prints = ""
        self.values: list[Any] = []
        self.asked: list[Mapping[str, str]] = []
        self.fails_from = sys.maxsize
        self.forces: Mapping[str, str] = {}

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
        return {PROVIDER: {**self._options, **self._runtime.forces}}

    def run_with_iobinding(self, binding: Any, run_options: Any = None) -> None:
        waits = True
        with contextlib.suppress(RuntimeError):  # one that was never set
            waits = run_options.get_run_config_entry("disable_synchronize_execution_providers") != "1"
        assert waits is ("user_compute_stream" not in self._options)
        if self._runtime.fails_from <= self._runtime.runs and self._options.get("enable_cuda_graph") == "1":
            raise RuntimeError("operation not permitted when stream is capturing")
        self._runtime.runs += 1
        for value in self._runtime.values if self._runtime.noise else ():
            value.update_inplace(value.numpy() + np.float32(self._runtime.noise * self._runtime.runs))
        self._session.run_with_iobinding(binding)


class CudaLibrary:
    """The CUDA runtime of a machine whose card's memory is its own; what a test plants, it does.

    Attributes
    ----------
    refuses : str
        Name of a function that fails.
    called : list of str
        Functions that were called, in order.
    """

    def __init__(self) -> None:
        self.refuses, self.called = "", list[str]()
        self._held: dict[int, Any] = {}
        self.cudaGetErrorString = Words()

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            self.called.append(name)
            if name == self.refuses:
                return 700
            getattr(self, f"_{name}", lambda *_: None)(*arguments)
            return 0

        if not name.startswith("cuda"):
            raise AttributeError(name)
        return call

    def _cudaStreamCreateWithFlags(self, place: Any, flags: Any) -> None:
        place._obj.value = 4242

    def _cudaHostAlloc(self, place: Any, size: Any, flags: Any) -> None:
        memory = ctypes.create_string_buffer(size.value)
        place._obj.value = ctypes.addressof(memory)
        self._held[place._obj.value] = memory

    def _cudaFreeHost(self, place: Any) -> None:
        del self._held[place.value]

    def _cudaMemcpyAsync(self, to: Any, of: Any, size: Any, kind: Any, stream: Any) -> None:
        assert stream.value == 4242
        ctypes.memmove(to, of, size.value)


class Words:
    restype: Any = None

    def __call__(self, status: Any) -> bytes:
        return b"an illegal memory access was encountered"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> CudaLibrary:
    planted = CudaLibrary()
    monkeypatch.setattr(cuda_stream, "cuda_runtime", lambda: planted)
    return planted


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
    monkeypatch.setattr(card_trial, "require_answering", lambda card: None)  # its process would see no fake
    no_runtime = CudaLibrary()
    no_runtime.refuses = "cudaSetDevice"
    monkeypatch.setattr(cuda_stream, "cuda_runtime", lambda: no_runtime)
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


def test_a_card_that_hangs_is_given_up() -> None:
    hangs = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(ProviderError, match=r"card 3 to run a graph within 0\.05 s, and it hangs"):
        card_trial.require_answering(CardSettings(3), 0.05, hangs)
    card_trial.require_answering(CardSettings(), 30.0, [sys.executable, "-S", "-c", "raise SystemExit(1)"])


def test_a_card_that_hangs_even_when_killed_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Stuck:
        def __init__(self, words: Any, **rest: Any) -> None:
            self.killed = 0

        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            raise subprocess.TimeoutExpired("card", seconds)

        def kill(self) -> None:
            self.killed += 1

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDER])
    monkeypatch.setattr(card_trial.subprocess, "Popen", Stuck)
    with pytest.raises(ProviderError, match="it hangs"):
        card_trial.require_answering(CardSettings())
    assert waited == [card_trial.ANSWERS_WITHIN_S, card_trial.ENDS_WITHIN_S]


def test_the_doctor_says_whether_a_card_is_used(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name == "onnxruntime-gpu")
    monkeypatch.setattr(
        cuda, "describe_card", lambda device=0: {"name": "H100", "driver": "580.95", "memory": "80 GB"}
    )
    use = CardUse(
        "alpha", 0.5, 2.0, True, {"repeats": {"runs": 10, "equal": True}, "cuda_graph": ["captured"]}, ()
    )
    monkeypatch.setattr(card_use, "measure_use", lambda bundle, clock: use)
    finding = doctor._card()
    assert finding.ok
    assert "H100, driver 580.95" in finding.seen
    assert finding.seen.endswith(
        "alpha takes 0.50 ms a window on it, 2.00 ms on the processor (4.0 times as fast); the same results; bits "
        "repeat (10 runs of a window); CUDA graph captured"
    )
    assert "\n" not in finding.seen
    use = replace(use, card_ms=2.5)
    finding = doctor._card()
    assert not finding.ok
    assert "(the card is slower)" in finding.seen
    assert finding.fix == "python -m benchmarks.gpu tells where its time goes"
    silent_fallback(runtime)
    finding = doctor._card()
    assert not finding.ok
    assert finding.seen.startswith("no usable card: expected a graph on")
    assert finding.fix.startswith("install the extra 'gpu'")
    monkeypatch.setattr(doctor, "_installed", lambda name: False)
    assert doctor._card().fix == "python3 run.py --gpu setup"  # a card lies idle
    monkeypatch.setattr(cuda, "describe_card", lambda device=0: {})
    assert doctor._card().ok


def test_how_well_a_card_is_used_is_seen_with_a_bundle(
    runtime: Runtime, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ticking(ManualClock):
        def now(self) -> float:
            self.advance(0.001)
            return super().now()

    facts = {"name": "Tesla T4", "compute": "7.5"}
    monkeypatch.setattr(card_use, "describe_card", lambda device: facts)
    use = card_use.measure_use(make_bundle(), Ticking())
    assert use.agrees
    assert use.ok
    assert use.card_ms == use.cpu_ms
    assert use.tensor_cores == ("float16",)
    runtime.noise = 1.0
    assert "OTHER RESULTS than the processor's; bits DO NOT repeat" in str(
        card_use.measure_use(make_bundle(), Ticking())
    )


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


def test_a_cuda_graph_that_loads_and_does_not_run_is_done_without(
    runtime: Runtime, make_bundle: Make
) -> None:
    runtime.fails_from = 2
    bundle = make_bundle()
    decoder = on_card(bundle)
    assert all("stream is capturing" in words for words in decoder.environment["cuda_graph"])
    (samples,) = windows(bundle)[:1]
    expected = OnnxDecoder(bundle, clock=ManualClock()).raw(samples)
    assert decoder.raw(samples)["image"].tobytes() == expected["image"].tobytes()


def test_a_window_is_waited_for_once(runtime: Runtime, library: CudaLibrary, make_bundle: Make) -> None:
    bundle = make_bundle(confidence="gaussian")
    decoder, on_cpu = on_card(bundle), OnnxDecoder(bundle, clock=ManualClock())
    assert decoder.environment["copies"] == "pinned, one wait"
    assert {options["user_compute_stream"] for options in runtime.asked[1:]} == {"4242"}
    assert all("user_compute_stream" not in options for options in decoder.environment["options"])
    kept = []
    for samples in windows(bundle):
        del library.called[:]
        found = decoder.raw(samples)
        copies = ["cudaMemcpyAsync"] * (1 + len(found))
        assert library.called == [*copies, "cudaStreamSynchronize"]
        kept.append((on_cpu.raw(samples), found))
    # Compared at the end: each is the caller's own, whatever came later.
    for expected, found in kept:
        assert {name: array.tobytes() for name, array in found.items()} == {
            name: expected[name].tobytes() for name in found
        }


def test_a_card_is_kept_warm_only_where_it_paused_and_changes_nothing_by_it(
    runtime: Runtime, library: CudaLibrary, make_bundle: Make
) -> None:
    bundle, clock = make_bundle(), ManualClock()
    decoder = OnnxDecoder(bundle, clock=clock, provider="cuda")
    first, second, _ = windows(bundle)
    expected = decoder.raw(first)["image"].tobytes()
    runs = runtime.runs
    for share, ran in ((0.1, 0), (0.9, 0), (0.2, 2), (0.9, 2), (0.2, 4)):
        clock.advance(share * KEEP_WARM_S)
        decoder.keep_warm()
        assert runtime.runs - runs == ran  # two graphs
    decoder.raw(second)
    decoder.keep_warm()
    assert decoder.raw(first)["image"].tobytes() == expected


def test_what_the_card_fails_in_is_told(runtime: Runtime, library: CudaLibrary, make_bundle: Make) -> None:
    bundle = make_bundle()
    decoder = on_card(bundle)
    library.refuses = "cudaStreamSynchronize"
    with pytest.raises(ProviderError, match="error 700: an illegal memory access"):
        decoder.raw(windows(bundle)[0])


def test_without_the_cuda_runtime_onnx_runtime_copies(
    runtime: Runtime, library: CudaLibrary, make_bundle: Make
) -> None:
    library.refuses = "cudaStreamCreateWithFlags"
    facts = on_card(make_bundle()).environment
    assert facts["copies"].startswith(
        "by ONNX Runtime, each waited for: expected the card to do cudaStreamCreate"
    )


def test_a_stream_gives_its_memory_back(library: CudaLibrary) -> None:
    stream = cuda_stream.CudaStream(1)
    assert stream.pinned((2, 3), np.uint8).tolist() == [[0, 0, 0], [0, 0, 0]]
    stream.pinned((4,), np.float32)
    stream.close()
    assert library.called[-3:] == ["cudaStreamDestroy", "cudaFreeHost", "cudaFreeHost"]
    assert not library._held


# -- precision -------------------------------------------------------------------------------------------


def with_recorded(make_bundle: Make, **options: Any) -> Bundle:
    """Return a bundle that holds windows of its own."""
    plain = make_bundle(**options)
    files = {graph.file: plain.read(graph.file) for graph in plain.spec.graphs}
    noise = np.random.default_rng(0).standard_normal((40, *plain.window_shape)) / 8
    return save_decoder(plain.folder.parent / "recorded", plain.spec, files, noise)


def test_a_precision_is_accepted_on_the_windows_of_the_bundle(
    runtime: Runtime, library: CudaLibrary, make_bundle: Make
) -> None:
    bundle = with_recorded(make_bundle, float16=True)
    assert bundle.recorded().shape == (16, *bundle.window_shape)
    for wanted, tensor_cores in (("tf32", {"1"}), ("float16", {"0", "1"})):
        facts = on_card(bundle, precision=wanted).environment
        assert facts["parity"]["windows"] == 16
        # Of float16, the readout stays in float32; its twin-less graph gets no tensor cores.
        assert {options["use_tf32"] for options in facts["options"]} == tensor_cores
        assert f"{wanted} within" in in_words(facts)
    assert {options["use_tf32"] for options in on_card(bundle).environment["options"]} == {"0"}


def test_a_precision_that_reads_otherwise_is_refused(runtime: Runtime, make_bundle: Make) -> None:
    bundle = with_recorded(make_bundle)
    runtime.noise = 1e-3
    with pytest.raises(ProviderError, match="on 16 windows, came"):
        on_card(bundle, precision="tf32")


def test_a_training_file_keeps_windows_out_of_its_bundle(
    make_bundle: Make, tmp_path: Path, library: CudaLibrary, runtime: Runtime
) -> None:
    bundle = with_recorded(make_bundle)
    files = {graph.file: bundle.read(graph.file) for graph in bundle.spec.graphs}
    for keep in (True, False):
        provenance = bundle.spec.provenance.model_copy(update={"config": {"keep_windows": keep}})
        spec = bundle.spec.model_copy(update={"provenance": provenance, "files": {}})
        saved = save_decoder(tmp_path / f"kept-{keep}", spec, files, bundle.recorded())
        assert (len(saved.recorded()) > 0) == keep
        assert (saved.folder / "recorded.npy").exists() == keep
        assert ("recorded.npy" in saved.spec.files) == keep
    with pytest.raises(ProviderError, match="tf32 needs windows"):
        on_card(saved, precision="tf32")


def test_a_precision_needs_windows_and_tensor_cores(
    runtime: Runtime, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProviderError, match=r"tf32 needs windows .* 'tiny' holds none"):
        on_card(make_bundle(), precision="tf32")
    with pytest.raises(ProviderError, match="expected the provider 'cuda', came 'cpu'"):
        OnnxDecoder(make_bundle(), clock=ManualClock(), precision="tf32")
    bundle = with_recorded(make_bundle, float16=True)
    monkeypatch.setattr(precision, "describe_card", lambda device: {"name": "Tesla P4", "compute": "6.1"})
    with pytest.raises(ProviderError, match="Tesla P4 has no tensor cores for float16"):
        on_card(bundle, precision="float16")


def test_float16_without_tensor_cores_is_refused(runtime: Runtime, make_bundle: Make) -> None:
    bundle = with_recorded(make_bundle, float16=True)
    runtime.forces = {"use_tf32": "0"}
    with pytest.raises(ProviderError, match="use_tf32 = 0, which leaves them out"):
        on_card(bundle, precision="float16")


def test_libraries_that_are_loaded_are_loaded_once(runtime: Runtime) -> None:
    loaded: list[int] = []
    onnxruntime.preload_dlls = lambda: loaded.append(1)
    with contextlib.suppress(ProviderError):
        require_cuda()
        require_cuda()
    assert loaded == [1]

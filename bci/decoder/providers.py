"""A Runner holds a bundle's graphs ready on one compute provider and passes windows through them.

On a CPU, plain `run` on one thread without spinning: I/O binding costs 28 µs a call there and saves nothing.
On an NVIDIA GPU, I/O binding with the latent staying on the device between readout and generator, and a CUDA
graph where the network allows one. A Runner that was asked for CUDA runs on CUDA or does not exist.
"""

import functools
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from bci.decoder.sandbox import Chain
from bci.decoder.spec import Options
from bci.decoder.wire import GraphFacts
from bci.errors import ProviderError
from bci.io.files.capped import printable

Provider = Literal["cpu", "cuda"]

Floats = NDArray[np.float32]

#: (role, bytes of the ONNX file, what the file says about itself), in the order in which they run.
Models = Sequence[tuple[str, bytes, GraphFacts]]

# The most that the graphs of this process may allocate on a CPU, whatever values a window holds: a graph may
# compute the size of a tensor from the data, which no trial beforehand can bound.
_ARENA_BYTES = 8 * 2**30


class Runner(Protocol):
    """A Runner passes one window, or for a generator alone one latent, through all graphs."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that was set on the sessions, for the record."""
        ...

    def __call__(self, window: Floats) -> dict[str, Floats]:
        """Return ``latent`` (1, d), ``image`` (1, 3, height, width) and ``confidence`` (1,) where claimed.

        Parameters
        ----------
        window : (1, length, *pipeline output shape) float32, or (1, d) float32
            What the first graph takes, C-contiguous.
        """
        ...


def open_runner(provider: Provider, models: Models, chain: Chain, options: Options) -> Runner:
    """Load the graphs on one compute provider.

    Raises
    ------
    ProviderError
        If the provider is not there, or the graphs do not run on it.
    """
    if provider == "cpu":
        return CpuRunner(models, chain, options)
    if provider == "cuda":
        return CudaRunner(models, chain, options)
    raise ProviderError(
        f"expected the provider 'cpu' or 'cuda', came {provider!r}. Correct it in the session file."
    )


def _session_options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    # A spinning pool burns a core between windows and is slower on a machine that is busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _open_session(model: bytes, options: Any, providers: list[Any]) -> Any:
    """Create a session that never falls back to another provider by itself."""
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:  # its exceptions share no base below Exception
        wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
        raise ProviderError(
            f"expected graphs that load on {wanted}, came: {printable(error)}. "
            "Check the driver and its libraries (bci doctor), or run on 'cpu'."
        ) from error


@functools.cache
def _cap_arena() -> int:
    """Bound what ONNX Runtime allocates in this process's CPU memory; return the bound, bytes."""
    import onnxruntime

    limit = min(_ARENA_BYTES, int(psutil.virtual_memory().total) // 2)
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(limit, -1, -1, -1))
    return limit


def _stopped(provider: str, error: Exception) -> str:
    return f"expected graphs that run on {provider} with every window, came: {printable(error)}. Check the bundle."


def open_cpu_session(model: bytes, threads: int) -> Any:
    """Open a graph that was tried (`bci.decoder.probe`) on the CPU, within the bound on this process's memory.

    Raises
    ------
    ProviderError
        If it does not load.
    """
    options = _session_options(threads)
    _cap_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    return _open_session(model, options, ["CPUExecutionProvider"])


class CpuRunner:
    """Runs the graphs on the CPU, on as many threads as the bundle says and no more."""

    #: What a latent, (1, d), passes between the readout and the generator; ``read`` then holds it as it was.
    correct: Callable[[Floats], Floats] | None = None

    def __init__(self, models: Models, chain: Chain, options: Options) -> None:
        self._steps = [
            (open_cpu_session(model, options.cpu.threads).run, chain.input_of(role), chain.outputs(role))
            for role, model, _ in models
        ]
        self._taken = chain.taken
        self.settings: Mapping[str, Any] = {
            "provider": "CPUExecutionProvider",
            "threads": options.cpu.threads,
            "execution": "sequential",
            "spinning": False,
            "deterministic": True,
            "arena_bytes": _cap_arena(),
        }

    def __call__(self, window: Floats) -> dict[str, Floats]:
        """Return what the graphs make of one window; see `Runner`."""
        tensors = {self._taken: window}
        try:
            for run, taken, given in self._steps:
                for name, array in zip(given, run(given, {taken: tensors[taken]}), strict=True):
                    tensors[name] = array
                if self.correct is not None and taken == self._taken:
                    tensors["read"] = tensors["latent"]
                    tensors["latent"] = self.correct(tensors["latent"])
        except Exception as error:
            raise ProviderError(_stopped("CPUExecutionProvider", error)) from error
        return tensors


class CudaRunner:
    """Runs the graphs on an NVIDIA GPU with fixed buffers in its memory."""

    def __init__(self, models: Models, chain: Chain, options: Options) -> None:
        import onnxruntime

        require_cuda()
        # The CUDA and cuDNN libraries of the NVIDIA wheels lie where the loader does not look.
        onnxruntime.preload_dlls()
        flow = sorted({operator for _, _, facts in models for operator in facts.control_flow})
        wants_graph = options.cuda.graph and not flow
        sessions = [self._open(model, options, graph=wants_graph) for _, model, _ in models]
        # Memory on the device comes last: asking for it where there is no device is no ProviderError.
        self._on_device = {
            name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, "cuda", 0)
            for name, shape in chain.sizes().items()
        }
        self._taken = chain.taken
        self._wanted = [name for role, _, _ in models for name in chain.outputs(role)]
        self._steps: list[tuple[Callable[[Any], None], Any]] = []
        for (role, _, _), session in zip(models, sessions, strict=True):
            binding = session.io_binding()
            taken = chain.input_of(role)
            binding.bind_ortvalue_input(taken, self._on_device[taken])
            for name in chain.outputs(role):
                binding.bind_ortvalue_output(name, self._on_device[name])
            self._steps.append((session.run_with_iobinding, binding))
        chosen = [session.get_provider_options()["CUDAExecutionProvider"] for session in sessions]
        self.settings: Mapping[str, Any] = {
            "provider": "CUDAExecutionProvider",
            "device": device_name(),
            "options": chosen,
            "control_flow": flow,
            "deterministic": True,
        }

    def _open(self, model: bytes, options: Options, *, graph: bool) -> Any:
        settings = {
            "device_id": "0",
            "use_tf32": str(int(options.cuda.tf32)),
            "cudnn_conv_algo_search": options.cuda.convolution.upper(),
            "enable_cuda_graph": str(int(graph)),
        }
        try:
            session = _open_session(model, _session_options(1), [("CUDAExecutionProvider", settings)])
        except ProviderError:
            # A node that only the CPU can run forbids a CUDA graph, and only loading the graph tells.
            if graph:
                return self._open(model, options, graph=False)
            raise
        if "CUDAExecutionProvider" not in session.get_providers():
            raise ProviderError(
                f"expected the graphs on CUDAExecutionProvider, came {', '.join(session.get_providers())}. "
                "Check the driver and its libraries (bci doctor), or ask for 'cpu'."
            )
        return session

    def __call__(self, window: Floats) -> dict[str, Floats]:
        """Return what the graphs make of one window; see `Runner`."""
        try:
            self._on_device[self._taken].update_inplace(window)
            for run, binding in self._steps:
                run(binding)
            return {name: self._on_device[name].numpy() for name in self._wanted}
        except Exception as error:
            raise ProviderError(_stopped("CUDAExecutionProvider", error)) from error


def require_cuda() -> None:
    """Raise when this machine's ONNX Runtime cannot run on an NVIDIA GPU.

    Raises
    ------
    ProviderError
        Naming the providers that are there.
    """
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" not in there:
        raise ProviderError(
            f"expected ONNX Runtime with CUDAExecutionProvider, came {onnxruntime.__version__} with "
            f"{', '.join(there)}. Install the extra 'gpu' in place of 'cpu' on a machine with an NVIDIA GPU, "
            "or ask for the provider 'cpu'."
        )


def device_name() -> str:
    """Return name and driver of the first NVIDIA GPU as its driver gives them; empty when it does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    done = subprocess.run(
        [tool, "--id=0", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> dict[str, str]:
    """Return what of this machine can change the last bits of a result: processor, its features, libraries."""
    import hashlib
    import platform

    import onnxruntime

    facts = {
        "onnxruntime": str(onnxruntime.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": platform.processor() or platform.machine(),
    }
    described = Path("/proc/cpuinfo")
    if described.is_file():
        first = described.read_text(errors="replace").split("\n\n")[0]
        lines = {
            key.strip(): value.strip()
            for key, _, value in (line.partition(":") for line in first.splitlines())
        }
        facts["cpu"] = lines.get("model name", facts["cpu"])
        flags = " ".join(sorted(lines.get("flags", lines.get("Features", "")).split()))
        facts["cpu_features"] = hashlib.sha256(flags.encode()).hexdigest()[:16]
    return facts

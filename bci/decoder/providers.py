"""A Runner holds a bundle's graphs ready on one compute provider and passes windows through them.

On a CPU, plain `run` on one thread without spinning: I/O binding costs 28 µs a call there and saves nothing.
On an NVIDIA GPU, `bci.decoder.cuda_runner`. A Runner that was asked for CUDA runs on CUDA or does not exist.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from bci.decoder.cuda import CardSettings
from bci.decoder.sandbox import Chain
from bci.decoder.spec import Options
from bci.decoder.wire import GraphFacts
from bci.errors import ProviderError
from bci.io.files.capped import printable

Provider = Literal["cpu", "cuda"]

Floats = NDArray[np.float32]

#: By name; `bci.decoder.sandbox.Chain` gives sizes and types.
Tensors = dict[str, NDArray[Any]]

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

    @property
    def lends(self) -> bool:
        """Whether what a call returns is overwritten by the next one."""
        ...

    def again(self) -> None:
        """Run the last window once more where pauses make a provider slow; its results are left."""
        ...

    def __call__(self, window: Floats) -> Tensors:
        """Return every tensor that `bci.decoder.sandbox.Chain.outputs` names, such as ``latent`` (1, d).

        Parameters
        ----------
        window : (1, length, *pipeline output shape) float32, or (1, d) float32
            What the first graph takes, C-contiguous.
        """
        ...


def open_runner(
    provider: Provider,
    models: Models,
    chain: Chain,
    options: Options,
    card: CardSettings | None = None,
    reduced: Collection[str] = (),
) -> Runner:
    """Load the graphs on one compute provider.

    Parameters
    ----------
    provider : str
        ``cpu`` or ``cuda``.
    models, chain, options
        Of the bundle.
    card : CardSettings, optional
        On which card, and how much of it they may take.
    reduced : collection of str
        Roles of graphs that may compute in less than float32: on a card they get its tensor cores.

    Raises
    ------
    ProviderError
        If the provider is not there, or the graphs do not run on it.
    """
    if provider == "cpu":
        return CpuRunner(models, chain, options)
    if provider == "cuda":
        from bci.decoder.cuda_runner import CudaRunner

        return CudaRunner(models, chain, options, card or CardSettings(), reduced)
    raise ProviderError(
        f"expected the provider 'cpu' or 'cuda', came {provider!r}. Correct it in the session file."
    )


def session_options(threads: int) -> Any:
    """Return what every session is opened with: in order, on so many threads, without spinning."""
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


def open_session(model: bytes, options: Any, providers: list[Any]) -> Any:
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


def stopped(provider: str, error: Exception) -> str:
    """Return the words for a graph that failed with a window."""
    return f"expected graphs that run on {provider} with every window, came: {printable(error)}. Check the bundle."


def open_cpu_session(model: bytes, threads: int) -> Any:
    """Open a graph that was tried (`bci.decoder.probe`) on the CPU, within the bound on this process's memory.

    Raises
    ------
    ProviderError
        If it does not load.
    """
    options = session_options(threads)
    _cap_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    return open_session(model, options, ["CPUExecutionProvider"])


class CpuRunner:
    """Runs the graphs on the CPU, on as many threads as the bundle says and no more."""

    #: What a latent, (1, d), passes between the readout and the generator; ``read`` then holds it as it was.
    correct: Callable[[Floats], Floats] | None = None
    lends = False

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

    def again(self) -> None:
        """Do nothing: a processor is not slower after a pause by more than its caches."""

    def __call__(self, window: Floats) -> Tensors:
        """Return what the graphs make of one window; see `Runner`."""
        tensors: Tensors = {self._taken: window}
        try:
            for run, taken, given in self._steps:
                for name, array in zip(given, run(given, {taken: tensors[taken]}), strict=True):
                    tensors[name] = array
                if self.correct is not None and taken == self._taken:
                    tensors["read"] = tensors["latent"]
                    tensors["latent"] = self.correct(tensors["latent"])
        except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
            raise ProviderError(stopped("CPUExecutionProvider", error)) from error
        return tensors


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

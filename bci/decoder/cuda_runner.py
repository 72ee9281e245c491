"""A CudaRunner runs a bundle's graphs on an NVIDIA card, with fixed buffers in its memory.

The window is copied from pinned memory, readout and generator run, and the picture is copied back to pinned memory, all
on one stream (`bci.decoder.cuda_stream`) and with one wait at the end; the latent stays on the card. A CUDA graph is
captured where the network allows one; where it does not, the record says why. ONNX Runtime promises no determinism on a
card: whether runs give the same bits is measured when the graphs are loaded, and recorded. Not run on a card yet:
`python -m benchmarks.gpu` checks it there.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.cuda import PROVIDER, CardSettings, describe_card, libraries, require_cuda
from bci.decoder.cuda_stream import CudaStream
from bci.decoder.providers import Floats, Models, Tensors, open_session, session_options, stopped
from bci.decoder.sandbox import Chain
from bci.decoder.spec import Options
from bci.errors import ProviderError

#: How often one window is run at load, to see whether its bits repeat; the first few capture the CUDA graph.
REPEATS = 10
#: Runs within which ONNX Runtime captures a CUDA graph: two to settle memory, the capture, and one of the graph.
_CAPTURED_WITHIN = 4


class CudaRunner:
    """Runs the graphs on an NVIDIA card; see `bci.decoder.providers.Runner`.

    Parameters
    ----------
    models, chain, options
        As `bci.decoder.providers.open_runner`.
    card : CardSettings
        Which card, and how much of it.
    reduced : collection of str
        Roles of graphs that may compute in less than float32.

    Attributes
    ----------
    settings : mapping
        ``provider``; ``options`` of each graph as ONNX Runtime took them; ``card`` and ``libraries``, what computes;
        ``copies``: ``pinned, one wait``, or why ONNX Runtime copies; ``cuda_graph`` of each graph: ``captured``, or why
        not; ``repeats``: ``runs`` of one window at load and whether they were ``equal`` to the bit.
    lends : bool
        What a call returns is overwritten by the next one.
    """

    lends = True

    def __init__(
        self,
        models: Models,
        chain: Chain,
        options: Options,
        card: CardSettings,
        reduced: Collection[str] = (),
    ) -> None:
        require_cuda(card)
        self._card, self._options = card, options
        self._stream, copies = _open_stream(card)
        flow = sorted({operator for _, _, facts in models for operator in facts.control_flow})
        unwanted = "" if options.cuda.graph else "the bundle asks for none"
        unwanted = unwanted or (f"control flow: {', '.join(flow)}" if flow else "")
        sessions = self._load(models, chain, unwanted, reduced)
        self.settings: Mapping[str, Any] = {
            "provider": PROVIDER,
            "options": [_lasting(session.get_provider_options()[PROVIDER]) for session in sessions],
            "card": describe_card(card.device),
            "libraries": libraries(),
            "copies": copies,
            "cuda_graph": self._graphs,
            "repeats": {"runs": REPEATS, "equal": self._repeats(chain.sizes()[chain.taken])},
        }

    def _load(self, models: Models, chain: Chain, unwanted: str, reduced: Collection[str]) -> list[Any]:
        """Open and bind all graphs; once more without CUDA graphs where one is not captured."""
        self._graphs: list[str] = []
        sessions = [self._open(model, unwanted, tensor_cores=role in reduced) for role, model, _ in models]
        self._bind(models, chain, sessions)
        zeros = np.zeros(chain.sizes()[chain.taken], np.float32)
        try:
            for _ in range(_CAPTURED_WITHIN):
                self(zeros)
        except ProviderError as error:
            if "captured" not in self._graphs:
                raise
            return self._load(models, chain, f"it did not run: {error.__cause__ or error}", reduced)
        return sessions

    def _bind(self, models: Models, chain: Chain, sessions: list[Any]) -> None:
        """Make the buffers, on the card and here, and bind each graph to them."""
        import onnxruntime

        sizes = chain.sizes()
        self._taken = chain.taken
        self._wanted = [name for role, _, _ in models for name in chain.outputs(role)]
        # Memory on the device comes last: asking for it where there is no device is no ProviderError.
        kinds = {name: np.dtype(chain.kind(name)).type for name in (self._taken, *self._wanted)}
        self._on_card = {
            name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                sizes[name], kinds[name], "cuda", self._card.device
            )
            for name in kinds
        }
        self._here: dict[str, NDArray[Any]] = {}
        if self._stream is not None:
            self._here = {name: self._stream.pinned(sizes[name], kinds[name]) for name in self._on_card}
        self._places = {name: value.data_ptr() for name, value in self._on_card.items()}
        self._steps: list[tuple[Callable[..., None], Any]] = []
        for (role, _, _), session in zip(models, sessions, strict=True):
            binding = session.io_binding()
            taken = chain.input_of(role)
            binding.bind_ortvalue_input(taken, self._on_card[taken])
            for name in chain.outputs(role):
                binding.bind_ortvalue_output(name, self._on_card[name])
            self._steps.append((session.run_with_iobinding, binding))
        self._run_options = onnxruntime.RunOptions()
        if self._stream is not None:
            # Or every graph would wait for its own end.
            self._run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def _open(self, model: bytes, unwanted: str, *, tensor_cores: bool) -> Any:
        """Open one graph, with a CUDA graph unless it is unwanted or cannot be."""
        if unwanted:
            self._graphs.append(f"none: {unwanted}")
            return self._session(model, graph=False, tensor_cores=tensor_cores)
        try:
            session = self._session(model, graph=True, tensor_cores=tensor_cores)
        except ProviderError as error:
            # A node that only the CPU can run forbids a CUDA graph, and only loading the graph tells.
            session = self._session(model, graph=False, tensor_cores=tensor_cores)
            self._graphs.append(f"none: {error.__cause__ or error}")
        else:
            self._graphs.append("captured")
        return session

    def _session(self, model: bytes, *, graph: bool, tensor_cores: bool) -> Any:
        # Without TF32 ONNX Runtime leaves the tensor cores out of float16's convolutions too.
        settings = {
            **self._card.options(),
            "use_tf32": str(int(tensor_cores or self._options.cuda.tf32)),
            "cudnn_conv_algo_search": self._options.cuda.convolution.upper(),
            "enable_cuda_graph": str(int(graph)),
        }
        if self._stream is not None:
            settings["user_compute_stream"] = str(self._stream.handle)
        session = open_session(model, session_options(1), [(PROVIDER, settings)])
        if PROVIDER not in (took := session.get_providers()):
            raise ProviderError(
                f"expected the graphs on {PROVIDER}, came {', '.join(took)}. "
                "Check the driver and its libraries (bci doctor), or ask for 'cpu'."
            )
        if tensor_cores and session.get_provider_options()[PROVIDER].get("use_tf32", "1") != "1":
            raise ProviderError(
                "expected a card's tensor cores for tf32 or float16, came ONNX Runtime with use_tf32 = 0, which leaves "
                "them out. Ask for float32."
            )
        return session

    def _repeats(self, shape: list[int]) -> bool:
        """Whether one window gives the same bits every time, another in between."""
        first = np.random.default_rng(0).standard_normal(shape, np.float32)
        found = set()
        for _ in range(REPEATS):
            found.add(b"".join(array.tobytes() for array in self(first).values()))
            self(np.zeros_like(first))
        return len(found) == 1

    def __call__(self, window: Floats) -> Tensors:
        """Return what the graphs make of one window, until the next call; see `bci.decoder.providers.Runner`."""
        try:
            if self._stream is None:
                self._on_card[self._taken].update_inplace(window)
                self._run()
                return {name: self._on_card[name].numpy() for name in self._wanted}
            np.copyto(self._here[self._taken], window)
            self._stream.to_card(self._here[self._taken], self._places[self._taken])
            self._run()
            for name in self._wanted:
                self._stream.from_card(self._places[name], self._here[name])
            self._stream.wait()
            return {name: self._here[name] for name in self._wanted}
        except ProviderError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
            raise ProviderError(stopped(PROVIDER, error)) from error

    def again(self) -> None:
        """Run the last window once more and leave its results: a card that pauses lowers its clocks."""
        try:
            self._run()
            if self._stream is not None:
                self._stream.wait()
        except ProviderError:
            raise
        except Exception as error:  # here too, since ONNX Runtime has no base class of its exceptions
            raise ProviderError(stopped(PROVIDER, error)) from error

    def _run(self) -> None:
        for run, binding in self._steps:
            run(binding, self._run_options)


def _open_stream(card: CardSettings) -> tuple[CudaStream | None, str]:
    """Return a stream on the card, and how copies are made; none where the CUDA runtime cannot be called."""
    try:
        return CudaStream(card.device), "pinned, one wait"
    except ProviderError as error:
        return None, f"by ONNX Runtime, each waited for: {error}"


def _lasting(options: Mapping[str, str]) -> dict[str, str]:
    """Return a session's options without the address of its stream, which is another in every process."""
    return {name: value for name, value in options.items() if name != "user_compute_stream"}

"""A CudaRunner runs a bundle's graphs on an NVIDIA card, with fixed buffers in its memory.

I/O binding, the latent staying on the card between readout and generator, and a CUDA graph where the network allows
one; where it does not, the record says why. ONNX Runtime promises no determinism on a card: whether runs give the same
bits is measured when the graphs are loaded, and recorded. Not run on a card yet: `python -m benchmarks.gpu` checks it
there.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bci.decoder.cuda import PROVIDER, CardSettings, describe_card, libraries, require_cuda
from bci.decoder.providers import Floats, Models, open_session, session_options, stopped
from bci.decoder.sandbox import Chain
from bci.decoder.spec import Options
from bci.errors import ProviderError

#: How often one window is run at load, to see whether its bits repeat; the first few capture the CUDA graph.
REPEATS = 10


class CudaRunner:
    """Runs the graphs on an NVIDIA card; see `bci.decoder.providers.Runner`.

    Parameters
    ----------
    models, chain, options
        As `bci.decoder.providers.open_runner`.
    card : CardSettings
        Which card, and how much of it.

    Attributes
    ----------
    settings : mapping
        ``provider``; ``options`` of each graph as ONNX Runtime took them; ``card`` and ``libraries``, what computes;
        ``cuda_graph`` of each graph: ``captured``, or why not; ``repeats``: ``runs`` of one window at load and whether
        they were ``equal`` to the bit.
    """

    def __init__(self, models: Models, chain: Chain, options: Options, card: CardSettings) -> None:
        import onnxruntime

        require_cuda(card)
        self._card, self._options = card, options
        self._graphs: list[str] = []
        flow = sorted({operator for _, _, facts in models for operator in facts.control_flow})
        unwanted = "" if options.cuda.graph else "the bundle asks for none"
        unwanted = unwanted or (f"control flow: {', '.join(flow)}" if flow else "")
        sessions = [self._open(model, unwanted) for _, model, _ in models]
        # Memory on the device comes last: asking for it where there is no device is no ProviderError.
        self._on_device = {
            name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, "cuda", card.device)
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
        self.settings: Mapping[str, Any] = {
            "provider": PROVIDER,
            "options": [session.get_provider_options()[PROVIDER] for session in sessions],
            "card": describe_card(card.device),
            "libraries": libraries(),
            "cuda_graph": self._graphs,
            "repeats": {"runs": REPEATS, "equal": self._repeats(chain.sizes()[chain.taken])},
        }

    def _open(self, model: bytes, unwanted: str) -> Any:
        """Open one graph, with a CUDA graph unless it is unwanted or cannot be."""
        if unwanted:
            self._graphs.append(f"none: {unwanted}")
            return self._session(model, graph=False)
        try:
            session = self._session(model, graph=True)
        except ProviderError as error:
            # A node that only the CPU can run forbids a CUDA graph, and only loading the graph tells.
            session = self._session(model, graph=False)
            self._graphs.append(f"none: {error.__cause__ or error}")
        else:
            self._graphs.append("captured")
        return session

    def _session(self, model: bytes, *, graph: bool) -> Any:
        settings = {
            **self._card.options(),
            "use_tf32": str(int(self._options.cuda.tf32)),
            "cudnn_conv_algo_search": self._options.cuda.convolution.upper(),
            "enable_cuda_graph": str(int(graph)),
        }
        session = open_session(model, session_options(1), [(PROVIDER, settings)])
        if PROVIDER not in (took := session.get_providers()):
            raise ProviderError(
                f"expected the graphs on {PROVIDER}, came {', '.join(took)}. "
                "Check the driver and its libraries (bci doctor), or ask for 'cpu'."
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

    def __call__(self, window: Floats) -> dict[str, Floats]:
        """Return what the graphs make of one window; see `bci.decoder.providers.Runner`."""
        try:
            self._on_device[self._taken].update_inplace(window)
            for run, binding in self._steps:
                run(binding)
            return {name: self._on_device[name].numpy() for name in self._wanted}
        except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
            raise ProviderError(stopped(PROVIDER, error)) from error

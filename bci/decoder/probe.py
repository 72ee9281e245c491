"""A probe tries the graphs of a bundle or of a generator's package in a capped child (see `bci.io.files.capped`).

Nothing else loads them before. The child (`bci.decoder.sandbox`) reads, loads and runs them. What the values of a
later window make a graph allocate is bounded apart from this, by the arena in `bci.decoder.providers`.
"""

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bci.decoder.sandbox import Chain
from bci.decoder.spec import BundleSpec, Precision
from bci.decoder.wire import GraphFacts
from bci.errors import BundleError, ProviderError
from bci.io.files.capped import ChildLimits, ask

#: Seconds that a trial may take; a demo bundle takes 0.2.
TIME_LIMIT_S = 60.0

#: Bytes for any graph: Python, NumPy and ONNX Runtime map 0.2 GiB; the rest is for activations.
BASE_BYTES = 2 * 2**30
#: Bytes for each byte of a file: weights are held as bytes, parsed, optimised and pre-packed at the same time.
PER_BYTE = 8


def chain_of(spec: BundleSpec, window: tuple[int, ...], precision: Precision = "float32") -> Chain:
    """Return the chain that runs at `precision`; a graph without a float16 twin stays in float32.

    Parameters
    ----------
    spec : BundleSpec
        Whose graphs and sizes.
    window : tuple of int
        Shape of one window of the pipeline's output, samples first.
    precision : str
        ``float32`` or ``float16``.
    """
    graphs = [
        spec.graph(role, precision) or spec.graph(role)
        for role in ("readout", "generator", "whole", "drawing")
    ]
    return Chain(
        graphs=tuple((g.role, g.file, spec.files[g.file]) for g in graphs if g is not None),
        window=window,
        latent=spec.latent,
        image=(spec.image.height, spec.image.width),
        confidence=spec.confidence.kind != "none",
        values=spec.result.output,
        values_shape=spec.result.output_shape(spec.latent),
        novelty=spec.novelty is not None,
    )


def probe(
    folder: Path, chains: Sequence[Chain], *, time_limit_s: float = TIME_LIMIT_S
) -> dict[str, GraphFacts]:
    """Try every chain in a capped child process.

    Parameters
    ----------
    folder : Path
        Where the graphs lie.
    chains : sequence of Chain
        What to try; inputs and outputs must have exactly the sizes stated.
    time_limit_s : float
        Seconds after which the child is killed.

    Returns
    -------
    dict of str to GraphFacts
        What each file says about itself.

    Raises
    ------
    BundleError
        If a graph is damaged, keeps tensors in other files, does not have the stated inputs and outputs, gives
        another result the second time, or wants more memory or time than it may have.
    ProviderError
        If ONNX Runtime is not installed.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ProviderError(
            "decoding needs ONNX Runtime, and it is not installed here. Install the project with its extra 'cpu' "
            "(any machine) or 'gpu' (NVIDIA), never both."
        )
    files = {name for chain in chains for _, name, _ in chain.graphs}
    arrays = sum(4 * math.prod(shape) for chain in chains for shape in chain.sizes().values())
    limits = ChildLimits(
        memory=BASE_BYTES + PER_BYTE * (sum((folder / name).stat().st_size for name in files) + arrays),
        seconds=time_limit_s,
        expected="graphs that load and run",
        advice="Do not use it, or reduce its networks.",
    )
    request = {"folder": str(folder.resolve()), "chains": [asdict(c) for c in chains]}
    report = ask("bci.decoder.sandbox", request, limits, lambda words: BundleError(f"{folder}: {words}"))
    return {name: GraphFacts.from_plain(facts) for name, facts in report["facts"].items()}

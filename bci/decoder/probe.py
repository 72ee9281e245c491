"""A probe tries the graphs of a bundle or of a generator's package in a capped child (see `bci.io.files.capped`).

Nothing else loads them before. The child (`bci.decoder.sandbox`) reads, loads and runs them. What the values of a
later window make a graph allocate is bounded apart from this, by the arena in `bci.decoder.providers`.
"""

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bci.decoder.sandbox import Chain
from bci.decoder.spec import BundleSpec, Precision
from bci.decoder.wire import GraphFacts
from bci.errors import BundleError, ProviderError
from bci.io.files.capped import ChildLimits, ask

#: Seconds of processor time that a trial may take, whatever its files; a demo bundle takes 0.2.
TIME_LIMIT_S = 60.0
#: Seconds for each million bytes of file beside these: a large generator is loaded, optimised and run three times.
PER_MEGABYTE_S = 0.5
#: What the environment may say in their place, seconds: for a machine that needs longer.
TIME_LIMIT = "BCI_TRIAL_SECONDS"

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
        levels=(spec.image.low, spec.image.high) if spec.pixels else None,
    )


def probe(
    folder: Path, chains: Sequence[Chain], *, time_limit_s: float | None = None
) -> dict[str, GraphFacts]:
    """Try every chain in a capped child process.

    Parameters
    ----------
    folder : Path
        Where the graphs lie.
    chains : sequence of Chain
        What to try; inputs and outputs must have exactly the sizes stated.
    time_limit_s : float, optional
        Seconds after which the child is killed; by default `time_limit` of its files' size.

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
    stored = sum((folder / name).stat().st_size for name in files)
    limits = ChildLimits(
        memory=BASE_BYTES + PER_BYTE * (stored + arrays),
        seconds=time_limit(stored) if time_limit_s is None else time_limit_s,
        expected="graphs that load and run",
        advice=f"Do not use it, or reduce its networks; where only time is short, set {TIME_LIMIT}.",
    )
    request = {"folder": str(folder.resolve()), "chains": [asdict(c) for c in chains]}
    report = ask("bci.decoder.sandbox", request, limits, lambda words: BundleError(f"{folder}: {words}"))
    return {name: GraphFacts.from_plain(facts) for name, facts in report["facts"].items()}


def time_limit(stored: int) -> float:
    """Return how many seconds of processor time the trial of files of so many bytes may take.

    Raises
    ------
    ProviderError
        If the environment's `TIME_LIMIT` is no number of seconds.
    """
    said = os.environ.get(TIME_LIMIT)
    if said is None:
        return TIME_LIMIT_S + PER_MEGABYTE_S * stored / 1e6
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ProviderError(
            f"{TIME_LIMIT}: expected seconds above 0, came {said!r}. Correct it, or leave it out."
        )
    return seconds

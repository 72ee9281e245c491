"""A probe tries a bundle's graphs in a process of its own, where they can neither fill memory nor hang.

A 100-byte ONNX model can ask for 64 GiB or loop for ever, and whoever loads it pays. So a bundle's graphs are
first read, loaded and run by a child process (`bci.decoder.trial`) that may use so much memory and so many
seconds and no more: ``RLIMIT_AS`` bounds it on Linux, and everywhere the parent looks at its memory every few
milliseconds and kills it. What the values of a later window make a graph allocate is bounded apart from this,
by the arena in `bci.decoder.providers`.
"""

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import IO

import psutil

from bci.decoder.spec import BundleSpec, Precision
from bci.decoder.trial import Chain
from bci.decoder.wire import GraphFacts
from bci.errors import BundleError, ProviderError

#: Seconds that a trial may take; a demo bundle takes 0.2.
TIME_LIMIT_S = 60.0

# Python, NumPy and ONNX Runtime map 0.2 GiB; the rest is for activations.
_BASE_BYTES = 2 * 2**30
# Weights are held as bytes, parsed, optimised and pre-packed at the same time.
_PER_BYTE = 8

_LOOK_EVERY_S = 0.01


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
    graphs = [spec.graph(role, precision) or spec.graph(role) for role in ("readout", "generator", "whole")]
    return Chain(
        graphs=tuple((g.role, g.file, spec.files[g.file]) for g in graphs if g is not None),
        window=window,
        latent=spec.latent,
        image=(spec.image.height, spec.image.width),
        confidence=spec.confidence.kind != "none",
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
    limit = _BASE_BYTES + _PER_BYTE * (sum((folder / name).stat().st_size for name in files) + arrays)
    request = {"folder": str(folder.resolve()), "chains": [asdict(c) for c in chains], "memory": limit}
    # Files, not pipes: nobody reads while the child works, and a full pipe would stop it.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as log:
        asked.write(json.dumps(request).encode())
        asked.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "bci.decoder.trial"],
            stdin=asked,
            stdout=said,
            stderr=log,
            env=_environment(),
        )
        try:
            _watch(child, limit, time_limit_s, folder)
        finally:
            child.kill()
            child.wait()
        answer = _last_line(said)
        if child.returncode != 0 or not answer:
            raise BundleError(
                f"{folder}: expected graphs that load and run, but the process that tried them ended with exit "
                f"status {child.returncode} ({_last_line(log) or 'no message'}). Do not use this bundle."
            )
    report = json.loads(answer)
    if "refused" in report:
        raise BundleError(f"{folder}: {report['refused']}")
    return {
        name: GraphFacts(MappingProxyType(f["nodes"]), MappingProxyType(f["opsets"]), f["external"])
        for name, f in report["facts"].items()
    }


def _environment() -> dict[str, str]:
    """Return the child's environment: it finds this package, and its libraries start no threads of their own."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _watch(child: "subprocess.Popen[bytes]", limit: int, time_limit_s: float, folder: Path) -> None:
    """Wait for the child to end; refuse when it takes more memory or time than it may."""
    deadline = time.monotonic() + time_limit_s
    process = psutil.Process(child.pid)
    while True:
        try:
            child.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        try:
            held = process.memory_info().rss
        except psutil.Error:
            continue  # it ended between the wait and the look
        if held > limit:
            raise BundleError(
                f"{folder}: expected graphs that load and run in {limit / 2**30:.3g} GiB, came more. "
                "Do not use this bundle, or reduce its networks."
            )
        if time.monotonic() > deadline:
            raise BundleError(
                f"{folder}: expected graphs that load and run within {time_limit_s:g} s, and they had not ended "
                "then. Do not use this bundle, or try it on a faster machine."
            )


def _last_line(file: IO[bytes]) -> str:
    """Return the last line that is not empty."""
    file.seek(0)
    lines = file.read().decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")

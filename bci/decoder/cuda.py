"""An NVIDIA card, looked for properly: its libraries are loaded first, then it is asked, then a graph is run on it.

ONNX Runtime lists CUDA among its providers also where no driver, no card or no CUDA library is, prints what is missing,
and goes on with the processor. Here all of that is one sentence: "no usable card: …".
"""

import contextlib
import functools
import io
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bci.errors import ProviderError
from bci.io.files.capped import printable

PROVIDER = "CUDAExecutionProvider"

#: The least compute capability of cards that have tensor cores for a precision (CUDA C++ Programming Guide).
TENSOR_CORES = MappingProxyType({"float16": 7.0, "tf32": 8.0})

#: Seconds that the driver's own tool may take to answer; a card that hangs never does.
_ANSWERS_WITHIN_S = 30


@dataclass(frozen=True)
class CardSettings:
    """A CardSettings says which card a session's decoder runs on, and how much of it it may take.

    Attributes
    ----------
    device : int
        Number of the card among those that CUDA sees (``CUDA_VISIBLE_DEVICES``), from 0.
    memory_mb : int, optional
        The most memory of it that the graphs may allocate; None leaves that open.
    """

    device: int = 0
    memory_mb: int | None = None

    def options(self) -> dict[str, str]:
        """Return the same for ONNX Runtime."""
        limit = {} if self.memory_mb is None else {"gpu_mem_limit": str(self.memory_mb * 2**20)}
        return {"device_id": str(self.device), **limit}


@functools.cache
def preload() -> str:
    """Load the libraries of CUDA and cuDNN that came as packages; return what that said, on one line, else nothing."""
    import onnxruntime

    # Numbered as `nvidia-smi` numbers them, or it would speak of another card than the one that computes.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if not hasattr(onnxruntime, "preload_dlls"):
        return ""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            onnxruntime.preload_dlls()
        except Exception as error:  # whatever the loader raises about a library
            return printable(error)
    return " ".join(said.getvalue().split())


def require_cuda(card: CardSettings | None = None) -> None:
    """Raise when this machine's ONNX Runtime cannot run a graph on an NVIDIA card.

    Raises
    ------
    ProviderError
        Saying why there is none that can be used.
    """
    if why := _unusable(card or CardSettings()):
        raise ProviderError(
            f"no usable card: {why}. Install the extra 'gpu' in place of 'cpu' (python3 run.py --gpu setup) on a "
            "machine with an NVIDIA card and its driver, 580 or newer, or ask for the provider 'cpu'."
        )


def _unusable(card: CardSettings) -> str:
    """Return why no graph can run on the card; nothing where one has run."""
    import onnxruntime

    said = preload()
    there = onnxruntime.get_available_providers()
    if PROVIDER not in there:
        return (
            f"expected ONNX Runtime with {PROVIDER}, came {onnxruntime.__version__} with {', '.join(there)}"
        )
    if os.environ.get("CUDA_VISIBLE_DEVICES") is not None and not visible(card.device):
        hidden = os.environ["CUDA_VISIBLE_DEVICES"]
        return f"CUDA_VISIBLE_DEVICES={hidden!r} hides card {card.device}"
    try:
        ran = _run_on(card)
    except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
        return "; ".join(filter(None, (printable(error), said)))
    return "; ".join(filter(None, (ran, said))) if ran else ""


def _run_on(card: CardSettings) -> str:
    """Run a convolution on the card; return what was wrong with it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a provider is not there is said below, in our words
        session = onnxruntime.InferenceSession(
            trial_graph(), options, providers=[(PROVIDER, card.options())], enable_fallback=0
        )
    if PROVIDER not in (took := session.get_providers()):
        return f"expected a graph on {PROVIDER}, came {', '.join(took)}"
    ones = {"x": np.ones((1, 1, 4, 4), np.float32), "w": np.ones((1, 1, 3, 3), np.float32)}
    (given,) = session.run(None, ones)
    return (
        "" if np.array_equal(given, np.full((1, 1, 2, 2), 9.0)) else f"3 × 3 ones add up to {given.flat[0]:g}"
    )


def visible(device: int) -> str:
    """Return what the driver's tool calls the card that CUDA numbers `device`; empty where it is hidden."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return str(device)
    cards = [card.strip() for card in named.split(",")]
    seen = cards[: next((i for i, card in enumerate(cards) if card in ("", "-1")), len(cards))]
    return seen[device] if device < len(seen) else ""


def describe_card(device: int = 0) -> dict[str, str]:
    """Return what a card's driver says of it; empty when it does not answer.

    ``name``, ``driver``, ``memory``, and ``compute``, NVIDIA's number for what it can do: 8.0 and more compute tf32.
    """
    tool, card = shutil.which("nvidia-smi"), visible(device)
    if tool is None or not card:
        return {}
    words = [
        tool,
        f"--id={card}",
        "--query-gpu=name,driver_version,memory.total,compute_cap",
        "--format=csv,noheader",
    ]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_ANSWERS_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    facts = [fact.strip() for fact in done.stdout.strip().splitlines()[:1] for fact in fact.split(",")]
    return (
        dict(zip(("name", "driver", "memory", "compute"), facts, strict=False))
        if done.returncode == 0
        else {}
    )


def lacks(precision: str, card: Mapping[str, str]) -> str:
    """Return why a card gains nothing by a precision; nothing where it has tensor cores for it, or does not say.

    Parameters
    ----------
    precision : str
        ``float32``, ``tf32`` or ``float16``.
    card : mapping
        As `describe_card` gives it.

    Examples
    --------
    >>> lacks("tf32", {"name": "Tesla T4", "compute": "7.5"})
    'Tesla T4 computes no tf32: its compute capability is 7.5, and 8.0 is the least'
    >>> lacks("float16", {"name": "Tesla T4", "compute": "7.5"}), lacks("tf32", {})
    ('', '')
    """
    least = TENSOR_CORES.get(precision)
    try:
        compute = float(card.get("compute", ""))
    except ValueError:
        return ""
    if least is None or compute >= least:
        return ""
    what = "computes no tf32" if precision == "tf32" else "has no tensor cores for float16"
    return f"{card.get('name', 'the card')} {what}: its compute capability is {compute:g}, and {least} is the least"


def libraries() -> dict[str, str]:
    """Return the versions of the packages that hold CUDA and cuDNN, and of the CUDA that ONNX Runtime was built for."""
    from importlib.metadata import distributions

    import onnxruntime

    found = {"built_for_cuda": str(getattr(onnxruntime, "cuda_version", "") or "")}
    for installed in distributions():
        name = (installed.metadata["Name"] or "").lower()
        if name.startswith("nvidia-"):
            found[name] = installed.version
    return dict(sorted(found.items()))


def trial_graph() -> bytes:
    """Return an ONNX graph of one convolution: ``x`` (1, 1, 4, 4) with ``w`` (1, 1, 3, 3).

    It needs cuDNN, and no package that writes ONNX is needed for it: a session's machine has none.
    """
    node = _message((1, b"x"), (1, b"w"), (2, b"y"), (4, b"Conv"))
    values = [(11, _tensor(b"x", (1, 1, 4, 4))), (11, _tensor(b"w", (1, 1, 3, 3)))]
    graph = _message((1, node), (2, b"trial"), *values, (12, _tensor(b"y", (1, 1, 2, 2))))
    return _message((1, 8), (7, graph), (8, _message((1, b""), (2, 17))))


def _tensor(name: bytes, shape: Iterable[int]) -> bytes:
    """Return the description of a float32 tensor."""
    sizes = _message(*((1, _message((1, size))) for size in shape))
    return _message((1, name), (2, _message((1, _message((1, 1), (2, sizes))))))


def _message(*fields: tuple[int, Any]) -> bytes:
    """Return a protocol-buffer message of small numbers and short strings, by their field numbers."""
    parts = []
    for number, value in fields:
        if isinstance(value, bytes):
            parts.append(bytes([number << 3 | 2]) + _length(len(value)) + value)
        else:
            parts.append(bytes([number << 3, value]))
    return b"".join(parts)


def _length(size: int) -> bytes:
    return bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])

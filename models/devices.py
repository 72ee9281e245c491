"""A device is where networks learn: this machine's processor, or an NVIDIA card that torch can use.

On a processor equal settings and threads give equal weights. On a card torch is asked for kernels that repeat their
bits; an operation that has none warns by its name, and then bits are not promised. Not run on a card yet.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from bci.errors import ConfigError


def device_of(name: str) -> torch.device:
    """Return the device that networks learn on: ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    if name not in ("cpu", "cuda"):
        raise ConfigError(
            f"device: expected 'cpu' or 'cuda', came {name!r}. Correct it in the training file."
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device: expected an NVIDIA card that torch can use, came none. Say device = 'cpu'."
        )
    return torch.device(name)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Ask a card for kernels that give the same bits again, in full float32; a processor has no others."""
    if device.type != "cuda":
        yield
        return
    # cuBLAS reads it when its first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before[2:]


def mixed(device: torch.device, precision: Literal["float32", "bfloat16"]) -> AbstractContextManager[object]:
    """Return the context of a forward pass: bfloat16 where it is asked for, sums and weights in float32.

    Raises
    ------
    ConfigError
        If bfloat16 is asked for elsewhere than on a card.
    """
    if precision == "float32":
        return nullcontext()
    if device.type != "cuda":
        raise ConfigError(
            "expected an NVIDIA GPU for precision bfloat16, came none. Set precision = 'float32'."
        )
    return torch.autocast(device.type, torch.bfloat16)

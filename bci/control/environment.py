"""The environment of a session is the machine and the library versions that can change its results."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pylsl

#: Distributions whose version can change a sample, a latent, a pixel or a stamp.
PACKAGES = (
    "closed-loop-bci", "numpy", "scipy", "mne", "pylsl", "pyxdf", "onnxruntime", "onnxruntime-gpu",
    "pygame-ce", "pillow", "pydantic", "torch",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """Return machine, interpreter and library versions; an absent package is left out."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "liblsl": pylsl.library_version(),
        "packages": packages,
    }


def processor_name() -> str:
    """Return the processor's own name where the system tells it."""
    if sys.platform.startswith("linux"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor()

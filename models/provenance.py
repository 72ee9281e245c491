"""Provenance of a result, as bundles, packages and reports state it: versions of libraries, hashes of arrays."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.providers import machine


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of Python and of each installed package."""
    return {"python": sys.version.split()[0]} | {name: version(name) for name in packages}


def processor() -> dict[str, str]:
    """Return what of this machine decides last digits, beside libraries: system, processor, a hash of its features."""
    facts = machine()
    return {name: facts[name] for name in ("system", "cpu", "cpu_features") if name in facts}


def what_differs(record: Mapping[str, Any], processor_now: Mapping[str, str]) -> str:
    """Return in words what of this machine differs from the one that a training record names.

    Parameters
    ----------
    record : mapping
        ``versions`` of Python and of packages, and ``processor``, which records of old do not have.
    processor_now : mapping
        What `processor` returns.

    Examples
    --------
    >>> what_differs({"processor": {"cpu": "Xeon"}}, {"cpu": "EPYC"})
    'what differs is the cpu (Xeon then, EPYC now)'
    >>> what_differs({"versions": {}}, {"cpu": "EPYC"})
    'the libraries are the same; the processor is not on record, and another one is the likeliest cause'
    """
    then: dict[str, str] = dict(record.get("versions", {}))
    now = {name: sys.version.split()[0] if name == "python" else _installed(name) for name in then}
    known = record.get("processor", {})
    then, now = then | known, now | {name: processor_now.get(name, "unknown") for name in known}
    others = [f"{name} ({then[name]} then, {now[name]} now)" for name in then if then[name] != now[name]]
    if others:
        unknown = "" if known else "; the processor is not on record"
        return f"what differs is the {', the '.join(others)}{unknown}"
    if not known:
        return "the libraries are the same; the processor is not on record, and another one is the likeliest cause"
    return (
        "processor and libraries are the same: the code or the pictures are others than those that trained it"
    )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def digest(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of arrays as they lie in memory, type and shape included: 64 hexadecimal digits.

    >>> digest(np.zeros(2)) == digest(np.zeros((2, 1)))
    False
    """
    made = hashlib.sha256()
    for array in arrays:
        made.update(f"{array.dtype.str} {array.shape}\n".encode())
        made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()

"""Protocols: one experiment per module, each a generator of trials.

A protocol's module defines ``protocol(spec, size) -> Protocol``: `spec` is the session file's ``[experiment]``
section, `size` the height and width of the pictures that the display takes. Its ``count(spec)`` says how many trials
there will be, None where it decides that as it goes.
"""

import importlib
from collections.abc import Mapping
from typing import Any, cast

from bci.errors import ConfigError
from stimuli.trials import Protocol

#: Name in the session file -> module.
PROTOCOLS = {"images": "stimuli.protocols.images"}


def open_protocol(spec: Mapping[str, Any], size: tuple[int, int]) -> Protocol:
    """Return the protocol that a session file names, before its first trial.

    Raises
    ------
    ConfigError
        If there is none of that name, or its settings cannot be used.
    """
    return cast("Protocol", _module(spec).protocol(spec, size))


def count(spec: Mapping[str, Any]) -> int | None:
    """Return how many trials a protocol will ask for, or None where it decides that as it goes.

    Raises
    ------
    ConfigError
        As `open_protocol`, for a name that is not there.
    """
    return cast("int | None", _module(spec).count(spec))


def _module(spec: Mapping[str, Any]) -> Any:
    name = str(spec["protocol"])
    if name not in PROTOCOLS:
        raise ConfigError(f"there is no protocol {name!r}; there are {', '.join(sorted(PROTOCOLS))}")
    return importlib.import_module(PROTOCOLS[name])

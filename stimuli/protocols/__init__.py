"""Protocols: one experiment per module, each a generator of trials.

A protocol's module defines ``protocol(spec, size) -> Protocol``: `spec` is the session file's ``[experiment]``
section, `size` the height and width of the pictures that the display takes.
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
    name = str(spec["protocol"])
    if name not in PROTOCOLS:
        raise ConfigError(f"there is no protocol {name!r}; there are {', '.join(sorted(PROTOCOLS))}")
    return cast("Protocol", importlib.import_module(PROTOCOLS[name]).protocol(spec, size))

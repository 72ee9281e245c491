"""Protocols: one experiment per module, each a generator of trials.

A protocol is three things under one name: its settings, a model of `bci.config.experiment`; its module here, named in
`PROTOCOLS`; and an example in ``configs/``. The module defines ``protocol(spec, palette) -> Protocol``: `spec` is the
session file's ``[experiment]`` section, checked and with its defaults, `palette` what trials may be made of. Its
``count(spec)`` says how many trials there will be, None where the protocol decides that as it goes.

A protocol must give the same trials whenever it is told the same outcomes: after a restart the engine tells it those
that were recorded.
"""

import importlib
from collections.abc import Mapping
from typing import Any, cast

from bci.errors import ConfigError
from stimuli.trials import Palette, Protocol

#: Name in the session file -> module.
PROTOCOLS = {name: f"stimuli.protocols.{name}" for name in ("images", "latents", "staircase", "text")}


def open_protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Return the protocol that a session file names, before its first trial.

    Raises
    ------
    ConfigError
        If there is none of that name, or its settings cannot be used with what the session's bundle can show and read.
    """
    return cast("Protocol", _module(spec).protocol(spec, palette))


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

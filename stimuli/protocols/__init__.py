"""Protocols: one experiment per module, each a generator of trials.

A protocol is three things under one name: its settings, a model of `bci.config.experiment`; its module here, named in
`PROTOCOLS`; and an example in ``configs/``. The module defines ``protocol(spec, palette) -> Protocol``: `spec` is the
session file's ``[experiment]`` section, checked and with its defaults, `palette` what trials may be made of. Its
``count(spec)`` says how many trials there will be, None where the protocol decides that as it goes.

One of the experimenter's own is a file, or a module, that the session file names: `stimuli.protocols.own`.

A protocol must give the same trials whenever it is told the same outcomes: after a restart the engine tells it those
that were recorded.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from bci.errors import ConfigError
from stimuli.protocols.own import load_own, own_settings
from stimuli.trials import Palette, Protocol

#: Name in the session file -> module.
PROTOCOLS = {
    name: f"stimuli.protocols.{name}"
    for name in (
        "evolution", "expected_information", "imagery", "images", "latents", "neurofeedback", "oddball", "perception",
        "staircase", "text",
    )
}  # fmt: skip


def open_protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Return the protocol that a session file names, before its first trial; of several phases, it runs in each.

    Raises
    ------
    ConfigError
        If there is none of that name, or its settings cannot be used with what the session's bundle can show and read.
    """
    module, spec = _module(spec)
    phases = tuple(spec.get("phases") or ())
    if not phases:
        return cast("Protocol", module.protocol(spec, palette))
    # All are opened now: what cannot be shown is refused before the first trial.
    return _in_phases({place: module.protocol(spec, palette) for place in range(len(phases))}, phases)


def count(spec: Mapping[str, Any]) -> int | None:
    """Return how many trials a protocol will ask for, or None where it decides that as it goes.

    Raises
    ------
    ConfigError
        As `open_protocol`, for a name that is not there.
    """
    module, spec = _module(spec)
    counted = getattr(module, "count", None)
    trials = None if counted is None else cast("int | None", counted(spec))
    return trials if trials is None else trials * max(1, len(spec.get("phases") or ()))


def _in_phases(protocols: dict[int, Protocol], phases: Sequence[str]) -> Protocol:
    """Yield the trials of one protocol after the other, each with its phase."""
    for place, phase in enumerate(phases):
        protocol = protocols.pop(place)
        trial = next(protocol, None)
        while trial is not None:
            outcome = yield replace(trial, phase=phase)
            try:
                trial = protocol.send(outcome)
            except StopIteration:
                break


def _module(spec: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return the module of a protocol, and its spec: of one's own, with its own settings checked."""
    name = str(spec["protocol"])
    if "." in name:
        module = load_own(name)
        return module, {**spec, **own_settings(module, spec.get("settings") or {}, name)}
    if name not in PROTOCOLS:
        raise ConfigError(f"there is no protocol {name!r}; there are {', '.join(sorted(PROTOCOLS))}")
    return importlib.import_module(PROTOCOLS[name]), spec

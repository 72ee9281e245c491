"""Settings of protocols as a session file gives them, and their trials when each is shown."""

from pathlib import Path
from typing import Any

from bci.config.session import parse_session
from stimuli.protocols import open_protocol
from stimuli.trials import Ending, Outcome, Palette, Trial

PALETTE = Palette((8, 8), latent=16, reading=16)


def settings(**experiment: Any) -> dict[str, Any]:
    """Return a protocol's settings with their defaults, as a session file would give them."""
    values = {
        "name": "a", "stream": {"source_id": "s"}, "decoder": {"bundle": "b"}, "experiment": experiment,
    }  # fmt: skip
    experiment_settings = parse_session(values, Path("/lab"), "a session").experiment
    assert experiment_settings is not None
    return experiment_settings.model_dump()


def trials(spec: dict[str, Any], palette: Palette = PALETTE, ending: Ending = Ending.SHOWN) -> list[Trial]:
    """Return every trial of a protocol that is told that each was shown, or what else became of it."""
    protocol = open_protocol(spec, palette)
    shown = [next(protocol)]
    while True:
        try:
            shown.append(protocol.send(Outcome(len(shown) - 1, ending, float(len(shown)))))
        except StopIteration:
            return shown

"""Demonstrations are sessions that need no file, no hardware and no screen."""

from pathlib import Path
from typing import Any

from bci.config.session import SessionConfig, parse_session
from bci.errors import ConfigError

#: Single-trial signal-to-noise ratio of the simulated participant: clearly above chance, clearly below perfect.
SNR = 0.4

#: Sessions of the simulated participant that the decoder was trained and scored on come before this one.
_SESSION = 2

#: Seconds of a trial: stimulus, feedback, empty screen.
_STIMULUS_S, _FEEDBACK_S, _BLANK_S, _LEAD_IN_S = 0.4, 0.5, 0.5, 2.0


def closed_loop(snr: float, *, headless: bool, speed: float, seed: int) -> SessionConfig:
    """Return the closed loop in silico: ``configs/hyper-insilico.toml``, every face once.

    Parameters
    ----------
    snr : float
        Signal-to-noise ratio of single trials; 0 for a null run.
    headless : bool
        Without a screen.
    speed : float
        Speed of the participant, and of the trials with it, in times real time.
    seed : int
        Number that fixes the participant's session and the order of the faces.
    """
    faces = shipped("stimuli", "faces")
    timing = {
        "stimulus_s": _STIMULUS_S / speed,
        "feedback_s": _FEEDBACK_S / speed,
        "blank_s": _BLANK_S / speed,
        "lead_in_s": _LEAD_IN_S / speed,
    }
    values: dict[str, Any] = {
        "source": {
            "kind": "insilico",
            "modality": "eeg",
            "subject": 1,
            "session": _SESSION + seed,
            "reference": str(faces / "reference.npy"),
            "snr": snr,
            "speed": speed,
        },
        "decoder": {"bundle": str(shipped("bundles", "hyper-insilico"))},
        "experiment": {"folder": str(faces), "repeats": 1, "seed": seed} | timing,
        "preview": {"kind": "file" if headless else "window"},
    }
    return _session(values, headless)


def alpha(source: dict[str, Any], *, headless: bool) -> SessionConfig:
    """Return the line on the alpha rhythm: an eye that is open or closed, from a simulator or a recording."""
    values = {"source": source, "decoder": {"bundle": str(shipped("bundles", "alpha"))}}
    return _session(values, headless)


def _session(values: dict[str, Any], headless: bool) -> SessionConfig:
    common = {
        "name": "demo",
        "network": "machine",
        "display": {"kind": "headless" if headless else "window"},
    }
    return parse_session(common | values, Path.cwd(), "the demo")


def shipped(kind: str, name: str) -> Path:
    """Return the folder of a bundle or a set of stimuli that comes with the project: ``"bundles"`` or ``"stimuli"``.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    import models

    folder = Path(models.__path__[0]) / kind / name
    if not folder.is_dir():
        raise ConfigError(f"no {kind} named {name!r} come with this installation ({folder} is missing)")
    return folder

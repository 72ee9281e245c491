"""Demonstrations are the shipped examples of session files, made shorter: no file, no hardware and no screen needed."""

from typing import TYPE_CHECKING, Any

from bci.io.shipped import SHIPPED

if TYPE_CHECKING:
    from bci.config.session import SessionConfig

#: Single-trial signal-to-noise ratio of the simulated participant: clearly above chance, clearly below perfect.
SNR = 0.4

#: What is said of a ratio at which trials are refused: some at 1.2, nearly all at 2.
TOO_CLEAR = (
    f" That is much clearer than the {SNR:g} that its decoder was trained on: it refuses trials unlike those, and the "
    "screen stays neutral."
)

#: The example that each demonstration is.
_CLOSED_LOOP, _FMRI, _ALPHA = "hyper-insilico.toml", "fmri-hyper.toml", "demo.toml"

#: How fast a demonstration of fMRI is played, in times real time: with it a TR of 1.5 s takes less than 0.2 s.
FMRI_SPEED = 8.0

#: Median over voxels of the single-trial signal-to-noise ratio of the participant in a scanner.
FMRI_SNR = 0.05

#: Parts of a trial, which pass faster where the participant does.
_TIMES = {"stimulus_s": None, "feedback_s": None, "blank_s": None, "lead_in_s": 2.0}


def closed_loop(snr: float, *, headless: bool, speed: float, seed: int) -> "SessionConfig":
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
    return _faster(_CLOSED_LOOP, snr, headless=headless, speed=speed, seed=seed)


def fmri(snr: float, *, headless: bool, speed: float, seed: int) -> "SessionConfig":
    """Return the closed loop through a simulated scanner: ``configs/fmri-hyper.toml``, every face once.

    Parameters
    ----------
    snr, headless, speed, seed
        As of `closed_loop`.
    """
    return _faster(_FMRI, snr, headless=headless, speed=speed, seed=seed)


def _faster(example: str, snr: float, *, headless: bool, speed: float, seed: int) -> "SessionConfig":
    values = _example(example)
    source, experiment = values["source"], values["experiment"]
    # Sessions that the decoder was trained and scored on come before the example's.
    source |= {"snr": snr, "speed": speed, "session": source["session"] + seed}
    experiment |= {"repeats": 1, "seed": seed} | {
        name: experiment.get(name, usual) / speed for name, usual in _TIMES.items()
    }
    return _session(values | {"preview": {"kind": "file" if headless else "window"}}, headless)


def alpha(source: dict[str, Any], *, headless: bool) -> "SessionConfig":
    """Return the line on the alpha rhythm: an eye that is open or closed, from a simulator or a recording."""
    return _session({"source": source, "decoder": _example(_ALPHA)["decoder"]}, headless)


def _example(name: str) -> dict[str, Any]:
    from bci.config.toml import read_toml

    return read_toml(SHIPPED["configs"] / name, "session")


def _session(values: dict[str, Any], headless: bool) -> "SessionConfig":
    from bci.config.session import parse_session

    common = {
        "name": "demo",
        "network": "machine",
        "display": {"kind": "headless" if headless else "window"},
    }
    return parse_session(values | common, SHIPPED["configs"], "the demo")

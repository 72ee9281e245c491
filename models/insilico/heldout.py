"""Held-out trials of a simulated experiment are shown again here, and decoded by a bundle.

The participant is a function of settings and seeds, so the same pictures shown to the same participant in the same
order give the same trials, by the code that trained the bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.errors import BundleError, ConfigError
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Window
from models.insilico.settings import InSilico
from models.insilico.trials import HELD_OUT, MOST_BAD, TRAINING, Design, epochs, participant_of
from models.reports.decoded import Decoded

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A HeldOut holds the held-out trials of a bundle.

    Attributes
    ----------
    setup : InSilico
        Settings of the participant, timing and epochs.
    plan : Design
    pictures : (train + test, height, width, 3) uint8
    windows : list of Window
        The epochs that had settled, as the decoder gets them.
    which : (n,) int64
        The test picture of each, from 0.
    drawn_by : str
        Origin of the pictures, in words.
    """

    setup: InSilico
    plan: Design
    pictures: Pictures
    windows: list[Window]
    which: NDArray[np.int64]
    drawn_by: str


def show_held_out(setup: InSilico, plan: Design, pictures: Pictures, drawn_by: str) -> HeldOut:
    """Show the held-out pictures to the participant, in the session that is scored."""
    participant = participant_of(setup, pictures[plan.reference], HELD_OUT)
    windows = epochs(setup, participant, pictures[plan.shown])
    return _held_out(setup, plan, pictures, windows, drawn_by)


def show_elsewhere(
    setup: InSilico, plan: Design, pictures: Pictures, drawn_by: str, position: Sequence[float]
) -> HeldOut:
    """Show the held-out pictures in the same session, but with the head in another position of the scanner.

    Its voxels are found by registration of the session's reference volume to that of the training session.

    Parameters
    ----------
    position : sequence of float
        As of `bci.sim.scanner.scanned.ScannedParticipant`.

    Raises
    ------
    ConfigError
        If the participant is in no scanner, or the registration failed.
    """
    from models.insilico.scans import run_of, scanned_epochs

    who = setup.participant
    if who.scanner is None:
        raise ConfigError(
            "expected a participant in a scanner, came one without. Train with [participant.scanner]."
        )
    reference = pictures[plan.reference]
    trained: Any = participant_of(setup, reference, TRAINING)
    away: Any = participant_of(setup, reference, HELD_OUT)
    moved = type(away)(away.inner, HELD_OUT, **who.scanner.at_rest | {"position": position})
    windows = scanned_epochs(setup, moved, pictures[plan.shown], run_of(moved, trained))
    return _held_out(setup, plan, pictures, windows, drawn_by)


def _held_out(
    setup: InSilico, plan: Design, pictures: Pictures, windows: list[Window], drawn_by: str
) -> HeldOut:
    kept = [i for i, window in enumerate(windows) if window.settled and window.bad.mean() <= MOST_BAD]
    which = plan.shown[kept] - plan.test[0]
    return HeldOut(setup, plan, pictures, [windows[i] for i in kept], which, drawn_by)


def decode_held_out(bundle: Bundle, held: HeldOut) -> Decoded:
    """Decode the held-out trials as a session would, one by one, and the mean epoch of each picture's trials.

    Raises
    ------
    BundleError
        If the bundle gives an invalid reconstruction.
    """
    # What is unlike training is scored too, at a confidence of none: the bundle's own scores hold all trials.
    decoder = OnnxDecoder(bundle, clock=LslClock(), unlike="keep")
    frames = [decoder.decode(window) for window in held.windows]
    valid = np.array([frame.valid for frame in frames])
    if not valid.all():
        raise BundleError(
            f"expected valid reconstructions of {len(frames)} held-out trials, came {np.count_nonzero(valid)}: "
            f"{frames[int(np.argmin(valid))].reason}. Train the bundle again."
        )
    test = held.plan.test
    counts = np.bincount(held.which, minlength=len(test))
    samples = np.stack([window.samples for window in held.windows])
    averaged = None
    if counts.min() > 1:
        means = [samples[held.which == k].mean(0, dtype=np.float64) for k in range(len(test))]
        averaged = np.stack([decoder.raw(mean.astype(np.float32))["latent"].ravel() for mean in means])
    repeats = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    mean = held.pictures[held.plan.train].astype(np.float64).mean(0) / 255.0
    return Decoded(
        names=tuple(f"{number:03d}" for number in range(len(test))),
        latents=held.plan.latents[test],
        seen=held.pictures[test],
        predicted=np.stack([frame.latent for frame in frames]),
        which=held.which,
        confidence=np.array([frame.confidence for frame in frames], np.float64),
        averaged=averaged,
        how=f"mean of {repeats} trials",
        mean_picture=mean,
        mean_of=f"the {len(held.plan.train)} training pictures",
        brain=_brain(held, samples),
    )


def _brain(held: HeldOut, samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return the readout's input for each trial: (n, features)."""
    rows = samples.mean(1) if held.setup.epoch.mean else samples.reshape(len(samples), -1)
    return np.asarray(rows, np.float32)

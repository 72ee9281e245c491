"""A HeldOut holds a bundle's decoded windows from the held-out part of its recordings.

Windows are cut and decoded by the code of a live session: `bci.signal.windows.windows` and
`bci.decoder.onnx.OnnxDecoder`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.errors import RecordingError, counted
from bci.signal.clock import ManualClock
from models.drawings.eye import draw
from models.reports.decoded import Decoded
from models.systems.alpha.readout import RelativePower, class_confidence
from models.systems.alpha.recordings import StateRecording
from models.systems.alpha.settings import TrainingConfig

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A HeldOut holds decoded windows; only the valid ones are scored.

    Attributes
    ----------
    states : (n,) bool
        True for state 1.
    run : (n,) int64
        Which recording.
    seconds : (n,) float64
        Time of the newest sample from the start of the held-out part.
    p : (n,) float64
        The decoded latent: probability of state 1.
    confidence : (n,) float64
        Probability of the more probable state: as decoded, or from `p` where the bundle claims none.
    single : (n,) float64
        The baseline without a fit: log power of one band over the broad one, mean over channels.
    picture_error : (n, 2) float64
        Mean absolute difference of the decoded picture from the drawing of state 0 and of state 1, 0 to 1.
    pictures : (n, height, width, 3) uint8
        As decoded.
    truth : (2, height, width, 3) uint8
        The drawings of both states.
    formed : int
        Windows cut.
    invalid : mapping of str to int
        Windows that the decoder refused, by reason.
    """

    states: NDArray[np.bool_]
    run: NDArray[np.int64]
    seconds: Floats
    p: Floats
    confidence: Floats
    single: Floats
    picture_error: Floats
    pictures: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    formed: int
    invalid: Mapping[str, int]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the more probable state was the true one: (n,) bool."""
        right: NDArray[np.bool_] = (self.p >= 0.5) == self.states
        return right


def decode_held_out(bundle: Bundle, config: TrainingConfig, recordings: Sequence[StateRecording]) -> HeldOut:
    """Cut and decode the test part of every recording.

    Raises
    ------
    BundleMismatch
        If a recording is not the signal that the bundle expects.
    RecordingError
        If a state has no valid window.
    """
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    single = RelativePower((config.readout.single,), config.readout.reference)
    truth = np.stack([draw(*end, size=bundle.spec.image.height) for end in _ends(config)])
    rows: list[tuple[bool, int, float, float, float, float, Floats]] = []
    pictures: list[NDArray[np.uint8]] = []
    invalid: Counter[str] = Counter()
    for run, recording in enumerate(recordings):
        first, _ = recording.span(config.split.test)
        start = float(recording.recording.times(first, first + 1)[0])
        pipeline = bundle.adapt(recording.recording.signal)
        for window in recording.cut(config.split.test, pipeline, bundle.length, bundle.hop):
            frame = decoder.decode(window)
            if not frame.valid:
                invalid[frame.reason] += 1
                continue
            p = float(frame.latent[0])
            stated = frame.confidence
            feature = float(single(window.samples[None]).mean())
            apart = np.abs(truth.astype(float) - frame.image).mean((1, 2, 3)) / 255.0
            rows.append(
                (
                    bool(recording.settings.state),
                    run,
                    float(window.times[-1]) - start,
                    p,
                    float(class_confidence(np.array([p]))[0]) if np.isnan(stated) else stated,
                    feature,
                    apart,
                )
            )
            pictures.append(frame.image)
    if len({row[0] for row in rows}) < 2:
        raise RecordingError(
            f"expected valid windows of both states in the held-out part, came {len(rows)} of one state or none "
            f"(refused: {counted(invalid)}). Hold out a longer part."
        )
    states, runs, seconds, ps, confidence, features, errors = zip(*rows, strict=True)
    return HeldOut(
        np.array(states, bool),
        np.array(runs, np.int64),
        np.array(seconds),
        np.array(ps),
        np.array(confidence),
        np.array(features),
        np.array(errors),
        np.array(pictures),
        truth,
        len(rows) + sum(invalid.values()),
        dict(invalid),
    )


def as_decoded(found: HeldOut, recordings: Sequence[StateRecording]) -> Decoded:
    """Return the held-out windows as trials of two pictures, the drawings of both states, with latents 0 and 1."""
    labels = {bool(recording.settings.state): recording.settings.label for recording in recordings}
    which = found.states.astype(np.int64)
    return Decoded(
        names=(labels[False], labels[True]),
        latents=np.array([[0.0], [1.0]], np.float32),
        seen=found.truth,
        predicted=found.p.astype(np.float32)[:, None],
        which=which,
        confidence=found.confidence,
        averaged=None,
        how="",
        mean_picture=found.truth[which].astype(np.float64).mean(0) / 255.0,
        mean_of="the drawings of both states, as often as each was held",
        simulated=any(recording.recording.simulated for recording in recordings),
    )


def _ends(config: TrainingConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return config.generator.start, config.generator.end

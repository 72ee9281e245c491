"""The signal that a decoder of arrays expects, where a stream can feed it: channels, rate and length fit the trials."""

from collections.abc import Callable

import numpy as np

from bci.decoder.spec import ONLY_EVALUATED
from bci.errors import RecordingError
from bci.signal.pipeline import Pipeline
from bci.signal.quality.amplitude import implausible, moves
from bci.signal.types import Signal
from models.datasets.arrays import ArrayTrials
from models.datasets.recordings import require_possible_amplitude
from models.datasets.session_settings import ArraySettings
from models.settings import ArraySignal

#: Trials whose amplitude is looked at.
_LOOKED_AT = 50
_SHAPE = "(trials, channels, samples)"


def signal_of_arrays(
    trials: ArrayTrials,
    settings: ArraySettings,
    name: str,
    stated: ArraySignal,
    pipeline: Pipeline,
    samples_at: Callable[[float], int],
) -> tuple[Signal, tuple[str, ...]]:
    """Return the signal that a decoder of arrays expects, and what is to be known of it.

    Without samples in time, or without a rate, no stream can feed the decoder: the rate of the signal is then 0, and a
    sentence says so.

    Parameters
    ----------
    trials : ArrayTrials
    settings : ArraySettings
    name : str
        What the signal is called.
    stated : ArraySignal
        What the training file says of channels and unit.
    pipeline : Pipeline
        Through which the trials went.
    samples_at : callable
        Returns the samples of a trial, as the training file cuts it, at a rate.

    Raises
    ------
    RecordingError
        If channels, pipeline or length do not fit the trials, or no brain gives such values.
    """
    length, columns = trials.samples.shape[1:]
    if trials.features:
        if pipeline.steps or settings.rate or stated.channels:
            raise RecordingError(
                f"[data.arrays]: expected {settings.X} of shape {_SHAPE}, for there is a rate, channels or a "
                f"[[pipeline]], came features: (trials, features) = {(len(trials), columns)}. Give the samples, or "
                "leave these out."
            )
        return Signal("features", 0.0, (columns,)), (
            f"{settings.X} holds features: {ONLY_EVALUATED}. For one that runs live, give "
            f"{settings.X} as {_SHAPE}, and [data.arrays] rate",
        )
    given = f"came {columns}: {settings.X} is {_SHAPE} = {(len(trials), columns, length)}."
    if settings.rate is None:
        if pipeline.steps:
            raise RecordingError(
                "[data.arrays] rate: expected the rate of the stream that went through [[pipeline]], came none. State "
                "it, or leave the pipeline out."
            )
        if stated.channels and len(stated.channels) != columns:
            raise RecordingError(
                f"[signal] channels: expected {settings.X} of {len(stated.channels)} channels, {given}"
            )
        return Signal(name, 0.0, (columns,), stated.channels, stated.unit), (
            f"no rate is stated: {ONLY_EVALUATED}. For one that runs live, state [data.arrays] rate",
        )
    if not stated.channels:
        raise RecordingError(
            f"[signal] channels: expected the names of the channels of {settings.X}, in its order, for a stream is to "
            f"be read by them, {given}"
        )
    signal = Signal(name, settings.rate, (len(stated.channels),), stated.channels, stated.unit)
    output = pipeline.output(signal)
    if output.shape != (columns,):
        through = f", {output.shape} after the pipeline" if pipeline.steps else ""
        turned = " Its last two axes seem to be exchanged." if output.shape == (length,) else ""
        raise RecordingError(
            f"[signal] channels: expected {settings.X} of {len(stated.channels)} channels{through}, {given}{turned}"
        )
    if (wanted := samples_at(output.rate)) != length:
        raise RecordingError(
            f"[data.arrays]: expected {settings.X} of {wanted} samples, as the training file cuts at {output.rate:g} "
            f"Hz{' after the pipeline' if pipeline.steps else ''}, came {length}. Correct [epoch] or [window], or the "
            "rate."
        )
    movement = _usual_movement(trials)
    require_possible_amplitude(settings.X, movement, stated.model_copy(update={"unit": output.unit}))
    words = implausible(movement, output.unit)
    return signal, (words,) if words else ()


def _usual_movement(trials: ArrayTrials) -> float:
    looked = np.linspace(0, len(trials) - 1, min(_LOOKED_AT, len(trials)), dtype=np.int64)
    found = [moves(trials.samples[place]) for place in looked]
    return float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")

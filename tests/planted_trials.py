"""Trials of classes made for tests: epochs that share no sample, one every `spacing` samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.systems.events.trials import EventTrials


def event_trials(
    epochs: NDArray[np.floating[Any]], classes: NDArray[np.int64], labels: tuple[str, ...], rate: float = 50.0
) -> EventTrials:
    """Return epochs, (n, length, channels), of classes, (n,), as if one recording had held them."""
    length = epochs.shape[1]
    start = np.arange(len(epochs), dtype=np.int64) * (length + 10)
    signal: Any = None
    return EventTrials(
        epochs.astype(np.float32), classes, np.zeros(len(epochs), np.int64), start, start + length, start,
        {}, signal, {}, labels, rate,
    )  # fmt: skip

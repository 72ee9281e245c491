"""Montage: steps that choose and name channels, subtract a reference, and scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.labels import find_channels, label_key
from bci.signal.step import Kernel, check_channels
from bci.signal.types import Flags, Samples, Signal


class _Memoryless:
    """A _Memoryless kernel's output depends on the same sample alone."""

    ratio = 1
    settle = 0

    def reset(self, first: int) -> None:
        """Do nothing: there is no state."""


@dataclass(frozen=True)
class Pick:
    """Pick keeps the channels with these labels, in this order; labels are compared by `label_key`."""

    channels: tuple[str, ...]
    """Labels."""

    def __post_init__(self) -> None:
        labels: Any = self.channels  # a bundle's description may hold anything here
        if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
            raise ConfigError(f"Pick: channels must be a list of labels, got {labels!r}")
        object.__setattr__(self, "channels", tuple(self.channels))
        if not self.channels:
            raise ConfigError("Pick: name at least one channel")

    def output(self, signal: Signal) -> Signal:
        """Return the signal with these channels alone."""
        find_channels(signal, self.channels)
        return replace(signal, shape=(len(self.channels), *signal.shape[1:]), channels=self.channels)

    def start(self, signal: Signal) -> Kernel:
        """Return the choice at work."""
        return _PickChannels(find_channels(signal, self.channels))


class _PickChannels(_Memoryless):
    def __init__(self, places: Sequence[int]) -> None:
        self._places = np.array(places)

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        return samples[:, self._places], None if bad is None else bad[:, self._places]


@dataclass(frozen=True)
class Relabel:
    """Relabel gives channels other labels; values are not touched.

    Attributes
    ----------
    labels : tuple of (str, str)
        A channel's label in the stream, and its label for the steps after this one. Other channels keep theirs.
    """

    labels: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        given: Any = self.labels
        if isinstance(given, str) or not all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and all(isinstance(label, str) for label in pair)
            for pair in given
        ):
            raise ConfigError(f"Relabel: labels must be a list of pairs [from, to], got {given!r}")
        object.__setattr__(self, "labels", tuple((old, new) for old, new in given))

    def output(self, signal: Signal) -> Signal:
        """Return the signal under the new labels.

        Raises
        ------
        ConfigError
            If a channel is missing or named twice, or two would have one label.
        """
        channels = list(signal.channels)
        places = find_channels(signal, [old for old, _ in self.labels])
        for place, (_, new) in zip(places, self.labels, strict=True):
            channels[place] = new
        keys = [label_key(label) for label in channels]
        if double := sorted(
            {label for label, key in zip(channels, keys, strict=True) if key and keys.count(key) > 1}
        ):
            raise ConfigError(
                f"signal {signal.name!r}: under the new labels more than one channel is called "
                f"{', '.join(map(repr, double))}. Give each a label of its own."
            )
        return replace(signal, channels=tuple(channels))

    def start(self, signal: Signal) -> Kernel:
        """Return a kernel that passes samples unchanged."""
        self.output(signal)
        return _Pass()


class _Pass(_Memoryless):
    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        return samples, bad


@dataclass(frozen=True)
class CommonAverage:
    """CommonAverage subtracts from every channel the mean over the channels that are not bad at that sample.

    A bad channel does not enter the reference, so it spoils no other. Where all channels are bad, the
    reference is their mean all the same, and all are marked already.
    """

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        check_channels(self, signal, at_least=2)
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the reference at work."""
        check_channels(self, signal, at_least=2)
        return _Average()


class _Average(_Memoryless):
    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        # A reduction along contiguous rows does not depend on how many rows there are.
        rows = np.ascontiguousarray(samples, dtype=np.float64)
        if bad is None:
            return rows - rows.mean(axis=1, keepdims=True), None
        good = ~bad
        number = np.add.reduce(good, axis=1, keepdims=True, dtype=np.int64)
        counted = np.where(number > 0, good, True)
        total = np.where(counted, rows, 0.0).sum(axis=1, keepdims=True)
        return rows - total / np.where(number > 0, number, rows.shape[1]), bad


@dataclass(frozen=True)
class Bipolar:
    """Bipolar gives the differences of pairs of channels, ``(anode, cathode)``, labelled ``anode-cathode``."""

    pairs: tuple[tuple[str, str], ...]
    """Labels, two by two."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple((str(a), str(c)) for a, c in self.pairs))
        if not self.pairs:
            raise ConfigError("Bipolar: name at least one pair of channels")

    def output(self, signal: Signal) -> Signal:
        """Return the signal with one channel a pair."""
        find_channels(signal, [label for pair in self.pairs for label in pair])
        labels = tuple(f"{anode}-{cathode}" for anode, cathode in self.pairs)
        return replace(signal, shape=(len(labels), *signal.shape[1:]), channels=labels)

    def start(self, signal: Signal) -> Kernel:
        """Return the differences at work."""
        anodes = find_channels(signal, [anode for anode, _ in self.pairs])
        cathodes = find_channels(signal, [cathode for _, cathode in self.pairs])
        return _BipolarDifference(anodes, cathodes)


class _BipolarDifference(_Memoryless):
    def __init__(self, anodes: Sequence[int], cathodes: Sequence[int]) -> None:
        self._anodes, self._cathodes = np.array(anodes), np.array(cathodes)

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        wide = samples.astype(np.float64, copy=False)
        difference = wide[:, self._anodes] - wide[:, self._cathodes]
        return difference, None if bad is None else bad[:, self._anodes] | bad[:, self._cathodes]


@dataclass(frozen=True)
class Scale:
    """Scale subtracts `mean` and divides by `deviation`, one number a channel, frozen at training."""

    mean: tuple[float, ...]
    """What is subtracted from each channel."""
    deviation: tuple[float, ...]
    """What each channel is divided by."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(m) for m in self.mean))
        object.__setattr__(self, "deviation", tuple(float(d) for d in self.deviation))
        if not np.isfinite(self.mean).all() or not all(0 < d < np.inf for d in self.deviation):
            raise ConfigError("Scale: every mean must be finite and every deviation above 0")

    def output(self, signal: Signal) -> Signal:
        """Return the signal without a unit."""
        if not len(self.mean) == len(self.deviation) == signal.shape[0]:
            raise ConfigError(
                f"Scale: {len(self.mean)} means and {len(self.deviation)} deviations for the "
                f"{signal.shape[0]} channels of signal {signal.name!r}"
            )
        return replace(signal, unit="")

    def start(self, signal: Signal) -> Kernel:
        """Return the scaling at work."""
        self.output(signal)
        shape = (signal.shape[0], *(1,) * (len(signal.shape) - 1))
        return _Standardise(np.array(self.mean).reshape(shape), np.array(self.deviation).reshape(shape))


class _Standardise(_Memoryless):
    def __init__(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> None:
        self._mean, self._deviation = mean, deviation

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        return (samples - self._mean) / self._deviation, bad

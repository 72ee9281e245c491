"""Features: band power and covariance over blocks of fixed length, counted from sample zero."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.step import Hertz, Kernel, check_channels, check_regular, check_whole
from bci.signal.steps.filters import BandPass
from bci.signal.steps.remembering import Memory
from bci.signal.types import Flags, Samples, Signal

_MOST_BANDS = 200

#: Values that a step may hold until its block is complete, 8 bytes each.
_MOST_HELD = 50_000_000


def _check_block(step: "BandPower | BandCovariance | Covariance", signal: Signal, bands: int = 1) -> None:
    held = max(step.block, signal.shape[0]) * signal.shape[0] * bands
    if held > _MOST_HELD:
        raise ConfigError(
            f"{type(step).__name__}: a block of {step.block} samples of {signal.shape[0]} channels in {bands} "
            f"band(s) is {held:.0e} values, more than {_MOST_HELD:.0e}; use a shorter block, or decimate before"
        )


class _Blocks:
    """_Blocks cuts a signal into blocks that end at multiples of `size`, and keeps the remainder for the next call."""

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        self._size = size
        self._rest = np.zeros((size, *shape))
        self._next = 0

    def reset(self, first: int) -> None:
        """Begin again with sample number `first`; samples of a block before `first` are taken as zero."""
        self._next = first
        self._rest[:] = 0

    def __call__(self, samples: Samples) -> NDArray[np.float64]:
        """Return the blocks completed by these samples: (m, size, *shape) float64."""
        size, held = self._size, self._next % self._size
        self._next += len(samples)
        joined = np.concatenate([self._rest[:held], samples])
        whole = len(joined) // size
        left = joined[whole * size :]
        self._rest[: len(left)] = left
        return np.ascontiguousarray(joined[: whole * size]).reshape(whole, size, *samples.shape[1:])


class _BlockFlags:
    """_BlockFlags marks each block that has any bad sample, per channel."""

    def __init__(self, size: int, channels: int) -> None:
        self._size = size
        self._held = np.zeros(channels, bool)
        self._next = 0

    def reset(self, first: int) -> None:
        """Begin anew with sample number `first`."""
        self._next = first
        self._held[:] = False

    def __call__(self, bad: Flags | None, n: int) -> Flags | None:
        """Return (m, channels) flags of the blocks completed by the next `n` samples."""
        size, held = self._size, self._next % self._size
        self._next += n
        whole = (held + n) // size
        if bad is None:
            if not self._held.any():
                return None
            bad = np.zeros((n, len(self._held)), bool)
        padded = np.concatenate([self._held[None], bad])
        ends = [0, *(size - held + 1 + size * k for k in range(whole)), len(padded)]
        parts = np.stack([padded[a:b].any(axis=0) for a, b in itertools.pairwise(ends)])
        self._held = parts[-1]
        return parts[:whole]


@dataclass(frozen=True)
class BandPower:
    """BandPower computes the mean square of the band-passed signal in each of `bands`, over blocks of `block` samples.

    Output: samples of shape ``(channels, bands)``, one a block, in the unit squared; with `log`, its natural
    logarithm (of at least 1e-12).
    """

    bands: tuple[tuple[Hertz, Hertz], ...]
    """Lower and upper edge of each."""
    block: int
    """How many samples each value is of."""
    order: int = 4
    """Of the band-pass filters."""
    log: bool = False
    """Whether the natural logarithm is taken."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", _as_bands(self))

    def output(self, signal: Signal) -> Signal:
        """Return the features as a signal of ``rate / block``."""
        _check_bands(self, signal)
        unit = f"{signal.unit}^2" if signal.unit and not self.log else ""
        return replace(
            signal, rate=signal.rate / self.block, shape=(signal.shape[0], len(self.bands)), unit=unit
        )

    def start(self, signal: Signal) -> Kernel:
        """Return the features at rest."""
        self.output(signal)
        return _Power(self, signal)


@dataclass(frozen=True)
class BandCovariance:
    """BandCovariance computes the mean product of each two channels in each of `bands`, over blocks of `block` samples.

    Output: samples of shape ``(channels, bands · channels)``, one a block, in the unit squared: of band b, the columns
    ``b · channels`` to ``(b + 1) · channels`` hold the covariance, whose diagonal is what `BandPower` gives. No mean is
    removed: a band-pass leaves none.
    """

    bands: tuple[tuple[Hertz, Hertz], ...]
    """Lower and upper edge of each."""
    block: int
    """How many samples each value is of."""
    order: int = 4
    """Of the band-pass filters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", _as_bands(self))

    def output(self, signal: Signal) -> Signal:
        """Return the covariances as a signal of ``rate / block``."""
        _check_bands(self, signal)
        n = signal.shape[0]
        unit = f"{signal.unit}^2" if signal.unit else ""
        return replace(signal, rate=signal.rate / self.block, shape=(n, n * len(self.bands)), unit=unit)

    def start(self, signal: Signal) -> Kernel:
        """Return the covariances at rest."""
        self.output(signal)
        return _BandCovariances(self, signal)


def _as_bands(step: BandPower | BandCovariance) -> tuple[tuple[float, float], ...]:
    bands = tuple((float(low), float(high)) for low, high in step.bands)
    if not 1 <= len(bands) <= _MOST_BANDS:
        raise ConfigError(f"{type(step).__name__}: name 1 to {_MOST_BANDS} bands, not {len(bands)}")
    return bands


def _check_bands(step: BandPower | BandCovariance, signal: Signal) -> None:
    check_regular(step, signal)
    check_channels(step, signal)
    check_whole(step, 1, 1_000_000, block=step.block)
    _check_block(step, signal, len(step.bands))
    for low, high in step.bands:
        BandPass(low, high, step.order).output(signal)


class _BandBlocks:
    """_BandBlocks filters a signal into bands and cuts each into blocks."""

    def __init__(self, step: BandPower | BandCovariance, signal: Signal) -> None:
        self.ratio = step.block
        self._filters = [BandPass(low, high, step.order).start(signal) for low, high in step.bands]
        self.settle = max(f.settle for f in self._filters) + step.block
        channels = signal.shape[0]
        self._blocks = [_Blocks(step.block, (channels,)) for _ in step.bands]
        self._memory = Memory((channels,), self.settle - step.block)
        self._flags = _BlockFlags(step.block, channels)

    def reset(self, first: int) -> None:
        """Return to rest."""
        for band, blocks in zip(self._filters, self._blocks, strict=True):
            band.reset(first)
            blocks.reset(first)
        self._flags.reset(first)
        self._memory.reset()

    def cut(self, samples: Samples) -> Iterator[NDArray[np.float64]]:
        """Yield of each band the blocks completed by these samples, (m, channels, size)."""
        for band, blocks in zip(self._filters, self._blocks, strict=True):
            filtered, _ = band(samples, None)
            # Time last and contiguous, so that each block is summed alike however many there are.
            yield np.ascontiguousarray(np.moveaxis(blocks(filtered), 1, -1))

    def flags(self, bad: Flags | None, n: int) -> Flags | None:
        """Return the flags of the blocks completed by the next `n` samples."""
        return self._flags(self._memory(bad, n), n)


class _Power(_BandBlocks):
    def __init__(self, step: BandPower, signal: Signal) -> None:
        super().__init__(step, signal)
        self._log = step.log

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        power = np.stack([np.square(rows).mean(axis=-1) for rows in self.cut(samples)], axis=-1)
        if self._log:
            power = np.log(np.maximum(power, 1e-12))
        return power, self.flags(bad, len(samples))


class _BandCovariances(_BandBlocks):
    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        bands = [_products(rows) / self.ratio for rows in self.cut(samples)]
        return np.concatenate(bands, axis=-1), _of_every_row(self.flags(bad, len(samples)))


@dataclass(frozen=True)
class Covariance:
    """Covariance computes the channels' covariance over blocks of `block` samples: shape ``(channels, channels)``.

    The mean of each block is removed; the sum of products is divided by ``block - 1``.
    """

    block: int
    """How many samples each value is of."""

    def output(self, signal: Signal) -> Signal:
        """Return the covariances as a signal of ``rate / block``."""
        check_regular(self, signal)
        check_channels(self, signal)
        check_whole(self, 2, 1_000_000, block=self.block)
        _check_block(self, signal)
        n = signal.shape[0]
        unit = f"{signal.unit}^2" if signal.unit else ""
        return replace(signal, rate=signal.rate / self.block, shape=(n, n), unit=unit)

    def start(self, signal: Signal) -> Kernel:
        """Return the covariance at rest."""
        self.output(signal)
        return _Covariances(self.block, signal.shape[0])


class _Covariances:
    def __init__(self, block: int, channels: int) -> None:
        self.ratio = self.settle = block
        self._blocks = _Blocks(block, (channels,))
        self._flags = _BlockFlags(block, channels)
        self._denominator = block - 1

    def reset(self, first: int) -> None:
        """Begin with sample number `first`."""
        self._blocks.reset(first)
        self._flags.reset(first)

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        rows = np.ascontiguousarray(np.moveaxis(self._blocks(samples), 1, -1))
        rows -= rows.mean(axis=-1, keepdims=True)
        return _products(rows) / self._denominator, _of_every_row(self._flags(bad, len(samples)))


def _products(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of products of each two channels: (m, channels, size) to (m, channels, channels)."""
    products = np.empty((len(rows), rows.shape[1], rows.shape[1]))
    for k, block in enumerate(rows):
        np.einsum("it,jt->ij", block, block, out=products[k], optimize=False)
    return products


def _of_every_row(flags: Flags | None) -> Flags | None:
    """Mark all rows where one channel is bad, since each row of a covariance involves every channel."""
    return None if flags is None else np.repeat(flags.any(axis=1, keepdims=True), flags.shape[1], axis=1)

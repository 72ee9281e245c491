"""Beside is what one pipeline hears of another stream than its own, and which of its steps use it.

A volume comes once a second or two; a pulse and a belt come on a stream of their own, a hundred times a second. A step
makes columns of nuisance of them (`HearingKernel`), steps behind it take these into their models (`ConfoundedKernel`),
and whatever runs the pipeline says what each sample hears (`Hear`): live what has come by then, offline what was heard
live.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.step import Kernel
from bci.signal.types import Flags, Samples, Times


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A Heard is what one sample of a signal hears of another stream: what came there since the sample before.

    Attributes
    ----------
    first : int
        Count of the first of them in their own stream.
    samples : (n, channels) float64
        None where n is 0.
    rate : float
        Samples a second.
    newest_s : float
        Seconds from the sample's stamp to the newest one that was ever heard, by the signal's own speed; NaN for none.
    """

    first: int
    samples: NDArray[np.float64]
    rate: float
    newest_s: float


#: Given the count of a chunk's first sample and their times, it returns what each of them hears.
Hear = Callable[[int, Times], Sequence[Heard]]


@runtime_checkable
class HearingKernel(Protocol):
    """A HearingKernel makes columns of nuisance, for steps behind it, of another stream than its samples'.

    Attributes
    ----------
    labels : tuple of str
        The other stream's channels that it hears, in this order.
    margin_s : float
        How long before the end of a sample's time what it hears may end.
    width : int
        Columns of each set.
    sets : (channels,) int or None
        Which set of columns each channel of its samples has; None where there is one for all.
    columns : (n, sets, width) float64
        Those of the samples that it was called with last.
    """

    labels: tuple[str, ...]
    margin_s: float
    width: int
    sets: NDArray[np.intp] | None
    columns: Samples

    def hear_beside(self, heard: Sequence[Heard]) -> None:
        """Take what each of the next samples hears, before these."""
        ...


@runtime_checkable
class ConfoundedKernel(Protocol):
    """A ConfoundedKernel takes the columns of a `HearingKernel` before it as nuisance.

    Attributes
    ----------
    confounded : bool
        Whether it does.
    """

    confounded: bool

    def share(self, width: int, sets: NDArray[np.intp] | None) -> None:
        """Take how many columns will come, and whose, before the first reset; ConfigError if they do not fit."""
        ...

    def confound(self, columns: Samples) -> None:
        """Take the columns (n, sets, width) of the next n samples, before these."""
        ...


class Beside:
    """What a running pipeline hears beside its samples; without a step that hears, nothing.

    Attributes
    ----------
    kernel : HearingKernel or None
        The step that hears.
    hears_with : callable or None
        What says what each sample hears; whatever runs the pipeline puts it there.
    """

    def __init__(self) -> None:
        self.kernel: HearingKernel | None = None
        self.hears_with: Hear | None = None
        self._takers: list[ConfoundedKernel] = []

    def link(self, kernel: Kernel, ratio: int) -> None:
        """Note whether the next kernel of the pipeline makes columns or takes them.

        Raises
        ------
        ConfigError
            If none makes what it takes, once for each of its samples; or if a second one makes some.
        """
        if isinstance(kernel, HearingKernel):
            if self.kernel is not None or ratio != 1:
                raise ConfigError(
                    "expected one physiological_noise in a pipeline, before any decimation; came another. Take it out"
                )
            self.kernel = kernel
        elif isinstance(kernel, ConfoundedKernel) and kernel.confounded:
            if self.kernel is None or ratio != 1:
                raise ConfigError(
                    "a step of this pipeline needs columns of physiology for each of its samples, which no step before "
                    "it makes: put physiological_noise before it, or set physiology = false"
                )
            kernel.share(self.kernel.width, self.kernel.sets)
            self._takers.append(kernel)

    def before(self, first: int, times: Times) -> None:
        """Let the kernel hear what belongs to the next samples."""
        if self.kernel is not None and self.hears_with is not None:
            self.kernel.hear_beside(self.hears_with(first, times))

    def after(self, kernel: Kernel) -> None:
        """Hand on the columns, where a kernel that has just run is the one that makes them."""
        if self.kernel is not None and id(kernel) == id(self.kernel):
            for taker in self._takers:
                taker.confound(self.kernel.columns)


#: Takes what a kernel gives: the count of the first sample, samples, and flags.
Tap = Callable[[int, Samples, Flags | None], None]


class Tapped:
    """A Tapped is a kernel whose outputs, one for each input, are handed on as they are given."""

    ratio = 1

    def __init__(self, kernel: Kernel, take: Tap) -> None:
        self._kernel, self._take, self._next = kernel, take, 0
        self.settle = kernel.settle

    def reset(self, first: int) -> None:
        """Reset the kernel."""
        self._kernel.reset(first)
        self._next = first

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        """Run the kernel."""
        out, flags = self._kernel(samples, bad)
        self._take(self._next, out, flags)
        self._next += len(out)
        return out, flags

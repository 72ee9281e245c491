"""A RepeatMean stands for an epoch: the mean of all epochs of the same stimulus so far.

A stimulus whose response is small beside its noise is shown again and again, and the noise of the mean of n epochs is
√n times smaller. Nothing is waited for: each repeat is read at once, as the mean that it completes.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Flags, Window

#: Bytes that the sums of all stimuli may take; beyond, the stimulus that was not shown for longest is forgotten.
LARGEST = 2**28


@dataclass(slots=True, eq=False)
class _Sum:
    """A _Sum is what the epochs of one stimulus add up to.

    Attributes
    ----------
    total : (n, *shape) float64
        Of the values that may be trusted.
    counts : (n, *flag shape) int32
        How many those are.
    epochs : int
    """

    total: NDArray[np.float64]
    counts: NDArray[np.int32]
    epochs: int = 0


class RepeatMeans:
    """RepeatMeans puts in the place of each epoch the mean of all of its stimulus so far, itself included.

    Two stimuli are the same where their events have the same text. All epochs have the same weight; a value that is
    marked is left out of the mean, and marked in it where no repeat had it. An epoch that cannot be decoded (unsettled,
    with too many marked values, or not finite) is passed on as it is, and joins no mean. Every segment, which a gap or
    a reset begins, begins anew: so what is given rests on the samples since the last reset alone, as with any step.

    Parameters
    ----------
    masked_limit : float
        Share of marked values, 0 to 1, above which an epoch is not decoded.
    """

    def __init__(self, masked_limit: float) -> None:
        self._masked_limit = masked_limit
        self._segment = -1
        self._sums: OrderedDict[str, _Sum] = OrderedDict()

    def __call__(self, epoch: Window, segment: int) -> Window:
        """Return the mean of an epoch's stimulus with it; `repeats` says of how many epochs.

        Parameters
        ----------
        epoch : Window
            With its event.
        segment : int
            The number of the segment that it lies in.
        """
        assert epoch.event is not None
        if segment != self._segment:
            self._segment = segment
            self._sums.clear()
        if not self._decodable(epoch):
            return epoch
        one = self._sums.get(epoch.event.text)
        if one is None:
            one = self._room_for(epoch)
            self._sums[epoch.event.text] = one
        self._sums.move_to_end(epoch.event.text)
        one.total += np.where(_wide(epoch.bad, epoch.samples.ndim), 0.0, epoch.samples)
        one.counts += ~epoch.bad
        one.epochs += 1
        if one.epochs == 1:
            return epoch
        bad = one.counts == 0
        # What is marked in all of them is as good as what came last.
        mean = one.total / _wide(np.maximum(one.counts, 1), epoch.samples.ndim)
        samples = np.where(_wide(bad, epoch.samples.ndim), epoch.samples, mean).astype(epoch.samples.dtype)
        return replace(epoch, samples=samples, bad=bad, repeats=one.epochs)

    def _decodable(self, epoch: Window) -> bool:
        share = float(np.count_nonzero(epoch.bad)) / epoch.bad.size
        return epoch.settled and share <= self._masked_limit and bool(np.isfinite(epoch.samples).all())

    def _room_for(self, epoch: Window) -> _Sum:
        one = _Sum(np.zeros(epoch.samples.shape), np.zeros(epoch.bad.shape, np.int32))
        most = max(1, LARGEST // (one.total.nbytes + one.counts.nbytes))
        while len(self._sums) >= most:
            self._sums.popitem(last=False)
        return one


def _wide(flags: Flags | NDArray[np.int32], axes: int) -> NDArray[Any]:
    """Return flags, one a channel, so that they fit samples that have further axes."""
    return flags.reshape(*flags.shape, *(1,) * (axes - flags.ndim))

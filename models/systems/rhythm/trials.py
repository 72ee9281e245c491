r"""Windows with the rhythm at the end of each: the truth, which needs what comes after, and the past, which does not.

The truth is the analytic signal (Gabor 1946) of the channel, band-passed forwards and backwards, so without delay:

.. math:: z(t) = s(t) + i\,\mathcal H[s](t), \qquad \phi = \arg z, \qquad P = |z|^2

At a peak of the wave the phase is 0. Where a filter begins or ends it is not known, and windows there are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, hilbert, sosfiltfilt

from bci.errors import RecordingError
from bci.signal.pipeline import Pick, Pipeline
from models.datasets.recordings import Opened, open_recordings
from models.systems.numbers.trials import NumberTrials, cut_numbers
from models.systems.rhythm.settings import RhythmConfig, RhythmSettings

Analytic = NDArray[np.complex128]

#: Periods of the band's lower edge, at each end of a stretch without a gap, whose phase is not known.
_EDGE_PERIODS = 4


@dataclass(frozen=True, slots=True, eq=False)
class RhythmTrials:
    """A RhythmTrials holds windows of the signal and the analytic signal at the newest sample of each.

    Attributes
    ----------
    cut : NumberTrials
        The windows in order of time; the number of each is the filtered signal itself, the real part.
    analytic : (n,) complex128
        In the unit of the signal.
    """

    cut: NumberTrials
    analytic: Analytic

    def __len__(self) -> int:
        return len(self.analytic)

    @property
    def left_out(self) -> Mapping[str, int]:
        """Windows that are not used, by reason."""
        return self.cut.left_out

    def of(self, rows: NDArray[np.intp]) -> "RhythmTrials":
        """Return some of the windows, by their rows."""
        return replace(self, cut=self.cut.of(rows), analytic=self.analytic[rows])

    def shifted(self, by: int) -> "RhythmTrials":
        """Return the same windows with the rhythm of `by` windows before, round the end."""
        return replace(self, analytic=np.roll(self.analytic, by))


def analytic_signal(samples: NDArray[np.float64], rate: float, band: RhythmSettings) -> Analytic:
    """Return the analytic signal of one channel without a gap, (n,), NaN at both ends.

    Raises
    ------
    RecordingError
        If the band does not lie below half the rate.

    Examples
    --------
    >>> band = RhythmSettings(channel="A", name="theta", low=4, high=12)
    >>> z = analytic_signal(np.cos(2 * np.pi * 8 * np.arange(1000) / 100), 100, band)
    >>> bool(abs(abs(z[500]) - 1) < 0.01), abs(round(float(np.angle(z[500])), 2)), bool(np.isnan(z[0].real))
    (True, 0.0, True)
    """
    if band.high >= rate / 2:
        raise RecordingError(
            f"expected a band below half the rate, {rate / 2:g} Hz, came {band.low:g} to {band.high:g} Hz. Set "
            "target.high lower."
        )
    edge = int(np.ceil(_EDGE_PERIODS / band.low * rate))
    found: Analytic = np.full(len(samples), np.nan + 1j * np.nan)
    if len(samples) > 2 * edge:
        sos = butter(band.order, [band.low, band.high], "bandpass", fs=rate, output="sos")
        found[edge:-edge] = hilbert(sosfiltfilt(sos, samples - samples.mean()))[edge:-edge]
    return found


def cut_rhythm(config: RhythmConfig, root: Path) -> RhythmTrials:
    """Cut the windows of every recording of a training file.

    The channel whose rhythm is read is held in memory, the others pass in pieces.

    Raises
    ------
    RecordingError
        If a recording is missing, cannot be read, is of another rate or unit, lacks a channel, or is too short.
    """
    opened, rate = open_recordings(config.recordings, root, config.signal)
    names = [one.path for one in config.recordings]
    truth = [_truth(one, name, config.target) for one, name in zip(opened, names, strict=True)]
    steps = Pipeline.from_json([dict(step) for step in config.pipeline]).steps
    cut = cut_numbers(
        names, opened, config.expected(rate), Pipeline((Pick(config.signal.channels), *steps)), config,
        lambda run, sample: float(truth[run][sample].real),
    )  # fmt: skip
    return RhythmTrials(
        cut, np.array([truth[run][end - 1] for run, end in zip(cut.run, cut.end, strict=True)])
    )


def _truth(opened: Opened, name: str, band: RhythmSettings) -> Analytic:
    recording = opened[0]
    if band.channel not in recording.signal.channels:
        raise RecordingError(
            f"{name}: expected the rhythm in a channel {band.channel!r}, came "
            f"{', '.join(recording.signal.channels[:12])}. Set target.channel."
        )
    column = recording.signal.channels.index(band.channel)
    parts = [
        analytic_signal(
            np.asarray(recording.read(first, end)[:, column], np.float64), recording.signal.rate, band
        )
        for first, end in recording.segments
    ]
    return np.concatenate(parts)

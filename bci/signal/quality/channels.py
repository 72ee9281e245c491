"""A Survey measures the quality of each channel of a signal: range, drift, flat stretches, rails, mains, transients.

It takes the signal block by block and keeps two numbers a channel and second beside running sums, so an
hour costs as little memory as a minute. All figures are per channel and in the signal's unit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.quality.mains import LineNoise, RunningSpectrum, find_line_noise
from bci.signal.quality.rails import Extreme
from bci.signal.types import Samples, Signal

Array = NDArray[np.float64]

#: Channels worked on at once, so that float64 copies stay small however many channels there are.
_TOGETHER = 32

#: Values of one second that are held; the spectrum holds a few times as many. 384 channels at 30 kHz have a twelfth.
_MOST_VALUES = 1 << 27

#: A drift is fitted to at most so many points, and to no fewer seconds than these.
_POINTS, DRIFT_S = 120, 10

#: A second is wild when its range is so many times that of the channel's median second. The strongest blink of
#: eegmmidb S001R01 reaches 6 times the median second of Fp1.
WILD = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class ChannelFigures:
    """ChannelFigures holds a survey's measurements, one value per channel.

    Attributes
    ----------
    samples : int
        Number of samples measured.
    nan_share : (channels,) float64
        Share of samples that are not finite.
    low, high : (channels,) float64
        Smallest and largest finite value; NaN where there is none.
    rail_share : (channels,) float64
        Share of samples that lie on an extreme value on which samples pile up.
    peak_to_peak : (channels,) float64
        Largest less smallest value within a second, median over the seconds.
    still_share : (channels, 2) float64
        Shares of the seconds in which the channel does not change; in which it changes by less than `still`.
    wild_share : (channels,) float64
        Share of the seconds whose range is more than `WILD` times that of the median second.
    wild_until : (channels,) float64
        End of the last wild second in the first tenth, seconds; 0 without any: what to leave out at the start.
    mean : (channels,) float64
        Mean of all finite samples, those of wild seconds included.
    offset : (channels,) float64
        Median of the seconds' means.
    drift : (channels,) float64
        Trend of the seconds' means per minute (Theil–Sen); NaN below `DRIFT_S` seconds.
    line : LineNoise
        Mains noise in each channel.
    """

    samples: int
    nan_share: Array
    low: Array
    high: Array
    rail_share: Array
    peak_to_peak: Array
    still_share: Array
    wild_share: Array
    wild_until: Array
    mean: Array
    offset: Array
    drift: Array
    line: LineNoise


class Survey:
    """A Survey measures one signal while its samples arrive.

    Parameters
    ----------
    signal : Signal
        A signal with a regular rate, whose sample is a row of channels.

    Raises
    ------
    ConfigError
        If the signal is of another kind.

    Examples
    --------
    >>> survey = Survey(Signal("eeg", 100.0, (1,), ("Oz",), "uV"))
    >>> time = np.arange(6000) / 100
    >>> survey.add((5 * time / 60 + 20 * np.sin(2 * np.pi * 10 * time))[:, None])
    >>> figures = survey.figures()
    >>> figures.peak_to_peak.round(1).tolist(), figures.drift.round(1).tolist()
    ([38.1], [5.0])
    """

    def __init__(self, signal: Signal) -> None:
        if len(signal.shape) != 1 or signal.rate < 4:
            raise ConfigError(
                f"signal {signal.name!r}: quality is measured of samples that are a row of channels, at a regular rate "
                f"of 4 Hz or more; these have the shape {signal.shape} at {signal.rate:g} Hz. Choose another stream."
            )
        channels = signal.shape[0]
        if signal.rate * channels > _MOST_VALUES:
            raise ConfigError(
                f"signal {signal.name!r}: quality is measured second by second, and one of {channels} channels at "
                f"{signal.rate:g} Hz is {signal.rate * channels:.3g} values, more than {_MOST_VALUES:g}. Name fewer "
                "channels, or check the rate."
            )
        self.signal = signal
        self.samples = 0
        self._second = round(signal.rate)
        # The previous second and the current one: together a segment of the spectrum.
        self._held = np.zeros((2 * self._second, channels), signal.dtype)
        self._filled = self._second
        self._follows = False
        self._nan = np.zeros(channels, np.int64)
        self._sum = np.zeros(channels)
        self._top, self._bottom = Extreme(channels), Extreme(channels)
        self._means: list[NDArray[np.float64]] = []
        self._ranges: list[NDArray[np.float64]] = []
        self._spectrum = RunningSpectrum(signal.rate, self._second, channels)

    def add(self, samples: Samples, *, fresh: bool = False) -> None:
        """Measure the next samples.

        Parameters
        ----------
        samples : (n, channels) array
            In order; n may be 0. NaN and infinities are counted and left out of everything else.
        fresh : bool
            Whether these samples follow a gap, which no second and no segment spans.
        """
        if fresh:
            self._begin_anew()
        at = 0
        while at < len(samples):
            n = min(len(self._held) - self._filled, len(samples) - at)
            self._held[self._filled : self._filled + n] = samples[at : at + n]
            self._filled += n
            at += n
            if self._filled == len(self._held):
                self._take_second()

    def figures(self, still: float = 0.0) -> ChannelFigures:
        """Return the figures of all samples so far.

        Parameters
        ----------
        still : float
            A second whose range is less than this counts as still, in the signal's unit.
        """
        self._begin_anew()
        n = max(self.samples, 1)
        seconds = np.array(self._ranges).reshape(-1, len(self._nan))
        means = np.array(self._means).reshape(-1, len(self._nan))
        known = np.maximum(np.count_nonzero(~np.isnan(seconds), axis=0), 1)
        finite = self.samples - self._nan
        usual = _median(seconds)
        wild = seconds > WILD * usual
        still_share = np.stack([(seconds <= 0).sum(0), (seconds <= still).sum(0)], axis=1) / known[:, None]
        return ChannelFigures(
            samples=self.samples,
            nan_share=self._nan / n,
            low=_or_nan(-self._bottom.value),
            high=_or_nan(self._top.value),
            rail_share=(self._top.piled + self._bottom.piled) / n,
            peak_to_peak=usual,
            still_share=still_share,
            wild_share=wild.sum(axis=0) / known,
            wild_until=_last(wild[: max(1, len(wild) // 10)]),
            mean=self._sum / np.where(finite > 0, finite, np.nan),
            offset=_median(means),
            drift=trend(means),
            line=find_line_noise(self._spectrum),
        )

    # -- its parts ---------------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        """Count the samples of an unfinished second, and begin a new second that follows a gap."""
        self._count(self._held[self._second : self._filled])
        self._filled = self._second
        self._follows = False

    def _take_second(self) -> None:
        self._count(self._held[self._second :])
        means, ranges = np.full(len(self._nan), np.nan), np.full(len(self._nan), np.nan)
        for group in self._groups():
            segment = self._held[:, group].astype(np.float64)
            now = segment[self._second :]
            finite = np.isfinite(now)
            some = finite.any(axis=0)
            high = np.where(finite, now, -np.inf).max(axis=0)[some]
            low = np.where(finite, now, np.inf).min(axis=0)[some]
            ranges[group][some] = high - low
            means[group][some] = (np.where(finite, now, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1))[
                some
            ]
            if self._follows:
                self._spectrum.add(segment, group)
        if self._follows:
            self._spectrum.next()
        self._means.append(means)
        self._ranges.append(ranges)
        self._held[: self._second] = self._held[self._second :]
        self._filled = self._second
        self._follows = True

    def _count(self, samples: Samples) -> None:
        self.samples += len(samples)
        if not len(samples):
            return
        for group in self._groups():
            values = samples[:, group].astype(np.float64)
            finite = np.isfinite(values)
            self._nan[group] += np.count_nonzero(~finite, axis=0)
            self._sum[group] += np.where(finite, values, 0.0).sum(axis=0)
            self._top.add(np.where(finite, values, -np.inf), group)
            self._bottom.add(np.where(finite, -values, -np.inf), group)

    def _groups(self) -> list[slice]:
        return [slice(at, at + _TOGETHER) for at in range(0, len(self._nan), _TOGETHER)]


def trend(means: Array) -> Array:
    """Return the slow trend of each channel per minute: the median slope between all pairs of points.

    Theil (1950) and Sen (1968, J. Am. Stat. Assoc. 63:1379): up to 29 % of the points may be outliers, so that
    neither a movement nor an amplifier that settles makes a drift.

    Parameters
    ----------
    means : (seconds, channels) float64
        Mean of each second; NaN where a second has no finite sample.

    Examples
    --------
    >>> trend(np.arange(20.0)[:, None] / 2).tolist()
    [30.0]
    """
    slopes = np.full(means.shape[1], np.nan)
    if len(means) < DRIFT_S:
        return slopes
    pieces = np.array_split(np.arange(len(means)), min(_POINTS, len(means)))
    points = np.array([_median(means[piece]) for piece in pieces])
    minutes = np.array([piece.mean() for piece in pieces]) / 60
    i, j = np.triu_indices(len(points), 1)
    for channel, course in enumerate(points.T):
        steps = (course[j] - course[i]) / (minutes[j] - minutes[i])
        steps = steps[~np.isnan(steps)]
        if len(steps):
            slopes[channel] = np.median(steps)
    return slopes


def _median(values: Array) -> Array:
    """Return the median over axis 0 of the values that are not NaN; NaN where there is none."""
    out = np.full(values.shape[1], np.nan)
    some = (~np.isnan(values)).any(axis=0)
    if some.any():
        out[some] = np.nanmedian(values[:, some], axis=0)
    return out


def _last(flags: NDArray[np.bool_]) -> Array:
    """Return how many rows end with the last True of each column; 0 where there is none."""
    rows = np.arange(1, len(flags) + 1)[:, None]
    return np.asarray((flags * rows).max(axis=0, initial=0), np.float64)


def _or_nan(values: Array) -> Array:
    out: Array = np.where(np.isfinite(values), values, np.nan)
    return out

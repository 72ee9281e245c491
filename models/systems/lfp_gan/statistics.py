"""What made windows have in common with measured ones: spectra, correlations, tails, bursts, what a picture changes.

Windows are (n, channels, length) throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert
from scipy.stats import kurtosis

from bci.errors import DataError
from models.metrics.distributions import log_power, signal_frechet

Windows = NDArray[np.float32]
Floats = NDArray[np.float64]

#: The band whose bursts are counted, Hz, and what a burst is: an envelope of so many times the usual.
BURST_BAND, BURST = (45.0, 75.0), 3.0
#: Windows at most that distances between all pairs are taken of.
_PAIRS = 600


@dataclass(frozen=True, slots=True)
class Likeness:
    """A Likeness says how far made windows are from measured ones.

    Attributes
    ----------
    spectrum_median, spectrum_p95 : float
        Of the error of power over channels and bins of 4 Hz from 4 to 300 Hz, dB.
    correlation, correlation_worst : float
        Mean and largest difference of the correlations between channels.
    kurtosis, kurtosis_real : float
        Excess kurtosis of amplitudes, mean over channels.
    bursts, bursts_real : float
        Share of time in which the envelope from 45 to 75 Hz is above three times its median.
    image_r, image_r_permuted : float
        Correlation of the mean window of each image with the measured one, the mean over images left out; and of the
        same made windows with images exchanged. NaN where images are not known.
    frechet_power, frechet_waves : float
        Fréchet distance of log power, and of waveforms, in principal components.
    told_apart : float
        Share of windows that a classifier on log power and deviation tells right, made or measured; .5 is chance.
    nearest, nearest_real : float
        Median distance of made, and of other measured, windows to the nearest training window.
    """

    spectrum_median: float
    spectrum_p95: float
    correlation: float
    correlation_worst: float
    kurtosis: float
    kurtosis_real: float
    bursts: float
    bursts_real: float
    image_r: float
    image_r_permuted: float
    frechet_power: float
    frechet_waves: float
    told_apart: float
    nearest: float
    nearest_real: float


def compare_windows(
    real: Windows,
    made: Windows,
    rate_hz: float,
    *,
    training: Windows,
    images: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    seed: int = 0,
) -> Likeness:
    """Return how far made windows are from measured ones that nothing was trained on.

    Parameters
    ----------
    real, made : (n, channels, length), (m, channels, length)
    rate_hz : float
    training : (k, channels, length)
        That the generator learned from.
    images : two arrays, optional
        The image of each measured and of each made window.
    seed : int
        Of exchanges and of what is left out.

    Raises
    ------
    DataError
        If channels or lengths differ, or values are not finite.
    """
    _require_alike(real, made)
    random = np.random.default_rng([seed, 77])
    error = np.abs(power_db(made, rate_hz) - power_db(real, rate_hz))
    apart = np.abs(correlations(made) - correlations(real))[np.triu_indices(real.shape[1], 1)]
    r, permuted = (float("nan"),) * 2 if images is None else image_condition(real, made, *images, random)
    in_time = real.transpose(0, 2, 1), made.transpose(0, 2, 1)
    few = min(32, min(len(real), len(made)) // 4)
    return Likeness(
        float(np.median(error)), float(np.percentile(error, 95)), float(apart.mean()), float(apart.max()),
        excess_kurtosis(made), excess_kurtosis(real), burst_share(made, rate_hz), burst_share(real, rate_hz),
        r, permuted,
        signal_frechet(*in_time, rate_hz=rate_hz, components=few), signal_frechet(*in_time, components=few),
        two_sample_accuracy(real, made, rate_hz, random),
        nearest_distance(made, training, random), nearest_distance(real, training, random),
    )  # fmt: skip


def power_db(windows: Windows, rate_hz: float) -> Floats:
    """Return the mean power in bins of 4 Hz from 4 to 300 Hz: (channels · bins,) dB."""
    each = np.exp(log_power(np.asarray(windows, np.float64).transpose(0, 2, 1), rate_hz))
    return np.asarray(10 * np.log10(np.maximum(each.mean(0), 1e-20)))


def mean_spectrum(windows: Windows, rate_hz: float) -> list[float]:
    """Return the power of each bin, the mean of channels' decibels."""
    power: list[float] = power_db(windows, rate_hz).reshape(-1, windows.shape[1]).mean(1).tolist()
    return power


def correlations(windows: Windows) -> Floats:
    """Return the correlations between channels, over all windows and samples: (channels, channels)."""
    return np.corrcoef(np.asarray(windows, np.float64).transpose(1, 0, 2).reshape(windows.shape[1], -1))


def excess_kurtosis(windows: Windows) -> float:
    """Return the excess kurtosis of amplitudes, mean over channels: 0 of a Gaussian."""
    each = np.asarray(windows, np.float64).transpose(1, 0, 2).reshape(windows.shape[1], -1)
    return float(np.mean(kurtosis(each, axis=1)))


def burst_share(windows: Windows, rate_hz: float) -> float:
    """Return the share of time in which the envelope of `BURST_BAND` is above `BURST` times its median.

    The envelope of a Gaussian is there for 0.2 % of time.
    """
    length = windows.shape[2]
    frequency = np.fft.rfftfreq(length, 1 / rate_hz)
    inside = (frequency >= BURST_BAND[0]) & (frequency <= BURST_BAND[1])
    band = np.fft.irfft(np.fft.rfft(np.asarray(windows, np.float64)) * inside, length)
    envelope = np.abs(hilbert(band))
    usual = np.median(envelope, axis=(0, 2), keepdims=True)
    return float((envelope > BURST * usual).mean())


def image_means(windows: Windows, which: NDArray[np.int64]) -> Floats:
    """Return the mean window of each image without the mean over images: (images, values)."""
    means = np.stack([windows[which == k].mean(0, np.float64) for k in np.unique(which)])
    return (means - means.mean(0)).reshape(len(means), -1)


def image_condition(
    real: Windows,
    made: Windows,
    of_real: NDArray[np.int64],
    of_made: NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[float, float]:
    """Return the mean correlation of each image's mean windows, and the same with images exchanged (mean of 200)."""
    if set(np.unique(of_real)) != set(np.unique(of_made)):
        raise DataError(
            "expected made windows of the images that were measured, came others. Make them for these."
        )
    a, b = image_means(real, of_real), image_means(made, of_made)
    table = (a @ b.T) / np.maximum(np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)), 1e-12)
    exchanged = [table[np.arange(len(a)), random.permutation(len(a))].mean() for _ in range(200)]
    return float(np.diag(table).mean()), float(np.mean(exchanged))


def two_sample_accuracy(real: Windows, made: Windows, rate_hz: float, random: np.random.Generator) -> float:
    """Return how often a linear classifier tells made from measured windows that it was not fitted to."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    n = min(len(real), len(made))
    sides = [side[random.permutation(len(side))[:n]] for side in (real, made)]
    power = [log_power(np.asarray(side, np.float64).transpose(0, 2, 1), rate_hz) for side in sides]
    rows = np.concatenate([part.reshape(n, -1) for part in power])
    rows = np.column_stack([rows, np.log(np.concatenate([side.std((1, 2)) for side in sides]))])
    label = np.repeat([0, 1], n)
    order = random.permutation(2 * n)
    fit, rest = order[:n], order[n:]
    scale = StandardScaler().fit(rows[fit])
    model = LogisticRegression(C=0.01, max_iter=200).fit(scale.transform(rows[fit]), label[fit])
    return float(model.score(scale.transform(rows[rest]), label[rest]))


def nearest_distance(windows: Windows, training: Windows, random: np.random.Generator) -> float:
    """Return the median root mean square distance of windows to the nearest training window."""
    a, b = (
        side[random.permutation(len(side))[:_PAIRS]].reshape(min(len(side), _PAIRS), -1).astype(np.float64)
        for side in (windows, training)
    )
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return float(np.median(np.sqrt(np.maximum(squares.min(1), 0) / a.shape[1])))


def white_noise(training: Windows, n: int, random: np.random.Generator) -> Windows:
    """Return white noise with the deviation of the training windows, (n, channels, length)."""
    return (random.standard_normal((n, *training.shape[1:])) * training.std()).astype(np.float32)


def gaussian(training: Windows, n: int, random: np.random.Generator) -> Windows:
    """Return draws of the Gaussian with the mean and the covariance of the training windows, (n, channels, length).

    A weighted sum of centred windows, weights normal with variance 1/k, has exactly their covariance.
    """
    flat = training.reshape(len(training), -1).astype(np.float64)
    mean = flat.mean(0)
    weights = random.standard_normal((n, len(flat))) / np.sqrt(len(flat))
    return np.asarray(mean + weights @ (flat - mean), np.float32).reshape(n, *training.shape[1:])


def as_rows(found: Mapping[str, Likeness]) -> list[list[str]]:
    """Return a table's rows: what was made, and how it compares."""
    rows = []
    for name, one in found.items():
        rows.append(
            [
                name, f"{one.spectrum_median:.2f}, {one.spectrum_p95:.2f}",
                f"{one.correlation:.3f}, {one.correlation_worst:.3f}", f"{one.kurtosis:.2f}",
                f"{100 * one.bursts:.2f}", f"{one.image_r:.2f}, {one.image_r_permuted:.2f}",
                f"{one.frechet_power:.1f}", f"{one.told_apart:.2f}", f"{one.nearest:.2f}",
            ]
        )  # fmt: skip
    return rows


def _require_alike(real: Windows, made: Windows) -> None:
    if real.ndim != 3 or real.shape[1:] != made.shape[1:]:
        raise DataError(
            f"expected windows (n, channels, length) of one size, came {real.shape} measured and {made.shape} made."
        )
    if not (np.isfinite(real).all() and np.isfinite(made).all()):
        raise DataError("expected finite windows, came NaN or infinity. Train with a lower rate.")


#: Heads of `as_rows`.
HEAD = (
    "windows", "spectrum error dB, median, p95", "correlation error, mean, worst", "kurtosis", "bursts % of time",
    "image r, exchanged", "Fréchet of power", "told apart", "nearest training window",
)  # fmt: skip


def plain(one: Likeness) -> dict[str, Any]:
    """Return the figures by name; where there is none it is left out."""
    figures = {name: getattr(one, name) for name in one.__slots__}
    return {name: value for name, value in figures.items() if np.isfinite(value)}

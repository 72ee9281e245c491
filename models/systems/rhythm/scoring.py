r"""Scores of a rhythm read from the past, beside the same rhythm shifted in time.

With the phase error e of every window, the phase locking value is :math:`|\langle e^{i e}\rangle|` (Lachaux et al.
1999): 1 where the error is always the same, 0 where it is anything. What is explained of the analytic signal is
:math:`1 - \langle|z-\hat z|^2\rangle / \langle|z|^2\rangle`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfreqz

from models.systems.numbers.readout import correlation
from models.systems.numbers.trials import Fold
from models.systems.rhythm.readout import cross_predict_rhythm, fit_rhythm
from models.systems.rhythm.settings import RhythmConfig, RhythmSettings
from models.systems.rhythm.trials import Analytic, RhythmTrials

#: Shifts that chance is estimated by, at most.
_MOST_SHIFTS = 100


def phase_locking(read: Analytic, true: Analytic) -> float:
    """Return the phase locking value of two analytic signals, (n,) each.

    >>> wave = np.exp(1j * np.arange(100))
    >>> round(phase_locking(wave * 1j, wave), 3)
    1.0
    """
    return float(np.abs(np.exp(1j * (np.angle(read) - np.angle(true))).mean()))


def agreement_of(read: Analytic, true: Analytic) -> dict[str, float]:
    """Score analytic signals that were read, (n,), beside the true ones.

    Returns
    -------
    dict
        ``phase_locking``; ``error_deg``, median of the absolute phase error, ``error_strong_deg`` in the stronger half,
        ``lag_deg``, the mean error (above 0 where the phase read is ahead); ``r_power``, correlation of the logarithms
        of the powers; ``explained``.
    """
    error = np.angle(read * true.conj())
    strong = np.abs(true) >= np.median(np.abs(true))
    return {
        "phase_locking": phase_locking(read, true),
        "error_deg": float(np.degrees(np.median(np.abs(error)))),
        "error_strong_deg": float(np.degrees(np.median(np.abs(error[strong])))),
        "lag_deg": float(np.degrees(np.angle(np.exp(1j * error).mean()))),
        "r_power": correlation(np.log(np.abs(read) ** 2 + 1e-30), np.log(np.abs(true) ** 2 + 1e-30)),
        "explained": float(1 - (np.abs(read - true) ** 2).sum() / (np.abs(true) ** 2).sum()),
    }


def score_rhythm(
    config: RhythmConfig, trials: RhythmTrials, folds: list[Fold]
) -> tuple[dict[str, Any], Analytic]:
    """Score a readout by cross-prediction; return the scores, and what was read of each window, (n,).

    The scores are those of `agreement_of`, ``phase_locking_folds``, and ``shifted`` (low, mean, high of the middle 95 %
    of the phase locking value with the rhythm shifted in time by at least ``shortest_shift_s``, fitted and scored so
    with the penalties of the true one), ``untrained`` (`agreement_of` of `endpoint_corrected`; None where the rhythm's
    channel is not read), ``p``, ``unknown`` (mean squared error), ``penalties``, ``windows``, ``left_out``.
    """
    penalties = [fit_rhythm(trials, fold.fit, config.readout).penalty for fold in folds]
    read = cross_predict_rhythm(trials, folds, penalties)
    scores = agreement_of(read, trials.analytic)
    null = np.array(
        [
            phase_locking(cross_predict_rhythm(moved, folds, penalties), moved.analytic)
            for moved in map(trials.shifted, _shifts(config, trials))
        ]
    )
    low, high = np.quantile(null, [0.025, 0.975])
    return {
        **scores,
        "phase_locking_folds": [phase_locking(read[f.score], trials.analytic[f.score]) for f in folds],
        "untrained": _untrained(config, trials),
        "shifted": [float(low), float(null.mean()), float(high)],
        "p": float((1 + (null >= scores["phase_locking"]).sum()) / (1 + len(null))),
        "unknown": float((np.abs(read - trials.analytic) ** 2).mean()),
        "penalties": penalties,
        "windows": len(trials),
        "left_out": dict(trials.left_out),
    }, read


def endpoint_corrected(windows: NDArray[np.float64], rate: float, band: RhythmSettings) -> Analytic:
    """Return the analytic signal at the end of each window by itself: (n, length) to (n,).

    The endpoint-corrected Hilbert transform (Schreglmann et al. 2021): the spectrum of the window, without its negative
    half, times the response of a causal band-pass filter, which takes the jump from the window's end to its beginning
    away from the end. Nothing is trained.
    """
    n = windows.shape[1]
    sos = butter(band.order, [band.low, band.high], "bandpass", fs=rate, output="sos")
    _, response = sosfreqz(sos, np.abs(np.fft.fftfreq(n, 1 / rate)), fs=rate)
    half = np.zeros(n)
    half[: n // 2 + 1] = 2
    half[0] = half[n // 2] = 1
    centred = windows - windows.mean(axis=1, keepdims=True)
    analytic: Analytic = np.fft.ifft(np.fft.fft(centred, axis=1) * (half * response), axis=1)
    return analytic[:, -1]


def _untrained(config: RhythmConfig, trials: RhythmTrials) -> dict[str, float] | None:
    band, channels = config.target, config.signal.channels
    if band.channel not in channels:
        return None
    rate = config.window.hop / trials.cut.hop_s
    windows = trials.cut.windows[:, :, channels.index(band.channel)].astype(np.float64)
    return agreement_of(endpoint_corrected(windows, rate, band), trials.analytic)


def _shifts(config: RhythmConfig, trials: RhythmTrials) -> list[int]:
    shortest = max(1, round(config.shortest_shift_s / trials.cut.hop_s))
    shifts: NDArray[np.int64] = np.arange(shortest, len(trials) - shortest)
    if len(shifts) > _MOST_SHIFTS:
        shifts = shifts[np.linspace(0, len(shifts) - 1, _MOST_SHIFTS).astype(int)]
    return [int(shift) for shift in shifts]

"""Loopback: how late an amplifier's stamps are, by pulses whose time is known and that one of its channels records.

::

    pulse ──────────────── light, level or sound ─────────────── sample that shows it
      │  flip of the patch, or a marker of whatever pulsed          │  the amplifier's stamp, on the session's clock
      └──────────────────────────── latency ───────────────────────┘

The patch of the display turns at every change of picture, so each change is an edge of a channel that a photodiode is
plugged into. A line of levels (TTL) or a sound is a burst: it begins where the channel leaves its rest. Of the patch
the latency holds what the screen adds after the buffer swap; the correction then puts samples on flips.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.session.photodiode import Edges, Seconds, find_edges, pair_edges, recorded_at, step_size, usable

#: A channel may show a pulse so much before it, by stamps that are early, seconds.
EARLY_S = 0.2

#: A latency is stated where so many pulses show, at least this share of them, and no more others than this share.
FEWEST, FOUND, OTHERS = 5, 0.5, 1.0

#: A burst leaves the rest of the channel by more than this share of the usual burst, and so many spreads of the rest.
_HALF, _NOISE = 0.5, 6.0
#: Between two bursts the channel rests for so long, seconds: a sound swings through rest many times.
_REST_S = 0.05


@dataclass(frozen=True, eq=False)
class Loopback:
    """How late the stamps of a stream are.

    Attributes
    ----------
    latencies : (n,) float64
        Seconds from each pulse that showed to its sample, without any correction.
    pulses : int
        Pulses that came while the channel was recorded.
    others : int
        Changes of the channel that belong to no pulse.
    reason : str
        Why no correction can be stated; empty where one can.
    corrected_s : float
        The correction that was in force while it was measured; `latencies` are without it.
    """

    latencies: Seconds
    pulses: int
    others: int
    reason: str = ""
    corrected_s: float = 0.0

    @property
    def missed(self) -> int:
        """Pulses that the channel did not show."""
        return self.pulses - len(self.latencies)

    @property
    def latency_s(self) -> float:
        """The median latency, seconds; NaN where no pulse showed."""
        return float(np.median(self.latencies)) if len(self.latencies) else float("nan")

    @property
    def line(self) -> str:
        """What is put into the session file; empty where no correction can be stated."""
        return "" if self.reason else f"latency_s = {max(0.0, self.latency_s):.4f}"

    def result(self) -> dict[str, Any]:
        """Return it for machines, in milliseconds; None for what was not measured."""
        ms = 1e3 * self.latencies
        quantiles = np.percentile(ms, (5, 25, 50, 75, 95)).tolist() if len(ms) else [None] * 5
        figures = dict(zip(("p5", "p25", "median", "p75", "p95"), quantiles, strict=True))
        return {
            "latency_ms": figures | {"spread": float(ms.std()) if len(ms) else None},
            "pulses": self.pulses,
            "found": len(ms),
            "missed": self.missed,
            "others": self.others,
            "corrected_ms": 1e3 * self.corrected_s,
            "reason": self.reason,
            "latency_s": None if self.reason else round(max(0.0, self.latency_s), 4),
        }

    def sentences(self) -> tuple[str, ...]:
        """Return it for people."""
        lines = []
        if len(self.latencies):
            found = self.result()["latency_ms"]
            lines.append(
                f"stamps are {found['median']:.2f} ms late (median of {len(self.latencies)} pulses; 5 % below "
                f"{found['p5']:.2f}, 5 % above {found['p95']:.2f}, standard deviation {found['spread']:.2f} ms)"
            )
        if self.missed:
            lines.append(f"{self.missed} of {self.pulses} pulses were missed: the channel did not show them")
        if self.others:
            lines.append(f"{self.others} changes of the channel belong to no pulse")
        if self.corrected_s:
            lines.append(
                f"of that, latency_s = {self.corrected_s:g} was already corrected while this was measured"
            )
        return (*lines, self.reason) if self.reason else tuple(lines)


def measure(
    channel: NDArray[Any],
    times: Seconds,
    pulses: Seconds,
    *,
    bursts: bool,
    longest_s: float = 1.0,
    corrected_s: float = 0.0,
) -> Loopback:
    """Find pulses in a channel, and how much later than they came its stamps say.

    Parameters
    ----------
    channel : (n,) array
        What the amplifier recorded, any unit, either polarity.
    times : (n,) float64
        Session seconds of its samples, as recorded.
    pulses : (m,) float64
        When each pulse came, session seconds, increasing.
    bursts : bool
        Whether the channel rests between pulses (levels, sounds); else each pulse turns it, as the patch does.
    longest_s : float
        The longest latency that is looked for, seconds; pulses are to be further apart.
    corrected_s : float
        By how much `times` were corrected already.
    """
    channel, times, pulses = usable(channel, times, pulses)
    reach = (-EARLY_S - corrected_s, longest_s)
    seen = recorded_at(times, pulses, reach)
    if not seen.any():
        return _unknown(
            "no pulse came while the channel was recorded. Record both at once, on one machine.", 0
        )
    if bursts:
        edges = find_bursts(channel, times)
    else:
        edges = find_edges(channel, times, step_size(channel, times, pulses[seen], reach), reach[1])
    own = (edges.times >= pulses[0] + reach[0]) & (edges.times <= pulses[-1] + reach[1])
    edges = Edges(edges.times[own], edges.rising[own])
    pairs, _ = pair_edges(edges, pulses, reach)
    pairs = pairs[seen[pairs[:, 0]]]
    found = Loopback(
        edges.times[pairs[:, 1]] - pulses[pairs[:, 0]] + corrected_s,
        int(np.count_nonzero(seen)),
        len(edges.times) - len(pairs),
        corrected_s=corrected_s,
    )
    return Loopback(found.latencies, found.pulses, found.others, _doubt(found, longest_s), corrected_s)


def find_bursts(channel: NDArray[np.float64], times: Seconds) -> Edges:
    """Return where a channel leaves its rest, between two samples: the beginning of each level or sound.

    Rest is the median; a burst leaves it by half of what the largest ones do, either way, and is over once the channel
    has rested for 50 ms.

    Parameters
    ----------
    channel, times : (n,) float64
        Finite; seconds, increasing.
    """
    away = np.abs(channel - np.median(channel))
    noise = 1.4826 * float(np.median(away))
    threshold = max(_HALF * float(np.percentile(away, 99.9)), _NOISE * noise)
    beyond = np.flatnonzero(away > threshold) if threshold > 0 else np.empty(0, np.intp)
    first = beyond[np.diff(times[beyond], prepend=-np.inf) > _REST_S]
    first = first[first > 0]
    before = first - 1
    share = (threshold - away[before]) / (away[first] - away[before])
    at = times[before] + np.clip(share, 0, 1) * (times[first] - times[before])
    return Edges(at, channel[first] > np.median(channel))


def _unknown(reason: str, pulses: int) -> Loopback:
    return Loopback(np.empty(0), pulses, 0, reason)


def _doubt(found: Loopback, longest_s: float) -> str:
    """Return why no correction can be stated of what was found; empty where one can."""
    n = len(found.latencies)
    if n < max(FEWEST, FOUND * found.pulses) or found.others > OTHERS * found.pulses:
        return (
            f"no pulses found: of {found.pulses} pulses the channel shows {n}, and {found.others} other changes. Is it "
            "the right channel, is the photodiode on the patch (or the line plugged in), is the level high enough?"
        )
    if found.latency_s < 0:
        return (
            f"the channel shows pulses {-1e3 * found.latency_s:.2f} ms before they came: the amplifier's stamps are "
            "early, or the pulses are another's. latency_s corrects stamps that are late; correct the amplifier's "
            "program instead."
        )
    if found.latency_s > min(1.0, longest_s):
        return (
            f"stamps are {found.latency_s:.3f} s late; no more than 1 s can be corrected. Correct the amplifier's "
            "program."
        )
    return ""

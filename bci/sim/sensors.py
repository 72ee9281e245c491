"""Sensors: electrodes' places, the topographies of sources on them, and their background without any stimulus."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.sim.sites import SITES, background_modes, directions

Array = NDArray[np.float64]

#: Share of the background that each sensor has alone.
OWN = 0.04
_MODES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Sensors:
    """Sensors describes a set of electrodes: labels, topographies of sources, and the background's covariance.

    Attributes
    ----------
    kind : str
        ``"EEG"`` or ``"LFP"``.
    labels : tuple of str
        One per channel.
    rate : float
        Samples per second.
    topographies : (sources, channels) float64
        How each source reaches the channels; the largest weight of each is 1.
    background : (channels, channels) float64
        Covariance of the background, variances of 1.
    modes : (modes, channels) float64
        Patterns of the part of the background that sensors share.
    background_uv : float
        Standard deviation of the background, microvolt.
    """

    kind: str
    labels: tuple[str, ...]
    rate: float
    topographies: Array
    background: Array
    modes: Array
    background_uv: float


def scalp(sources: int, rng: np.random.Generator, rate: float = 250.0) -> Sensors:
    """Return the 64 sites of `bci.sim.sites` and `sources` dipoles under the back of the head."""
    at = directions()
    # Behind the ears and above them: occipital, temporal and parietal cortex.
    places = rng.standard_normal((sources, 3)) * [0.8, 0.35, 0.6] + [0.0, -0.75, 0.1]
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    turned = rng.standard_normal((sources, 3))
    angle = np.arccos(np.clip(places @ at.T, -1, 1))
    # A dipole points in some direction: part of it out of the head, part along it.
    patterns = np.exp(-((angle / 0.55) ** 2) / 2) * (0.6 + 1.2 * np.einsum("sd,cd->sc", turned, at))
    between = np.arccos(np.clip(at @ at.T, -1, 1))
    return _sensors("EEG", SITES, rate, patterns, background_modes(between, 1.3, _MODES), 14.0)


def probe(sources: int, rng: np.random.Generator, rate: float = 1250.0, channels: int = 22) -> Sensors:
    """Return a linear probe through the cortex: sinks and sources in its layers, one channel every 0.04 mm."""
    depth = np.arange(channels) * 0.04
    middle = rng.uniform(0.1, depth[-1] - 0.1, (sources, 1))
    reach = rng.uniform(0.08, 0.25, (sources, 1))
    u = (depth - middle) / reach
    # A sink with a return current on one side of it or on both.
    patterns = (
        1 - rng.uniform(0.3, 1.0, (sources, 1)) * u**2 + rng.normal(0, 0.5, (sources, 1)) * u
    ) * np.exp(-(u**2) / 2)
    between = np.abs(depth[:, None] - depth[None, :])
    labels = tuple(f"LFP{i:02d}" for i in range(channels))
    return _sensors(
        "LFP", labels, rate, patterns, background_modes(between, 0.3, min(_MODES, channels)), 120.0
    )


def _sensors(
    kind: str, labels: tuple[str, ...], rate: float, patterns: Array, modes: Array, background_uv: float
) -> Sensors:
    patterns = patterns / np.abs(patterns).max(axis=1, keepdims=True)
    common = np.sqrt(1 - OWN) * modes
    background = common.T @ common + OWN * np.eye(len(labels))
    return Sensors(kind, labels, rate, patterns, background, common, background_uv)

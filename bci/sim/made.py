"""A MadeLfp is an endless recording that a trained generator makes: windows for one image after another.

The generator lies in a bundle, beside its decoder, in files of its own: ``lfp.onnx`` (noise, and behind it an image's
code, to one window in the signal's unit), ``codes.npy`` (the code of each image; missing where it knows none) and
``lfp.json`` (how many values of noise, how many samples a window has).

Windows follow one another with an overlap in which one fades out while the next fades in: sin² + cos² = 1, so that
the power of independent windows stays what it is. All but the overlaps is as it was made. Any sample can be read at any
time; its value depends on bundle and seed alone.
"""

import io
import json
import math
import sys
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.probe import probe
from bci.decoder.providers import open_cpu_session
from bci.decoder.sandbox import Chain
from bci.errors import BundleError
from bci.signal.types import Event, Times
from bci.sim.seeds import numbered

#: Files of a bundle that makes signals.
GRAPH, CODES, FACTS = "lfp.onnx", "codes.npy", "lfp.json"
#: Samples in which windows overlap.
OVERLAP = 32
_NOISE, _ORDER = range(2)


class MadeLfp:
    """A MadeLfp is a `bci.io.files.recording.Recording` of windows that a bundle's generator makes.

    Parameters
    ----------
    bundle : Bundle
        One that holds such a generator.
    seed : int
        The same seed gives the same samples.
    seconds : float, optional
        Length; endless when absent.

    Raises
    ------
    BundleError
        If the bundle makes no signals, or its files do not fit each other.
    """

    simulated = True
    defects: tuple[str, ...] = ()

    def __init__(self, bundle: Bundle, seed: int = 0, seconds: float | None = None) -> None:
        self.signal, self.seed = bundle.signal, seed
        self.name = f"made by {bundle.name}, seed {seed}"
        facts = _facts(bundle)
        self.length, self._values = facts["length"], facts["noise"]
        self._codes = _codes(bundle)
        self.n = None if seconds is None else max(1, round(seconds * self.signal.rate))
        self.segments = ((0, sys.maxsize if self.n is None else self.n),)
        taken = self._values + (0 if self._codes is None else self._codes.shape[1])
        _try_graph(bundle, taken, (self.length, *self.signal.shape))
        self._session = open_cpu_session(bundle.read(GRAPH), threads=1)
        self._window = lru_cache(8)(self._make)
        self.markers = self.markers_between(0.0, 3600.0 if self.n is None else self.n / self.signal.rate)

    @property
    def period(self) -> int:
        """Samples from the beginning of one window to that of the next."""
        return self.length - OVERLAP

    @property
    def knows_images(self) -> bool:
        """Whether windows are made for images."""
        return self._codes is not None

    def image_at(self, window: int) -> int:
        """Return the image that window number `window` is made for; each comes once before any comes again.

        Raises
        ------
        BundleError
            If the generator knows no images.
        """
        if self._codes is None:
            raise BundleError(
                f"{self.name}: expected a generator that makes windows for images, came one without."
            )
        block, place = divmod(window, len(self._codes))
        return int(numbered(self.seed, _ORDER, block).permutation(len(self._codes))[place])

    def markers_between(self, start: float, stop: float) -> tuple[Event, ...]:
        """Return the first sample of each window with ``start ≤ time < stop``: ``image 17``; none without images."""
        if self._codes is None:
            return ()
        every = self.period / self.signal.rate
        stop = stop if self.n is None else min(stop, self.n / self.signal.rate)
        low, high = (math.ceil(max(time, 0.0) / every - 1e-9) for time in (start, stop))
        return tuple(Event(k * every, f"image {self.image_at(k)}") for k in range(low, high))

    def read(self, first: int, end: int) -> NDArray[np.float32]:
        """Return samples `first` to `end`: (end - first, channels) float32, in the bundle's unit."""
        self._check(first, end)
        out = np.zeros((end - first, *self.signal.shape), np.float32)
        for k in range(
            max(0, (first - self.length) // self.period), (max(first, end - 1)) // self.period + 1
        ):
            low, high = max(first, k * self.period), min(end, k * self.period + self.length)
            if low < high:
                out[low - first : high - first] += self._window(k)[
                    low - k * self.period : high - k * self.period
                ]
        return out

    def times(self, first: int, end: int) -> Times:
        """Return the times of samples `first` to `end`: (end - first,) float64 seconds from the start."""
        self._check(first, end)
        return np.arange(first, end) / self.signal.rate

    def _check(self, first: int, end: int) -> None:
        if not 0 <= first <= end or (self.n is not None and end > self.n):
            raise ValueError(f"{self.name} has samples 0 to {self.n}; asked for {first} to {end}")

    def window_for(self, image: int, number: int) -> NDArray[np.float32]:
        """Return the window that noise number `number` makes for an image, which a generator without images ignores."""
        row = numbered(self.seed, _NOISE, number).standard_normal(self._values, np.float32)
        if self._codes is not None:
            row = np.concatenate([row, self._codes[image]])
        return np.array(self._session.run(["samples"], {"noise": row[None]})[0][0], np.float32)

    def _make(self, number: int) -> NDArray[np.float32]:
        """Return one window, faded in and out: (length, channels)."""
        window = self.window_for(0 if self._codes is None else self.image_at(number), number)
        angle = np.pi / 2 * (np.arange(OVERLAP) + 0.5) / OVERLAP
        rise = np.sin(angle).astype(np.float32)[:, None]
        if number:  # the first one has none before it
            window[:OVERLAP] *= rise
        window[-OVERLAP:] *= rise[::-1]
        return window


def _facts(bundle: Bundle) -> dict[str, int]:
    if GRAPH not in bundle.spec.files or FACTS not in bundle.spec.files:
        raise BundleError(
            f"bundle {bundle.name!r}: expected one that makes a signal, with {GRAPH} and {FACTS}, came one with "
            f"{', '.join(sorted(bundle.spec.files))}. Train one of kind lfp-gan (bci train)."
        )
    try:
        facts = json.loads(bundle.read(FACTS))
        found = {key: int(facts[key]) for key in ("noise", "length")}
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"bundle {bundle.name!r}: expected noise and length in {FACTS}, came: {error!r}."
        ) from None
    if found["noise"] < 1 or found["length"] <= 2 * OVERLAP or len(bundle.signal.shape) != 1:
        raise BundleError(
            f"bundle {bundle.name!r}: expected noise and windows of channels longer than {2 * OVERLAP} samples, came "
            f"{found} of samples of shape {bundle.signal.shape}. Train it again."
        )
    return found


def _codes(bundle: Bundle) -> NDArray[np.float32] | None:
    if CODES not in bundle.spec.files:
        return None
    try:
        codes: NDArray[Any] = np.lib.format.read_array(io.BytesIO(bundle.read(CODES)), allow_pickle=False)
    except ValueError as error:
        raise BundleError(f"bundle {bundle.name!r}: expected an array in {CODES}, came: {error}.") from None
    if codes.ndim != 2 or codes.dtype != np.float32 or not codes.size or not np.isfinite(codes).all():
        raise BundleError(
            f"bundle {bundle.name!r}: expected codes (images, values) float32 in {CODES}, came {codes.dtype} of shape "
            f"{codes.shape}. Train it again."
        )
    return np.asarray(codes)


def _try_graph(bundle: Bundle, taken: int, window: tuple[int, ...]) -> None:
    """Try the graph in a capped process, as a bundle's others are."""
    chain = Chain(
        graphs=(("signal", GRAPH, bundle.spec.files[GRAPH]),),
        window=window,
        latent=taken,
        image=(1, 1),
        confidence=False,
    )
    facts = probe(bundle.folder, [chain])[GRAPH]
    if facts.control_flow:
        raise BundleError(
            f"bundle {bundle.name!r}: expected {GRAPH} without control flow, came "
            f"{', '.join(facts.control_flow)}. Export it again."
        )

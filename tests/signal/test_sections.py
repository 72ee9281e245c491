"""Filters are designed and run as SciPy does it, bit for bit, without its package of signal processing."""

import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any

import numpy as np
import pytest
import scipy.signal

from bci.signal.steps import sections
from bci.signal.steps.sections import Loop, butterworth, notch, poles_of, section_loop, through_scipy

RATES = (100.0, 160.0, 250.0, 512.0, 2048.0, 30_000.0)


def test_butterworth_filters_have_the_bits_of_scipys() -> None:
    rng = np.random.default_rng(5)
    for _ in range(100):
        order, rate = int(rng.integers(1, 21)), float(rng.choice(RATES))
        low, high = (float(edge) for edge in np.sort(rng.uniform(0.001, 0.499, 2)) * rate)
        for kind, edges in (("lowpass", high), ("highpass", low), ("bandpass", (low, high))):
            expected = scipy.signal.butter(order, edges, kind, fs=rate, output="sos")
            # `kind` is one of three words; a loop over a tuple makes it any.
            assert butterworth(order, edges, kind, rate).tobytes() == expected.tobytes(), (order, edges, kind)  # type: ignore[arg-type]


def test_notches_have_the_bits_of_scipys() -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        rate = float(rng.choice(RATES))
        frequency, quality = float(rng.uniform(0.01, 0.499)) * rate, float(rng.uniform(0.3, 60))
        expected = scipy.signal.tf2sos(*scipy.signal.iirnotch(frequency, quality, fs=rate))
        assert notch(frequency, quality, rate).tobytes() == expected.tobytes(), (frequency, quality, rate)


def test_the_poles_are_scipys() -> None:
    sos = butterworth(5, (8.0, 13.0), "bandpass", 250.0)
    assert np.array_equal(np.sort(poles_of(sos)), np.sort(scipy.signal.sos2zpk(sos)[1]))


@pytest.mark.parametrize("loop", [section_loop, lambda: through_scipy], ids=["compiled", "public"])
def test_the_loop_filters_as_scipys_function(loop: Callable[[], Loop]) -> None:
    rng = np.random.default_rng(7)
    sos = butterworth(4, (8.0, 13.0), "bandpass", 250.0)
    rows, state = rng.standard_normal((3, 500)), rng.standard_normal((3, len(sos), 2))
    expected, after = scipy.signal.sosfilt(sos, rows, zi=np.moveaxis(state, 1, 0))
    loop()(sos, rows, state)
    assert rows.tobytes() == np.ascontiguousarray(expected).tobytes()
    assert np.array_equal(np.moveaxis(state, 1, 0), after)


def test_where_the_compiled_loop_lies_elsewhere_scipys_function_is_called(monkeypatch: Any) -> None:
    section_loop.cache_clear()
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, path: None)
    assert section_loop() is through_scipy
    section_loop.cache_clear()


def test_a_program_that_filters_does_not_import_scipys_signal_processing() -> None:
    words = """
import sys
from bci.signal.steps.filters import BandPass
from bci.signal.types import Signal
signal = Signal("planted", 250.0, (2,), ("a", "b"), "uV")
BandPass(8, 13).start(signal)(__import__("numpy").zeros((10, 2), "f4"), None)
assert not {"scipy.signal", "scipy.stats"} & set(sys.modules)
import scipy.signal
assert scipy.signal.sosfilt([[1, 0, 0, 1, 0, 0]], [1.0, 2.0]).tolist() == [1.0, 2.0]
"""
    subprocess.run([sys.executable, "-c", words], check=True, timeout=60)
    assert sections.section_loop() is not through_scipy

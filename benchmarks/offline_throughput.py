"""Offline throughput: how many times faster than real time a recording is filtered and cut into windows.

::

    python -m benchmarks.offline_throughput            # one recorded hour of 64 ch × 1 kHz
    python -m benchmarks.offline_throughput --quick    # three minutes of it

Average reference, band-pass, notch; windows of 1 s every 10 ms, each read once (its samples are summed). One
thread: nothing here calls BLAS. The floor does the same arithmetic with whole-array SciPy, a minute at a time,
and strided NumPy views, which no live system can: it has the future in hand. That both made the same windows is
checked on the newest value of each, since the average reference leaves nothing of the sums.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import signal as dsp

from bci.signal.pipeline import Pipeline
from bci.signal.steps.filters import BandPass, Notch
from bci.signal.steps.montage import CommonAverage
from bci.signal.types import Signal, Window
from bci.signal.windows import windows
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress

RATE, CHANNELS, LENGTH, HOP = 1000, 64, 1000, 10
CHUNK = 1000
PIECE_S = 60
TARGET = 200.0


def minute(number: int) -> NDArray[np.float32]:
    """One minute of the recording: noise, (60000, 64) float32."""
    generator = np.random.default_rng(number)
    return generator.standard_normal((PIECE_S * RATE, CHANNELS), np.float32) * 30


def ours(minutes: int) -> tuple[float, int, float]:
    """Return (seconds of work, windows, sum of their newest values' sizes) of the project's own path."""
    signal = Signal("hour", RATE, (CHANNELS,), (), "uV")
    pipeline = Pipeline([CommonAverage(), BandPass(1, 40), Notch(50)])
    spent = 0.0

    def chunks() -> Iterator[Window]:
        nonlocal spent
        count = 0
        for number in range(minutes):
            began = time.perf_counter()
            samples = minute(number)
            spent += time.perf_counter() - began  # making the data is not the work
            for at in range(0, len(samples), CHUNK):
                part = samples[at : at + CHUNK]
                n = len(part)
                times = np.arange(count, count + n) / RATE
                bad = np.zeros((n, CHANNELS), bool)
                yield Window(signal, count, part, times, bad, count + n - 1, reset="" if count else "start")
                count += n

    began = time.perf_counter()
    number, total = 0, 0.0
    for window in windows(chunks(), pipeline, length=LENGTH, hop=HOP, copy=False):
        np.add.reduce(window.samples, axis=None)
        total += abs(float(window.samples[-1, 0]))
        number += 1
    return time.perf_counter() - began - spent, number, total


def floor(minutes: int) -> tuple[float, int, float]:
    """Return the same of whole-array SciPy, a minute at a time with the state carried over."""
    band = dsp.butter(4, (1, 40), "bandpass", fs=RATE, output="sos")
    notch = dsp.tf2sos(*dsp.iirnotch(50, 30, fs=RATE))
    sos = np.concatenate([band, notch])
    zi = np.zeros((len(sos), CHANNELS, 2))
    tail = np.zeros((0, CHANNELS), np.float32)
    work, number, total = 0.0, 0, 0.0
    for m in range(minutes):
        samples = minute(m)
        began = time.perf_counter()
        referenced = samples - samples.mean(axis=1, keepdims=True, dtype=np.float64)
        rows, zi = dsp.sosfilt(sos, np.ascontiguousarray(referenced.T), axis=-1, zi=zi)
        filtered = np.concatenate([tail, rows.T.astype(np.float32)])
        for view in sliding_window_view(filtered, LENGTH, axis=0)[::HOP]:
            np.add.reduce(view, axis=None)
            total += abs(float(view[0, -1]))
            number += 1
        done = (len(filtered) - LENGTH) // HOP * HOP + HOP
        tail = filtered[done:]
        work += time.perf_counter() - began
    return work, number, total


def main() -> int:
    """Run and report; status 1 when the target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three minutes instead of an hour")
    parser.add_argument("--json", action="store_true", help="end with one machine-readable line")
    options = parser.parse_args()
    minutes = 3 if options.quick else 60
    progress(f"{minutes} min of {CHANNELS} ch × {RATE} Hz …")
    floor_s, floor_n, floor_sum = floor(minutes)
    ours_s, ours_n, ours_sum = ours(minutes)
    assert ours_n == floor_n == (minutes * PIECE_S * RATE - LENGTH) // HOP + 1, (ours_n, floor_n)
    assert ours_sum > 0, ours_sum
    assert np.isclose(ours_sum, floor_sum, rtol=1e-6), (ours_sum, floor_sum)
    seconds = minutes * PIECE_S
    speed, floor_speed = seconds / ours_s, seconds / floor_s
    facts = machine_facts(["scipy"])
    print_machine(facts)
    rows = [
        ["whole-array SciPy (floor)", f"{floor_speed:.0f}×", "1.00"],
        ["windows() with its pipeline", f"{speed:.0f}×", f"{speed / floor_speed:.2f}"],
    ]
    print_table(["one thread, every window read once", "times real time", "of the floor"], rows)
    print(f"target ≥ {TARGET:g}×: {'met' if speed >= TARGET else 'MISSED'}; {ours_n} windows")
    if options.json:
        result = {
            "times_real_time": speed,
            "floor": floor_speed,
            "ratio": speed / floor_speed,
            "target": TARGET,
        }
        print_last_line(
            {**result, "met": speed >= TARGET, "windows": ours_n, "seconds": seconds, "machine": facts}
        )
    return 0 if speed >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())

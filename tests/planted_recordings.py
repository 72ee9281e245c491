"""Recordings with planted content."""

from pathlib import Path

import numpy as np

from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

RATE = 100.0


def signal(channels: int = 8, dtype: str = "float32", name: str = "amp") -> Signal:
    return Signal(name, RATE, (channels,), tuple(f"E{i}" for i in range(channels)), "uV", dtype)


def eeg(channels: int = 8, dtype: str = "float32", name: str = "amp") -> StreamInfo:
    return StreamInfo(signal(channels, dtype, name), f"{name}-id", "uid-1", "bench", kind="EEG")


def markers(name: str = "events") -> StreamInfo:
    return StreamInfo(Signal(name, 0.0, (1,), dtype="str"), f"{name}-id", kind="Markers")


def values(n: int, channels: int = 8, dtype: str = "float32", seed: int = 3) -> np.ndarray:
    """Return samples whose first channel is their own count."""
    out = np.random.default_rng(seed).normal(0, 50, (n, channels)).astype(dtype)
    out[:, 0] = np.arange(n) % 100
    return out


def stamps(n: int, start: float = 1000.0) -> np.ndarray:
    return start + np.arange(n) / RATE


def record(
    path: Path,
    n: int = 600,
    channels: int = 8,
    each: int = 50,
    *,
    one_offset: bool = False,
    **options: object,
) -> np.ndarray:
    """Write a whole recording of `n` samples in chunks of `each`, four markers and clock offsets of -2 s.

    With `one_offset` there is a single clock offset for each stream: pyxdf fits a line through several, which takes
    nearly all the time of reading so small a file.
    """
    clock = ManualClock(998.0)
    samples, times = values(n, channels), stamps(n)
    with XdfWriter(path, clock, **options) as writer:  # type: ignore[arg-type]
        amp, events = writer.add_stream(eeg(channels)), writer.add_stream(markers())
        for first in range(0, n, each):
            clock.advance(each / RATE)
            writer.write(amp, samples[first : first + each], times[first : first + each])
            if first % (4 * each) == 0:
                if not (first and one_offset):
                    writer.clock_offset(amp, clock.now(), -2.0)
                    writer.clock_offset(events, clock.now(), -2.0)
                writer.write_texts(events, [f"at {first}, µ"], [float(times[first])])
            writer.tick()
    return samples

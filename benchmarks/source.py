"""The source: one program that publishes numbered samples, the same for every contender.

The samples are those of `benchmarks.planted`. The newest sample of a chunk is stamped with `local_clock()` just
before the push; the stamps before it are spread evenly since the push before. It starts counting at 0 once
a consumer is connected, so every contender sees the same samples.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pylsl
from numpy.typing import NDArray

from bci.memory.lsl_clock import LslClock
from bci.memory.program import Program
from benchmarks.planted import WRAP, noise

#: Seconds between the first consumer's arrival and the first sample.
SETTLE = 0.8

#: Seconds that LSL may hold back for a slow consumer.
BUFFER = 60

_PATIENCE = 60.0


@dataclass(frozen=True)
class Feed:
    """A Feed describes the published stream, and how it is cut into windows.

    Attributes
    ----------
    name : str
        Letter in the tables.
    channels, rate, chunk : int
        Channels, samples per second, and samples per push.
    length, hop : int
        The consumers' windows, samples.
    """

    name: str
    channels: int
    rate: int
    chunk: int
    length: int
    hop: int

    def __str__(self) -> str:
        pushes = "single samples" if self.chunk == 1 else f"{1e3 * self.chunk / self.rate:g} ms chunks"
        return f"{self.channels} ch × {self.rate / 1e3:g} kHz, {pushes}"

    def windows_in(self, seconds: float) -> int:
        """Return how many hops fit into `seconds`, with room to spare."""
        return int(seconds * self.rate / self.hop) + 1

    def noise(self) -> NDArray[np.float32]:
        """Return the block of noise that all channels but the first repeat: about a second, (n, channels)."""
        return noise(self.channels, max(self.rate // self.chunk, 1) * self.chunk)


def main(program: Program) -> None:
    """Publish the feed for ``seconds``; write ``source.npy``, when each chunk was pushed.

    Spec: ``source_id`` (also the stream's name), ``feed``, ``seconds``.
    """
    spec = program.spec
    feed, source_id = Feed(**spec["feed"]), spec["source_id"]
    outlet = pylsl.StreamOutlet(describe_feed(feed, source_id), max_buffered=BUFFER)
    block = feed.noise().reshape(-1, feed.chunk, feed.channels)
    total = int(spec["seconds"] * feed.rate) // feed.chunk
    pushed = np.full(total, np.nan)
    program.ready()
    if not _await_consumer(program, outlet):
        return
    start = pylsl.local_clock() + SETTLE
    program.report(started=start)
    pushed = pushed[: _push_all(program, outlet, feed, block, pushed, start)]
    np.save(program.folder / "source.npy", pushed)
    late = pushed - (start + np.arange(1, len(pushed) + 1) * feed.chunk / feed.rate)
    program.report(late_ms=1e3 * float(np.percentile(late, 99)) if len(late) else 0.0, pushed=len(pushed))
    while program.tick():  # a stream that vanishes at once would cut off what is still on its way
        time.sleep(0.02)


def describe_feed(feed: Feed, source_id: str) -> Any:
    """Return the description of the feed's stream, a `pylsl.StreamInfo`."""
    info = pylsl.StreamInfo(source_id, "EEG", feed.channels, feed.rate, pylsl.cf_float32, source_id)
    channels = info.desc().append_child("channels")
    for number in range(feed.channels):
        channel = channels.append_child("channel")
        channel.append_child_value("label", f"C{number}")
        channel.append_child_value("unit", "microvolts")
        channel.append_child_value("type", "EEG")
    return info


def _await_consumer(program: Program, outlet: Any) -> bool:
    until = pylsl.local_clock() + _PATIENCE
    while pylsl.local_clock() < until:
        if outlet.wait_for_consumers(0.05):
            return True
        if not program.tick():
            return False
    return False


def _push_all(
    program: Program,
    outlet: Any,
    feed: Feed,
    block: NDArray[np.float32],
    pushed: NDArray[np.float64],
    start: float,
) -> int:
    """Push chunk after chunk on schedule; return how many were pushed before an order to stop."""
    clock, chunk, share = LslClock(), feed.chunk, np.arange(1, feed.chunk + 1) / feed.chunk
    before = start
    for k in range(len(pushed)):
        samples = block[k % len(block)]
        samples[:, 0] = np.arange(k * chunk, (k + 1) * chunk) % WRAP
        clock.sleep_until(start + (k + 1) * chunk / feed.rate)
        # One sample goes out with a plain float: pylsl builds a ctypes array of a list of stamps.
        now = pylsl.local_clock()
        outlet.push_chunk(samples, now if chunk == 1 else (before + (now - before) * share).tolist())
        pushed[k] = before = now
        if not program.tick():
            return k + 1
    return len(pushed)

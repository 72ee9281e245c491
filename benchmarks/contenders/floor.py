"""The floor: a bare blocking pylsl loop that pulls straight into a mirrored NumPy ring.

Nothing a real system needs is here: no other process, no stamps kept, no gap looked for. It asks liblsl for
exactly the samples to the next hop, so it wakes once per hop, and hands on a view.
"""

import numpy as np
import pylsl

from bci.memory.program import Program
from benchmarks.contenders.load import busy
from benchmarks.source import BUFFER, Feed
from benchmarks.window_log import WindowLog

# The inlet stays open until the process ends: liblsl logs an error when it is closed under a running stream.
_open: list[pylsl.StreamInlet] = []


def main(program: Program) -> None:
    """Cut every window of the stream and log it.

    Spec: ``source_id``, ``feed``, ``seconds``, ``busy`` (seconds of work per window).
    """
    spec = program.spec
    feed = Feed(**spec["feed"])
    length, hop, work = feed.length, feed.hop, spec["busy"]
    total = int(spec["seconds"] * feed.rate) // feed.chunk * feed.chunk
    capacity = 10 * length
    ring = np.zeros((capacity + length, feed.channels), np.float32)
    log = WindowLog(length, 2 * feed.windows_in(spec["seconds"]))
    inlet = connect(spec["source_id"])
    program.ready()
    clock, pull = pylsl.local_clock, inlet.pull_chunk
    count, target = 0, length
    while target <= total:
        at = count % capacity
        need = target - count
        _, stamps = pull(timeout=0.5, max_samples=need, dest_obj=ring[at : at + need], as_numpy=True)
        n = len(stamps)
        if at < length:
            filled = min(at + n, length)
            ring[at + capacity : filled + capacity] = ring[at:filled]
        if at + n > capacity:
            ring[: at + n - capacity] = ring[capacity : at + n]
        count += n
        if count < target:
            if not program.tick():
                break
            continue
        first = (count - length) % capacity
        window = ring[first : first + length]
        hand = clock()
        if work:
            busy(work)
        log.take(window, hand, clock() if work else np.nan)
        target += hop
    log.save(program.folder)


def connect(source_id: str) -> pylsl.StreamInlet:
    """Return an inlet that has begun to receive samples."""
    streams = pylsl.resolve_byprop("source_id", source_id, timeout=10.0)
    inlet = pylsl.StreamInlet(streams[0], max_buflen=BUFFER, recover=False)
    inlet.open_stream(timeout=10.0)
    _open.append(inlet)
    return inlet

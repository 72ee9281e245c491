"""MNE-LSL: one `StreamLSL` whose buffer is one window, acquired by hand in the consumer's own loop.

Chosen for it, after trying the alternatives on one machine:

- ``bufsize`` is the window, no longer: each acquisition rolls the whole buffer;
- ``acquisition_delay=None`` and `acquire` from this loop, every 0.2 ms: MNE-LSL pulls without blocking, so
  this loop has to poll; its own thread (1 ms by default) adds a hand-over and contends with this loop for the
  interpreter, which doubles the median latency. Polling without any sleep gained nothing but CPU time;
- no processing flags, no filters, no reference, and ``picks`` as an index array, which spares it the look-up
  of channel names at each `get_data`.

With ``threaded`` it runs as its tutorials show: its own thread at the default delay, this loop looking at
`n_new_samples`.

It has no grid: a window is taken whenever at least one hop of new samples is there.
"""

import time

import numpy as np
import pylsl
from mne_lsl.stream import StreamLSL

from bci.memory.program import Program
from benchmarks.contenders.load import busy
from benchmarks.source import Feed
from benchmarks.window_log import WindowLog

#: Seconds between two looks at the inlet, and MNE-LSL's own default delay.
POLL, DELAY = 0.0002, 0.001

# The inlet stays open until the process ends: liblsl logs an error when it is closed under a running stream.
_open: list[StreamLSL] = []


def main(program: Program) -> None:
    """Take a window each hop and log it.

    Spec: ``source_id``, ``feed``, ``seconds``, ``busy`` (seconds of work per window), ``threaded`` (MNE-LSL's own
    acquisition thread; default false).
    """
    spec = program.spec
    feed = Feed(**spec["feed"])
    length, hop, work = feed.length, feed.hop, spec["busy"]
    threaded = spec.get("threaded", False)
    poll = DELAY / 2 if threaded else POLL
    last = int(spec["seconds"] * feed.rate) // feed.chunk * feed.chunk - hop
    log = WindowLog(length, 2 * feed.windows_in(spec["seconds"]))
    window_s = length / feed.rate
    stream = StreamLSL(bufsize=window_s, source_id=spec["source_id"])
    _open.append(stream)
    stream.connect(acquisition_delay=DELAY if threaded else None, timeout=10.0)
    picks = np.arange(feed.channels)
    program.ready()
    clock, sleep, seen = pylsl.local_clock, time.sleep, 0
    while log.newest < last:
        if not threaded:
            stream.acquire()
        new = stream.n_new_samples
        if new < hop or seen + new < length:
            if not program.tick():
                break
            sleep(poll)
            continue
        data, _ = stream.get_data(winsize=window_s, picks=picks)
        hand = clock()
        seen += new
        if work:
            busy(work)
        log.take(data.T, hand, clock() if work else np.nan)
    log.save(program.folder)

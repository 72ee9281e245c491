"""The pair: the floor cut in two, one process that pulls into shared memory and one that waits for windows there.

It has the cost of any line whose acquisition survives its decoder. No stamps are kept, no gap is looked for, nothing is
checked after use: it separates the cost of the second process from the cost of all else that ours does.
"""

import numpy as np
import pylsl

from bci.memory.program import Program
from benchmarks.contenders.floor import connect
from benchmarks.contenders.load import busy
from benchmarks.source import Feed
from benchmarks.window_log import WindowLog


def main(program: Program) -> None:
    """Run as the process that the spec's ``part`` names.

    Spec: ``part`` (``pull`` or ``cut``), ``source_id``, ``feed``, ``seconds``, ``busy`` (seconds of work per window).
    The ring of role ``samples`` lies between them.
    """
    (pull if program.spec["part"] == "pull" else cut)(program)


def pull(program: Program) -> None:
    """Ask liblsl for exactly the samples to the next hop, straight into the ring."""
    feed = Feed(**program.spec["feed"])
    total = int(program.spec["seconds"] * feed.rate) // feed.chunk * feed.chunk
    ring = program.ring("samples")
    inlet = connect(program.spec["source_id"])
    program.ready()
    pull_chunk, count, target = inlet.pull_chunk, 0, feed.length
    while count < total and program.tick():
        need = min(target - count, ring.max_window)
        places = ring.claim(need)["samples"]
        _, stamps = pull_chunk(timeout=0.1, max_samples=need, dest_obj=places, as_numpy=True)
        if len(stamps):
            count = ring.commit(len(stamps))
            target += feed.hop * (count >= target)
    ring.finish()


def cut(program: Program) -> None:
    """Wait for each hop, and log a view of the window."""
    spec = program.spec
    feed = Feed(**spec["feed"])
    length, hop, work = feed.length, feed.hop, spec["busy"]
    ring, slot = program.ring("samples"), program.slot("samples")
    log = WindowLog(length, 2 * feed.windows_in(spec["seconds"]))
    program.ready()
    samples, clock, target = ring.array("samples"), pylsl.local_clock, length
    while program.tick():
        if not ring.wait(target, slot=slot):
            if ring.finished:
                break
            continue
        window = samples[ring.locate(target - length, target)]
        hand = clock()
        if work:
            busy(work)
        log.take(window, hand, clock() if work else np.nan)
        target += hop
    log.save(program.folder)

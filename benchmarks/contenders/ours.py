"""Ours: the work of `bci.live.decode` on every chunk, with an empty pipeline and no model.

`bci.live.acquire` runs in its own process, as in a session, and writes the stream's ring; this program
follows it. The window is in the decoder's hands when `bci.signal.windows.Windows` hands it on.
"""

import numpy as np

from bci.memory.program import Program
from bci.memory.stream import Grid, follow
from bci.memory.turns import take_short_turns
from bci.signal.pipeline import Pipeline
from bci.signal.windows import Windows
from benchmarks.contenders.load import busy
from benchmarks.planted import WRAP
from benchmarks.source import Feed
from benchmarks.window_log import WindowLog


def main(program: Program) -> None:
    """Follow the stream of role ``stream`` and log the newest window of each chunk.

    Spec: ``feed``, ``seconds``, ``busy`` (seconds of work per window), ``check_chunks`` (also check the
    counter of every sample that goes into the pipeline).
    """
    take_short_turns()
    spec, clock, row = program.spec, program.clock, program.row
    feed = Feed(**spec["feed"])
    work, check_chunks = spec["busy"], spec["check_chunks"]
    log = WindowLog(feed.length, 2 * feed.windows_in(spec["seconds"]))
    stream = program.stream("stream")
    cutter = Windows(stream.signal, Pipeline(()), length=feed.length, hop=feed.hop, newest=True, copy=False)
    unseen, expected, resets = 0, 0, []
    program.ready()

    def overrun(first: int, lost: int) -> None:
        row["lost"] += lost

    grid = Grid(cutter.source_start, cutter.source_step)
    slot = program.slot("stream")
    for chunk in follow(stream, grid, program.tick, overrun, slot=slot, foresee=cutter.foresee):
        if chunk.reset:
            resets.append(f"{chunk.first}: {chunk.reset}")
        if check_chunks:
            unseen += int(np.count_nonzero(chunk.samples[:, 0] != np.arange(expected, chunk.end) % WRAP))
            expected = chunk.end
        for window in cutter.push(chunk):
            hand = clock.now()
            if work:
                busy(work)
            log.take(window.samples, hand, clock.now() if work else np.nan)
        row["samples"] = chunk.end
        row["windows"], row["reconstructions"] = cutter.windows, cutter.yielded
        row["skipped"] = cutter.skipped
    log.save(program.folder)
    program.report(
        samples=int(row["samples"]),
        unseen=unseen + int(row["lost"]),
        windows=cutter.windows,
        decoded=cutter.yielded,
        skipped=cutter.skipped,
        resets=resets,
    )

"""ezmsg: an ezmsg-lsl inlet unit feeding one windowing unit, both in one process.

Chosen for it: one process, so a message is handed on by reference and nothing is serialised; no LSL
processing and stamps left on LSL's clock; `pull_timeout` and pull size as they come, which block until the
first sample and then take all there is. The windowing unit is this module's, since ezmsg-sigproc's `Window`
copies: a mirrored ring like the floor's, from which it hands on views, on the same grid. (`max_chunklen=1` on
its inlet is ezmsg-lsl's own and cannot be changed.)
"""

import gc
import logging

import ezmsg.core as ez
import numpy as np
import pylsl
from ezmsg.lsl.inlet import LSLInfo, LSLInletSettings, LSLInletUnit
from ezmsg.util.messages.axisarray import AxisArray

from bci.memory.program import Program
from benchmarks.contenders.load import busy
from benchmarks.source import Feed
from benchmarks.window_log import WindowLog


class CutterSettings(ez.Settings):
    """CutterSettings holds the windows to cut, their log, and the count of samples at the end."""

    feed: Feed
    log: WindowLog
    total: int
    work: float


class CutterState(ez.State):
    """CutterState holds the ring and how far it is filled."""

    ring: np.ndarray
    count: int = 0
    target: int = 0


class Cutter(ez.Unit):
    """A Cutter cuts every window of the grid out of a mirrored ring."""

    SETTINGS = CutterSettings
    STATE = CutterState
    INPUT = ez.InputStream(AxisArray)

    async def initialize(self) -> None:
        """Allocate the ring."""
        feed = self.SETTINGS.feed
        self.STATE.ring = np.zeros((11 * feed.length, feed.channels), np.float32)
        self.STATE.target = feed.length

    @ez.subscriber(INPUT)
    async def cut(self, message: AxisArray) -> None:
        """Take in one message and hand on the windows it completes."""
        settings, state, ring, data = self.SETTINGS, self.STATE, self.STATE.ring, message.data
        length, hop = settings.feed.length, settings.feed.hop
        capacity = 10 * length
        done = 0
        while done < len(data):
            # Up to the next window's end at most, so nothing is overwritten before it was in a window.
            n = min(len(data) - done, state.target - state.count)
            at = state.count % capacity
            ring[at : at + n] = data[done : done + n]
            if at < length:
                filled = min(at + n, length)
                ring[at + capacity : filled + capacity] = ring[at:filled]
            if at + n > capacity:
                ring[: at + n - capacity] = ring[capacity : at + n]
            state.count += n
            done += n
            if state.count < state.target:
                continue
            first = (state.count - length) % capacity
            window = ring[first : first + length]
            hand = pylsl.local_clock()
            if settings.work:
                busy(settings.work)
            settings.log.take(window, hand, pylsl.local_clock() if settings.work else np.nan)
            state.target += hop
        if state.target > settings.total:
            raise ez.NormalTermination


def main(program: Program) -> None:
    """Run the graph and log every window.

    Spec: ``source_id``, ``feed``, ``seconds``, ``busy`` (seconds of work per window).
    """
    spec = program.spec
    feed = Feed(**spec["feed"])
    total = int(spec["seconds"] * feed.rate) // feed.chunk * feed.chunk
    log = WindowLog(feed.length, 2 * feed.windows_in(spec["seconds"]))
    logging.getLogger("ezmsg").setLevel(logging.WARNING)
    inlet = LSLInletUnit(
        LSLInletSettings(
            info=LSLInfo(name=spec["source_id"]), processing_flags=pylsl.proc_none, use_lsl_clock=True
        )
    )
    cutter = Cutter(CutterSettings(feed=feed, log=log, total=total, work=spec["busy"]))
    program.ready()
    ez.run(
        {"INLET": inlet, "CUTTER": cutter},
        connections=((inlet.OUTPUT_SIGNAL, cutter.INPUT),),
        force_single_process=True,
    )
    log.save(program.folder)
    # Programs end without finalisers: let go of the graph's semaphores now, or the tracker complains of them.
    del inlet, cutter
    gc.collect()

"""ezmsg: an ezmsg-lsl inlet unit feeding one windowing unit, both in one process.

Chosen for it: one process, so a message is handed on by reference and nothing is serialised; no LSL
processing and stamps left on LSL's clock; `pull_timeout` and pull size as they come, which block until the
first sample and then take all there is. The windowing unit is this module's, since ezmsg-sigproc's `Window`
copies: a mirrored ring like the floor's, from which it hands on views, on the same grid. (`max_chunklen=1` on
its inlet is ezmsg-lsl's own and cannot be changed.)

With ``leaky`` the windowing unit keeps no queue: ezmsg drops the messages that come while it works
(`InputStream(..., leaky=True, max_queue=1)`), and of a message that holds several windows it takes the newest. What was
dropped it does not know, so a window may lie across a gap.
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
    """CutterSettings holds the windows to cut, their log, the samples at the end, whether the newest alone."""

    feed: Feed
    log: WindowLog
    total: int
    work: float
    newest: bool = False


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
        self.take_in(message)

    def take_in(self, message: AxisArray) -> None:
        """Write one message into the ring and log the windows it completes."""
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
            if settings.newest and len(data) - done >= hop:
                state.target += hop
                continue
            first = (state.count - length) % capacity
            window = ring[first : first + length]
            hand = pylsl.local_clock()
            if settings.work:
                busy(settings.work)
            settings.log.take(window, hand, pylsl.local_clock() if settings.work else np.nan)
            state.target += hop
        # Samples that were dropped are in no count of this unit, but in the counter that the log follows.
        ahead = settings.log.newest + 1 + hop if settings.newest else state.target
        if ahead > settings.total:
            raise ez.NormalTermination


class LeakyCutter(Cutter):
    """A LeakyCutter is a Cutter whose queue drops what it has not come to."""

    INPUT = ez.InputStream(AxisArray, leaky=True, max_queue=1)

    @ez.subscriber(INPUT)
    async def cut(self, message: AxisArray) -> None:
        """Take in one message and hand on the newest window it completes."""
        self.take_in(message)


def main(program: Program) -> None:
    """Run the graph and log every window.

    Spec: ``source_id``, ``feed``, ``seconds``, ``busy`` (seconds of work per window), ``leaky`` (drop what the
    windowing unit has not come to; default false).
    """
    spec, leaky = program.spec, program.spec.get("leaky", False)
    feed = Feed(**spec["feed"])
    total = int(spec["seconds"] * feed.rate) // feed.chunk * feed.chunk
    log = WindowLog(feed.length, 2 * feed.windows_in(spec["seconds"]))
    logging.getLogger("ezmsg").setLevel(logging.WARNING)
    inlet = LSLInletUnit(
        LSLInletSettings(
            info=LSLInfo(name=spec["source_id"]), processing_flags=pylsl.proc_none, use_lsl_clock=True
        )
    )
    kind = LeakyCutter if leaky else Cutter
    cutter = kind(CutterSettings(feed=feed, log=log, total=total, work=spec["busy"], newest=leaky))
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

"""A Resumption is where a decoder that was started in the place of a dead one goes on, and what it knows by then.

Most pipelines forget: they are reset at the first sample that the predecessor had not used, and have settled soon. One
that learns a run (betas of trials, z-scores of the volumes so far) would know nothing of it. So it runs the samples
since the last reset again, out of the ring, with their events and what they heard of a pulse and a belt. What it gives
does not depend on chunks; so it then knows, bit for bit, what its predecessor knew, and goes on without a reset.
Nothing is given out, said or counted twice.

Where the rings no longer hold these samples, or a bundle was exchanged meanwhile, it is reset like the others: what is
then not known is marked, and its trials are invalid until enough is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bci.errors import Overrun
from bci.live.sides import Sides
from bci.live.swap import Swap
from bci.memory.marks import read_marks, write_mark
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.types import MarkKind, Window

#: Samples that are run again between two beats of the heart.
_PIECE = 4


@dataclass(frozen=True, slots=True)
class Resumption:
    """A Resumption says where a decoder begins.

    Attributes
    ----------
    first : int
        The first sample that is new to it.
    reset : str
        Why its pipeline is reset there.
    begin : int
        The first sample that it runs again; `first` where it runs none.
    reason : str
        Why the predecessor's pipeline was reset at `begin`.
    """

    first: int = 0
    reset: str = "start"
    begin: int = 0
    reason: str = ""

    @property
    def retraces(self) -> bool:
        """Whether it runs samples again."""
        return self.begin < self.first

    def since(self, stream: Stream) -> float:
        """Return the session time from which events are its own: those before were the predecessor's."""
        if self.retraces or self.reset == "start":
            return -math.inf
        return _time_of(stream, self.first)


def resume(
    program: Program,
    stream: Stream,
    frames: Ring,
    marks: Ring,
    *,
    learns: bool,
    beside: Callable[[int, int], bool] | None = None,
) -> Resumption:
    """Return where a decoder begins; count what a predecessor had published but not yet counted.

    Parameters
    ----------
    program : Program
        The decode program.
    stream : Stream
        What it decodes.
    frames, marks : Ring
        The decoder's, as the predecessor left them.
    learns : bool
        Whether its pipeline learns a run.
    beside : callable, optional
        Whether what the samples of a range heard of another stream can be heard again.
    """
    if not program.restart:
        return Resumption()
    first = _take_over(program, frames)
    if learns and first:
        begin, reason = _last_reset(marks)
        held = 0 <= begin < first and stream.samples.holds(begin)
        if held and (beside is None or beside(begin, first)):
            _count_lost(program, marks)
            return Resumption(first, "restart", begin, reason)
        program.log.warning(
            "%s since the last reset %s no longer in shared memory: what was learned of the run is lost, and "
            "trials are invalid until enough is learned anew. A larger [stream] buffer_mb holds more.",
            *(("the physiology that was heard", "is") if held else ("the samples", "are")),
        )
    return Resumption(first, "restart", first)


def retrace(
    place: Resumption, program: Program, stream: Stream, swap: Swap, sides: Sides, marks: Ring
) -> str:
    """Run samples again; return why the pipeline is to be reset at the first new one, empty where it goes on.

    What a predecessor had no time to say beside the last of them is said now.
    """
    began = program.clock.now()
    for at in range(place.begin, place.first, _PIECE):
        end = min(at + _PIECE, place.first)
        try:
            held = stream.samples.read(at, end)
        except Overrun:
            program.log.warning("samples were overwritten while they were run again: the run is learned anew")
            return place.reset
        bad = np.zeros((end - at, *stream.signal.flag_shape), bool)
        reset = place.reason if at == place.begin else ""
        again = Window(stream.signal, at, held["samples"], held["times"], bad, end - 1, reset=reset)
        swap.retrace(again)
        sides.write(again)
        if not program.tick():
            return place.reset
    now, count = program.clock.now(), place.first - place.begin
    write_mark(
        marks, MarkKind.RETRACED, place.first, count=count, time=now, value=now - began, detail=place.reset
    )
    program.log.warning(
        "%d samples of the run were run again in %.2f s: nothing of it is forgotten", count, now - began
    )
    return ""


def _last_reset(marks: Ring) -> tuple[int, str]:
    """Return where the predecessor's pipeline was last reset, and why; -1 where it is not known."""
    written, _ = read_marks(marks, 0)
    resets = written[np.isin(written["kind"], (MarkKind.PIPELINE_RESET, MarkKind.SWAPPED))]
    if not len(resets) or resets[-1]["kind"] == MarkKind.SWAPPED:
        return -1, ""
    return int(resets[-1]["first"]), resets[-1]["detail"].decode()


def _count_lost(program: Program, marks: Ring) -> None:
    """Count the epochs that the predecessor marked as lost and had not counted."""
    written, end = read_marks(marks, 0)
    if len(written) == end:
        program.row["skipped"] = max(
            int(program.row["skipped"]), int(np.count_nonzero(written["kind"] == MarkKind.EPOCH_LOST))
        )
        program.row["windows"] = program.row["reconstructions"] + program.row["skipped"]


def _time_of(stream: Stream, first: int) -> float:
    """Return the session time of a sample, as near as the ring knows it."""
    ring = stream.samples
    if first < ring.oldest or not ring.count:
        return -math.inf
    at = min(first, ring.count - 1)
    time = float(ring.read(at, at + 1)["times"][0])
    return time + (first - at) / (stream.signal.rate or 1.0)


def _take_over(program: Program, frames: Ring) -> int:
    """Count what the predecessor had published but not yet counted; return the first sample it had not used.

    The ring still holds what came since its death, so no sample goes unseen; a window that it had shown is not
    made again.
    """
    row = program.row
    counted = int(row["reconstructions"])
    if frames.count > counted:
        infos = frames.read(counted, frames.count)["info"]
        row["reconstructions"] = frames.count
        row["skipped"] += int(infos["skipped"].sum())
        row["invalid"] += int((infos["valid"] == 0).sum())
        row["samples"] = max(int(row["samples"]), int(infos["last_sample"][-1]) + 1)
    row["windows"] = row["reconstructions"] + row["skipped"]
    return int(row["samples"])

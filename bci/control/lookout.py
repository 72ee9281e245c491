"""A Lookout sees how a session's programs and streams stand, and what is wrong: what a snapshot of it holds."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bci.control.crew import Crew
from bci.control.plan import Plan
from bci.control.shared_memory import SharedMemory
from bci.control.snapshot import ProgramSnapshot, ReconstructionSnapshot, StreamSnapshot
from bci.errors import Overrun
from bci.memory.alarms import Alarm, alarms, failed, restarting
from bci.memory.board import Board, State
from bci.memory.ring import Ring
from bci.signal.types import FRAME_DTYPE, STAGES

_ARRIVED, _PUBLISHED = STAGES.index("arrived"), STAGES.index("published")


class Lookout:
    """A Lookout reads, and changes nothing.

    Parameters
    ----------
    plan : Plan
        What the session runs.
    memory : SharedMemory
        Its rings.
    board : Board
        Where its programs count.
    crew : Crew
        Its programs.
    """

    def __init__(self, plan: Plan, memory: SharedMemory, board: Board, crew: Crew) -> None:
        self._plan, self._memory, self._board, self._crew = plan, memory, board, crew
        self._places: dict[str, dict[str, np.ndarray[Any, Any]]] = {}

    def programs(self, now: float) -> dict[str, ProgramSnapshot]:
        """Return every program, by name, at a time in session seconds."""
        return {post.name: self._program(post.name, now) for post in self._plan.line}

    def streams(self) -> dict[str, StreamSnapshot]:
        """Return every stream of samples that is known, by its name in the line."""
        infos = self._plan.streams
        return {
            name: StreamSnapshot(
                infos[name].source_id, stream.signal.rate, stream.signal.shape, stream.samples.count
            )
            for name, stream in self._memory.streams.items()
            if name in infos
        }

    def alarms(self, now: float, latched: str) -> Iterator[Alarm]:
        """Yield what is wrong now; to what the board says comes why a program was started again or given up."""
        line, infos = self._plan.line, self._plan.streams
        sources = {
            post.name: infos[stream].source_id
            for post in line.of_kind("acquire")
            for stream in post.streams.values()
            if stream in infos
        }
        for alarm in alarms(self._board, now, sources if len(sources) > 1 else None):
            kind, _, name = alarm.key.partition(" ")
            if name in self._crew.failures and kind in ("failed", "silent", "restart"):
                alarm = failed(name, self._crew.failures[name])
            elif kind == "failed" and name not in self._crew.troubles:
                continue  # it is started again at once; until that is noticed there is no reason to tell
            elif kind in ("failed", "restart") and name in self._crew.troubles:
                alarm = restarting(name, self._crew.restarts[name])
                alarm = replace(alarm, what=f"{name} {self._crew.troubles[name].rstrip('.')}. {alarm.what}")
            elif kind == "held" and latched:
                alarm = replace(alarm, what=f"{latched.partition(' ')[0]} is given up. {alarm.what}")
            yield alarm

    def newest(self) -> dict[str, ReconstructionSnapshot]:
        """Return every decoder's newest reconstruction, by the decoder's program; none before its first."""
        newest = {}
        for post in self._plan.line:
            ring = self._memory.rings.get(post.rings.get("frames", "")) if "frames" in post.writes else None
            snapshot = None if ring is None else self._newest_in(post.name, ring)
            if snapshot is not None:
                newest[post.name] = snapshot
        return newest

    def _program(self, name: str, now: float) -> ProgramSnapshot:
        row, child = self._board.row(name), self._crew.children.get(name)
        return ProgramSnapshot(
            state=State(int(row["state"])).name.lower(),
            pid=0 if child is None else int(child.process.pid or 0),
            heart_age=now - float(row["beat"]),
            counters=row.counts(),
            refused=int(row["refused"]),
            restarts=self._crew.restarts.get(name, 0),
            failure=self._crew.failures.get(name, ""),
        )

    def _newest_in(self, name: str, ring: Ring) -> ReconstructionSnapshot | None:
        """Return the newest reconstruction of a frame ring; None before the first."""
        count = ring.count
        if not count:
            return None
        latents = next(column for column in ring.columns if column.name == "latent")
        place = self._places.setdefault(
            name,
            {"info": np.zeros(1, FRAME_DTYPE), "latent": np.zeros((1, *latents.shape), latents.dtype)},
        )
        try:
            ring.read_into(count - 1, place)
        except Overrun:
            return None
        info = place["info"][0]
        return ReconstructionSnapshot(
            frame=count - 1,
            valid=bool(info["valid"]),
            reason=bytes(info["reason"]).decode(errors="replace"),
            confidence=float(info["confidence"]),
            latent=tuple(float(value) for value in place["latent"][0].ravel()),
            last_sample=int(info["last_sample"]),
            arrived=float(info["stamps"][_ARRIVED]),
            published=float(info["stamps"][_PUBLISHED]),
        )

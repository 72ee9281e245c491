"""The Supervisor runs a plan: it starts the programs of its line, watches them, and stops them in order.

::

    preparing ── every program ready ──> ready ──> running ── its end, Ctrl-C, SIGTERM ──> stopping ──> done
        │                                           │   │
        │                                           │   └── a program dies or hangs ──> it is started again, at most
        │                                           │                                   `restarts` times
        │                                           └── one of them is given up ──> latched: neutral is held until the
        └── a program fails: stopping ──> done              session is ended ──> stopping ──> done

In which order programs start and stop follows from the line (see `bci.control.line`). Nothing in the line ever waits
for the supervisor.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bci.control.command_desk import CONTROL, CommandDesk
from bci.control.crew import Crew, on_signals, wait_for_news
from bci.control.directory import Directory, StreamPlace
from bci.control.lookout import Lookout
from bci.control.plan import Plan, SessionOutcome
from bci.control.shared_memory import SharedMemory
from bci.control.silences import Silences
from bci.control.snapshot import (
    FOLLOWING,
    SessionSnapshot,
    SessionState,
)
from bci.control.snapshot_ring import SNAPSHOTS, SnapshotWriter
from bci.control.spawn import Child
from bci.control.surroundings import NetworkSnapshot
from bci.errors import DiskError, StreamNotFound
from bci.io.files.folder import make_folder, write_json
from bci.io.files.space import require_room
from bci.memory.board import Board
from bci.memory.leftovers import remove_leftovers
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import write_mark
from bci.memory.orders import HOLD, Acknowledgement, Order
from bci.memory.program import Launch, log_to
from bci.signal.clock import Clock
from bci.signal.types import MarkKind

#: The ring that the supervisor itself writes, where a line has it: restarts, and that a session has latched.
RIG_MARKS = "rig_marks"

#: After so many seconds without data, how the network stands is kept.
_MISSING_S = 2.0

log = logging.getLogger("bci.supervisor")


class Supervisor:
    """Runs one plan to its summary.

    Parameters
    ----------
    plan : Plan
        What to run.
    out : Path
        Where the session's folder is made.
    observe : callable, optional
        Called about ten times a second while the session runs, with this supervisor; True ends the session.
    clock : Clock, optional
        The session clock.
    spawn, wait : callable, optional
        The boundary to real processes; see `bci.control.crew.Crew`.
    network : callable, optional
        Keeps how the network stood when a stream was missing.

    Attributes
    ----------
    plan : Plan
        As given.
    folder : Path
        The session's.
    state : SessionState
        How far the session is.
    started : float
        When everything was ready, session seconds; NaN before.
    ended_by : str
        What ended the session; empty while it runs.
    latched : str
        Why the session holds the neutral picture for good; empty while it does not.
    """

    def __init__(
        self,
        plan: Plan,
        out: Path,
        observe: Callable[["Supervisor"], object] | None = None,
        clock: Clock | None = None,
        *,
        spawn: Callable[[Launch], Child] = Child,
        wait: Callable[[Sequence[Child], float], object] = wait_for_news,
        network: Callable[[Path], NetworkSnapshot] = NetworkSnapshot,
    ) -> None:
        self.plan = plan
        self.clock: Clock = clock or LslClock()
        require_room(out)
        self.folder = make_folder(out, plan.name)
        self.state = SessionState.PREPARING
        self.since = self.clock.now()
        self.started = float("nan")
        self.ended_by = ""
        self.latched = ""
        self._network = network(self.folder)
        self._observe = observe
        self._spawn, self._wait = spawn, wait
        self._stop = False
        self._open = ExitStack()
        self._memory = SharedMemory(plan.key, plan.line, plan.make, self._open)
        self._silences: Silences | None = None
        self._desk: CommandDesk | None = None
        self._snapshots: SnapshotWriter | None = None
        self._listed: Directory | None = None
        self._at_end: SessionSnapshot
        self._lookout: Lookout
        self.board: Board
        self.crew: Crew

    # -- the whole life ----------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Run the session; return its summary, which is also written to ``summary.json``.

        Raises
        ------
        BciError
            If the session could not start; whatever was started has been stopped again.
        """
        log_to(self.folder / "log.txt", "supervisor")
        log.info("session %s in %s, shared memory %s", self.plan.name, self.folder, self.plan.key)
        if left := remove_leftovers():
            log.info(
                "removed the shared memory of killed sessions: %s", ", ".join(part.name for part in left)
            )
        with self._open, on_signals(self.stop):
            self.board = self._open.enter_context(Board.create(self.plan.key + "b", self.plan.line.counters))
            rules = self.plan.rules
            self.crew = Crew(
                self.board,
                self.clock,
                restarts=rules.restarts,
                hung_after=rules.hung_after_s,
                spawn=self._spawn,
                wait=self._wait,
            )
            self._lookout = Lookout(self.plan, self._memory, self.board, self.crew)
            if CONTROL in self.plan.line:
                self._desk = CommandDesk(self, self.plan.line, self.plan.control)
            try:
                self._prepare()
                self._watch()
            except StreamNotFound:
                self._network.take("a stream was not found")
                raise
            finally:
                self._stop_all()
                self._network.close()
                Directory.remove(self.folder)
            failures = self.crew.describe_failures()
            outcome = SessionOutcome(self.folder, self.snapshot(), self.crew.facts(), failures, self._at_end)
            summary = self.plan.summarise(outcome)
            try:
                write_json(self.folder / "summary.json", summary)
            except DiskError as error:
                log.error("%s", error)
                summary["failures"] = [*summary["failures"], str(error)]
            return summary

    def stop(self) -> None:
        """End the session in order, as Ctrl-C does."""
        self._stop = True

    @property
    def children(self) -> dict[str, Child]:
        """The programs' processes as they are now."""
        return self.crew.children

    def order(
        self,
        program: str,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        *,
        within: float | None = None,
    ) -> Order:
        """Send an order to a program; `within` so many seconds it must be carried out, or it is refused."""
        return self.crew.order(program, kind, payload, within=within)

    def answer(self, order: Order) -> Acknowledgement | None:
        """Return what became of an order; None while there is no answer."""
        return self.crew.desk.answer(order)

    def _become(self, state: SessionState) -> None:
        assert state in FOLLOWING[self.state], f"{state} does not follow {self.state}"
        self.state, self.since = state, self.clock.now()
        log.info("%s", state)

    # -- preparing ---------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        line, board = self.plan.line, self.plan.key + "b"
        self.plan.begin(self.folder)
        for name in sorted(line.outside):
            self._memory.require(name)
        if SNAPSHOTS in self._memory.rings:
            self._snapshots = SnapshotWriter(self._memory.rings[SNAPSHOTS])
            self._list_rings()
        for stage in line.stages:
            for post in stage:
                self.crew.launch(self._memory.launch(post, str(self.folder), board))
            names = [post.name for post in stage]
            self.crew.await_ready(names, self._asked_to_stop)
            facts = {name: self.children[name].ready or {} for name in names}
            self.plan.ready(stage, facts, self.folder)
            if self._snapshots is not None:
                self._list_rings()
        self._become(SessionState.READY)

    def _list_rings(self) -> None:
        """Say in the session's folder where its rings are, for programs that look and were not started from here."""
        infos = self.plan.streams
        directory = Directory(
            board=self.plan.key + "b",
            rings={name: ring.handle.name for name, ring in self._memory.rings.items()},
            streams={
                name: StreamPlace(
                    stream.samples.handle.name,
                    stream.signal,
                    infos[name].source_id if name in infos else name,
                    infos[name].speed if name in infos else 1.0,
                )
                for name, stream in self._memory.streams.items()
            },
        )
        if directory == self._listed:
            return
        self._listed = directory
        try:
            directory.write(self.folder)
        except DiskError as error:
            log.error("the session cannot be looked at from outside: %s", error)

    def _asked_to_stop(self) -> bool:
        self._hear_and_show()
        return self._stop

    def _hear_and_show(self) -> None:
        """Carry out what was commanded, and show how the session stands; neither ever waits."""
        if self._desk is not None:
            self._desk.poll()
        if self._snapshots is not None:
            self._snapshots.offer(self.clock.now(), self.state, self.snapshot)

    # -- running -----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        self.started = self.clock.now()
        receiving = [post.name for post in self.plan.line.of_kind("acquire") if post.streams]
        self._silences = Silences(self.board, receiving, self.started)
        self._become(SessionState.RUNNING)
        while not self.ended_by:
            self.crew.listen()
            self._hear_and_show()
            self._silences.look(self.clock.now())
            if missing := self._silences.missing(_MISSING_S):
                self._network.take(f"{', '.join(missing)} without data for {_MISSING_S:g} s")
            if self._observe is not None and self._observe(self) is True:
                self.ended_by = "its end"
            elif self._stop:
                self.ended_by = "stopped by the operator"
            else:
                self.ended_by = self.plan.ended(self.crew.facts(), self.clock.now() - self.started)
            if not self.ended_by:
                self._look_after_the_crew()
        log.info("ending: %s", self.ended_by)
        self._at_end = self.snapshot()

    def _look_after_the_crew(self) -> None:
        for name in self.crew.look_after(self._note_restart):
            why = f"{name} {self.crew.failures[name]}"
            post = self.plan.line[name]
            if HOLD in post.obeys:
                self._latch(why)
                self.ended_by = f"{why}: nothing can be shown"
            elif post.dispensable:
                log.critical("the session goes on without %s", name)
            else:
                self._latch(why)

    def _note_restart(self, name: str, n: int, why: str) -> None:
        self.mark(MarkKind.RESTART, f"{name} {why}", count=n)
        if self.latched and HOLD in self.plan.line[name].obeys:
            self.crew.order(name, HOLD)
        if self._desk is not None:
            self._desk.stand_again(name)

    def _latch(self, why: str) -> None:
        """Have the neutral picture held for good; a line that shows nothing ends instead."""
        screens = [post.name for post in self.plan.line if HOLD in post.obeys]
        if screens and not self.latched:
            self.latched = why
            self._become(SessionState.LATCHED)
            log.critical("latched safe: the neutral picture is held until the session is ended (%s)", why)
            self.mark(MarkKind.LATCHED, why)
            for name in screens:
                self.crew.order(name, HOLD)
        if not screens or self.plan.rules.when_latched == "end":
            self.ended_by = why

    def mark(self, kind: MarkKind, detail: str, count: int = 0) -> None:
        """Write a mark of the rig's own into the recording, at the sample where the first stream is now."""
        if RIG_MARKS in self._memory.rings:
            streams = self._memory.streams
            at = streams[min(streams)].samples.count if streams else 0
            now = self.clock.now()
            write_mark(self._memory.rings[RIG_MARKS], kind, at, count=count, time=now, detail=detail)

    # -- stopping ----------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        self._become(SessionState.STOPPING)
        for post in self.plan.line.stopping:
            self.crew.stop(post.name, finishes=post.finishes)
            if self._desk is not None:
                self._desk.turn_away()
            if self._snapshots is not None:
                self._snapshots.offer(self.clock.now(), self.state, self.snapshot)
            for name in post.written:
                # Also where the writer died: its readers then drain what is there and end.
                self._memory.finish(name)
        self._become(SessionState.DONE)

    # -- how it stands -----------------------------------------------------------------------------------

    def snapshot(self) -> SessionSnapshot:
        """Return how the session stands now."""
        now = self.clock.now()
        return SessionSnapshot(
            name=self.plan.name,
            state=self.state,
            since=self.since,
            at=now,
            elapsed=now - self.started,
            programs=self._lookout.programs(now),
            streams=self._lookout.streams(),
            newest=self._lookout.newest(),
            latched=self.latched,
            ended_by=self.ended_by,
            alarms=tuple(self._lookout.alarms(now, self.latched)),
            silences={} if self._silences is None else self._silences.copied(),
        )

"""Controls are how far an experiment is: waiting, running, paused, aborted or over, by orders and by keys.

::

    waiting ── start ──> running <── resume ── paused
       │                    │  └──── pause ─────> │
       └────────────── abort ─────────────────────┘──> aborted          running ── last trial ──> over

An order comes from the supervisor or from a key in a window; both do the same. Each is a row of ``controls.csv``, on
the disk when it has been carried out, and a mark of the recording. A restarted engine reads them: an experiment that
was paused still is. What the participant pressed, and when the fixation target changed, is kept in ``responses.csv``.
"""

from collections.abc import Callable, Mapping, Sequence

from bci.errors import Overrun
from bci.memory.marks import write_mark
from bci.memory.orders import ABORT, PAUSE, RESUME, START
from bci.memory.program import PROMPTLY, Program
from bci.memory.ring import Ring
from bci.memory.trial_parts import KEY, Stage
from bci.signal.types import Event, MarkKind, event_of
from stimuli.part_table import PartTable, read_parts
from stimuli.trials import Answer

#: Columns of ``controls.csv``: session seconds, what was ordered, who by, the trial under way or next.
FIELDS = ("time", "order", "by", "trial")

#: Columns of ``responses.csv``: session seconds, a key of the participant's or what the fixation target did, the trial.
RESPONSE_FIELDS = ("time", "event", "trial")

#: The role of the ring that the participant's window writes.
PARTICIPANTS = "responses"

#: What each order needs, where it leads, what the recording says, and why it is refused elsewhere.
_ORDERS: Mapping[str, tuple[frozenset[Stage], Stage, MarkKind, str]] = {
    START: (frozenset({Stage.WAITING}), Stage.RUNNING, MarkKind.BEGUN, "has begun already"),
    PAUSE: (frozenset({Stage.RUNNING}), Stage.PAUSED, MarkKind.PAUSED, "does not run"),
    RESUME: (frozenset({Stage.PAUSED}), Stage.RUNNING, MarkKind.RESUMED, "is not paused"),
    ABORT: (
        frozenset({Stage.WAITING, Stage.RUNNING, Stage.PAUSED}),
        Stage.ABORTED,
        MarkKind.ABORTED,
        "is over",
    ),
}


class Controls:
    """The orders that one engine was given.

    Parameters
    ----------
    program : Program
        The engine. It obeys the orders from now on.
    begin : "auto" or "order"
        Whether the experiment waits for the order to start.
    on_pause : "finish" or "repeat"
        Whether a trial that a pause interrupts is finished first, or cut short and asked for again.
    keys : mapping
        ``[experiment.keys]`` of the session file.

    Attributes
    ----------
    stage : Stage
        How far the experiment is.
    aborted_by : str
        Where the order to abort came from; empty where there was none.
    trial : int
        The trial that is under way, or comes next.
    """

    def __init__(self, program: Program, *, begin: str, on_pause: str, keys: Mapping[str, object]) -> None:
        self._program = program
        self._repeats = on_pause == "repeat"
        self._marks = program.ring("engine_marks") if program.has("engine_marks") else None
        self._windows = [
            _Window(program.ring(role), role == PARTICIPANTS, answers, orders)
            for role, answers, orders in (
                (PARTICIPANTS, _names(keys["answers"]), bool(keys["participant"])),
                ("operator_keys", (), bool(keys["operator"])),
            )
            if program.has(role)
        ]
        self._keys = {str(keys[kind]): kind for kind in (START, PAUSE, ABORT)}
        self._answers: list[Answer] = []
        self.trial = 0
        self.aborted_by = ""
        self.stage = Stage.WAITING if begin == "order" else Stage.RUNNING
        for row in read_parts(program.folder, "controls"):
            self._become(_ORDERS[row["order"]][1], row["by"])
        self._orders = PartTable(program.folder, "controls", FIELDS)
        self._responses: PartTable | None = None
        program.looks_every = PROMPTLY
        for kind in _ORDERS:
            program.obeys(kind, self._handler(kind))
        program.row["stage"] = self.stage

    @property
    def halted(self) -> bool:
        """Whether no trial may begin."""
        return self.stage is not Stage.RUNNING

    @property
    def cut(self) -> bool:
        """Whether the trial under way must end now."""
        return self.stage is Stage.ABORTED or (self._repeats and self.stage is Stage.PAUSED)

    def tick(self) -> bool:
        """Beat the heart, obey orders and keys; False when the program is to stop."""
        going = self._program.tick()
        for window in self._windows:
            for event in window.look():
                if window.is_participants:
                    self._write_down(event)
                if not event.text.startswith(KEY):
                    continue
                name = event.text.removeprefix(KEY)
                if name in window.answers:
                    self._answers.append(Answer(name, event.time))
                if window.orders:
                    self._press(name)
        return going

    def answers(self) -> tuple[Answer, ...]:
        """Return the participant's answers since the last call."""
        answers, self._answers = tuple(self._answers), []
        return answers

    def answered_since(self, time: float) -> bool:
        """Return whether the participant has answered at `time` or later, in answers that were not taken yet."""
        return any(answer.time >= time for answer in self._answers)

    def take(self, kind: str, by: str) -> None:
        """Carry out an order.

        Raises
        ------
        ValueError
            If the experiment is not as far, or further; nothing is changed then.
        """
        needs, then, mark, why = _ORDERS[kind]
        if self.stage not in needs:
            raise ValueError(f"the experiment {why}: it is {self.stage.name.lower()}, so there is no {kind}")
        now = self._program.clock.now()
        self._orders.append([(now, kind, by, self.trial)])
        if self._marks is not None:
            write_mark(self._marks, mark, self.trial, time=now, detail=f"{kind} by {by}")
        self._program.log.info("%s by %s, at trial %d", kind, by, self.trial)
        self._become(then, by)

    def finish(self) -> None:
        """Obey no further order: the last trial is over."""
        if self.stage is not Stage.ABORTED:
            self._become(Stage.OVER, "")

    def close(self) -> None:
        """Close the tables."""
        self._orders.close()
        if self._responses is not None:
            self._responses.close()

    def _become(self, stage: Stage, by: str) -> None:
        self.stage = stage
        if stage is Stage.ABORTED:
            self.aborted_by = by
        self._program.row["stage"] = stage

    def _handler(self, kind: str) -> Callable[[Mapping[str, object]], None]:
        return lambda payload: self.take(kind, str(payload.get("by", "order")))

    def _press(self, name: str) -> None:
        """Do what a key stands for; the key of a pause ends it too, and one that means nothing now is no order."""
        kind = self._keys.get(name)
        if kind == PAUSE and self.stage is Stage.PAUSED:
            kind = RESUME
        if kind is not None and self.stage in _ORDERS[kind][0]:
            self.take(kind, f"key {name}")

    def _write_down(self, event: Event) -> None:
        if self._responses is None:
            self._responses = PartTable(self._program.folder, "responses", RESPONSE_FIELDS)
        self._responses.append([(event.time, event.text, self.trial)], sync=False)


class _Window:
    """The keys that are pressed in one window."""

    def __init__(self, ring: Ring, is_participants: bool, answers: Sequence[str], orders: bool) -> None:
        self._ring, self._at = ring, ring.count
        self.is_participants = is_participants
        self.answers, self.orders = frozenset(answers), orders

    def look(self) -> list[Event]:
        """Return what was written down in it since the last look."""
        events: list[Event] = []
        while self._at < self._ring.count:
            try:
                event = event_of(self._ring.read(self._at, self._at + 1)["event"][0])
            except Overrun as overrun:
                self._at = overrun.first + overrun.lost
                continue
            self._at += 1
            if event is not None:
                events.append(event)
        return events


def _names(keys: object) -> Sequence[str]:
    return tuple(map(str, keys)) if isinstance(keys, list | tuple) else ()

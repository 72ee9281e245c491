"""The Gate lets commands in: whole, in time, not too many at once, and none that has been answered a second time.

::

    message ──> retained? ──> ours, short, well formed? ──> answered before? ──> in time? ──> too many? ──> let in
                refused       malformed                     the same answer      expired      refused

What is let in goes to the supervisor (`bci.control.command_desk`), which alone acts; its answer closes the command
here. The gate knows no network: it is given topics, payloads and two clocks.
"""

from dataclasses import dataclass

from bci.control.mqtt.commands import (
    SAFE,
    Command,
    CommandAnswer,
    CommandVerdict,
    parse_command,
)
from bci.control.mqtt.topics import Topic, TopicChannel
from bci.control.mqtt.wall_clock import WallClock
from bci.errors import MalformedCommand
from bci.signal.clock import Clock

#: So many commands a second are let in, and so many at once after a pause; those that make the session safer have a
#: budget of their own, so that a flood of others does not keep them out.
RATE, BURST = 20.0, 20

#: So many may wait for the supervisor's answer.
MOST_OPEN = 32


@dataclass(frozen=True, slots=True)
class Judgement:
    """A Judgement says what becomes of one message.

    Attributes
    ----------
    node : str
        To which it was sent; ``session`` where that could not be read.
    command : Command or None
        What was asked, where it is a command.
    answer : CommandAnswer or None
        The answer to publish now; None where the command was let in, or is still open.
    let_in : bool
        Whether the supervisor is to carry it out.
    until : float
        Until when, session seconds.
    repeated : bool
        Whether it has come before.
    """

    node: str
    command: Command | None = None
    answer: CommandAnswer | None = None
    let_in: bool = False
    until: float = 0.0
    repeated: bool = False


class Gate:
    """The gate of one session.

    Parameters
    ----------
    session : str
        What the session is called in topics.
    clock : Clock
        The session clock.
    wall : callable
        The wall clock of this computer.
    skew_s : float
        How far a sender's clock may be ahead of it, seconds.
    """

    def __init__(self, session: str, clock: Clock, wall: WallClock, skew_s: float) -> None:
        self._session, self._clock, self._wall, self._skew_s = session, clock, wall, skew_s
        self._answers: dict[str, CommandAnswer] = {}
        self._open: set[str] = set()
        now = clock.now()
        self._budgets = {True: _Budget(now), False: _Budget(now)}

    def remember(self, answer: CommandAnswer) -> None:
        """Take in an answer of the supervisor, also to a command that a killed predecessor of this gate had let in."""
        self._open.discard(answer.id)
        self._answers[answer.id] = answer

    def judge(self, topic: str, payload: bytes, *, retained: bool) -> Judgement:
        """Say what becomes of a message.

        Parameters
        ----------
        topic : str
            Where it was published.
        payload : bytes
            What it holds.
        retained : bool
            Whether the broker had kept it: it may be from any time.
        """
        place = Topic.parse(topic)
        if place is None or place.session != self._session or place.channel is not TopicChannel.COMMAND:
            return Judgement(
                "session", answer=self._answer("", "", CommandVerdict.MALFORMED, "no topic for commands")
            )
        try:
            command = parse_command(payload)
        except MalformedCommand as error:
            answer = self._answer(error.id, error.kind, CommandVerdict.MALFORMED, str(error))
            return Judgement(place.node, answer=answer)
        if retained:
            why = "a command must not be retained: it would be carried out again at every connection"
            return self._turned_away(place.node, command, CommandVerdict.REFUSED, why)
        if command.id in self._answers:
            return Judgement(place.node, command, self._answers[command.id], repeated=True)
        if command.id in self._open:
            return Judgement(place.node, command, repeated=True)
        age = self._wall() - command.issued
        if age > command.expires_s:
            why = f"it was issued {age:.1f} s ago and expired after {command.expires_s:g} s; do the clocks agree?"
            return self._turned_away(place.node, command, CommandVerdict.EXPIRED, why)
        if age < -self._skew_s:
            why = (
                f"it was issued {-age:.1f} s in the future, and clocks may differ by {self._skew_s:g} s ([control] "
                "clock_skew_s). Set the sender's clock"
            )
            return self._turned_away(place.node, command, CommandVerdict.REFUSED, why)
        now = self._clock.now()
        if len(self._open) >= MOST_OPEN or not self._budgets[command.kind in SAFE].spend(now):
            why = f"too many commands: {RATE:g} a second are let in. Send it again"
            return self._turned_away(place.node, command, CommandVerdict.REFUSED, why)
        self._open.add(command.id)
        # From a clock that is ahead, no more than the command's own time is left.
        return Judgement(place.node, command, let_in=True, until=now + command.expires_s - max(age, 0.0))

    def _turned_away(self, node: str, command: Command, verdict: CommandVerdict, why: str) -> Judgement:
        """Answer a command that is not let in; it is not remembered, so that a flood costs no memory."""
        return Judgement(node, command, self._answer(command.id, command.kind, verdict, why))

    def _answer(self, id: str, kind: str, verdict: CommandVerdict, detail: str) -> CommandAnswer:
        return CommandAnswer(id=id, kind=kind, verdict=verdict, detail=detail, at=self._wall())


class _Budget:
    """A budget of commands, filled up at `RATE` to at most `BURST`."""

    def __init__(self, now: float) -> None:
        self._left, self._at = float(BURST), now

    def spend(self, now: float) -> bool:
        """Take one, if there is one."""
        self._left = min(float(BURST), self._left + (now - self._at) * RATE)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

"""The CommandDesk carries out the commands that the control plane has let in: each id once, and each is answered once.

It sits in the supervisor and outlives the program that speaks MQTT, so a command that is sent again after that program
was killed is known. It never waits: what a program of the line must do is an order, whose answer is looked for at every
round.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bci.config.control import ControlSettings
from bci.control.health import SESSION_NODE
from bci.control.line import Line, Post
from bci.control.mqtt.commands import (
    TO_THE_ENGINE,
    Command,
    CommandAnswer,
    CommandVerdict,
    LoadBundle,
    Mark,
    Neutral,
    Release,
    SetParameter,
    Stop,
)
from bci.control.mqtt.wall_clock import WallClock, wall_clock
from bci.control.spawn import Child
from bci.io.shipped import SHIPPED, shipped_names
from bci.memory.orders import (
    ANSWERED,
    LOAD_BUNDLE,
    NEUTRAL,
    RELEASE,
    SET,
    Acknowledgement,
    Order,
    OrderVerdict,
)
from bci.signal.clock import Clock
from bci.signal.types import MarkKind

#: The program of the line that speaks MQTT.
CONTROL = "control"

#: How long a program may take to answer an order beyond the command's own time, seconds.
_PATIENCE = 1.0

#: And to load a bundle, which is answered when the bundle has taken over: its graphs are tried in a capped process, and
#: its filters must have settled.
_PATIENCE_LOADING = 120.0

#: What a program's answer to an order means for the command.
_VERDICTS: Mapping[OrderVerdict, CommandVerdict] = {
    OrderVerdict.DONE: CommandVerdict.DONE,
    OrderVerdict.EXPIRED: CommandVerdict.EXPIRED,
    OrderVerdict.UNKNOWN: CommandVerdict.UNKNOWN,
    OrderVerdict.FAILED: CommandVerdict.FAILED,
}

log = logging.getLogger("bci.supervisor")


class Commanded(Protocol):
    """What the desk needs of the supervisor."""

    clock: Clock
    latched: str

    @property
    def children(self) -> Mapping[str, Child]:
        """The programs' processes as they are now."""
        ...

    def order(
        self,
        program: str,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        *,
        within: float | None = None,
    ) -> Order:
        """Send an order to a program."""
        ...

    def answer(self, order: Order) -> Acknowledgement | None:
        """Return what became of an order."""
        ...

    def stop(self) -> None:
        """End the session in order."""
        ...

    def mark(self, kind: MarkKind, detail: str) -> None:
        """Write a mark of the rig's own into the recording."""
        ...


class _Declined(Exception):
    """A command that is not carried out."""

    def __init__(self, verdict: CommandVerdict, why: str) -> None:
        super().__init__(why)
        self.verdict = verdict


@dataclass(frozen=True)
class _Pending:
    """A command that became an order, which its program has not answered yet."""

    node: str
    command: Command
    program: str
    order: Order
    until: float


class CommandDesk:
    """Commands of one session.

    Parameters
    ----------
    session : Commanded
        What can be commanded.
    line : Line
        Its programs.
    settings : ControlSettings
        How far.
    wall : callable, optional
        The wall clock that answers are stamped with.
    """

    def __init__(
        self, session: Commanded, line: Line, settings: ControlSettings, wall: WallClock = wall_clock
    ) -> None:
        self._session, self._line, self._settings, self._wall = session, line, settings, wall
        self._answered: dict[str, tuple[str, CommandAnswer]] = {}
        self._pending: dict[str, _Pending] = {}
        self._standing: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}

    # -- a round -----------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Take in the commands that have come, and the answers of programs to earlier ones."""
        for node, command, until in self._requests():
            if not self._known(command):
                self._take(node, command, until)
        for pending in list(self._pending.values()):
            self._look_after(pending)

    def turn_away(self) -> None:
        """Answer everything that is open, or comes now, with the end of the session."""
        why = "the session is ending"
        for node, command, _ in self._requests():
            if not self._known(command):
                self._settle(node, command, CommandVerdict.REFUSED, why)
        for pending in list(self._pending.values()):
            self._look_after(pending)
            if pending.command.id in self._pending:
                self._settle(pending.node, pending.command, CommandVerdict.FAILED, why)

    def stand_again(self, program: str) -> None:
        """Give a program that was started again the orders that still hold: to be neutral, changed limits."""
        for (name, _), (kind, payload) in self._standing.items():
            if name == program:
                self._session.order(name, kind, payload)

    # -- one command -------------------------------------------------------------------------------------

    def _requests(self) -> Iterator[tuple[str, Command, float]]:
        child = self._session.children.get(CONTROL)
        while child is not None and child.requests:
            request = child.requests.popleft()
            yield request["node"], request["command"], request["until"]

    def _known(self, command: Command) -> bool:
        """Whether a command has come before; one that was answered is answered so again."""
        if command.id in self._answered:
            self._tell(*self._answered[command.id])
        return command.id in self._answered or command.id in self._pending

    def _take(self, node: str, command: Command, until: float) -> None:
        now = self._session.clock.now()
        log.info("command %s to %s, id %s", command.kind, node, command.id)
        try:
            if now > until:
                raise _Declined(CommandVerdict.EXPIRED, f"it was to be carried out {now - until:.3f} s ago")
            self._carry_out(node, command, until - now)
        except _Declined as reason:
            self._settle(node, command, reason.verdict, str(reason))

    def _carry_out(self, node: str, command: Command, within: float) -> None:
        """Do what is asked, or order a program to.

        Raises
        ------
        _Declined
            If that is not to be.
        """
        if node != SESSION_NODE and node not in self._line:
            raise _Declined(CommandVerdict.UNKNOWN, f"no node {node!r}; there are {', '.join(self._nodes())}")
        if isinstance(command, Stop | Mark):
            if node != SESSION_NODE:
                raise _Declined(CommandVerdict.UNKNOWN, f"{command.kind} is of the node {SESSION_NODE}")
            if isinstance(command, Stop):
                self._session.stop()
            self._settle(node, command, CommandVerdict.DONE, acted=self._session.clock.now())
            return
        program, kind, payload = self._as_order(node, command)
        if program not in self._session.children:
            raise _Declined(CommandVerdict.REFUSED, f"{program} is not started yet")
        order = self._session.order(program, kind, payload, within=within)
        until = self._session.clock.now() + within + (_PATIENCE_LOADING if kind == LOAD_BUNDLE else _PATIENCE)
        self._pending[command.id] = _Pending(node, command, program, order, until)

    def _as_order(self, node: str, command: Command) -> tuple[str, str, Mapping[str, Any]]:
        """Return a command as an order: to which program, its kind and its payload."""
        if command.kind in TO_THE_ENGINE:
            return self._obeying(node, command.kind, "has no experiment").name, command.kind, {}
        if isinstance(command, Neutral | Release):
            if isinstance(command, Release) and self._session.latched:
                why = f"the session is latched safe ({self._session.latched}): neutral is held until it ends"
                raise _Declined(CommandVerdict.REFUSED, why)
            kind = NEUTRAL if isinstance(command, Neutral) else RELEASE
            return self._obeying(node, kind, "has no screen").name, kind, {}
        if isinstance(command, SetParameter):
            self._check_limits(command)
            program = self._obeying(node, SET, "has nothing to set").name
            return program, SET, {"name": command.name, "value": command.value}
        assert isinstance(command, LoadBundle)
        program = self._obeying(node, LOAD_BUNDLE, "has no decoder that exchanges its bundle").name
        return program, LOAD_BUNDLE, {"path": str(self._bundle(command.path))}

    def _obeying(self, node: str, kind: str, lacking: str) -> Post:
        """Return the program that an order is for: the node, or for the session the first that obeys such orders."""
        posts = [post for post in self._line if kind in post.obeys]
        if not posts:
            raise _Declined(CommandVerdict.UNKNOWN, f"this session {lacking}")
        for post in posts:
            if node in (SESSION_NODE, post.name):
                return post
        names = ", ".join(post.name for post in posts)
        raise _Declined(CommandVerdict.UNKNOWN, f"{node} does not obey {kind}; {names} does")

    def _check_limits(self, command: SetParameter) -> None:
        limits = {str(name): limit for name, limit in self._settings.limits.items()}
        if command.name not in limits:
            stated = ", ".join(limits) or "nothing"
            why = f"{command.name} cannot be changed; [control.limits] of the session file lets {stated} be"
            raise _Declined(CommandVerdict.REFUSED, why)
        low, high = limits[command.name]
        if not low <= command.value <= high:
            why = f"{command.name} may be {low:g} to {high:g} ([control.limits]); {command.value:g} came"
            raise _Declined(CommandVerdict.REFUSED, why)

    def _bundle(self, path: str) -> Path:
        """Return the folder of a bundle that may be loaded: a shipped one, or one below ``[control] bundles``."""
        if path in shipped_names("bundles"):
            return SHIPPED["bundles"] / path
        root = self._settings.bundles
        if root is None:
            why = (
                f"no shipped bundle is called {path[:80]!r}, and the session file names no [control] bundles"
            )
            raise _Declined(CommandVerdict.REFUSED, why)
        try:
            folder = (root / path).resolve()
            inside = folder.is_relative_to(root.resolve()) and folder.is_dir()
        except (OSError, ValueError):
            inside = False
        if not inside:
            raise _Declined(
                CommandVerdict.REFUSED, f"no bundle {path[:80]!r} in the folder of [control] bundles"
            )
        return folder

    def _nodes(self) -> list[str]:
        return [SESSION_NODE, *(post.name for post in self._line)]

    # -- answers -----------------------------------------------------------------------------------------

    def _look_after(self, pending: _Pending) -> None:
        answer = self._session.answer(pending.order)
        if answer is not None:
            verdict = _VERDICTS[answer.verdict]
            if verdict is CommandVerdict.DONE:
                self._stand(pending)
            self._settle(pending.node, pending.command, verdict, answer.detail, acted=answer.at)
        elif self._session.clock.now() > pending.until:
            why = f"{pending.program} did not answer; whether it acted is not known"
            self._settle(pending.node, pending.command, CommandVerdict.FAILED, why)

    def _stand(self, pending: _Pending) -> None:
        """Remember an order that must hold for a successor of its program too."""
        order = pending.order
        if order.kind in (NEUTRAL, RELEASE):
            self._standing[pending.program, NEUTRAL] = (order.kind, order.payload)
        elif order.kind == SET:
            self._standing[pending.program, str(order.payload["name"])] = (order.kind, order.payload)

    def _settle(
        self,
        node: str,
        command: Command,
        verdict: CommandVerdict,
        detail: str = "",
        *,
        acted: float | None = None,
    ) -> None:
        """Answer a command for good; what was carried out stands in the recording."""
        done = verdict is CommandVerdict.DONE
        answer = CommandAnswer(
            id=command.id,
            kind=command.kind,
            verdict=verdict,
            detail=detail,
            at=self._wall(),
            acted=acted if done else None,
        )
        self._pending.pop(command.id, None)
        self._answered[command.id] = (node, answer)
        if done:
            self._session.mark(MarkKind.COMMAND, _in_words(command))
        else:
            log.warning("command %s (%s) %s: %s", command.kind, command.id, verdict, detail)
        self._tell(node, answer)

    def _tell(self, node: str, answer: CommandAnswer) -> None:
        child = self._session.children.get(CONTROL)
        if child is not None:
            child.send(Order(ANSWERED, {"node": node, "answer": answer}))


def _in_words(command: Command) -> str:
    """Return a command as the detail of its mark.

    >>> from bci.control.mqtt.commands import make_command
    >>> _in_words(make_command("mark", issued=0.0, text="a cough")), _in_words(make_command("stop", issued=0.0))
    ('mark: a cough', 'stop')
    """
    if isinstance(command, Mark):
        return f"mark: {command.text}"
    if isinstance(command, SetParameter):
        return f"set: {command.name} = {command.value:g}"
    if isinstance(command, LoadBundle):
        return f"load_bundle: {command.path}"
    return command.kind

"""An Order is what the supervisor asks of a running program; the program acknowledges each one once.

::

    supervisor ── Order(id, kind, payload, expires) ──> program
               <── Acknowledgement(order, kind, verdict) ──     done | expired | unknown | failed

An order whose time is over is refused, and so is one of a kind that the program does not obey; one that comes a second
time is refused without a further acknowledgement. The program's row on the board counts what it refused.
"""

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: Kinds that the line knows: to end; to hold what is safe (a display: the neutral picture) from now on.
STOP, HOLD = "stop", "hold"

#: Kinds that the engine of an experiment knows: to begin one that waits for it, to pause and go on, to end it now.
START, PAUSE, RESUME, ABORT = "start", "pause", "resume", "abort"

#: Kinds that an operator's commands become: to show the neutral picture for now, and to show others again; to exchange
#: a decoder's bundle (``path``); to change a number (``name``, ``value``).
NEUTRAL, RELEASE, LOAD_BUNDLE, SET = "neutral", "release", "load_bundle", "set"

#: What the supervisor sends to the control plane: the ``answer`` to a command to a ``node``.
ANSWERED = "answered"

#: How far an order is that takes its time: False while under way, True when done; a `ValueError` refuses it.
Progress = Callable[[], bool]

#: What a program does on an order, given the order's payload; it returns how far it is, if it takes its time.
Handler = Callable[[Mapping[str, Any]], Progress | None]


@dataclass(frozen=True, slots=True)
class Order:
    """One order to one program.

    Attributes
    ----------
    kind : str
        What is asked for: `STOP`, `HOLD`, or a kind that a program has said it obeys.
    payload : mapping
        Values that belong to it, plain enough to be pickled.
    expires : float or None
        Session time after which it must not be carried out any more; None for never.
    id : str
        Unique; by it an order that was sent twice is known again.
    """

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    expires: float | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


class OrderVerdict(StrEnum):
    """An OrderVerdict is the result of an order."""

    DONE = "done"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A program's answer to one order.

    Attributes
    ----------
    order, kind : str
        The order's id and kind.
    verdict : OrderVerdict
        Whether it was carried out.
    detail : str
        Why not, to a person.
    at : float
        When it was carried out or refused, session seconds.
    """

    order: str
    kind: str
    verdict: OrderVerdict
    detail: str = ""
    at: float = field(default=math.nan, compare=False)


class Inbox:
    """A program's orders: carries out each one once, and says what became of it.

    Attributes
    ----------
    refused : int
        Orders that had expired, were of an unknown kind, failed, or came a second time.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._handlers: dict[str, Handler] = {}
        self._seen: set[str] = set()
        self._under_way: dict[str, tuple[Order, Progress]] = {}

    def obey(self, kind: str, handler: Handler) -> None:
        """Carry out orders of a kind by calling `handler` with their payload; a `ValueError` refuses the order.

        What takes its time returns a `Progress`, which `settle` asks until the order is done or refused.
        """
        self._handlers[kind] = handler

    def obeys(self, kind: str) -> bool:
        """Return whether orders of a kind are carried out here."""
        return kind in self._handlers

    def take(self, order: Order, now: float) -> Acknowledgement | None:
        """Carry out an order, or refuse it; return the answer.

        None for an order that came before, and for one that is under way now: see `waits_for` and `settle`.
        """
        if order.id in self._seen:
            self.refused += 1
            return None
        self._seen.add(order.id)
        handler = self._handlers.get(order.kind)
        verdict, detail = OrderVerdict.DONE, ""
        if handler is None:
            verdict = OrderVerdict.UNKNOWN
            detail = f"no order {order.kind!r} here; this program obeys {', '.join(sorted(self._handlers))}"
        elif order.expires is not None and now > order.expires:
            verdict = OrderVerdict.EXPIRED
            detail = f"it was to be carried out {now - order.expires:.3f} s ago at the latest"
        else:
            try:
                progress = handler(order.payload)
            except ValueError as error:
                verdict, detail = OrderVerdict.FAILED, str(error)
            else:
                if progress is not None:
                    self._under_way[order.id] = (order, progress)
                    return None
        self.refused += verdict is not OrderVerdict.DONE
        return Acknowledgement(order.id, order.kind, verdict, detail, now)

    def waits_for(self, order: str) -> bool:
        """Return whether the order of this id is under way."""
        return order in self._under_way

    def settle(self, now: float) -> list[Acknowledgement]:
        """Return the answers to orders that were under way and are not any more."""
        answers = []
        for order, progress in list(self._under_way.values()):
            verdict, detail = OrderVerdict.DONE, ""
            try:
                if not progress():
                    continue
            except ValueError as error:
                verdict, detail = OrderVerdict.FAILED, str(error)
                self.refused += 1
            del self._under_way[order.id]
            answers.append(Acknowledgement(order.id, order.kind, verdict, detail, now))
        return answers

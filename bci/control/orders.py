"""The OrderDesk sends orders to programs and knows what became of each; see `bci.memory.orders`."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bci.control.spawn import Child
from bci.memory.orders import Acknowledgement, Order
from bci.signal.clock import Clock

log = logging.getLogger("bci.supervisor")


@dataclass(frozen=True)
class _Sent:
    """An order on its way, and the process that it was sent to."""

    program: str
    child: Child
    order: Order


class OrderDesk:
    """Orders of one session.

    Parameters
    ----------
    clock : Clock
        The session clock: by it orders expire.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[str, _Sent] = {}

    def send(
        self,
        child: Child,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        *,
        within: float | None = None,
    ) -> Order:
        """Send an order to a program.

        Parameters
        ----------
        child : Child
            The program's process.
        kind : str
            What is asked for.
        payload : mapping, optional
            Values that belong to it.
        within : float, optional
            Seconds after which the program must refuse it.
        """
        expires = None if within is None else self._clock.now() + within
        order = Order(kind, payload or {}, expires)
        self._sent[order.id] = _Sent(child.name, child, order)
        log.info("order %s to %s", kind, child.name)
        child.send(order)
        return order

    def answer(self, order: Order) -> Acknowledgement | None:
        """Return what became of an order; None while its program has not answered, or if it died before."""
        sent = self._sent.get(order.id)
        return None if sent is None else sent.child.answers.get(order.id)

    @property
    def unanswered(self) -> dict[str, list[str]]:
        """Kinds of the orders that were not answered, by program."""
        kinds: dict[str, list[str]] = {}
        for sent in self._sent.values():
            if sent.order.id not in sent.child.answers:
                kinds.setdefault(sent.program, []).append(sent.order.kind)
        return kinds

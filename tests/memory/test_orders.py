"""An order is carried out once, in its time, by a program that knows it; anything else is refused and counted."""

from collections.abc import Mapping
from typing import Any

from bci.memory.orders import Acknowledgement, Inbox, Order, OrderVerdict


def test_an_order_is_carried_out_with_its_payload_and_answered_once() -> None:
    inbox, done = Inbox(), []
    inbox.obey("gain", lambda payload: done.append(payload["value"]))
    order = Order("gain", {"value": 3})
    assert inbox.take(order, 0.0) == Acknowledgement(order.id, "gain", OrderVerdict.DONE)
    assert inbox.take(order, 0.0) is None
    assert (done, inbox.refused) == ([3], 1)


def test_orders_that_are_too_late_or_unknown_or_impossible_are_refused_and_counted() -> None:
    inbox = Inbox()

    def refuse(payload: Mapping[str, Any]) -> None:
        raise ValueError(f"a gain above 0 was expected, {payload['value']} came")

    inbox.obey("gain", refuse)
    answers = [
        inbox.take(order, 10.0)
        for order in (Order("gain", expires=9.5), Order("paint"), Order("gain", {"value": -1}, expires=10.0))
    ]
    assert [answer and answer.verdict for answer in answers] == [
        OrderVerdict.EXPIRED,
        OrderVerdict.UNKNOWN,
        OrderVerdict.FAILED,
    ]
    assert answers[1] is not None
    assert "this program obeys gain" in answers[1].detail
    assert answers[2] is not None
    assert "-1 came" in answers[2].detail
    assert inbox.refused == 3

"""Swap: window latency while a bundle is loaded and exchanged, beside that of the same session before and after.

::

    python -m benchmarks.swap        # one session of 64 channels × 1 kHz with three exchanges, about 40 s

Loading reads and tries a bundle that the decode program has never seen (another title, so another hash). *Loading* is
from the order to the mark ``swapped``; the figure is the window's latency from the push of its newest sample until it
is in the decoder's hands, windows that were passed over included.
"""

import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from bci.control.supervisor import Supervisor
from bci.decoder.bundle import Bundle
from bci.memory.orders import LOAD_BUNDLE, Order
from bci.session.recorded import RecordedSession
from benchmarks.full_line import make_bundle, measure_line
from benchmarks.report import machine_facts, print_last_line
from benchmarks.source import Feed

FEED = Feed("S", channels=64, rate=1000, chunk=10, length=200, hop=50)
WARM_UP, SECONDS = 3.0, 30.0

#: When the exchanges are ordered, seconds since the measured span began.
ORDERS_AT = (6.0, 13.0, 20.0)


class _Commander:
    """A _Commander makes bundles ahead of time, in a thread, and orders each to be loaded at its time."""

    def __init__(self, folder: Path) -> None:
        self.orders: list[tuple[float, Order]] = []
        self.done: dict[int, float] = {}
        self.answers: dict[int, Any] = {}
        self._folder = folder
        self._making: threading.Thread | None = None

    def __call__(self, supervisor: Supervisor, since: float) -> None:
        if self._making is None and "decode" in supervisor.children:
            path = supervisor.plan.config.decoder.bundle  # type: ignore[attr-defined]
            self._making = threading.Thread(target=self._make, args=(Bundle.load(path),))
            self._making.start()
        n = len(self.orders)
        if n < len(ORDERS_AT) and since >= ORDERS_AT[n]:
            order = supervisor.order("decode", LOAD_BUNDLE, {"path": str(self._folder / str(n))})
            self.orders.append((since, order))
        for at, (_, order) in enumerate(self.orders):
            answer = supervisor.answer(order)
            if answer is not None and at not in self.answers:
                self.answers[at], self.done[at] = answer, since

    def _make(self, bundle: Bundle) -> None:
        for n in range(len(ORDERS_AT)):
            make_bundle(self._folder / str(n), bundle.signal, FEED, title=f"Brightness, exchanged {n}.")


def main() -> None:
    """Run it and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        commander = _Commander(Path(folder))
        run = measure_line(
            FEED, warm_up=WARM_UP, seconds=SECONDS, disturb=commander, inspect=lambda path, _: _swaps(path)
        )
    when, latency = np.asarray(run.facts["when"]), 1e3 * np.asarray(run.latency)
    loading = np.zeros(len(when), bool)
    for at, (ordered, _) in enumerate(commander.orders):
        loading |= (when >= ordered) & (when <= commander.done.get(at, SECONDS))
    figures: dict[str, Any] = {
        "verdicts": [str(answer.verdict) for answer in commander.answers.values()],
        "seconds_to_take_over": [
            round(commander.done[at] - ordered, 2)
            for at, (ordered, _) in enumerate(commander.orders)
            if at in commander.done
        ],
        **{
            name: {
                "windows": int(part.sum()),
                **{f"p{p}": float(np.percentile(latency[part], p)) for p in (50, 99, 100) if part.any()},
            }
            for name, part in (("otherwise", ~loading), ("loading", loading))
        },
        **{key: run.facts[key] for key in ("skipped", "holes", "bundles")},
        "machine": machine_facts(),
    }
    for name in ("otherwise", "loading"):
        print(name, figures[name])
    print_last_line(figures)


def _swaps(folder: Path) -> dict[str, Any]:
    """Return what the session says of its windows: those passed over, holes in their grid that nothing counts."""
    frames = RecordedSession.read(folder).table("frames")
    ends = np.array([int(row["last_sample"]) for row in frames])
    skipped = np.array([int(row["skipped"]) for row in frames])
    return {
        "skipped": int(skipped.sum()),
        "holes": int(np.count_nonzero(np.diff(ends) != FEED.hop * (1 + skipped[1:]))),
        "bundles": int(max(int(row["bundle"]) for row in frames)) + 1,
    }


if __name__ == "__main__":
    main()

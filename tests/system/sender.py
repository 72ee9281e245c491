"""A sender in a process of its own, told over its standard input what to do: a device that can be killed.

``push FIRST END`` sends the samples of these counts, whose first channel is the count, stamped exactly;
``beat`` sends one sample every 5 ms from now on. Every order is answered with ``done`` once it is carried out.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START = 5000.0


class Sender:
    """The sender as seen from the test.

    Parameters
    ----------
    source_id : str
        Name of the device.
    rate, labels
        As in `Signal`.
    """

    def __init__(self, source_id: str, rate: float = 1000.0, labels: tuple[str, ...] = ("a", "b")) -> None:
        facts = {"source_id": source_id, "rate": rate, "labels": labels}
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(facts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
        self._await("up")

    def order(self, *words: Any) -> None:
        """Send an order and wait until it is carried out."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        self._await("done")

    def push(self, first: int, end: int) -> None:
        self.order("push", first, end)

    def hang(self) -> None:
        """Stop the process without ending it."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a hanging process go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()

    def _await(self, word: str) -> None:
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        assert said == word, f"the sender said {said!r}, not {word!r}"

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            # What was not yet flushed to a process that is gone is of no interest.
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def orders() -> Iterator[list[str]]:
    """Yield what comes on the standard input, each answered after it was carried out."""
    for line in sys.stdin:
        yield line.split()
        print("done", flush=True)  # noqa: T201


def main(facts: dict[str, Any]) -> None:
    import numpy as np

    from bci.io.lsl.source import LslOutlet
    from bci.signal.types import Signal

    labels = tuple(facts["labels"])
    outlet = LslOutlet(
        Signal("planted", facts["rate"], (len(labels),), labels, "uV"), facts["source_id"], exact_stamps=True
    )

    def push(first: int, end: int) -> None:
        counts = np.arange(first, end)
        outlet.push(np.repeat(counts[:, None], len(labels), 1).astype("f4"), START + counts / facts["rate"])

    def beat() -> None:
        ticking, at = threading.Event(), 0
        while not ticking.wait(0.005):
            push(at, at + 1)
            at += 1

    print("up", flush=True)  # noqa: T201
    for word, *numbers in orders():
        if word == "beat":
            threading.Thread(target=beat, daemon=True).start()
        else:
            push(*map(int, numbers))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

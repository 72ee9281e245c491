"""`bci check` listens to a live stream: values that no brain gives, and silence, are said before the session."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bci.cli.listening import listen
from bci.cli.output import Output
from bci.config.stream import StreamSettings
from bci.errors import StreamTimeError
from bci.io.lsl.address import Address
from bci.io.lsl.source import LslOutlet
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Signal

SIGNAL = Signal("EEG", 100.0, (4,), ("Cz", "Pz", "Oz", "Fz"), "uV")


@contextmanager
def sending(scale: float | None = 1.0, pz: float = 1.0, ahead: float = 0.0) -> Iterator[str]:
    """Send noise of a scale, of another at Pz, with stamps ahead of ours by so many seconds; give the source id."""
    name = f"listen-{uuid.uuid4().hex[:8]}"
    noise = 20 * np.random.default_rng(1).normal(size=(10_000, 4)).astype(np.float32)
    noise[:, 1] *= pz
    over = threading.Event()

    def send(outlet: LslOutlet) -> None:
        clock, sent = LslClock(), 0
        start = clock.now()
        # All that is due, however late this thread is served: the stream has no gap.
        while not over.wait(0.1) and scale is not None:
            due = min(int((clock.now() - start) * SIGNAL.rate), len(noise))
            stamps = start + ahead + np.arange(sent, due) / SIGNAL.rate
            outlet.push(noise[sent:due] * np.float32(scale), stamps)
            sent = due

    # Stamps that are called exact are taken as they are: a recording that is played keeps its own.
    with LslOutlet(SIGNAL, name, exact_stamps=not ahead) as outlet:
        sender = threading.Thread(target=send, args=(outlet,))
        sender.start()
        try:
            yield name
        finally:
            over.set()
            sender.join()


def listened(name: str) -> dict[str, Any]:
    return listen(Address(source_id=name), StreamSettings(source_id=name, timeout_s=20.0), Output(False))


@pytest.mark.system
@pytest.mark.parametrize(
    ("scale", "pz", "words"),
    [
        (1e-6, 1.0, "a million times as much would fit"),
        (1.0, 1.0, ""),
        (None, 1.0, "sent nothing"),
        (1.0, 0.0, "not moving: Pz. "),
        (1.0, np.nan, "no numbers come from Pz. "),
    ],
)
def test_what_a_stream_cannot_be_is_said(
    scale: float | None, pz: float, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with sending(scale, pz) as name:
        found = listened(name)
    assert [words in warning for warning in found["warnings"]] == [True] * bool(words)
    said = " ".join(capsys.readouterr().out.split())
    assert ("warning:" in said) == bool(words)
    assert (found["samples"] > 0) == (scale is not None)


@pytest.mark.system
def test_a_stream_of_another_clock_is_refused_before_the_session() -> None:
    with (
        sending(ahead=500.0) as name,
        pytest.raises(StreamTimeError, match="another clock came: 500 s ahead of ours"),
    ):
        listened(name)

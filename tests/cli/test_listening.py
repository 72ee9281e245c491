"""`bci check` listens to a live stream: values that no brain gives, and silence, are said before the session."""

import threading
import uuid

import numpy as np
import pytest

from bci.cli.listening import listen
from bci.cli.output import Output
from bci.config.stream import StreamSettings
from bci.io.lsl.address import Address
from bci.io.lsl.source import LslOutlet
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Signal

SIGNAL = Signal("EEG", 100.0, (4,), ("Cz", "Pz", "Oz", "Fz"), "uV")


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
            outlet.push(noise[sent:due] * np.float32(scale), start + np.arange(sent, due) / SIGNAL.rate)
            sent = due

    with LslOutlet(SIGNAL, name, exact_stamps=True) as outlet:
        sender = threading.Thread(target=send, args=(outlet,))
        sender.start()
        try:
            found = listen(
                Address(source_id=name), StreamSettings(source_id=name, timeout_s=20.0), Output(False)
            )
        finally:
            over.set()
            sender.join()
    assert [words in warning for warning in found["warnings"]] == [True] * bool(words)
    said = " ".join(capsys.readouterr().out.split())
    assert ("warning:" in said) == bool(words)
    assert (found["samples"] > 0) == (scale is not None)

"""The whole line measures how late an amplifier's stamps are, and corrects them by the line that it prints."""

import contextlib
import threading
import uuid
from pathlib import Path

import numpy as np
import pytest
from commands import call
from sessions import PATIENT_SCREEN

from bci.errors import StreamNotFound
from bci.io.lsl.markers import MarkerSource
from bci.io.lsl.source import LslOutlet
from bci.memory.lsl_clock import LslClock
from bci.session.recorded import RecordedSession
from bci.signal.types import Signal

pytestmark = pytest.mark.system

RATE, LATENCY, SCREEN = 500.0, 0.043, 0.006
#: How long after they were taken samples are sent, seconds: every flip until then is known by that time.
HELD_BACK = 1.0
SIGNAL = Signal("amp", RATE, (2,), ("Oz", "AUX"), "uV")
SESSION = """
name = "loopback"
network = "machine"

[stream]
source_id = "{amp}"
{latency}

[display]
kind = "headless"
flip_stream = "{flips}"
max_png = 0
{patient}
contact_sheet = 0

[experiment]
protocol = "text"
words = ["left out"]
"""


class Amplifier:
    """An amplifier with a photodiode on the patch: light comes `SCREEN` after a flip, stamps are `LATENCY` late."""

    def __init__(self, amp: str, flips: str) -> None:
        self._amp, self._flips = amp, flips
        self._turns: list[float] = []
        self._stop, self._sees = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._look, self._send)]

    def _look(self) -> None:
        """Follow the flips of the session that comes."""
        clock = LslClock()
        while not self._stop.is_set():
            with contextlib.suppress(StreamNotFound), MarkerSource(self._flips, clock, timeout=0.5) as flips:
                self._sees.set()
                while not self._stop.is_set():
                    self._turns += [marker.time for marker in flips.pull(0.05)]

    def _send(self) -> None:
        """Send samples late, so that all flips until then are known; none of before the screen was seen."""
        clock, dice = LslClock(), np.random.default_rng(1)
        with LslOutlet(SIGNAL, self._amp) as outlet:
            while not (self._sees.wait(0.05) or self._stop.is_set()):
                pass
            began, sent = clock.now(), 0
            while not self._stop.wait(0.01):
                if (n := int((clock.now() - HELD_BACK - began) * RATE) - sent) > 0:
                    times = began + (sent + np.arange(n)) / RATE
                    light = np.searchsorted(np.array(self._turns) + SCREEN, times, side="right") % 2
                    samples = np.stack([dice.normal(0, 10, n), 200.0 * light], axis=1).astype("f4")
                    outlet.push(samples, times + LATENCY)
                    sent += n

    def __enter__(self) -> "Amplifier":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_the_latency_of_an_amplifier_is_measured_and_its_stamps_are_corrected(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    options = ("--channel", "AUX", "--pulses", 12, "--longest", 0.1, "--out", tmp_path / "out", "--json")
    for latency, corrected in (("", 0.0), ("latency_s = 0.05", 0.05)):
        amp, flips = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("amp", "flips"))
        path.write_text(SESSION.format(patient=PATIENT_SCREEN, amp=amp, flips=flips, latency=latency))
        with Amplifier(amp, flips):
            done = call("latency", path, "--loopback", *options)
        assert done.status == 0, done.words
        assert (done.result["reason"], done.result["missed"]) == ("", 0)
        # Whatever is corrected already, the latency is the amplifier's own and the screen's.
        assert done.result["latency_s"] == pytest.approx(LATENCY + SCREEN, abs=0.002)
        assert done.result["corrected_ms"] == pytest.approx(1e3 * corrected)
        assert Path(done.result["report"]).is_file()
        summary = RecordedSession.read(done.folder).summary
        assert summary is not None
        said = " ".join(summary["told"])
        assert ("latency_s = 0.05" in said) == bool(corrected)

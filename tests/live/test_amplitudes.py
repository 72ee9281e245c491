"""A live stream whose values cannot be what it says is told to the operator, once, and when it is mended."""

import logging

import numpy as np
import pytest

from bci.live.amplitudes import Amplitudes
from bci.memory.stream import Stream
from bci.signal.types import Signal

RNG = np.random.default_rng(21)
RATE = 100
LOG = logging.getLogger("bci.record")


def stream(unit: str = "uV", channels: int = 8) -> Stream:
    return Stream.private(Signal("EEG", RATE, (channels,), unit=unit), 20.0)


def write(into: Stream, scale: float, seconds: int, watch: Amplitudes) -> None:
    """Write seconds of noise of 20 times `scale`, a tenth of one at a time."""
    n = RATE // 10
    for _ in range(10 * seconds):
        samples = (20 * scale * RNG.normal(size=(n, *into.signal.shape))).astype(np.float32)
        stamps = np.zeros(n)
        into.samples.write(samples=samples, times=stamps, raw=stamps, arrived=stamps)
        watch.step()


@pytest.mark.parametrize(("scale", "words"), [(1e-6, "a million times as much"), (1e6, "a millionth of it")])
def test_volts_called_microvolts_are_said_once_and_when_they_are_mended(
    scale: float, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Amplitudes(LOG)
    with stream() as eeg:
        watch.add("stream", eeg, "EEG")
        write(eeg, scale, 4, watch)
        assert caplog.records == []  # five seconds are judged
        write(eeg, scale, 8, watch)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert words in record.getMessage()
        assert watch.wrong == 1
        write(eeg, 1.0, 6, watch)
        assert "plausible now" in caplog.records[1].getMessage()
        assert watch.wrong == 0


@pytest.mark.parametrize("unit", ["uV", "mV", "", "T"])
def test_what_is_plausible_or_no_voltage_is_left_alone(unit: str, caplog: pytest.LogCaptureFixture) -> None:
    watch = Amplitudes(LOG)
    with stream(unit) as eeg:
        watch.add("stream", eeg)
        write(eeg, 1e-3 if unit == "mV" else 1.0, 7, watch)
    assert caplog.records == []


def test_an_amplifier_that_settles_in_its_first_second_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    watch = Amplitudes(LOG)
    with stream() as eeg:
        watch.add("stream", eeg)
        write(eeg, 1e5, 1, watch)
        write(eeg, 1.0, 6, watch)
    assert caplog.records == []


def test_dead_channels_do_not_hide_a_unit_and_dead_streams_say_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = Amplitudes(LOG)
    with stream() as eeg:
        watch.add("stream", eeg)
        write(eeg, 0.0, 7, watch)
    assert caplog.records == []

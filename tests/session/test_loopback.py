"""The amplifier's own latency is found as planted, by any pulse; where nothing pulses, no correction is stated."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.cli.loopback import _marked
from bci.errors import ConfigError, RecordingError
from bci.session.loopback import Loopback, find_bursts, measure
from bci.session.loopback_page import write_loopback

RATE = 500.0
PULSES = 20.0 + np.cumsum(np.random.default_rng(4).uniform(0.44, 0.47, 40))
Floats = NDArray[np.float64]


def turned(
    latency: float, *, polarity: float = 1.0, hidden: int = 0, rise: float = 0.004
) -> tuple[Floats, Floats]:
    """Return a channel that each pulse turns, a ramp long, with noise and a slow drift; and its late stamps."""
    times = 19.0 + np.arange(round((PULSES[-1] - 18.0) * RATE)) / RATE
    seen = PULSES[: len(PULSES) - hidden]
    level = sum(np.clip((times - pulse) / rise + 0.5, 0, 1) * (-1.0) ** k for k, pulse in enumerate(seen))
    noise = np.random.default_rng(1).normal(0, 0.01, len(times))
    return polarity * (40.0 * (level + noise) + 3.0 * np.sin(times)), times + latency


@pytest.mark.parametrize("polarity", [1.0, -1.0])
@pytest.mark.parametrize("latency", [0.0, 0.0137, 0.3])
def test_a_planted_latency_is_found_between_two_samples(latency: float, polarity: float) -> None:
    found = measure(*turned(latency, polarity=polarity), PULSES, bursts=False, longest_s=0.4)
    assert (found.pulses, found.missed, found.others, found.reason) == (40, 0, 0, "")
    # A tenth of a sample of 2 ms: what crosses the middle is timed between samples.
    assert found.latency_s == pytest.approx(latency, abs=0.0002)
    assert found.latencies.std() < 0.0004
    assert found.line == f"latency_s = {max(0.0, found.latency_s):.4f}"


def test_missed_pulses_are_counted() -> None:
    found = measure(*turned(0.02, hidden=6), PULSES, bursts=False, longest_s=0.4)
    assert (found.missed, found.others) == (6, 0)
    assert "6 of 40 pulses were missed" in " ".join(found.sentences())


@pytest.mark.parametrize("kind", ["level", "sound", "falling"])
def test_levels_and_sounds_are_found_by_where_they_begin(kind: str) -> None:
    times = 19.0 + np.arange(round((PULSES[-1] - 18.0) * 4000)) / 4000
    rest = np.random.default_rng(2).normal(0, 0.01, len(times))
    for pulse in PULSES:
        on = (times >= pulse) & (times < pulse + 0.1)
        rest[on] += {"level": 5.0, "falling": -5.0, "sound": np.sin(2 * np.pi * 440 * (times[on] - pulse))}[
            kind
        ]
    found = measure(rest, times + 0.0421, PULSES, bursts=True, longest_s=0.3)
    assert (found.missed, found.others, found.reason) == (0, 0, "")
    assert found.latency_s == pytest.approx(0.0421, abs=0.0005)
    assert len(find_bursts(np.zeros(len(times)), times).times) == 0


def test_a_channel_without_pulses_says_so() -> None:
    times = 19.0 + np.arange(12_000) / RATE
    noise = np.random.default_rng(3).normal(0, 1, len(times))
    for channel in (noise, np.full(len(times), 7.0), np.sin(2 * np.pi * 10 * times) + 0.1 * noise):
        for bursts in (False, True):
            found = measure(channel, times, PULSES, bursts=bursts, longest_s=0.4)
            assert "no pulses found" in found.reason, (found.pulses, len(found.latencies), found.others)
            assert found.line == ""


def test_stamps_that_are_early_or_recorded_at_another_time_give_no_correction() -> None:
    early = measure(*turned(-0.03), PULSES, bursts=False, longest_s=0.4)
    assert early.latency_s == pytest.approx(-0.03, abs=0.0002)
    assert "before they came" in early.reason
    assert early.line == ""
    channel, times = turned(0.0)
    assert "no pulse came while" in measure(channel, times + 1000, PULSES, bursts=False).reason


def test_what_was_corrected_already_is_part_of_the_latency() -> None:
    channel, times = turned(0.06)
    found = measure(channel, times - 0.05, PULSES, bursts=False, longest_s=0.4, corrected_s=0.05)
    assert found.latency_s == pytest.approx(0.06, abs=0.0002)
    assert "0.05 was already corrected" in " ".join(found.sentences())
    # Corrected by too much, the pulses show before they came; the latency is what it is all the same.
    over = measure(channel, times - 0.1, PULSES, bursts=False, longest_s=0.4, corrected_s=0.1)
    assert over.latency_s == pytest.approx(0.06, abs=0.0002)
    assert over.reason == ""


def test_the_report_holds_the_figures_and_the_line(tmp_path: Path) -> None:
    found = Loopback(np.array([0.02, 0.021, 0.022, 0.021, 0.0215, 0.0205]), 7, 1)
    result = write_loopback(tmp_path, "amp-1", "A<b>", found)
    assert json.loads((tmp_path / "loopback.json").read_text()) == result
    assert (result["latency_s"], result["missed"], result["others"]) == (0.021, 1, 1)
    page = (tmp_path / "loopback.html").read_text()
    assert "[stream] latency_s = 0.0210" in page
    assert "A&lt;b&gt;" in page
    nothing = write_loopback(tmp_path, "amp-1", "A", Loopback(np.empty(0), 40, 3, "no pulses found"))
    assert (nothing["latency_s"], nothing["latency_ms"]["median"]) == (None, None)


def test_a_marker_with_a_lines_end_is_a_pulse_and_no_pattern_takes_for_ever() -> None:
    rows = [{"time": "1.0", "text": "pulse\n1"}, {"time": "2.0", "text": "a" * 40}]
    recorded: Any = SimpleNamespace(table=lambda name: rows, uncertain=frozenset())
    assert _marked(recorded, "pulse.*").tolist() == [1.0]
    with pytest.raises(RecordingError, match="no marker matches"):
        _marked(recorded, "(a+)+b")
    with pytest.raises(ConfigError, match="--pulse-markers: a regular expression was expected"):
        _marked(recorded, "(")

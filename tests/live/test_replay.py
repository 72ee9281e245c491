"""A player publishes every sample and marker once, stamped with the time it is due, as fast as its clock is turned."""

import contextlib
import itertools
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pylsl
import pytest

from bci.errors import ConfigError, RingError
from bci.io.files.formats.file import FileRecording
from bci.io.files.recording import Recording, open_recording
from bci.io.lsl.source import describe
from bci.live.replay import Player, safe_speed
from bci.memory.lsl_clock import LslClock
from bci.memory.ring import Column, Ring
from bci.signal.clock import ManualClock
from bci.signal.types import Event, Signal
from bci.sim.eeg import AlphaSimulator

START = 1000.0
LONGEST = 30.0
NUMBERS = itertools.count()


def counters(n: int = 1000, rate: float = 100.0, markers: tuple[Event, ...] = ()) -> Recording:
    """Give samples that are their own numbers."""
    values = np.stack([np.arange(n), -np.arange(n)], axis=1).astype(np.float32)
    return FileRecording(
        "counters.npy",
        Signal("counters", rate, (2,), ("up", "down"), "uV"),
        n,
        lambda first, end: values[first:end],
        markers,
    )


@dataclass
class Listener:
    """A bare pylsl client, receiving in its own thread until told to stop."""

    source_id: str
    values: list[list[float]] = field(default_factory=list)
    stamps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        (info,) = pylsl.resolve_byprop("source_id", self.source_id, 1, LONGEST)
        self._inlet = pylsl.StreamInlet(info, processing_flags=0)
        self._inlet.open_stream(LONGEST)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        while not self._stop.is_set():
            values, stamps = self._inlet.pull_chunk(timeout=0.02, max_samples=256)
            self.values += values
            self.stamps += stamps

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._inlet.close_stream()

    def has(self, n: int) -> bool:
        """Wait until `n` samples have come; whether they did."""
        deadline = pylsl.local_clock() + LONGEST
        while len(self.stamps) < n and pylsl.local_clock() < deadline:
            self._stop.wait(0.01)
        return len(self.stamps) == n


@pytest.fixture
def source_id() -> str:
    return f"replay-{next(NUMBERS)}"


@contextlib.contextmanager
def on_the_air(player: Player) -> Iterator[tuple[Listener, Listener]]:
    """Open a listener to the samples and one to the markers."""
    with player, Listener(player.source_id) as samples, Listener(player.marker_source_id) as markers:
        assert player.wait_for_consumers(LONGEST, markers=True)
        yield samples, markers


@pytest.mark.parametrize("speed", [1.0, 8.0])
def test_every_sample_arrives_once_with_the_stamp_it_was_due_at(source_id: str, speed: float) -> None:
    markers = (Event(0.0, "first"), Event(3.3, "µV"), Event(9.99, "12", 12))
    clock = ManualClock(START)
    player = Player(counters(markers=markers), clock, source_id=source_id, speed=speed)
    assert player.expected == 1000
    with on_the_air(player) as (samples, texts):
        assert player.play()
        assert samples.has(1000)
        assert texts.has(3)
    assert [v[0] for v in samples.values] == list(range(1000))
    assert np.allclose(samples.stamps, START + np.arange(1000) / (100 * speed), rtol=0, atol=1e-9)
    assert [v[0] for v in texts.values] == ["first", "µV", "12"]
    assert np.allclose(texts.stamps, START + np.array([0.0, 3.3, 9.99]) / speed, rtol=0, atol=1e-9)
    assert (player.sent, player.markers_sent, player.late, player.given_up) == (1000, 3, 0, 0)
    # The clock was turned to the last block and then through the second of grace.
    assert clock.now() == pytest.approx(START + 9.99 / speed + 1.0)


def test_the_stream_says_what_it_is(source_id: str) -> None:
    with Player(AlphaSimulator(seconds=4), LslClock(), source_id=source_id, speed=5.0):
        info = describe(source_id, LONGEST)
    assert info.signal.rate == 160  # the recording's, whatever the speed
    assert info.signal.channels == AlphaSimulator().signal.channels
    assert info.signal.unit == "uV"
    assert (info.speed, info.exact_stamps, info.kind) == (5.0, True, "EEG")
    assert info.extra["simulated"] == "true"
    assert info.extra["recording"].startswith("simulated")


class LateClock(ManualClock):
    """A hand that oversleeps once, by a second, as the due time of a given moment comes."""

    def __init__(self, start: float, when: float) -> None:
        super().__init__(start)
        self._when = when

    def sleep_until(self, when: float) -> None:
        super().sleep_until(when)
        if self.now() >= self._when:
            self._when = float("inf")
            self.advance(1.0)


def test_what_comes_late_is_counted_and_keeps_its_stamps(source_id: str) -> None:
    player = Player(counters(), LateClock(START, START + 5.0), source_id=source_id)
    with on_the_air(player) as (samples, _):
        assert player.play()
        assert samples.has(1000)
    assert np.allclose(samples.stamps, START + np.arange(1000) / 100, rtol=0, atol=1e-9)
    assert player.late == 98  # those due in the second that was overslept, less what 20 ms forgive
    assert player.latest == pytest.approx(1.0)


def test_a_loop_counts_on_and_its_seam_is_a_jump_of_the_stamps(source_id: str) -> None:
    player = Player(
        counters(200, markers=(Event(1.0, "beep"),)), ManualClock(START), source_id=source_id, loop=True
    )
    assert player.expected is None
    with on_the_air(player) as (samples, texts):
        assert not player.play(lambda: player.sent < 600)
        assert samples.has(player.sent)
        assert texts.has(3)
    assert [v[0] for v in samples.values[:600]] == list(range(200)) * 3
    steps = np.diff(samples.stamps[:600])
    assert np.flatnonzero(steps > 0.015).tolist() == [199, 399]
    assert steps[[199, 399]] == pytest.approx(1.01)


def test_start_and_stop_choose_a_stretch(source_id: str) -> None:
    player = Player(counters(), ManualClock(START), source_id=source_id, start=2.5, stop=4.0)
    assert player.expected == 150
    with on_the_air(player) as (samples, _):
        assert player.play()
        assert samples.has(150)
    assert [v[0] for v in samples.values] == list(range(250, 400))
    assert samples.stamps[0] == START


def test_an_order_to_stop_ends_the_playing_at_once(source_id: str) -> None:
    with Player(AlphaSimulator(), ManualClock(START), source_id=source_id) as player:
        asked = itertools.count()
        assert not player.play(lambda: next(asked) < 50)
        assert 0 < player.sent < 50


def test_waiting_for_a_consumer_ends_in_time_or_when_told(source_id: str) -> None:
    clock = ManualClock(START)

    def turn() -> bool:
        clock.advance(600.0)
        return True

    with Player(counters(), clock, source_id=source_id) as player:
        assert not player.wait_for_consumers(3600.0, turn)
        assert clock.now() == START + 3600.0
        assert not player.wait_for_consumers(3600.0, lambda: False)
        assert clock.now() == START + 3600.0


def test_max_speed_needs_a_consumers_ring_and_names_the_highest_safe_speed(source_id: str) -> None:
    recording = counters()
    with pytest.raises(
        ConfigError, match=r"speed max is refused.*highest safe speed for counters\.npy .* is 72"
    ):
        Player(recording, LslClock(), source_id=source_id, speed="max")
    with pytest.raises(ConfigError, match="speed 73 is refused"):
        Player(recording, LslClock(), source_id=source_id, speed=73)
    with Player(recording, LslClock(), source_id=source_id, speed=72) as player:
        assert player.speed == 72


@pytest.mark.parametrize("speed", [0, -1.0, float("nan"), float("inf"), "fast"])
def test_a_speed_that_is_none_is_refused(source_id: str, speed: object) -> None:
    with pytest.raises(ConfigError, match="the speed is a number above 0, or 'max'"):
        Player(counters(), LslClock(), source_id=source_id, speed=speed)  # type: ignore[arg-type]


def test_the_safe_speed_of_a_recording_that_reads_slowly_is_lower() -> None:
    slow = counters(100_000, 10_000.0)
    assert isinstance(slow, FileRecording)
    clock = threading.Event()

    def block(first: int, end: int) -> np.ndarray:
        clock.wait((end - first) / 10_000 / 20)  # twenty times real time
        return np.zeros((end - first, 2), np.float32)

    object.__setattr__(slow, "block", block)
    assert 1 < safe_speed(slow) <= 10


def test_at_max_a_consumer_that_never_takes_anything_is_given_up_and_counted(
    source_id: str, segment_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Ring.create(segment_name, [Column.of("samples", "f4", (2,))], 200, 50),
        Player(counters(), ManualClock(START), source_id=source_id, speed="max", ring=segment_name) as player,
        caplog.at_level(logging.ERROR),
    ):
        assert player.play()
        assert player.sent == 1000
        assert player.given_up >= 800
    assert "has taken nothing for 5 s" in caplog.text


def test_a_ring_that_is_not_there_is_an_error(source_id: str, segment_name: str) -> None:
    with (
        Player(counters(), ManualClock(START), source_id=source_id, speed="max", ring=segment_name) as player,
        pytest.raises(RingError, match="no shared memory named"),
    ):
        player.play()


def test_the_file_with_a_reset_clock_is_played_with_its_own_stamps(source_id: str, data: Path) -> None:
    recording = open_recording(data / "xdf_examples" / "clock_resets.xdf")
    clock = ManualClock(START)
    with Player(recording, clock, source_id=source_id, speed=50.0, start=120.0, stop=430.0) as player:
        first, end = player.timetable.first, player.timetable.end
        ((border, seconds),) = player.timetable.gaps()
        assert border == 12_876
        assert seconds == pytest.approx(273.879 / 50, abs=1e-4)
        with Listener(source_id) as samples:
            assert player.wait_for_consumers(LONGEST)
            assert player.play()
            assert samples.has(end - first)
    assert np.array_equal(np.array(samples.values, np.float32), recording.read(first, end))
    times = recording.times(first, end)
    assert np.allclose(samples.stamps, START + (times - times[0]) / 50, rtol=0, atol=1e-6)

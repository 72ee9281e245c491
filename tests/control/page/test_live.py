"""A page looks at a running session's memory, and can neither write it nor hold it up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from test_moment import LOSS, WELL

from bci.control.directory import Directory, StreamPlace
from bci.control.page.live import LiveModel
from bci.control.page.moment import Tone
from bci.control.snapshot import ReconstructionSnapshot, SessionSnapshot, SessionState
from bci.control.snapshot_ring import SnapshotWriter, create_snapshots
from bci.errors import RingError
from bci.memory.board import Board
from bci.memory.events import create_events
from bci.memory.frames import frame_columns, shown_columns, write_frame
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.types import (
    FRAME_DTYPE,
    Event,
    MarkKind,
    Reconstruction,
    Shown,
    Signal,
    event_record,
    stamps_record,
)

RATE = 200.0
SIGNAL = Signal("eeg", RATE, (4,), ("a", "b", "c", "d"), "uV")
RED, BLUE = (np.full((8, 8, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))
STAMPS = {"data": 99.0, "arrived": 99.002, "cut": 99.003, "decoded": 99.010, "published": 99.011}


@dataclass
class Rig:
    """A session's shared memory, as its supervisor and its programs write it."""

    folder: Path
    clock: ManualClock
    stream: Stream
    rings: dict[str, Ring]
    snapshots: SnapshotWriter
    model: LiveModel

    def push(self, n: int) -> None:
        ring = self.stream.samples
        counts = ring.count + np.arange(n)
        times = 100.0 + counts / RATE
        values = np.sin(2 * np.pi * 10 * counts / RATE)[:, np.newaxis] * np.arange(4)
        ring.write(samples=values.astype(np.float32), times=times, raw=times, arrived=times)
        self.clock.advance(n / RATE)

    def show(self, snapshot: SessionSnapshot) -> None:
        self.snapshots.offer(self.clock.now(), snapshot.state, lambda: snapshot)


@pytest.fixture
def rig(tmp_path: Path, segment_name: str) -> Iterator[Rig]:
    columns = {
        "frames": frame_columns(8, 8, 2),
        "shown": shown_columns(8, 8, 2),
    }
    rings = {name: Ring.create(segment_name + name, made, 16, 8, 1) for name, made in columns.items()}
    rings["markers"] = create_events(segment_name + "e", 1)
    rings["snapshots"] = create_snapshots(segment_name + "s", 1)
    stream = Stream.create(segment_name + "d", SIGNAL, 12.0, 1)
    clock = ManualClock(100.0)
    directory = Directory(
        "none",
        {name: ring.handle.name for name, ring in rings.items()},
        {"stream": StreamPlace(segment_name + "d", SIGNAL, "amp")},
    )
    directory.write(tmp_path)
    model = LiveModel(tmp_path, clock, 4.0)
    yield Rig(tmp_path, clock, stream, rings, SnapshotWriter(rings["snapshots"]), model)
    model.close()
    stream.close()
    for ring in rings.values():
        ring.close()


def test_a_ring_that_is_looked_at_cannot_be_written(segment_name: str) -> None:
    with Board.create(segment_name, {"decode": ["skipped"]}) as board:
        board.row("decode")["skipped"] = 3
        with Board.look(segment_name) as seen:
            assert seen.row("decode").counts() == {"skipped": 3}
            board.row("decode")["skipped"] = 4
            assert seen.row("decode")["skipped"] == 4
            with pytest.raises(TypeError, match="read-only"):
                seen.row("decode")["skipped"] = 9
    with pytest.raises(RingError, match="has ended or never started"):
        Board.look(segment_name)


def test_signals_a_gap_and_their_spectrum_are_drawn_as_they_come(rig: Rig) -> None:
    rig.model.look()
    assert rig.model.streams == {"stream": SIGNAL}
    rig.push(1000)
    rig.stream.mark(MarkKind.GAP, 1000, count=100, time=104.5, value=0.5)
    rig.push(100)
    rig.model.look()
    picture = rig.model.traces("stream", slice(2, 4))
    assert picture is not None
    assert picture.high.max(axis=0) == pytest.approx([2.0, 3.0], rel=0.02)
    (gap,) = rig.model.gaps("stream")
    assert (gap.start, gap.stop, gap.why) == (104.0, 104.5, "gap")
    found = rig.model.spectrum("stream", slice(1, 4))
    assert found is not None
    assert found.hz[np.argmax(found.median)] == 10.0
    rig.clock.advance(20.0)
    rig.model.look()
    assert rig.model.gaps("stream") == []


def test_a_page_that_stalled_goes_on_with_the_newest_and_nothing_waited_for_it(rig: Rig) -> None:
    rig.push(400)
    rig.model.look()
    for _ in range(30):
        rig.push(500)
    rig.model.look()
    picture = rig.model.traces("stream", slice(0, 4))
    assert picture is not None
    assert picture.times[-1] == pytest.approx(rig.clock.now(), abs=0.05)
    assert rig.stream.samples.next_target() is None, "no writer is asked to wake it"


def test_events_are_averaged_when_their_samples_are_there(rig: Rig) -> None:
    rig.push(400)
    rig.model.look()
    rig.rings["markers"].write(event=[event_record(Event(102.1, "7", 7, 102.1))])
    rig.push(100)
    rig.model.look()
    assert rig.model.evoked() == []
    rig.push(200)
    rig.model.look()
    (response,) = rig.model.evoked()
    assert (response.name, response.count) == ("7", 1)


def test_an_event_of_uncertain_time_is_counted_and_in_no_average(rig: Rig) -> None:
    rig.push(400)
    rig.model.look()
    for time in (101.5, 102.1):
        rig.rings["markers"].write(event=[event_record(Event(time, "7", 7, time))])
    rig.stream.mark(MarkKind.UNCERTAIN, 400, time=102.1, value=0.02)
    rig.push(300)
    rig.model.look()
    assert [(one.name, one.count) for one in rig.model.evoked()] == [("7", 1)]
    assert rig.model.events_left_out() == {"uncertain time": 1}


def test_pictures_words_and_times_are_those_of_the_rings(rig: Rig) -> None:
    rig.model.look()
    moment = rig.model.moment()
    assert (moment.banner.title, moment.pictures) == ("Preparing", ())
    read = Reconstruction(RED, np.zeros(2, np.float32), 0.75, True, "", 0, 9, stamps=STAMPS)
    write_frame(rig.rings["frames"], read)
    info = np.zeros(1, FRAME_DTYPE)
    info["stamps"] = stamps_record(STAMPS | {"taken": 99.02, "flipped": 99.03})
    shown = (int(Shown.FRAME), 0, 4, 0, 99.03, b"", b"", info[0])
    rig.rings["shown"].write(image=BLUE[np.newaxis], latent=np.zeros((1, 2)), shown=[shown])
    newest = {"decode": ReconstructionSnapshot(0, True, "", 0.75, (), 9, 99.002, 99.9)}
    rig.show(SessionSnapshot("demo", SessionState.RUNNING, 0.0, 100.0, 1.0, WELL.programs, newest=newest))
    rig.model.look()
    screen, mind = rig.model.moment().pictures
    assert np.array_equal(screen.image, BLUE)
    assert np.array_equal(mind.image, RED)
    assert "trial 5" in screen.words
    assert "confidence 0.75" in mind.words
    stages = {stage.name: stage for stage in rig.model.stage_times()}
    assert stages["decode"].p50 == pytest.approx(7.0)
    assert stages["total"].p50 == pytest.approx(30.0)


def test_alarms_commands_and_the_end_are_said(rig: Rig) -> None:
    (rig.folder / "log.txt").write_text("one\ntwo\n")
    rig.show(SessionSnapshot("demo", SessionState.RUNNING, 0.0, 100.0, 1.0, WELL.programs, alarms=(LOSS,)))
    rig.model.look()
    moment = rig.model.moment()
    assert moment.alarms == (LOSS,)
    assert moment.banner.level is Tone.URGENT
    assert list(moment.log) == ["one", "two"]
    assert math.isnan(moment.lasts)
    assert not rig.model.over
    Directory.remove(rig.folder)
    assert rig.model.over
    moment = rig.model.moment()
    assert moment.banner.title == "Ended"
    assert "does not run" in moment.no_commands

"""How a session stands travels to other programs through shared memory, and comes out as it went in."""

import dataclasses
import math

from bci.control.health import health
from bci.control.silences import Silence
from bci.control.snapshot import (
    ProgramSnapshot,
    ReconstructionSnapshot,
    SessionSnapshot,
    SessionState,
    StreamSnapshot,
)
from bci.control.snapshot_ring import SnapshotWriter, create_snapshots, newest_snapshot
from bci.memory.alarms import Alarm

SNAPSHOT = SessionSnapshot(
    "demo",
    SessionState.RUNNING,
    since=1.0,
    at=100.0,
    elapsed=math.inf,
    programs={"decode": ProgramSnapshot("running", 7, 0.01, {"windows": 3}, 0, 1, "")},
    streams={"stream": StreamSnapshot("amp", 250.0, (8,), 1000)},
    newest={"decode": ReconstructionSnapshot(7, True, "µ", 0.5, (0.1,) * 512, 900, 99.5, 99.6)},
    alarms=(Alarm("a", "l", "w", "d", age=math.inf),),
    silences={"acquire": Silence(1, 2.5, 2.5, False, False)},
)


def test_a_snapshot_is_read_as_it_was_but_for_latents(segment_name: str) -> None:
    with create_snapshots(segment_name, 1) as ring:
        assert newest_snapshot(ring) is None
        writer = SnapshotWriter(ring)
        writer.offer(100.0, SNAPSHOT.state, lambda: SNAPSHOT)
        newest = {"decode": dataclasses.replace(SNAPSHOT.newest["decode"], latent=())}
        read = newest_snapshot(ring)
        assert read == dataclasses.replace(SNAPSHOT, newest=newest)
        assert read is not None
        assert health(read) == health(SNAPSHOT)


def test_it_is_written_some_times_a_second_and_at_every_change_of_state(segment_name: str) -> None:
    with create_snapshots(segment_name, 1) as ring:
        writer = SnapshotWriter(ring)
        for tick in range(100):
            writer.offer(100.0 + tick / 100, SNAPSHOT.state, lambda: SNAPSHOT)
        assert ring.count == 5
        latched = dataclasses.replace(SNAPSHOT, state=SessionState.LATCHED)
        writer.offer(100.99, latched.state, lambda: latched)
        assert newest_snapshot(ring) is not None
        assert ring.count == 6


def test_one_that_does_not_fit_is_left_out(segment_name: str) -> None:
    with create_snapshots(segment_name, 1) as ring:
        vast = dataclasses.replace(SNAPSHOT, latched="x" * 70_000)
        SnapshotWriter(ring).offer(100.0, vast.state, lambda: vast)
        assert ring.count == 0

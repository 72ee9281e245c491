"""The decode program, run in this process on rings of its own."""

import gc
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import tiny_bundle

from bci.control.posts import COUNTERS
from bci.decoder.spec import EpochSpec
from bci.io.files.run import save_run
from bci.live import decode
from bci.memory.board import Board
from bci.memory.events import create_events
from bci.memory.frames import frame_columns, shown_columns
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import create_marks, read_marks
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.memory.segment import CLOSED
from bci.memory.stream import Stream
from bci.signal.clock import Clock
from bci.signal.run import Run
from bci.signal.types import EVENT_DTYPE, Event, MarkKind, Shown, Signal, event_of
from bci.signal.volumes.motion import COLUMNS
from bci.signal.volumes.realign import MotionFault, brain
from bci.signal.volumes.rigid import matrix_of, voxel_sizes_mm
from bci.sim.scanner.head import head_affine, head_volume

N = 600
RATE = 100.0


class Bench:
    """A stream, a decoder's rings, and a board."""

    clock: Clock = LslClock()

    def __init__(
        self, key: str, folder: Path, rate: float = RATE, seconds: float = 60.0, **bundle: Any
    ) -> None:
        self.key, self.folder, self.rate = key, folder, rate
        self.bundle = tiny_bundle(folder / "bundle", rate=rate, **bundle)
        columns = frame_columns(*self.bundle.image_size, self.bundle.latent_size)
        self.stream = Stream.create(key, self.bundle.signal, seconds)
        self.frames = Ring.create(key + "f", columns, 256, 64)
        self.marks, self.markers = create_marks(key + "d", 1), create_events(key + "k", 1)
        self.board = Board.create(key + "b", {"decode": COUNTERS["decode"]})
        self.row = self.board.row("decode")

    def close(self) -> None:
        for one in (self.stream, self.frames, self.marks, self.markers, self.board):
            one.close()

    def write(self, n: int = N) -> None:
        """Append samples that count, taken at ``count / RATE``."""
        at = self.stream.samples.count
        counts = at + np.arange(n)
        self.put(np.repeat(counts[:, None], self.bundle.signal.shape[0], axis=1).astype(np.float32))

    def put(self, samples: np.ndarray) -> None:
        """Append samples."""
        times = (self.stream.samples.count + np.arange(len(samples))) / self.rate
        self.stream.samples.write(samples=samples, times=times, raw=times, arrived=times)

    def mark(self, *texts_and_times: tuple[str, float]) -> None:
        for text, time in texts_and_times:
            record = np.zeros(1, EVENT_DTYPE)
            record[0] = (time, time + 100, 0, -1, len(text), text.encode(), 0.001)
            self.markers.write(event=record)

    def run(
        self,
        restart: int = 0,
        events: dict[str, str] | None = None,
        audit: bool = False,
        sides: dict[str, Any] | None = None,
        spec: dict[str, Any] | None = None,
        **rings: Any,
    ) -> None:
        """Decode what is there to its end; `events` name the session's markers, `sides` streams by role."""
        spec = {"provider": "cpu", "audit": audit, "events": events or {}} | (spec or {})
        self.stream.samples.finish()
        launch = Launch(
            "decode", "bci.live.decode",
            {"bundle": str(self.bundle.folder), **spec},
            str(self.folder), self.key + "b", {"stream": self.stream.handle, **(sides or {})},
            {"frames": self.frames.handle, "decode_marks": self.marks.handle, "markers": self.markers.handle, **rings},
            {"stream": 0}, restart,
        )  # fmt: skip
        program = Program(launch, None, self.board, self.clock)
        try:
            decode.main(program)
        except Exception as error:
            # What a dead decoder looked at is let go of, so that its memory can be closed.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            program.close()
            gc.unfreeze()
        self.stream.samples._words[CLOSED] = 0

    def infos(self, since: int = 0) -> Any:
        return self.frames.read(since, self.frames.count)["info"]

    def marked(self, kind: MarkKind) -> list[tuple[int, str]]:
        found, _ = read_marks(self.marks, 0)
        return [(int(m["first"]), m["detail"].decode()) for m in found[found["kind"] == kind]]


@pytest.fixture
def bench(segment_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(segment_name, tmp_path, **getattr(request, "param", {}))
    yield made
    made.close()


def test_a_successor_decodes_what_the_dead_one_had_not_and_counts_what_it_had_not_counted(
    bench: Bench,
) -> None:
    row = bench.row
    bench.write()
    bench.run()
    made = bench.frames.count
    assert (row["samples"], row["reconstructions"]) == (N, made)
    assert row["windows"] == row["reconstructions"] + row["skipped"]
    # Windows that are passed over are marked behind the one that was taken in their place.
    found, _ = read_marks(bench.marks, 0)
    passed = found[found["kind"] == MarkKind.SKIPPED]
    assert passed["count"].sum() == row["skipped"] > 0
    assert set(passed["first"]) <= set(bench.infos()["last_sample"])
    windows = int(row["windows"])
    # It died after its last frame was published, before it counted anything.
    for counter in ("samples", "windows", "reconstructions", "skipped"):
        row[counter] = 0
    bench.write()
    bench.run(restart=1)
    assert row["lost"] == 0
    assert row["samples"] == 2 * N
    assert row["reconstructions"] == bench.frames.count > made
    assert row["windows"] == row["reconstructions"] + row["skipped"] > windows
    last = int(bench.infos()["last_sample"][made - 1])
    assert (bench.infos(made)["first"] > last).all()
    assert bench.marked(MarkKind.PIPELINE_RESET) == [(0, "start"), (last + 1, "restart")]


EPOCHS = {"window": EpochSpec(start=-0.1, stop=0.2, markers="flash.*"), "length": 30}


@pytest.mark.parametrize("bench", [EPOCHS], indirect=True)
def test_a_reconstruction_carries_the_event_it_was_cut_around(bench: Bench) -> None:
    bench.mark(("flash 1", 1.0), ("flash 2", 3.004))
    bench.write()
    bench.run()
    events = [event_of(record) for record in bench.infos()["event"]]
    assert events == [Event(1.0, "flash 1", 0, 101.0, -1), Event(3.004, "flash 2", 0, 103.004, -1)]


@pytest.mark.parametrize("bench", [EPOCHS], indirect=True)
def test_an_event_at_a_flip_of_the_experiment_carries_its_trial(bench: Bench) -> None:
    columns = shown_columns(*bench.bundle.image_size, bench.bundle.latent_size)
    with Ring.create(bench.key + "w", columns, 16, 4) as shown:
        for trial, flip in ((4, 101.0), (5, 103.004)):
            place = shown.claim(1)
            place["shown"]["kind"], place["shown"]["flip"] = Shown.STIMULUS, flip
            place["shown"]["trial"] = trial
            shown.commit(1)
        bench.mark(("flash 1", 1.0), ("flash of another sender", 2.0), ("flash 2", 3.004))
        bench.write()
        bench.run(shown=shown.handle)
    assert bench.infos()["event"]["trial"].tolist() == [4, -1, 5]


def test_a_sliding_window_has_no_event(bench: Bench) -> None:
    bench.write()
    bench.run()
    assert {event_of(record) for record in bench.infos()["event"]} == {None}


@pytest.mark.parametrize("bench", [EPOCHS], indirect=True)
def test_each_wanted_marker_becomes_an_epoch_or_a_counted_loss(bench: Bench) -> None:
    bench.mark(
        ("flash 1", 1.0), ("other", 2.0), ("flash 2", 3.004), ("flash too late", 5.9), ("flash 3", 4.0)
    )
    bench.write()
    bench.run()
    assert bench.infos()["first"].tolist() == [90, 290, 390]
    assert bench.infos()["last_sample"].tolist() == [119, 319, 419]
    assert bench.marked(MarkKind.EPOCH) == [(100, "flash 1"), (300, "flash 2"), (400, "flash 3")]
    assert bench.marked(MarkKind.EPOCH_LOST) == [(-1, "gap: flash too late")]
    assert (bench.row["windows"], bench.row["reconstructions"], bench.row["skipped"]) == (4, 3, 1)


RECORDED = {"window": EpochSpec(start=-0.1, stop=0.2, markers="2|1"), "length": 30}


@pytest.mark.parametrize("bench", [RECORDED], indirect=True)
def test_flashes_of_an_oddball_stand_for_the_markers_that_a_bundle_was_trained_on(bench: Bench) -> None:
    names = {"2": r"stimulus \d+ target .*", "1": r"stimulus \d+ nontarget .*"}
    bench.mark(
        ("stimulus 3 cue D", 1.0), ("stimulus 1 nontarget B", 2.0), ("2", 2.5), ("stimulus 3 target D", 3.004)
    )
    bench.write()
    bench.run(events=names)
    assert bench.marked(MarkKind.EPOCH) == [(200, "stimulus 1 nontarget B"), (300, "stimulus 3 target D")]
    assert (bench.row["windows"], bench.row["reconstructions"]) == (2, 2)


@pytest.mark.parametrize("bench", [EPOCHS], indirect=True)
def test_a_successor_leaves_the_markers_that_were_dealt_with_and_counts_those_that_were_waiting(
    bench: Bench,
) -> None:
    bench.mark(("flash 1", 1.0), ("flash 2", 2.0))
    bench.write(300)
    bench.run()
    # What was open when it died, and what came after.
    bench.mark(("flash 3", 2.95), ("flash 4", 4.0))
    bench.write(300)
    bench.run(restart=1)
    assert bench.marked(MarkKind.EPOCH) == [(100, "flash 1"), (200, "flash 2"), (400, "flash 4")]
    assert bench.marked(MarkKind.EPOCH_LOST) == [(-1, "restart: flash 3")]
    assert (bench.row["windows"], bench.row["reconstructions"], bench.row["skipped"]) == (4, 3, 1)


def test_what_was_overwritten_before_it_was_decoded_is_said_counted_and_marked(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    capacity = bench.stream.samples.capacity
    for _ in range(0, capacity + 5 * N, N):
        bench.write()
    lost = bench.stream.samples.oldest
    assert lost > 0
    bench.run()
    assert bench.row["lost"] >= lost
    assert f"decoding fell behind: samples 0 to {bench.row['lost'] - 1} were never seen" in caplog.text
    ((first, _),) = bench.marked(MarkKind.OVERRUN)
    assert first == 0
    assert bench.row["samples"] == bench.stream.samples.count
    assert bench.row["windows"] == bench.row["reconstructions"] + bench.row["skipped"]


def test_channels_that_cannot_be_trusted_are_on_the_board(bench: Bench) -> None:
    bench.write(300)
    place = bench.stream.samples.claim(300)
    at = bench.stream.samples.count
    place["samples"][:] = 1.0
    place["samples"][:, 1] = np.nan
    for name in ("times", "raw", "arrived"):
        place[name][:] = (at + np.arange(300)) / RATE
    bench.stream.samples.commit(300)
    bench.run()
    assert bench.row["masked"] == 1
    bench.write(900)
    bench.run(restart=1)
    assert bench.row["masked"] == 0


HEAD = (20, 24, 12)
AFFINE = head_affine(HEAD, (9.0, 9.0, 11.0))
STILL = head_volume(HEAD, AFFINE)
MASK = brain(STILL, voxel_sizes_mm(AFFINE))
REGIONS = [
    {"step": "motion_correction", "mask": "brain", "voxels": int(MASK.sum()), "interpolation": "linear"},
    {"step": "region_means", "mask": "brain", "voxels": int(MASK.sum()), "regions": ["left", "right"]},
]


@pytest.mark.parametrize(
    "bench", [{"volume": HEAD, "pipeline": REGIONS, "length": 1, "hop": 1}], indirect=True
)
def test_a_head_that_is_lost_is_told_marked_and_counted_and_so_is_its_return(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    left = np.indices(HEAD)[0] < 10
    run = Run(reference=STILL, affine=AFFINE, masks={"brain": MASK, "left": left, "right": ~left})
    save_run(run, bench.folder)
    gone = head_volume(HEAD, AFFINE, matrix_of(np.array([0, 0, 0, 0, 0, 0.4]), np.zeros(3)))
    shown = np.stack([STILL, gone, gone, STILL])
    motion = Stream.create(
        bench.key + "side", Signal("motion", RATE, (len(COLUMNS),), COLUMNS, "", "float64"), 9.0
    )
    names = ("left", "right")
    regions = Stream.create(bench.key + "regions", Signal("regions", RATE, (2,), names, "", "float64"), 9.0)

    def decode_to(n: int, restart: int) -> None:
        at = bench.stream.samples.count
        times = np.arange(at, n) / RATE
        bench.stream.samples.write(samples=shown[at:n], times=times, raw=times, arrived=times)
        bench.run(restart, sides={"side-motion": motion.handle, "side-regions": regions.handle})

    with motion, regions:
        decode_to(3, 0)
        assert (bench.row["head"], bench.row["heads_lost"]) == (MotionFault.LARGE, 2)
        # Both regions are unknown there: of a head no electrode is to be mended.
        assert (bench.row["unmeasured"], bench.row["masked"]) == (2, 0)
        decode_to(4, 1)
        assert (bench.row["head"], bench.row["heads_lost"], bench.row["unmeasured"]) == (0, 2, 0)
    marks = bench.marked(MarkKind.HEAD_LOST)
    assert [volume for volume, _ in marks] == [1, 2]
    assert all(words.endswith("23 degrees") for _, words in marks)
    assert "the head is lost at volume 1: moved by some" in caplog.text

"""A bundle that decodes epochs is exchanged between two epochs: each event is decoded once, by one of them."""

import logging
import threading
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import tiny_bundle

from bci.control.environment import describe_environment
from bci.control.posts import COUNTERS
from bci.decoder.bundle import Bundle
from bci.decoder.spec import EpochSpec
from bci.io.files.folder import write_json
from bci.live import decode
from bci.live.recorder import Recorder
from bci.memory.board import Board, State
from bci.memory.events import create_events
from bci.memory.frames import frame_columns, shown_columns
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import create_marks, read_marks
from bci.memory.orders import LOAD_BUNDLE, STOP, Order, OrderVerdict
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.session.reproduce import reproduce
from bci.session.swaps import read_swaps
from bci.signal.types import EVENT_DTYPE, MarkKind, event_of

RATE = 100.0
WINDOW = {"window": EpochSpec(start=-0.1, stop=0.2, markers="flash.*"), "length": 30}
#: Its filter remembers for half a second and more.
FILTER = [{"step": "band_pass", "low": 4.0, "high": 12.0, "order": 2}]


class Bench:
    """A decode program in a thread, on a stream that is written by hand."""

    def __init__(self, key: str, folder: Path) -> None:
        self.folder = folder
        self.bundle = tiny_bundle(folder / "bundle", rate=RATE, **WINDOW)
        columns = frame_columns(*self.bundle.image_size, self.bundle.latent_size)
        self.stream = Stream.create(key, self.bundle.signal, 60.0)
        self.frames = Ring.create(key + "f", columns, 256, 64)
        self.marks, self.markers = create_marks(key + "d", 1), create_events(key + "k", 1)
        self.board = Board.private({"decode": COUNTERS["decode"]})
        self.row = self.board.row("decode")
        self.pipe, end = Pipe()
        launch = Launch(
            "decode", "bci.live.decode", {"bundle": str(self.bundle.folder), "provider": "cpu", "audit": True},
            str(folder), "", {"stream": self.stream.handle},
            {"frames": self.frames.handle, "decode_marks": self.marks.handle, "markers": self.markers.handle},
            {"stream": 0},
        )  # fmt: skip
        self.program = Program(launch, end, self.board, LslClock())
        self.flashes = 0
        self.told: list[Any] = []
        self._thread = threading.Thread(target=decode.main, args=(self.program,))
        self._thread.start()
        self.until(lambda: self.row["state"] == State.RUNNING)

    def until(self, holds: Any) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, "waited in vain"
            assert self._thread.is_alive(), "the decoder has ended"
            time.sleep(0.002)

    def write(self, n: int = 10) -> None:
        """Append samples that were taken at ``count / RATE``, and wait until they are through."""
        at = self.stream.samples.count
        counts = at + np.arange(n)
        samples = np.random.default_rng(at).standard_normal((n, 3)).astype(np.float32)
        times = counts / RATE
        self.stream.samples.write(samples=samples, times=times, raw=times, arrived=times)
        self.until(lambda: self.row["samples"] >= at + n)

    def flash(self, when: float, text: str = "") -> None:
        text = text or f"flash {self.flashes}"
        self.flashes += 1
        record = np.zeros(1, EVENT_DTYPE)
        record[0] = (when, when + 100, 0, -1, len(text), text.encode(), 0.001)
        self.markers.write(event=record)

    def load(self, bundle: Path) -> Any:
        """Order a bundle, and go on with a flash every 0.13 s until there is an answer."""
        self.pipe.send(Order(LOAD_BUNDLE, {"path": str(bundle)}))
        for _ in range(2000):
            self.flash(self.stream.samples.count / RATE + 0.03)
            self.write(13)
            while self.pipe.poll(0.005):
                self.told.append(self.pipe.recv())
                _, facts = self.told[-1]
                if "acknowledgement" in facts:
                    return facts["acknowledgement"]
        raise AssertionError("the order was never answered")

    def end(self) -> None:
        self.write(60)
        self.stream.samples.finish()
        self.pipe.send(Order(STOP))
        self._thread.join()

    def record(self) -> None:
        """Bring all that the rings hold to disk, as a session leaves it."""
        clock = LslClock()
        facts = {"source_id": "amp", "exact_stamps": True}
        shown = Ring.private(shown_columns(*self.bundle.image_size, self.bundle.latent_size), 16, 4)
        with Recorder(self.folder, clock, logging.getLogger("recorder under test")) as recorder:
            recorder.add_stream("stream", self.stream, facts)
            recorder.add_doings(self.frames, shown, self.marks)
            for _ in recorder.finishing():
                clock.sleep_until(clock.now() + 0.01)
        write_json(
            self.folder / "config.json", {"decoder": {"bundle": str(self.bundle.folder), "provider": "cpu"}}
        )
        (_, ready), *_ = self.told
        environment = {"bundle": {"hash": self.bundle.hash}, "decoder": ready["environment"]}
        write_json(self.folder / "environment.json", describe_environment() | environment)

    def marked(self, kind: MarkKind) -> list[str]:
        found, _ = read_marks(self.marks, 0)
        return [m["detail"].decode() for m in found[found["kind"] == kind]]

    def close(self) -> None:
        if self._thread.is_alive():
            self.end()
        self.program.close()
        for one in (self.stream, self.frames, self.marks, self.markers, self.board):
            one.close()


@pytest.fixture
def bench(segment_name: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(segment_name, tmp_path)
    yield made
    made.close()


def sibling(folder: Path, **other: Any) -> Bundle:
    return tiny_bundle(folder, rate=RATE, **{**WINDOW, "pipeline": FILTER, **other})


def test_each_event_is_decoded_once_by_the_old_bundle_or_the_new_one(bench: Bench, tmp_path: Path) -> None:
    new = sibling(tmp_path / "new")
    for _ in range(6):
        bench.flash(bench.stream.samples.count / RATE + 0.03)
        bench.write(13)
    answer = bench.load(new.folder)
    assert answer.verdict == OrderVerdict.DONE, answer
    for _ in range(20):
        bench.flash(bench.stream.samples.count / RATE + 0.03)
        bench.write(13)
    bench.end()
    infos = bench.frames.read(0, bench.frames.count)["info"]
    events = [event_of(record) for record in infos["event"]]
    texts = [event.text for event in events if event is not None]
    # In order, none twice, none missing but what the beginning and the end of the signal took.
    assert texts == [f"flash {k}" for k in range(int(texts[0][6:]), int(texts[0][6:]) + len(texts))]
    assert len(texts) + len(bench.marked(MarkKind.EPOCH_LOST)) == bench.flashes
    assert bench.row["windows"] == bench.flashes
    assert bench.row["windows"] == bench.row["reconstructions"] + bench.row["skipped"]
    by = infos["bundle"].tolist()
    assert by == sorted(by)
    assert set(by) == {0, 1}
    # None of the new bundle's came while its filter still remembered its beginning.
    assert infos["valid"][np.array(by) == 1].all()
    assert bench.marked(MarkKind.SWAPPED) == [f"{new.hash[:12]} {new.name}"]
    assert [one.hash for one in read_swaps(tmp_path, None)] == [new.hash]
    bench.record()
    again = reproduce(tmp_path)
    assert again["bundles"] == [bench.bundle.hash, new.hash]
    assert (again["reproduced"], again["missing"], again["unequal"]) == (True, 0, [])
    assert again["equal"] == again["frames"] == len(texts)


def test_an_event_that_comes_after_its_bundle_has_gone_is_counted_as_lost(
    bench: Bench, tmp_path: Path
) -> None:
    assert bench.load(sibling(tmp_path / "new").folder).verdict == OrderVerdict.DONE
    for _ in range(20):
        bench.flash(bench.stream.samples.count / RATE + 0.03)
        bench.write(13)
    assert bench.marked(MarkKind.SWAPPED)
    bench.flash(0.5, "flash from before the exchange")
    bench.write(20)
    assert bench.marked(MarkKind.EPOCH_LOST)[-1] == "late: flash from before the exchange"
    bench.end()
    assert bench.row["windows"] == bench.flashes == bench.row["reconstructions"] + bench.row["skipped"]


def test_a_session_that_ends_before_the_next_event_counts_every_event_all_the_same(
    bench: Bench, tmp_path: Path
) -> None:
    assert bench.load(sibling(tmp_path / "new").folder).verdict == OrderVerdict.DONE
    bench.end()
    assert bench.row["windows"] == bench.flashes == bench.row["reconstructions"] + bench.row["skipped"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"window": EpochSpec(start=-0.1, stop=0.3, markers="flash.*"), "length": 40}, "epochs from -0.1 to 0.2"),
        ({"window": EpochSpec(start=-0.1, stop=0.2, markers="beep.*")}, "around 'beep"),
    ],
)  # fmt: skip
def test_a_bundle_that_cuts_otherwise_is_refused(
    bench: Bench, tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    answer = bench.load(sibling(tmp_path / "new", **other).folder)
    assert answer.verdict == OrderVerdict.FAILED
    assert words in answer.detail

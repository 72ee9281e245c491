"""The real recording through a real network: counts, stamps and annotations are the file's, for every client."""

import gc
import multiprocessing
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pylsl
import pytest

from bci.control.posts import COUNTERS
from bci.errors import BciError, ConfigError, RecordingError, StreamError
from bci.io.files.recording import chunks, open_recording
from bci.io.lsl.source import LslSource
from bci.live import source as source_program
from bci.live.replay import Player
from bci.memory.board import Board
from bci.memory.lsl_clock import LslClock
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, Program, run_program
from bci.memory.ring import Column, Ring

pytestmark = pytest.mark.system

LONGEST = 120.0


@contextmanager
def source(folder: Path, name: str, **spec: Any) -> Iterator[tuple[Connection, Any]]:
    """Run the source program in its own process; give its pipe and its row on the board."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    with Board.create(name, {"source": COUNTERS["source"]}) as board:
        launch = Launch("source", "bci.live.source", spec, str(folder), name)
        process = context.Process(target=run_program, args=(launch, theirs))
        process.start()
        theirs.close()
        try:
            yield pipe, board.row("source")
        finally:
            pipe.close()  # the program takes that as the order to stop
            process.join(LONGEST)
            alive = process.is_alive()
            if alive:
                process.kill()
            assert not alive, "the program did not stop when its supervisor was gone"


def told(pipe: Connection, kind: str) -> dict[str, Any]:
    """Wait for one message of the program."""
    assert pipe.poll(LONGEST), f"no word from the program, expected {kind!r}"
    found, facts = pipe.recv()
    while found == "acknowledged" != kind:
        found, facts = pipe.recv()
    assert found == kind, facts
    return dict(facts)


class BareClient(threading.Thread):
    """A bare pylsl client of one stream, receiving until `enough`."""

    def __init__(self, source_id: str, enough: int) -> None:
        super().__init__()
        (found,) = pylsl.resolve_byprop("source_id", source_id, 1, LONGEST)
        self.inlet = pylsl.StreamInlet(found, processing_flags=0)
        self.info = self.inlet.info(LONGEST)
        self.inlet.open_stream(LONGEST)
        self.enough = enough
        self.values: list[Any] = []
        self.stamps: list[float] = []

    def run(self) -> None:
        deadline = pylsl.local_clock() + LONGEST
        while len(self.stamps) < self.enough and pylsl.local_clock() < deadline:
            values, stamps = self.inlet.pull_chunk(timeout=0.2, max_samples=512)
            self.values += values
            self.stamps += stamps
        # Nothing may come after the end either.
        values, stamps = self.inlet.pull_chunk(timeout=0.5, max_samples=512)
        self.values += values
        self.stamps += stamps
        self.inlet.close_stream()


@pytest.mark.parametrize(("run", "speed"), [(3, 40.0), (1, 20.0)])
def test_a_bare_client_gets_the_files_samples_stamps_and_annotations(
    tmp_path: Path, segment_name: str, eegmmidb: Path, run: int, speed: float
) -> None:
    path = eegmmidb / f"S001R0{run}.edf"
    recording = open_recording(path)
    spec = {
        "kind": "replay",
        "file": str(path),
        "speed": speed,
        "source_id": f"bare-{run}",
        "marker_consumer": True,
    }
    with source(tmp_path, segment_name, **spec, ring=None) as (pipe, row):
        facts = told(pipe, "ready")
        assert facts["expected_samples"] == recording.n
        assert facts["signal"]["unit"] == "uV"
        assert facts["simulated"] is False
        assert facts["recording"] == path.name
        assert facts["defects"] == list(recording.defects)
        samples = BareClient(facts["source_id"], recording.n)
        markers = BareClient(facts["marker_source_id"], len(recording.markers))
        assert samples.info.nominal_srate() == 160
        assert samples.info.desc().child("bci").child_value("speed") == str(speed)
        samples.start()
        markers.start()
        samples.join()
        markers.join()
        report = told(pipe, "report")
        assert (report["sent"], report["markers_sent"]) == (recording.n, len(recording.markers))
        assert row["samples"] == recording.n
    assert np.array_equal(np.array(samples.values, np.float32), recording.read(0, recording.n))
    zero = samples.stamps[0]
    assert np.allclose(
        np.array(samples.stamps) - zero, np.arange(recording.n) / (160 * speed), rtol=0, atol=1e-6
    )
    # The annotations, as MNE reads them from the file itself.
    with warnings.catch_warnings():
        # R01 announces more records than it holds, and MNE says so.
        warnings.simplefilter("ignore", RuntimeWarning)
        annotations = mne.io.read_raw_edf(path, verbose="ERROR").annotations
    assert [v[0] for v in markers.values] == list(annotations.description)
    assert np.allclose(np.array(markers.stamps) - zero, annotations.onset / speed, rtol=0, atol=1e-6)


def test_mne_lsl_gets_the_files_samples_and_stamps(tmp_path: Path, segment_name: str, eegmmidb: Path) -> None:
    mne_lsl = pytest.importorskip(
        "mne_lsl.lsl", reason="MNE-LSL IS MISSING: pip install mne-lsl to check the replay against it"
    )
    path = eegmmidb / "S001R02.edf"
    recording = open_recording(path)
    n = recording.n
    spec = {
        "kind": "replay",
        "file": str(path),
        "speed": 20.0,
        "source_id": "for-mne-lsl",
        "marker_consumer": True,
    }
    with source(tmp_path, segment_name, **spec) as (pipe, _):
        told(pipe, "ready")
        inlets = []
        for source_id in ("for-mne-lsl", "for-mne-lsl-markers"):
            (found,) = mne_lsl.resolve_streams(timeout=LONGEST, source_id=source_id, minimum=1)
            inlets.append(mne_lsl.StreamInlet(found, processing_flags=None))
        for inlet in inlets:
            inlet.open_stream(timeout=LONGEST)
        info = inlets[0].get_sinfo(LONGEST)
        assert info.sfreq == 160
        assert tuple(info.get_channel_names()) == recording.signal.channels
        assert set(info.get_channel_units()) == {"microvolts"}
        data, stamps = inlets[0].pull_chunk(timeout=LONGEST, max_samples=n)
        texts, text_stamps = inlets[1].pull_chunk(timeout=LONGEST, max_samples=1)
        assert told(pipe, "report")["sent"] == n
        more, _ = inlets[0].pull_chunk(timeout=0.0)
        assert len(more) == 0
        for inlet in inlets:
            inlet.close_stream()
            del inlet
    assert np.array_equal(data, recording.read(0, n))
    assert np.allclose(stamps - stamps[0], np.arange(n) / 3200, rtol=0, atol=1e-6)
    assert [row[0] for row in texts] == ["T0"]
    assert text_stamps[0] == stamps[0]


def test_the_simulator_is_published_until_the_supervisor_says_stop(tmp_path: Path, segment_name: str) -> None:
    from bci.sim.eeg import AlphaSimulator

    spec = {"kind": "simulate", "seed": 7, "source_id": "sim", "speed": 10.0, "marker_consumer": True}
    with source(tmp_path, segment_name, **spec) as (pipe, _):
        facts = told(pipe, "ready")
        assert facts["simulated"] is True
        assert facts["expected_samples"] is None
        samples, markers = BareClient("sim", 3200), BareClient("sim-markers", 3)
        samples.start()
        markers.start()
        samples.join()
        markers.join()
        pipe.send(Order(STOP))
        assert told(pipe, "report")["sent"] >= 3200
    simulator = AlphaSimulator(seed=7)
    assert np.array_equal(np.array(samples.values[:3200], np.float32), simulator.read(0, 3200))
    expected = simulator.markers[: len(markers.values)]
    assert [v[0] for v in markers.values] == [m.text for m in expected]
    offsets = np.array(markers.stamps) - samples.stamps[0]
    assert np.allclose(offsets, [m.time / 10 for m in expected], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({"kind": "replay", "file": "nowhere.edf"}, RecordingError, "there is no file"),
        ({"kind": "simulate", "sede": 3}, ConfigError, "sede: there is no such key"),
        ({"kind": "dream"}, ConfigError, "got 'dream'"),
        ({"kind": "simulate", "speed": "max"}, ConfigError, "speed: expected a number"),
        ({"kind": "simulate", "consumer_timeout": 0.2}, StreamError, "no consumer took the stream"),
    ],
)
def test_a_source_that_cannot_play_says_why(
    tmp_path: Path, spec: dict[str, Any], error: type[BciError], words: str
) -> None:
    launch = Launch("source", "bci.live.source", spec | {"source_id": "never"}, str(tmp_path), "board")
    with Board.private({"source": COUNTERS["source"]}) as board, pytest.raises(error, match=words):
        source_program.main(Program(launch, None, board, LslClock()))
    gc.unfreeze()


def test_our_own_source_sees_the_gap_of_the_file_where_the_offline_chunks_have_it(data: Path) -> None:
    recording = open_recording(data / "xdf_examples" / "clock_resets.xdf")
    player = Player(
        recording, LslClock(), source_id="gap", speed=20.0, start=130.0, stop=420.0, longest_gap=20.0
    )
    with player, LslSource("gap", clock=LslClock(), timeout=LONGEST) as listener:
        playing = threading.Thread(target=player.play)
        playing.start()
        live = []
        while sum(len(w.samples) for w in live) < player.timetable.samples and playing.is_alive():
            window = listener.pull(0.2)
            if window is not None:
                live.append(replace(window, samples=window.samples.copy()))
        playing.join()
    first, end = player.timetable.first, player.timetable.end
    offline = list(chunks(recording, start=first, stop=end))
    assert [(w.first, w.reset) for w in live if w.reset] == [(w.first, w.reset) for w in offline if w.reset]
    assert [w.reset for w in offline if w.reset] == ["start", "gap"]
    for found in (live, offline):
        assert found[-1].end == end - first
    assert np.array_equal(
        np.concatenate([w.samples for w in live]), np.concatenate([w.samples for w in offline])
    )


def test_at_max_the_player_stays_half_a_ring_ahead_of_its_consumer(segment_name: str, eegmmidb: Path) -> None:
    recording = open_recording(eegmmidb / "S001R02.edf")
    n, capacity = recording.n, 1000
    most = 0

    def consumed() -> int:
        nonlocal most
        most = max(most, player.sent - ring.count)
        return ring.count

    with (
        Ring.create(segment_name, [Column.of("samples", "f4", (64,))], capacity, 64) as ring,
        Player(
            recording, LslClock(), source_id="max", speed="max", ring=segment_name, consumed=consumed
        ) as player,
    ):
        (found,) = pylsl.resolve_byprop("source_id", "max", 1, LONGEST)
        inlet = pylsl.StreamInlet(found, processing_flags=0)
        inlet.open_stream(LONGEST)
        received: list[Any] = []

        def take() -> None:
            pause = threading.Event()
            deadline = pylsl.local_clock() + LONGEST
            while len(received) < n and pylsl.local_clock() < deadline:
                values, _ = inlet.pull_chunk(timeout=0.2, max_samples=64)
                pause.wait(0.01)  # a consumer slower than the player would like: 6400 samples a second
                if values:
                    received.extend(values)
                    ring.write(samples=np.array(values, np.float32))

        consumer = threading.Thread(target=take)
        consumer.start()
        assert player.wait_for_consumers(LONGEST)
        assert player.play()
        consumer.join()
        inlet.close_stream()
    assert np.array_equal(np.array(received, np.float32), recording.read(0, n))
    assert 0 < most <= capacity // 2
    assert player.held > 0
    assert player.given_up == 0

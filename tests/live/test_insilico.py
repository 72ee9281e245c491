"""The in-silico program answers what was really flipped, the same live and offline, and says that it is simulated."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from bci.control.posts import COUNTERS
from bci.errors import ConfigError, StreamError
from bci.live import insilico
from bci.live.insilico import open_participant, read_spec
from bci.live.participant_link import ParticipantLink
from bci.memory.board import Board
from bci.memory.frames import shown_columns
from bci.memory.lsl_clock import LslClock
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.signal.clock import ManualClock
from bci.signal.types import Shown
from bci.sim.cortex.reference import reference_pictures
from bci.sim.participant import Participant, record

SIDE = 16
WHO: dict[str, Any] = {"units": 32, "subject": 3, "session": 2, "snr": 0.5}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "pictures.npy"
    np.save(path, reference_pictures(12, SIDE, seed=8))
    return path


@pytest.fixture
def shown() -> Iterator[Ring]:
    with Ring.private(shown_columns(SIDE, SIDE, 2), 64, 16) as ring:
        yield ring


class Taken:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.samples: list[np.ndarray] = []
        self.times: list[np.ndarray] = []

    def push(self, samples: np.ndarray, times: np.ndarray) -> None:
        self.samples.append(samples.copy())
        self.times.append(times)


def flip(ring: Ring, image: np.ndarray | None, when: float) -> None:
    """Write what a display writes at a flip, a latent that means nothing included."""
    place = ring.claim(1)
    place["image"][0] = 128 if image is None else image
    place["latent"][0] = np.nan if image is None else 7.0
    place["shown"]["kind"] = Shown.NEUTRAL if image is None else Shown.STIMULUS
    place["shown"]["flip"] = when
    ring.commit(1)


def participant(kind: str, reference: Path, **more: Any) -> Participant:
    who = {"modality": kind, "source_id": "x", "reference": str(reference), **WHO, **more}
    return open_participant(read_spec(who))


@pytest.mark.parametrize(("kind", "speed"), [("eeg", 1.0), ("eeg", 3.0), ("fmri", 1.0), ("fmri", 8.0)])
def test_live_samples_are_those_of_the_offline_twin(
    kind: str, speed: float, reference: Path, shown: Ring
) -> None:
    pictures = np.load(reference)
    who = participant(kind, reference)
    clock, outlet = ManualClock(500.0), Taken()
    zero, length = 500.25, 4.0 if kind == "eeg" else 30.0
    samples = round(length * who.signal.rate)
    flips: list[tuple[np.ndarray | None, float]] = [(None, 499.0)]
    flips += [
        (None if i % 3 == 2 else pictures[i], zero + (0.1 + 0.23 * i * length / 4) / speed) for i in range(12)
    ]
    waiting = list(flips)
    flip(shown, *waiting.pop(0))
    watch = ParticipantLink(who, shown, outlet, zero, speed=speed, samples=samples)
    rng = np.random.default_rng(0)
    while not watch.done:
        while waiting and waiting[0][1] <= clock.now():
            flip(shown, *waiting.pop(0))
        watch.step(clock.now())
        clock.advance(float(rng.uniform(0, 0.02)) / speed)
    live, times = np.concatenate(outlet.samples), np.concatenate(outlet.times)
    changes = [
        (np.full((SIDE, SIDE, 3), 128, np.uint8) if p is None else p, (t - zero) * speed) for p, t in flips
    ]
    assert watch.changes == len(flips)
    assert who.late == watch.late == watch.lost == 0
    offline = record(participant(kind, reference), changes, samples)
    assert np.array_equal(live, offline)
    assert np.allclose(times, zero + np.arange(samples) / who.signal.rate / speed)
    unseen = record(participant(kind, reference), [], samples)
    assert not np.array_equal(live, unseen)


def test_samples_leave_in_chunks_after_their_time_and_never_before(reference: Path, shown: Ring) -> None:
    clock, outlet = ManualClock(100.0), Taken()
    watch = ParticipantLink(participant("eeg", reference), shown, outlet, 100.0, lag=0.05)
    for _ in range(300):
        clock.advance(0.001)
        watch.step(clock.now())
        if outlet.times:
            assert outlet.times[-1][-1] <= clock.now() - 0.05
    assert watch.sent == 60
    assert {len(part) for part in outlet.samples} == {5}
    clock.sleep_until(watch.next_due)
    watch.step(clock.now())
    assert watch.sent == 65


def test_what_comes_late_or_is_overwritten_is_counted(reference: Path, shown: Ring) -> None:
    pictures = np.load(reference)
    clock, outlet = ManualClock(100.0), Taken()
    watch = ParticipantLink(participant("eeg", reference), shown, outlet, 100.0)
    clock.advance(1.0)
    watch.step(clock.now())
    assert watch.late > 200
    assert watch.latest == pytest.approx(0.95, abs=0.01)
    flip(shown, pictures[11], 100.5)
    watch.step(clock.now() + 0.1)
    assert watch.facts()["changes_late"] == 1
    for i in range(100):
        flip(shown, pictures[i % 12], 101.2 + 0.01 * i)
    watch.step(clock.now() + 2.0)
    facts = watch.facts()
    assert facts["changes"] + facts["changes_lost"] == 101
    assert facts["changes_lost"] >= 36
    assert facts["looks"] == facts["changes"]


def test_a_long_pause_is_made_up_for_in_pieces(reference: Path, shown: Ring) -> None:
    outlet = Taken()
    watch = ParticipantLink(participant("eeg", reference), shown, outlet, 0.0)
    watch.step(7.05)
    assert watch.sent == 500
    watch.step(7.05)
    watch.step(7.05)
    watch.step(7.05)
    assert watch.sent == 1751


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"modality": "meg"}, "modality: expected 'eeg', 'lfp', 'spikes' or 'fmri', came 'meg'"),
        ({"modality": "eeg", "snrr": 1}, "snrr: there is no such key"),
        ({}, "modality: it is required"),
        ({"modality": "eeg", "snr": "high"}, "snr: expected a number, came 'high'"),
        ({"modality": "eeg", "kind": "replay"}, "kind: expected 'insilico', came 'replay'"),
        ({"modality": "eeg", "snr": -1.0}, "snr: expected a number of at least 0"),
        ({"modality": "fmri", "tr": 0.1}, "a TR of 0.2 to 10 s"),
        ({"modality": "eeg", "lapse_rate": 2.0}, "a lapse rate is 0 to 1"),
        (
            {"modality": "eeg", "permute_channels": -1},
            "permute_channels: expected a number of at least 0",
        ),
        (
            {"modality": "eeg", "permute_channels": True},
            "permute_channels: expected a whole number, came True",
        ),
        (
            {"modality": "eeg", "reference": "nowhere.npy"},
            "cannot read the reference pictures: there is no file nowhere.npy",
        ),
    ],
)
def test_a_spec_that_cannot_be_is_refused(spec: dict[str, Any], words: str, reference: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        open_participant(read_spec({"source_id": "x", "units": 32, "reference": str(reference)} | spec))


def test_in_a_null_run_the_channels_change_places_and_nothing_else(reference: Path) -> None:
    pictures = np.load(reference)
    changes = [(pictures[0], 0.1), (pictures[1], 0.6)]
    plain = record(participant("eeg", reference), changes, 300)
    null = participant("eeg", reference, permute_channels=4)
    permuted = record(null, changes, 300)
    places = [int(np.flatnonzero((plain == column[:, None]).all(axis=0))[0]) for column in permuted.T]
    assert sorted(places) == list(range(64))
    assert places != sorted(places)
    assert null.signal == participant("eeg", reference).signal
    assert null.observer.looks == 2
    # One seed, one order, for the whole session and the next.
    assert np.array_equal(permuted, record(participant("eeg", reference, permute_channels=4), changes, 300))


def test_reference_pictures_of_another_shape_are_refused(tmp_path: Path) -> None:
    for name, array in {"grey": np.zeros((9, 8, 8), np.uint8), "float": np.zeros((9, 8, 8, 3))}.items():
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(ConfigError, match=r"\(n, h, w, 3\) uint8"):
            participant("eeg", tmp_path / f"{name}.npy")
    np.save(tmp_path / "few.npy", np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match="at least 8 reference pictures, got 3"):
        participant("eeg", tmp_path / "few.npy")


@pytest.mark.system
@pytest.mark.parametrize(("kind", "speed"), [("eeg", 1.0), ("fmri", 30.0)])
def test_the_stream_on_the_network_is_the_offline_twin_s(
    kind: str, speed: float, reference: Path, segment_name: str, tmp_path: Path
) -> None:
    pictures = np.load(reference)
    spec = {
        "kind": "insilico", "modality": kind, "source_id": segment_name, "reference": str(reference),
        "speed": speed, "lag": 0.2, "seconds": 2.5 if kind == "eeg" else 60.0, "consumer_timeout": 60.0, **WHO,
    }  # fmt: skip
    with (
        Ring.create(segment_name, shown_columns(SIDE, SIDE, 2), 64, 16) as shown,
        Board.create(segment_name + "b", {"source": COUNTERS["source"]}) as board,
    ):
        launch = Launch(
            "source", "bci.live.insilico", spec, str(tmp_path), segment_name + "b",
            rings={"shown": shown.handle}, slots={"shown": 1},
        )  # fmt: skip
        program = Told(launch, board)
        running = threading.Thread(target=insilico.main, args=(program,), daemon=True)
        running.start()
        found = pylsl.resolve_byprop("source_id", segment_name, timeout=60)
        inlet = pylsl.StreamInlet(found[0])
        inlet.open_stream(60)
        described = inlet.info(60)
        clock = LslClock()
        flips = []
        wanted = int(spec["seconds"] * described.nominal_srate() + 0.5)
        chunks, stamps = [], []
        while sum(map(len, stamps)) < wanted:
            if "started" in program.told and (not flips or clock.now() > flips[-1][1] + 0.2):
                flips.append((pictures[len(flips) % 12], clock.now()))
                flip(shown, *flips[-1])
            data, times = inlet.pull_chunk(timeout=0.02, max_samples=1024)
            if times:
                chunks.append(np.array(data, np.float32))
                stamps.append(np.array(times))
        program.stop()
        running.join(60)
        assert not running.is_alive()
        program.close()
    facts = program.told
    zero = facts["started"]
    assert facts["sent"] == wanted
    # The last flips may come when all samples have left.
    assert 0 < facts["changes"] <= len(flips)
    assert facts["changes_lost"] == 0
    live = np.concatenate(chunks)
    assert np.allclose(np.concatenate(stamps), zero + np.arange(wanted) / described.nominal_srate() / speed)
    if facts["changes_late"] == 0:  # a machine that stood still may make one late; then that is what is told
        changes = [(p, (t - zero) * speed) for p, t in flips[: facts["changes"]]]
        offline = record(participant(kind, reference), changes, wanted)
        assert np.array_equal(live, offline)
    assert facts["simulated"] is True
    assert described.name() == {"eeg": "SimulatedEEG", "fmri": "SimulatedBOLD"}[kind]
    assert described.desc().child_value("simulated") == "true"
    assert described.desc().child_value("computed_from") == "flipped pixels"


@pytest.mark.system
def test_without_a_consumer_it_does_not_begin(reference: Path, segment_name: str, tmp_path: Path) -> None:
    spec = {
        "modality": "eeg",
        "source_id": segment_name,
        "reference": str(reference),
        "consumer_timeout": 0.2,
        **WHO,
    }
    with (
        Ring.create(segment_name, shown_columns(SIDE, SIDE, 2), 64, 16) as shown,
        Board.create(segment_name + "b", {"source": COUNTERS["source"]}) as board,
    ):
        rings = {"shown": shown.handle}
        program = Told(Launch("source", "", spec, str(tmp_path), "", rings=rings, slots={"shown": 1}), board)
        with pytest.raises(StreamError, match=r"no consumer took the stream .* within 0.2 s"):
            insilico.main(program)
        program.close()


class Told(Program):
    """A program without a supervisor, that keeps what it would have told one."""

    def __init__(self, launch: Launch, board: Board) -> None:
        super().__init__(launch, None, board, LslClock())
        self.told: dict[str, Any] = {}

    def ready(self, **facts: Any) -> None:
        self.told |= facts

    def report(self, **facts: Any) -> None:
        self.told |= facts

    def stop(self) -> None:
        self._stopping = True

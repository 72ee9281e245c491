"""A decoder that dies in the middle of a run is followed by one that knows it, or says which trials it cannot read."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_decode import AFFINE, HEAD, MASK, STILL, Bench

from bci.decoder.spec import EpochSpec
from bci.io.files.run import save_run
from bci.live import decode
from bci.memory.frames import write_frame
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.run import Run
from bci.signal.types import MarkKind, Signal
from bci.signal.volumes.physiological_noise import COLUMNS
from bci.signal.volumes.responses import ResponseGrid

TR, N, VOXELS = 1.5, 110, 12
ONSETS = np.arange(8.0, N * TR - 12.0, 8.3)
#: What of a frame's record must be the same; its stamps are the clock's.
SAME = ("first", "last_sample", "skipped", "confidence", "valid", "reason", "digest", "event")
LEARNING = [
    {"step": "high_pass", "low": 0.05, "order": 1},
    {"step": "single_trial_betas", "wait_s": 7.5, "volumes": N, "onsets": "events", "duration_s": 1.5,
     "motion": False, "drift": "polynomial", "order": 1, "warm_up": 3, "frozen": False},
]  # fmt: skip
#: In place of the warm-up: trials of training, before those of the run.
TRAINED = {"warm_up": 0, "trained": 5, "mean": [20.0] * VOXELS, "spread": [8.0] * VOXELS}
SHORT = [LEARNING[1] | {"drift": "none", "warm_up": 0}]


class Died(Exception):
    """The decoder is gone, without a word."""


def rows() -> np.ndarray:
    rng = np.random.default_rng(4)
    grid = ResponseGrid(N, TR)
    answers = sum(np.outer(grid.column(float(onset), 1.5), rng.normal(20, 8, VOXELS)) for onset in ONSETS)
    return np.asarray(900 + answers + rng.normal(0, 2, (N, VOXELS)), np.float32)


def bench(key: str, folder: Path, pipeline: list[dict[str, Any]], seconds: float) -> Bench:
    made = Bench(
        key, folder, 1 / TR, seconds,
        channels=[f"v{k}" for k in range(VOXELS)], unit="", pipeline=pipeline, length=1,
        window=EpochSpec(start=7.5, stop=9.0, markers="picture .*"),
    )  # fmt: skip
    made.clock = ManualClock(1000.0)
    made.mark(*((f"picture {number}", float(onset)) for number, onset in enumerate(ONSETS)))
    return made


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def counted(one: Bench) -> dict[str, int]:
    return {
        name: int(one.row[name]) for name in ("samples", "windows", "reconstructions", "skipped", "invalid")
    }


@pytest.mark.parametrize("scores", [{}, TRAINED], ids=["warm-up", "trials of training"])
@pytest.mark.parametrize("when", ["before its frame is out", "after its frame is out"])
def test_a_decoder_that_dies_at_a_trial_is_followed_by_one_that_knows_the_run(
    segment_name: str,
    tmp_path: Path,
    opened: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    scores: dict[str, Any],
) -> None:
    steps = [LEARNING[0], LEARNING[1] | scores]
    whole = bench(segment_name + "w", tmp_path / "whole", steps, 400.0)
    broken = bench(segment_name + "b", tmp_path / "broken", steps, 400.0)
    opened.callback(whole.close)
    opened.callback(broken.close)
    for one in (whole, broken):
        one.put(rows())
    whole.run(audit=True)
    fatal = 9

    def dying(*given: Any) -> int:
        if when.startswith("before") and broken.frames.count == fatal:
            raise Died
        number = write_frame(*given)
        if number == fatal:
            raise Died
        return number

    monkeypatch.setattr(decode, "write_frame", dying)
    with pytest.raises(Died):
        broken.run(audit=True)
    monkeypatch.setattr(decode, "write_frame", write_frame)
    broken.run(restart=1, audit=True)
    assert whole.frames.count == len(ONSETS)
    assert np.count_nonzero(whole.infos()["valid"]) > 8
    assert {name: whole.infos()[name].tobytes() for name in SAME} == {
        name: broken.infos()[name].tobytes() for name in SAME
    }
    assert (
        whole.frames.read(0, len(ONSETS))["latent"].tobytes()
        == broken.frames.read(0, len(ONSETS))["latent"].tobytes()
    )
    assert counted(broken) == counted(whole)
    for kind in (MarkKind.EPOCH, MarkKind.EPOCH_LOST, MarkKind.PIPELINE_RESET):
        assert broken.marked(kind) == whole.marked(kind)
    begun = int(broken.infos()["last_sample"][fatal if when.startswith("after") else fatal - 1]) + 1
    assert broken.marked(MarkKind.RETRACED) == [(begun, "restart")]


def test_where_the_run_is_no_longer_held_its_open_trial_is_lost_and_the_next_are_invalid(
    segment_name: str, tmp_path: Path, opened: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    short = bench(segment_name, tmp_path, SHORT, 1.0)
    opened.callback(short.close)
    given, held = rows(), short.stream.samples.capacity
    first = 60
    short.put(given[:first])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            decode.Swap, "finish", lambda swap: (_ for _ in ()).throw(Died)
        )  # no event is counted as lost
        with pytest.raises(Died):
            short.run()
    made = short.frames.count
    short.put(given[first:])
    assert short.stream.samples.oldest == N - held > 0
    short.run(restart=1)
    assert "what was learned of the run is lost" in caplog.text
    assert short.marked(MarkKind.PIPELINE_RESET) == [(0, "start"), (first, "restart")]
    assert short.marked(MarkKind.RETRACED) == []
    # A trial whose beta was due had begun before: it is lost, and said to be.
    open_ones = [n for n, onset in enumerate(ONSETS) if onset < first * TR and n >= made]
    assert [words for _, words in short.marked(MarkKind.EPOCH_LOST)] == [
        f"restart: picture {n}" for n in open_ones
    ]
    # One of the three columns of a model, and ten degrees of freedom: 13 volumes must have come.
    after = short.infos(made)
    assert after["valid"].tolist() == (after["last_sample"] >= first + 12).tolist()
    assert 0 < np.count_nonzero(after["valid"]) < len(after)
    assert counted(short)["windows"] == len(ONSETS) == counted(short)["reconstructions"] + len(open_ones)
    assert counted(short)["invalid"] == np.count_nonzero(short.infos()["valid"] == 0)


VOLUMES = [
    {"step": "dvars"},
    {"step": "slice_timing", "times_s": [0.1 * k for k in range(HEAD[2])]},
    {"step": "motion_correction", "mask": "brain", "voxels": int(MASK.sum()), "interpolation": "linear"},
    {"step": "mark_spikes"},
    {"step": "temporal_snr"},
    {
        "step": "remove_nuisance",
        "volumes": 40,
        "motion": False,
        "drift": "polynomial",
        "order": 1,
        "freedom": 3,
    },
    {"step": "running_z_score", "warm_up": 6, "frozen": False},
]


def test_every_step_that_learns_a_run_of_volumes_knows_it_after_a_restart(
    segment_name: str, tmp_path: Path, opened: ExitStack
) -> None:
    rng = np.random.default_rng(2)
    volumes = (STILL + rng.normal(0, 0.01 * STILL.max(), (24, *HEAD))).astype(np.float32)
    volumes[5, :4] = np.nan
    results = []
    for name, parts in (("whole", [24]), ("broken", [9, 15])):
        made = Bench(
            segment_name + name[0],
            tmp_path / name,
            1 / TR,
            60.0,
            volume=HEAD,
            pipeline=VOLUMES,
            length=1,
            hop=1,
        )
        opened.callback(made.close)
        save_run(Run(reference=STILL, affine=AFFINE, masks={"brain": MASK}), made.folder)
        running = made.bundle.pipeline.for_run(Run(reference=STILL, affine=AFFINE, masks={"brain": MASK}))
        sides = {
            f"side-{side.name}": opened.enter_context(Stream.create(f"{made.key}s{number}", side, 60.0))
            for number, side in enumerate(running.start(made.bundle.signal).sides)
        }
        assert set(sides) == {"side-dvars", "side-motion", "side-tsnr"}
        at = 0
        for restart, count in enumerate(parts):
            made.put(volumes[at : at + count])
            at += count
            made.run(restart, audit=True, sides={role: side.handle for role, side in sides.items()})
        last = made.infos()[-1]
        said = {
            role: np.concatenate([side.samples.read(at, at + 12)["samples"] for at in (0, 12)])
            for role, side in sides.items()
        }
        assert {side.samples.count for side in sides.values()} == {24}
        results.append((last["digest"].tobytes(), bool(last["valid"]), int(made.row["windows"]), said))
    (digest, valid, windows, said), (other, _, others, again) = results
    assert (digest, windows) == (other, others)
    assert valid
    for role, samples in said.items():
        assert samples.tobytes() == again[role].tobytes(), role


HEARING = [
    {"step": "physiological_noise", "pulse": "pulse", "breath": "belt"},
    LEARNING[1] | {"warm_up": 0, "physiology": True},
]
BODY = Signal("body", 20.0, (2,), ("belt", "pulse"), dtype="float64")


class Body:
    """A stream of a pulse and a belt of all of the run, and what a decoder says of both."""

    def __init__(self, key: str, opened: ExitStack, seconds: float) -> None:
        side = Signal("physiology", 1 / TR, (len(COLUMNS),), COLUMNS, "", "float64")
        self.body = opened.enter_context(Stream.create(f"{key}y", BODY, seconds))
        self.side = opened.enter_context(Stream.create(f"{key}z", side, 400.0))
        self.handles = {"physiology": self.body.handle, "side-physiology": self.side.handle}
        self.send(0.0, N * TR)

    def send(self, begin: float, end: float) -> None:
        for at in range(round(begin * BODY.rate), round(end * BODY.rate), 16):
            times = (at + np.arange(16)) / BODY.rate
            traces = np.stack([np.sin(1.7 * times), np.sin(6.5 * times) ** 9], axis=1)
            self.body.samples.write(samples=traces, times=times, raw=times, arrived=times)


@pytest.mark.parametrize("held", [True, False])
def test_a_decoder_that_heard_a_pulse_hears_the_same_again_or_says_that_it_is_gone(
    segment_name: str, tmp_path: Path, opened: ExitStack, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, held: bool,
) -> None:  # fmt: skip
    results = []
    for name in ("whole", "broken"):
        one = bench(segment_name + name[0], tmp_path / name, HEARING, 400.0)
        opened.callback(one.close)
        body = Body(segment_name + name[0], opened, 400.0)
        one.put(rows())
        run = partial(one.run, audit=True, sides=body.handles, spec={"speed": 1.0})
        if name == "broken":
            fatal = one.frames

            def dying(*given: Any, frames: Ring = fatal) -> int:
                if frames.count == 9:
                    raise Died
                return write_frame(*given)

            monkeypatch.setattr(decode, "write_frame", dying)
            with pytest.raises(Died):
                run()
            monkeypatch.setattr(decode, "write_frame", write_frame)
            if not held:
                body.send(N * TR, N * TR + 1000.0)
        run(restart=int(name == "broken"))
        count = body.side.samples.count
        said = body.side.samples.read(count - 20, count)["samples"]
        results.append((one, {key: one.infos()[key].tobytes() for key in SAME}, said))
    (whole, expected, rows_said), (broken, found, rows_again) = results
    assert np.count_nonzero(whole.infos()["valid"]) > 8
    assert np.isfinite(rows_said[:, COLUMNS.index("pulse_per_minute")]).all()
    if held:
        assert found == expected
        assert rows_again.tobytes() == rows_said.tobytes()
        assert broken.marked(MarkKind.PIPELINE_RESET) == whole.marked(MarkKind.PIPELINE_RESET)
        assert "nothing of it is forgotten" in caplog.text
    else:
        assert (
            "the physiology that was heard since the last reset is no longer in shared memory" in caplog.text
        )
        assert [words for _, words in broken.marked(MarkKind.PIPELINE_RESET)] == ["start", "restart"]
        assert [words for _, words in broken.marked(MarkKind.EPOCH_LOST)]

"""Copies of what a decoder of volumes reads: each row once, with its number; nothing that is not known is passed on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import tiny_bundle

from bci.decoder.copied import BETA, MASKED, copies_of, describe_copies, role_of
from bci.decoder.spec import EpochSpec
from bci.errors import ConfigError
from bci.io.lsl.metadata import StreamInfo
from bci.live.copies import Copies
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run
from bci.signal.types import Event, Signal, Window

BOLD = Signal("BOLD", 0.5, (2, 3, 2))
MASK = np.zeros(BOLD.shape, bool)
MASK[0, :2] = True
RUN = Run(masks={"brain": MASK}, affine=np.diag([3.0, 3.0, 4.0, 1.0]))
STEPS = [{"step": "mask_volume", "mask": "brain", "voxels": 4}]


class Programs:
    """What a decode program opens: its copies' streams, in this process."""

    def __init__(self, streams: dict[str, Stream]) -> None:
        self.clock = ManualClock(7.0)
        self.stream = streams.__getitem__
        self.has = streams.__contains__


@pytest.fixture
def streams() -> Iterator[dict[str, Stream]]:
    masked, betas = Signal("BOLD-masked", 0.5, (5,)), Signal("BOLD-beta", 0.0, (6,))
    with Stream.private(masked, 90.0) as one, Stream.private(betas, 90.0) as other:
        yield {role_of(MASKED): one, role_of(BETA): other}


def volumes(first: int, count: int) -> Window:
    """Return volumes whose voxels are told apart; the second voxel of volume 3 is not known."""
    samples = np.arange(first, first + count)[:, None] * 100.0 + np.arange(12)
    samples = samples.reshape(count, *BOLD.shape).astype(np.float32)
    bad = np.zeros(samples.shape, bool)
    if first <= 3 < first + count:
        bad[3 - first, 0, 0, 1] = True
    times = np.arange(first, first + count) * 2.0
    return Window(BOLD, first, samples, times, bad, first + count - 1, reset="" if first else "start")


def test_rows_come_once_each_with_its_place_and_nan_for_what_is_not_known(streams: dict[str, Stream]) -> None:
    copies = Copies(Programs(streams))  # type: ignore[arg-type]
    pipelines = [Pipeline.from_json(STEPS).for_run(RUN).start(BOLD) for _ in range(2)]
    for pipeline in pipelines:
        copies.connect(pipeline)
    # A program that was started again has run volumes 0 to 1 again, for what it had learned: they were copied before.
    pipelines[0](volumes(0, 2))
    for first, count, running in ((2, 2, pipelines[:1]), (4, 3, pipelines)):
        chunk = volumes(first, count)
        for pipeline in running:
            pipeline(chunk)
        copies.write(chunk)
    ring = streams[role_of(MASKED)].samples
    rows = ring.read(0, ring.count)
    assert rows["samples"][:, -1].tolist() == [2, 3, 4, 5, 6]
    assert rows["times"].tolist() == [4.0, 6.0, 8.0, 10.0, 12.0]
    assert np.array_equal(rows["samples"][1, :4], [300.0, np.nan, 302.0, 303.0], equal_nan=True)
    assert rows["samples"][4, :4].tolist() == [600.0, 601.0, 602.0, 603.0]


def test_a_beta_comes_with_its_volume_and_its_trial(streams: dict[str, Stream]) -> None:
    copies = Copies(Programs(streams))  # type: ignore[arg-type]
    signal, bad = Signal("BOLD", 0.5, (4,)), np.array([[False, True, False, False]])
    samples = np.arange(4, dtype=np.float32)[None]
    event = Event(60.1, "stimulus a", trial=3)
    copies.beta(Window(signal, 34, samples, np.array([68.0]), bad, 34, event=event))
    copies.finish()
    row = streams[role_of(BETA)].samples.read(0, 1)
    assert np.array_equal(row["samples"][0], [0.0, np.nan, 2.0, 3.0, 34.0, 3.0], equal_nan=True)
    assert row["times"].tolist() == [68.0]
    assert streams[role_of(BETA)].samples.finished


def test_descriptions_say_grid_mask_and_kind_and_what_takes_no_mask_is_refused(tmp_path: Path) -> None:
    steps = [
        *STEPS,
        {"step": "single_trial_betas", "wait_s": 8.0, "volumes": 60, "onsets": "events", "motion": False,
         "trained": 9, "mean": [1.0] * 4, "spread": [2.0] * 4},
    ]  # fmt: skip
    window = EpochSpec(start=8.0, stop=10.0, markers="stimulus.*")
    bundle = tiny_bundle(
        tmp_path / "betas", rate=0.5, volume=BOLD.shape, pipeline=steps, length=1, window=window
    )
    carried = copies_of(bundle)
    assert {name: signal.shape for name, signal in carried.items()} == {MASKED: (5,), BETA: (6,)}
    info = StreamInfo(BOLD, "scanner", "", "", 1.0, True, "fMRI", {"series_uid": "1.2.3"})
    facts = describe_copies(bundle, RUN, info)
    assert facts[MASKED]["mask_sha256"] == RUN.hashes["masks.brain"]
    assert (facts[MASKED]["shape"], facts[MASKED]["voxels"], facts[MASKED]["tr"]) == ("2 3 2", "4", "2.0")
    assert facts[MASKED]["affine"].split()[:6] == ["3.0", "0.0", "0.0", "0.0", "0.0", "3.0"]
    assert carried[BETA].unit == "z of beta"
    assert "'trained': 9, 'mean': '4 numbers', 'spread': '4 numbers'" in facts[BETA]["steps"]
    assert (facts[BETA]["kind"], facts[BETA]["wait_s"], facts[BETA]["series_uid"]) == ("beta", "8.0", "1.2.3")
    plain = tiny_bundle(tmp_path / "plain")
    with pytest.raises(ConfigError, match="takes the voxels of a mask, came 'tiny', whose steps are none"):
        copies_of(plain)

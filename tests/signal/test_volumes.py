"""A signal whose sample is a volume goes the way of every other, and one bad voxel of it is one bad voxel."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.memory.frames import window_digest
from bci.memory.stream import Grid, Stream, follow
from bci.signal.epochs import Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run
from bci.signal.step import Step
from bci.signal.steps.filters import Decimate, HighPass
from bci.signal.steps.masking import Artefact, Saturation
from bci.signal.types import Event, Signal, Window
from bci.signal.volumes.mask import MaskVolume
from bci.signal.windows import Windows

RATE, N, SHAPE = 2.0, 60, (4, 3, 2)
BOLD = Signal("bold", RATE, SHAPE)
VOXEL = (2, 1, 0)


def planted() -> NDArray[np.float32]:
    """Noise; one voxel is not a number at sample 20, another is over every limit at sample 31."""
    samples = np.random.default_rng(5).normal(0, 10, (N, *SHAPE)).astype("f4")
    samples[20][VOXEL] = np.nan
    samples[31, 0, 0, 1] = -500.0
    return samples


def chunks(samples: NDArray[np.float32], sizes: Sequence[int]) -> list[Window]:
    """Divide samples into chunks of these sizes in turn."""
    out: list[Window] = []
    at = 0
    while at < len(samples):
        end = min(at + sizes[len(out) % len(sizes)], len(samples))
        bad = np.zeros((end - at, *BOLD.flag_shape), bool)
        times = np.arange(at, end) / RATE
        out.append(Window(BOLD, at, samples[at:end].copy(), times, bad, end - 1, reset="" if at else "start"))
        at = end
    return out


def cut(pipeline: Pipeline, sizes: Sequence[int]) -> list[Window]:
    cutter = Windows(BOLD, pipeline, length=5, hop=2)
    return [window for chunk in chunks(planted(), sizes) for window in cutter.push(chunk)]


@pytest.mark.parametrize(
    ("signal", "shape"),
    [
        (Signal("eeg", 100.0, (8,)), (8,)),
        (Signal("voxels of a mask", 0.5, (900,)), (900,)),
        (Signal("band power", 10.0, (8, 3)), (8,)),
        (Signal("labelled", 10.0, (2, 3, 4), ("a", "b")), (2,)),
        (Signal("bold", 0.5, (4, 3, 2)), (4, 3, 2)),
    ],
    ids=lambda value: str(value),
)
def test_flags_are_one_a_channel_and_of_a_volume_one_a_voxel(signal: Signal, shape: tuple[int, ...]) -> None:
    assert signal.flag_shape == shape
    out = Pipeline().start(signal)(
        Window(signal, 0, np.zeros((2, *signal.shape), "f4"), np.arange(2.0), np.zeros((2, *shape), bool), 1)
    )
    assert out.bad.shape == (2, *shape)


def test_a_voxel_that_is_no_number_is_flagged_alone_and_holds_its_last_value() -> None:
    samples = planted()
    running = Pipeline().start(BOLD)
    got = [running(chunk) for chunk in chunks(samples, [7])]
    bad = np.concatenate([out.bad for out in got])
    assert np.argwhere(bad).tolist() == [[20, *VOXEL]]
    held = np.concatenate([out.samples for out in got])
    assert held[20][VOXEL] == samples[19][VOXEL]
    others = np.ones(samples.shape, bool)
    others[20][VOXEL] = False
    assert np.array_equal(held[others], samples[others])


def test_each_step_flags_the_voxel_that_it_concerns_and_no_other() -> None:
    running = Pipeline([Saturation(400.0)]).start(BOLD)
    bad = np.concatenate([running(chunk).bad for chunk in chunks(planted(), [9])])
    assert np.argwhere(bad).tolist() == [[20, *VOXEL], [31, 0, 0, 1]]
    for step in (HighPass(0.05, 1), Artefact(400.0, 2.0), Decimate(2, 1)):
        running = Pipeline([step]).start(BOLD)
        bad = np.concatenate([running(chunk).bad for chunk in chunks(planted(), [9])])
        wanted = {VOXEL, (0, 0, 1)} if isinstance(step, Artefact) else {VOXEL}
        assert {(x, y, z) for _, x, y, z in np.argwhere(bad).tolist()} == wanted, step
        if isinstance(step, HighPass):  # a filter remembers, in that voxel, for its settling time
            after = bad[(slice(None), *VOXEL)]
            assert after[20 : 21 + running.settle].all()
            assert not after[:20].any()


PIPELINES: list[list[Step]] = [
    [],
    [Saturation(400.0)],
    [HighPass(0.05, 1), Artefact(300.0, 1.0)],
    [Decimate(3, 2), HighPass(0.05, 1)],
]


@pytest.mark.parametrize("steps", PIPELINES, ids=repr)
@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 25), min_size=1, max_size=4))
def test_windows_of_volumes_do_not_depend_on_chunking(steps: list[Step], sizes: list[int]) -> None:
    whole, parts = cut(Pipeline(steps), [N]), cut(Pipeline(steps), sizes)
    assert len(whole) == len(parts) > 0
    assert [window_digest(a) for a in whole] == [window_digest(b) for b in parts]
    assert any(window.bad.any() for window in whole)
    assert all(window.bad.shape == window.samples.shape for window in whole)


def test_an_epoch_of_volumes_has_the_flags_of_its_voxels() -> None:
    cutter = Epochs(BOLD, Pipeline(), start=-1.0, stop=2.0)
    marker = Event(10.0, "picture")
    got = [e for i, c in enumerate(chunks(planted(), [8])) for e in cutter.push(c, () if i else (marker,))]
    (epoch,) = got
    assert epoch.index == 20
    assert np.argwhere(epoch.window.bad).tolist() == [[2, *VOXEL]]


def test_volumes_out_of_shared_memory_are_flagged_by_voxel_too() -> None:
    samples = planted()
    stream = Stream.private(BOLD, 100.0)
    stamps = np.arange(N) / RATE
    stream.samples.write(samples=samples, times=stamps, raw=stamps, arrived=stamps)
    stream.samples.finish()
    cutter = Windows(BOLD, Pipeline(), length=5, hop=2)
    live = [
        window
        for chunk in follow(stream, Grid(5, 2), lambda: True, lambda first, lost: None)
        for window in cutter.push(chunk)
    ]
    offline = cut(Pipeline(), [N])
    assert [window_digest(a) for a in live] == [window_digest(b) for b in offline]


def test_a_mask_keeps_the_flag_of_each_voxel_that_it_keeps() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[0, 0, 1] = mask[VOXEL] = mask[3, 2, 1] = True
    pipeline = Pipeline([MaskVolume("brain", 3)]).for_run(Run(masks={"brain": mask}))
    running = pipeline.start(BOLD)
    got = [running(chunk) for chunk in chunks(planted(), [11])]
    assert np.argwhere(np.concatenate([out.bad for out in got])).tolist() == [[20, 1]]
    assert np.concatenate([out.samples for out in got])[31].tolist()[0] == -500.0

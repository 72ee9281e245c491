"""What a session fixes beyond its bundle reaches the steps that take it, and is refused where it does not fit."""

from dataclasses import replace

import numpy as np
import pytest

from bci.errors import ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.run import Design, Run
from bci.signal.steps.filters import Decimate
from bci.signal.steps.montage import Relabel, Scale
from bci.signal.types import Signal, Window
from bci.signal.volumes.dvars import Dvars
from bci.signal.volumes.mask import MaskVolume

VOLUMES = Signal("bold", 0.5, (3, 4, 2))
MASK = np.zeros((3, 4, 2), bool)
MASK[0, 1, 1] = MASK[2, 3, 0] = MASK[1, 0, 0] = True


def chunk(signal: Signal, first: int, samples: np.ndarray, reset: str = "") -> Window:
    times = 100.0 + np.arange(first, first + len(samples)) / signal.rate
    bad = np.zeros((len(samples), signal.shape[0]), bool)
    return Window(signal, first, samples, times, bad, first + len(samples) - 1, reset=reset)


def volumes(n: int) -> np.ndarray:
    return np.random.default_rng(7).normal(100.0, 5.0, (n, *VOLUMES.shape)).astype(np.float32)


def test_a_mask_of_the_session_keeps_its_voxels_in_memory_order() -> None:
    pipeline = Pipeline([MaskVolume("brain", 3)]).for_run(Run(masks={"brain": MASK}))
    given = volumes(5)
    running = pipeline.start(VOLUMES)
    out = running(chunk(VOLUMES, 0, given, "start"))
    assert out.signal.shape == (3,)
    expected = np.stack([given[:, 0, 1, 1], given[:, 1, 0, 0], given[:, 2, 3, 0]], axis=1)
    assert np.array_equal(out.samples, expected)


def test_a_pipeline_knows_its_output_before_the_session_and_refuses_to_run_without_it() -> None:
    pipeline = Pipeline([MaskVolume("brain", 3)])
    assert Pipeline.from_json(pipeline.to_json()) == pipeline
    assert pipeline.output(VOLUMES).shape == (3,)
    running = pipeline.start(VOLUMES)
    with pytest.raises(ConfigError, match=r"voxels of mask 'brain'.*\[run\] masks"):
        running(chunk(VOLUMES, 0, volumes(1), "start"))


@pytest.mark.parametrize(
    ("masks", "step", "words"),
    [
        ({}, MaskVolume("brain", 3), "expected a mask 'brain'.*came none"),
        ({"v1": MASK}, MaskVolume("brain", 3), "came 'v1'"),
        ({"brain": MASK}, MaskVolume("brain", 4), "expects 4 voxels; the session's has 3"),
        ({"brain": MASK}, MaskVolume("brain", 3, "0" * 64), "SHA-256 000000000000"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_before_the_session(
    masks: dict[str, np.ndarray], step: MaskVolume, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        Pipeline([step]).for_run(Run(masks=masks))


def test_a_mask_on_another_grid_is_refused() -> None:
    pipeline = Pipeline([MaskVolume("brain", 3)]).for_run(Run(masks={"brain": MASK}))
    with pytest.raises(ConfigError, match="Give a mask on the grid"):
        pipeline.start(replace(VOLUMES, shape=(3, 4, 3)))


def test_hashes_change_with_every_part() -> None:
    design = Design(np.array([0.0, 6.0]), np.array([1.0, 1.0]), ("face", "house"))
    run = Run(design, volumes(1)[0], {"brain": MASK}, {"A1": "O1"})
    other = MASK.copy()
    other[0, 0, 0] = True
    changed = {
        "design": replace(run, design=replace(design, conditions=("face", "face"))),
        "reference": replace(run, reference=volumes(1)[0] + 1),
        "masks.brain": replace(run, masks={"brain": other}),
        "channel_map": replace(run, channel_map={"A1": "O2"}),
    }
    for part, different in changed.items():
        assert {name for name in run.hashes if run.hashes[name] != different.hashes[name]} == {part}


def test_a_side_output_does_not_depend_on_chunking_and_carries_the_times_of_its_samples() -> None:
    given = volumes(40)
    pipeline = Pipeline([Scale((1.0, 2.0, 3.0), (0.5, 0.5, 0.5)), Dvars()])
    whole = [2.0 * np.sqrt(np.mean((given[i].astype(float) - given[i - 1]) ** 2)) for i in range(1, 40)]
    for sizes in ([40], [1] * 40, [7, 3, 30]):
        running = pipeline.start(VOLUMES)
        (side,) = running.sides
        assert (side.name, side.shape, side.rate) == ("dvars", (1,), 0.5)
        at, values, times = 0, [], []
        for size in sizes:
            part = chunk(VOLUMES, at, given[at : at + size], "" if at else "start")
            running(part)
            (said,) = running.take_sides(part)
            assert said.first == at
            values += said.samples[:, 0].tolist()
            times += said.times.tolist()
            at += size
        assert np.isnan(values[0])
        assert np.allclose(values[1:], whole, rtol=1e-6)
        assert times == [100.0 + i / 0.5 for i in range(40)]


def test_a_side_output_begins_anew_at_a_reset() -> None:
    given = volumes(6)
    running = Pipeline([Dvars()]).start(VOLUMES)
    for first, reset in ((0, "start"), (3, "gap")):
        part = chunk(VOLUMES, first, given[first : first + 3], reset)
        running(part)
        (said,) = running.take_sides(part)
        assert np.isnan(said.samples[:, 0]).tolist() == [True, False, False]
        assert said.first == first


def test_a_side_output_behind_a_decimation_counts_what_it_saw() -> None:
    signal = Signal("eeg", 100.0, (4,), ("a", "b", "c", "d"), "uV")
    running = Pipeline([Decimate(5), Dvars()]).start(signal)
    given = np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32)
    seen = []
    for first in range(0, 100, 7):
        part = chunk(signal, first, given[first : first + 7], "" if first else "start")
        out = running(part)
        (said,) = running.take_sides(part)
        assert (said.first, len(said.samples)) == (out.first, len(out.samples))
        assert np.array_equal(said.times, out.times)
        seen += said.samples[:, 0].tolist()
    assert len(seen) == 20


def test_relabelled_channels_are_found_under_their_new_names() -> None:
    signal = Signal("eeg", 100.0, (3,), ("A1", "A2", "A3"), "uV")
    step = Relabel((("A1", "O1"), ("A3", "Oz")))
    assert step.output(signal).channels == ("O1", "A2", "Oz")
    assert Pipeline.from_json(Pipeline([step]).to_json()) == Pipeline([step])
    with pytest.raises(ConfigError, match="more than one channel is called 'A2'"):
        Relabel((("A1", "A2"),)).output(signal)
    with pytest.raises(ConfigError, match="no channel 'B1'"):
        Relabel((("B1", "O1"),)).output(signal)

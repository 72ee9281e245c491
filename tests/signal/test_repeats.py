import numpy as np
import pytest

from bci.signal import repeats
from bci.signal.repeats import RepeatMeans
from bci.signal.types import Event, Signal, Window

ROWS = Signal("betas", 1.0, (6,), (), "beta")
BANDS = Signal("bands", 1.0, (3, 2), ("a", "b", "c"))


def epoch(
    text: str, samples: np.ndarray, bad: np.ndarray | None = None, signal: Signal = ROWS, settled: bool = True
) -> Window:
    """Return an epoch around a stimulus."""
    flags = np.zeros((len(samples), *signal.flag_shape), bool) if bad is None else bad
    times = np.arange(len(samples), dtype=float)
    return Window(signal, 0, samples.astype("f4"), times, flags, 0, settled=settled, event=Event(0.0, text))


def test_each_repeat_is_the_mean_of_its_stimulus_so_far_and_of_no_other() -> None:
    random = np.random.default_rng(1)
    order = ["cat", "dog", "cat", "cat", "dog", "eel", "cat"]
    rows = random.standard_normal((len(order), 1, 6)).astype("f4")
    means = RepeatMeans(0.0)
    for k, (text, row) in enumerate(zip(order, rows, strict=True)):
        mean = means(epoch(text, row), 1)
        own = [i for i in range(k + 1) if order[i] == text]
        assert mean.repeats == len(own)
        np.testing.assert_allclose(mean.samples, rows[own].mean(0), rtol=1e-6, atol=1e-7)
        assert mean.event == Event(0.0, text)
        if len(own) == 1:
            assert np.array_equal(mean.samples, row), "a first trial is read as it came"


def test_a_marked_value_is_left_out_of_the_mean_and_marked_where_no_repeat_has_it() -> None:
    rows = np.arange(18.0).reshape(3, 1, 3, 2)
    bad = np.array([[[True, True, False]], [[True, False, False]], [[False, False, True]]])
    means = RepeatMeans(0.9)
    came = [means(epoch("cat", row, flags, BANDS), 1) for row, flags in zip(rows, bad, strict=True)]
    assert came[1].bad.tolist() == [[True, False, False]]
    np.testing.assert_array_equal(came[1].samples[0, 0], rows[1, 0, 0])
    assert not came[2].bad.any()
    assert came[2].repeats == 3
    np.testing.assert_allclose(
        came[2].samples[0], [rows[2, 0, 0], rows[1:, 0, 1].mean(0), rows[:2, 0, 2].mean(0)]
    )


@pytest.mark.parametrize("fault", ["unsettled", "marked", "not finite"])
def test_an_epoch_that_cannot_be_decoded_is_passed_on_and_joins_no_mean(fault: str) -> None:
    good, odd = np.ones((1, 6)), np.full((1, 6), np.nan if fault == "not finite" else 50.0)
    flags = np.full((1, 6), fault == "marked")
    means = RepeatMeans(0.5)
    means(epoch("cat", good), 1)
    spoilt = epoch("cat", odd, flags, settled=fault != "unsettled")
    assert means(spoilt, 1) is spoilt
    after = means(epoch("cat", 3 * good), 1)
    assert after.repeats == 2
    assert after.samples.tolist() == [[2.0] * 6]


def test_a_reset_begins_anew_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    row = np.ones((1, 6))
    means = RepeatMeans(0.5)
    assert [means(epoch("cat", row), segment).repeats for segment in (1, 1, 2)] == [1, 2, 1]
    monkeypatch.setattr(repeats, "LARGEST", 2 * 6 * 12)  # two stimuli
    means = RepeatMeans(0.5)
    order = ["cat", "dog", "cat", "eel", "cat", "dog"]
    assert [means(epoch(text, row), 1).repeats for text in order] == [1, 1, 2, 1, 3, 1]

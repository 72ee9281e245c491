"""The nouns refuse what cannot be, and their records carry what they are given."""

import math

import numpy as np
import pytest

from bci.signal.types import (
    EVENT_DTYPE,
    INTERVALS,
    STAGES,
    MarkKind,
    Signal,
    Window,
    cut_text,
    stamps_record,
)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rate": 100.0, "shape": ()}, "size ≥ 1"),
        ({"rate": 100.0, "shape": (3, 0)}, "size ≥ 1"),
        ({"rate": -1.0, "shape": (3,)}, "irregular"),
        ({"rate": math.nan, "shape": (3,)}, "rate"),
        ({"rate": math.inf, "shape": (3,)}, "rate"),
        ({"rate": 100.0, "shape": (3,), "channels": ("a", "b")}, "2 channel labels for 3 channels"),
    ],
)
def test_a_signal_that_cannot_be_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Signal("eeg", **settings)


def test_a_volume_is_a_signal_like_any_other() -> None:
    assert Signal("bold", 0.5, (74, 74, 36)).shape == (74, 74, 36)


def test_the_end_of_a_window_is_one_past_its_last_sample() -> None:
    signal = Signal("eeg", 100.0, (2,))
    window = Window(signal, 7, np.zeros((5, 2)), np.zeros(5), np.zeros((5, 2), bool), 11)
    assert window.end == 12


def test_stamps_lie_in_the_order_of_the_stages_and_missing_ones_are_nan() -> None:
    record = stamps_record({"cut": 3.0, "data": 1.0})
    assert record[STAGES.index("data")] == 1.0
    assert record[STAGES.index("cut")] == 3.0
    assert np.isnan(record).sum() == len(STAGES) - 2


def test_every_interval_lies_between_two_stages_in_their_order() -> None:
    for earlier, later in INTERVALS.values():
        assert STAGES.index(earlier) < STAGES.index(later)


@pytest.mark.parametrize("text", ["target", "µV" * 200, "頑" * 100, "😀" * 70, ""])
def test_cut_text_fits_and_is_still_text(text: str) -> None:
    size = EVENT_DTYPE["text"].itemsize
    kept = cut_text(text, size)
    assert len(kept) <= size
    assert text.startswith(kept.decode())
    # All of it where it fits; else up to the last character that does, and none is longer than four bytes.
    assert kept == text.encode() if len(text.encode()) <= size else len(kept) > size - 4


def test_only_what_breaks_the_signal_starts_a_segment() -> None:
    assert {kind for kind in MarkKind if kind.starts_segment} == {
        MarkKind.GAP,
        MarkKind.CLOCK_RESET,
        MarkKind.RECONNECT,
        MarkKind.OVERRUN,
    }

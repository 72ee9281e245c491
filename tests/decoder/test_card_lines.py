"""What a card must reach is judged from figures, here from planted ones and from the processor's."""

from collections.abc import Callable

import numpy as np
import pytest

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.signal.clock import ManualClock
from benchmarks.card_lines import FRAMES, SPACINGS_S, judge_decode, judge_frames, time_spaced


@pytest.mark.parametrize(
    ("floor", "decode", "holds"),
    [(10.0, 10.9, True), (10.0, 11.5, False), (0.3, 0.45, True), (0.3, 0.6, False)],
    ids=["1.09 times", "1.15 times", "0.15 ms more", "twice"],
)
def test_decoding_holds_within_a_tenth_or_a_fifth_of_a_millisecond(
    floor: float, decode: float, holds: bool
) -> None:
    assert judge_decode("64", np.full((5, 4), decode), np.full((5, 4), floor)).holds is holds


def test_frames_of_the_processor_are_equal_and_one_other_bit_fails(
    make_bundle: Callable[..., Bundle],
) -> None:
    decoder = OnnxDecoder(make_bundle(), clock=ManualClock())
    windows = [
        np.random.default_rng(i).standard_normal(decoder.bundle.window_shape, np.float32) for i in range(3)
    ]
    few = judge_frames("small", decoder.raw, windows, 9)
    assert (few.holds, few.came) == (None, "0 of 9 differ")
    array = {"latent": np.zeros(2, np.float32)}
    assert judge_frames("planted", lambda _: array, windows, FRAMES).holds is True
    calls = iter(range(9))
    off = judge_frames(
        "planted", lambda _: {"latent": np.full(1, float(next(calls) == 7), np.float32)}, windows, 9
    )
    assert (off.holds, off.came) == (False, "1 of 9 differ")


@pytest.mark.parametrize("spacing", SPACINGS_S)
def test_windows_come_at_their_spacing_however_long_each_takes(spacing: float) -> None:
    clock, began = ManualClock(), []

    def run(_: object) -> None:
        began.append(clock.now())
        clock.advance(0.004)

    taken = time_spaced(run, [np.zeros(1, np.float32)], spacing, 4, clock)
    assert np.allclose(taken, 4.0)
    assert np.allclose(np.diff(began), spacing)

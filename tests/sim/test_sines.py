"""Sines are known in every sample, whatever the rate and shape, however they are read."""

import numpy as np
import pytest

from bci.signal.types import Signal
from bci.sim.sines import Sines


@pytest.mark.parametrize(("rate", "shape"), [(160.0, (8,)), (2500.0, (384,)), (4.0, (3,)), (100.0, (2, 3))])
def test_the_same_samples_come_however_they_are_read(rate: float, shape: tuple[int, ...]) -> None:
    sines = Sines(Signal("x", rate, shape, (), "uV"))
    whole = sines.read(0, 300)
    parts = np.concatenate([sines.read(a, b) for a, b in ((0, 1), (1, 250), (250, 300))])
    assert whole.shape == (300, *shape)
    assert whole.dtype == np.float32
    assert np.array_equal(whole, parts)
    again = round(rate) * 1000
    assert np.array_equal(sines.read(again, again + 50), whole[:50])


def test_every_channel_has_the_frequency_that_it_should() -> None:
    samples = Sines(Signal("x", 160.0, (8,), (), "uV")).read(0, 1600)
    power = np.abs(np.fft.rfft(samples, axis=0))
    assert np.fft.rfftfreq(1600, 1 / 160)[power.argmax(axis=0)].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert np.abs(samples).max() == pytest.approx(20.0, rel=0.01)


def test_it_has_the_size_of_a_brain_signal_in_volts_too() -> None:
    assert np.abs(Sines(Signal("x", 160.0, (8,), (), "V")).read(0, 160)).max() == pytest.approx(
        2e-5, rel=0.01
    )


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 Hz"):
        Sines(Signal("x", 0.5, (8,)))
    with pytest.raises(ValueError, match="asked for 5 to 2"):
        Sines(Signal("x", 160.0, (8,))).read(5, 2)

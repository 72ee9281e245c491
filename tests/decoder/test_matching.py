"""A stream fits a bundle, or the difference is named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bci.decoder.bundle import Bundle
from bci.decoder.spec import SignalSpec
from bci.errors import BundleMismatch
from bci.signal.types import Signal, Window
from bci.signal.units import unit_key

STREAM = Signal("EEG-1", 100.0, (3,), ("O1", "Oz", "O2"), "uV")


@pytest.fixture
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle()


@pytest.mark.parametrize(
    "stream",
    [
        STREAM,
        replace(STREAM, name="other", dtype="int16"),
        replace(STREAM, rate=100.0 + 1e-3),
        replace(STREAM, unit="microvolts"),
        replace(STREAM, unit="µV"),
        replace(STREAM, channels=("O1.", "EEG OZ-REF", "o2")),
        replace(STREAM, channels=("Oz", "O2", "O1")),
        replace(STREAM, channels=("Cz", "O2", "O1", "Oz"), shape=(4,)),
    ],
)
def test_streams_that_hold_the_signal_fit(bundle: Bundle, stream: Signal) -> None:
    bundle.check(stream)
    assert bundle.adapt(stream).output(stream).shape == (3,)


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (replace(STREAM, rate=250.0), ["rate: expected 100 Hz, came 250 Hz"]),
        (replace(STREAM, rate=0.0), ["rate: expected 100 Hz, came 0 Hz"]),
        (replace(STREAM, unit="V"), ["unit: expected 'uV', came 'V'"]),
        (replace(STREAM, unit="mV"), ["unit: expected 'uV', came 'mV'"]),
        (
            replace(STREAM, unit=""),
            ["unit: expected 'uV', came none; state it", "in [source] where it plays a recording"],
        ),
        (replace(STREAM, channels=("O1", "Cz", "Pz")), ["missing Oz, O2 among the 3"]),
        (replace(STREAM, channels=()), ["came no labels"]),
        (replace(STREAM, channels=("O1", "Oz", "O2", "oz."), shape=(4,)), ["more than once: Oz"]),
        (replace(STREAM, shape=(3, 2)), ["shape of a sample: expected (3,), came (3, 2)"]),
        (
            Signal("ECoG", 1000.0, (2,), ("G1", "G2"), "V"),
            ["stream 'ECoG'", "bundle 'tiny'", "rate:", "unit:", "missing O1, Oz, O2", "Choose the stream"],
        ),
    ],
)
def test_every_difference_is_named(bundle: Bundle, stream: Signal, said: list[str]) -> None:
    for verb in (bundle.check, bundle.adapt):
        with pytest.raises(BundleMismatch) as caught:
            verb(stream)
        for words in said:
            assert words in str(caught.value)


def test_a_stream_in_the_same_order_needs_no_pick(bundle: Bundle) -> None:
    assert bundle.adapt(replace(STREAM, channels=("o1", "OZ.", "O2"))) == bundle.pipeline


def test_the_bundle_sees_its_own_channels_in_its_own_order(bundle: Bundle) -> None:
    stream = Signal("cap", 100.0, (5,), ("Fz", "O2.", "Cz", "O1", "Oz"), "uV")
    samples = np.tile(np.array([0, 2, 0, 1, 9], np.float32), (4, 1))
    running = bundle.adapt(stream).start(stream)
    running.reset(0)
    out = running(
        Window(stream, 0, samples, np.arange(4) / 100, np.zeros((4, 5), bool), last_sample=3, reset="start")
    )
    assert out.samples.tolist() == [[1, 9, 2]] * 4


def test_a_bundle_without_labels_takes_any_of_its_shape(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle(signal=SignalSpec(rate=100.0, shape=(3,)))
    bundle.check(replace(STREAM, channels=(), unit=""))
    labelled = replace(STREAM, channels=("a", "b", "c"), unit="")
    bundle.check(labelled)
    assert bundle.adapt(labelled) == bundle.pipeline
    with pytest.raises(BundleMismatch, match=r"expected \(3,\), came \(4,\)"):
        bundle.check(replace(STREAM, channels=(), shape=(4,), unit=""))


def test_units_are_one_by_any_name() -> None:
    assert len({unit_key(u) for u in ("uV", "µV", "μV", "UV", "microvolt", "Microvolts", " uV ")}) == 1
    assert len({unit_key(u) for u in ("V", "mV", "uV", "nV", "")}) == 5
    assert unit_key("millivolts") == unit_key("mV")
    assert unit_key("volts") == unit_key("V")

"""What moves by no brain's amplitude is said, whatever the unit; what the field records is not."""

import math

import numpy as np
import pytest

from bci.signal.quality.amplitude import RANGES, implausible, measurable, moves
from bci.signal.types import Signal

#: What the median channel moves in a second: (kind, microvolts), from quiet sleep-free EEG to a rat's hippocampus.
RECORDED = [("EEG", 15.0), ("EEG", 28.0), ("EEG", 200.0), ("EEG", 600.0), ("ECoG", 300.0), ("LFP", 4000.0)]
FACTORS = {"V": 1e6, "mV": 1e3, "uV": 1.0, "nV": 1e-3}


@pytest.mark.parametrize(("kind", "microvolts"), RECORDED)
@pytest.mark.parametrize("unit", FACTORS)
def test_what_is_recorded_is_plausible_in_its_own_unit(kind: str, microvolts: float, unit: str) -> None:
    assert implausible(microvolts / FACTORS[unit], unit, kind) == ""
    assert implausible(microvolts / FACTORS[unit], unit) == ""


@pytest.mark.parametrize(("kind", "microvolts"), RECORDED)
@pytest.mark.parametrize("wrong", [1e-9, 1e-6, 1e6, 1e9])
def test_a_unit_that_is_wrong_by_a_million_is_always_said(kind: str, microvolts: float, wrong: float) -> None:
    words = implausible(microvolts * wrong, "uV", kind)
    assert "the unit is probably another" in words
    fits = {1e-9: "billion times", 1e-6: "million times", 1e6: "millionth", 1e9: "billionth"}[wrong]
    assert fits in words


@pytest.mark.parametrize("microvolts", [28.0, 200.0, 600.0])
@pytest.mark.parametrize("wrong", [1e-3, 1e3])
def test_scalp_eeg_that_is_wrong_by_a_thousand_is_said(microvolts: float, wrong: float) -> None:
    assert implausible(microvolts * wrong, "uV", "EEG") != ""
    assert implausible(microvolts * wrong, "uV") != ""


def test_what_has_no_unit_of_voltage_is_not_judged() -> None:
    assert implausible(1e9, "") == implausible(1e9, "T") == implausible(math.nan, "uV") == ""
    assert not measurable(Signal("bold", 0.5, (4, 5, 6), unit="uV"))
    assert not measurable(Signal("eeg", 250.0, (4,)))
    assert measurable(Signal("eeg", 250.0, (4,), unit="mV"))


def test_dead_and_damaged_channels_are_left_out() -> None:
    samples = np.zeros((100, 5))
    samples[50, 1:4] = [10, 20, 30]
    samples[20, 3], samples[:, 4] = np.nan, np.inf
    assert moves(samples) == 20
    assert math.isnan(moves(np.zeros((10, 2))))
    assert math.isnan(moves(np.zeros((0, 2))))


def test_every_range_is_in_microvolts_and_holds_what_is_recorded_of_its_kind() -> None:
    for kind, microvolts in RECORDED:
        least, most = RANGES[kind]
        assert least < microvolts < most

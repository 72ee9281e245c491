"""Confidence falls to chance as the window is masked."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.decoder.confidence import chance, in_range, lower
from bci.decoder.spec import ConfidenceSpec

GAUSSIAN = ConfidenceSpec(kind="gaussian", calibrated_on="run 2")
TWO = ConfidenceSpec(kind="classifier", calibrated_on="run 2", classes=2)
TEN = ConfidenceSpec(kind="classifier", calibrated_on="run 2", classes=10)
KINDS = [GAUSSIAN, TWO, TEN]


def test_chance_is_no_variance_or_one_class_in_all() -> None:
    assert [chance(spec) for spec in KINDS] == [0.0, 0.5, 0.1]


@pytest.mark.parametrize("spec", KINDS)
@given(confidence=st.floats(0, 1))
def test_nothing_masked_leaves_it_and_all_masked_leaves_chance(
    spec: ConfidenceSpec, confidence: float
) -> None:
    assert lower(confidence, 0.0, spec) == pytest.approx(confidence)
    assert lower(confidence, 1.0, spec) == pytest.approx(min(confidence, chance(spec)))


@pytest.mark.parametrize("spec", KINDS)
@given(confidence=st.floats(0, 1), masked=st.floats(0, 1), more=st.floats(0, 1))
def test_more_masked_is_never_more_confident(
    spec: ConfidenceSpec, confidence: float, masked: float, more: float
) -> None:
    low, high = sorted([masked, more])
    assert lower(confidence, high, spec) <= lower(confidence, low, spec) <= confidence + 1e-12


def test_a_decoder_that_claims_none_has_none() -> None:
    assert math.isnan(lower(0.9, 0.0, ConfidenceSpec()))


def test_a_confidence_is_a_number_from_zero_to_one() -> None:
    assert [in_range(c) for c in (0.0, 0.5, 1.0, 1.0 + 1e-7)] == [True] * 4
    assert [in_range(c) for c in (math.nan, -0.1, 1.1, math.inf)] == [False] * 4

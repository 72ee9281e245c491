"""Confidence is a number in 0–1, calibrated on held-out data, and lowered by what was masked in the window."""

import math

from bci.decoder.spec import ConfidenceSpec

# A sigmoid or softmax in float32 may step over its bounds by a rounding error, never by more.
_ROUNDING = 1e-6


def chance(spec: ConfidenceSpec) -> float:
    """Return the confidence of a decoder at chance: one in so many classes, or no variance explained."""
    return 1.0 / spec.classes if spec.kind == "classifier" else 0.0


def lower(confidence: float, masked: float, spec: ConfidenceSpec) -> float:
    r"""Return the confidence in a window of which a share is masked.

    .. math:: c' = c_0 + (c - c_0)(1 - m) \quad\text{for } c > c_0, \qquad c' = c \text{ otherwise}

    with :math:`m` the share of masked values and :math:`c_0` the confidence at chance. Masked values hold the
    last good one and carry no information, so the confidence goes linearly to chance as all are masked. It is a
    rule, chosen because it is monotonic and exact at both ends; the calibration holds for windows without masked
    values.

    Parameters
    ----------
    confidence : float
        Calibrated confidence, from the graph.
    masked : float
        Share of bad values in the window, 0 to 1.
    spec : ConfidenceSpec
        The bundle's kind of confidence; ``none`` gives NaN.

    Examples
    --------
    >>> lower(0.9, 0.25, ConfidenceSpec(kind="classifier", calibrated_on="run 2", classes=2))
    0.8
    >>> lower(0.8, 0.5, ConfidenceSpec(kind="gaussian", calibrated_on="run 2"))
    0.4
    """
    if spec.kind == "none":
        return math.nan
    floor = chance(spec)
    if confidence <= floor:
        return confidence
    return floor + (confidence - floor) * (1.0 - masked)


def in_range(confidence: float) -> bool:
    """Whether a graph's confidence is a number in 0–1; NaN is not."""
    return -_ROUNDING <= confidence <= 1.0 + _ROUNDING

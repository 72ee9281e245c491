"""Rates of signals, samples per second: between a sample in twelve days and ten million a second, or 0 for irregular.

A header that states another is damaged, or made to do harm: at 1e300 Hz the buffer for a second has no size.
"""

#: The fastest and the slowest regular signal, Hz.
FASTEST_HZ, SLOWEST_HZ = 1e7, 1e-6


def is_plausible(rate: float) -> bool:
    """Whether a signal can have this rate; 0 is irregular.

    >>> is_plausible(512.0), is_plausible(0.0), is_plausible(1e300), is_plausible(float("nan"))
    (True, True, False, False)
    """
    return rate == 0 or SLOWEST_HZ <= rate <= FASTEST_HZ

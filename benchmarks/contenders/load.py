"""The load: a decoder's work without a decoder."""

import time


def busy(seconds: float) -> None:
    """Keep this thread's core busy for `seconds` of real time."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass

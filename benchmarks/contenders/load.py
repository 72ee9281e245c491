"""The load keeps a core as busy as a decoder would."""

import time


def busy(seconds: float) -> None:
    """Keep this thread's core busy for `seconds` of real time."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass

"""A wall clock tells UTC seconds since 1970: a command's sender may sit at another computer, with no session clock.

It judges nothing but whether a command is too old or from the future. What is recorded bears the session clock.
"""

import time
from collections.abc import Callable

WallClock = Callable[[], float]


def wall_clock() -> float:
    """Return UTC seconds since 1970, by this computer's clock."""
    return time.time()

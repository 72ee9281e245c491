"""Silences are the times for which streams sent nothing, added up while a session runs."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from bci.memory.alarms import data_silence
from bci.memory.board import Board


@dataclass
class Silence:
    """A Silence is how one stream fared.

    Attributes
    ----------
    times : int
        How often it sent nothing for longer than it may.
    seconds, longest : float
        For how long in all, and at most in one piece.
    now : bool
        Whether it is silent now.
    never : bool
        Whether it has not sent a single sample.
    """

    times: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    now: bool = False
    never: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Silences:
    """All streams of a session.

    Parameters
    ----------
    board : Board
        Where acquire programs say when their newest data came.
    programs : iterable of str
        Those with a stream.
    began : float
        When the session began to run, session seconds: a stream that never sends is silent from then on.

    Attributes
    ----------
    of : dict of str to Silence
        By the acquire program's name.
    """

    def __init__(self, board: Board, programs: Iterable[str], began: float) -> None:
        self._rows = {name: board.row(name) for name in programs}
        self._began = began
        self._before: dict[str, float] = {}
        self.of = {name: Silence() for name in self._rows}

    def copied(self) -> dict[str, Silence]:
        """Return them as they are now."""
        return {name: replace(silence) for name, silence in self.of.items()}

    def missing(self, seconds: float) -> list[str]:
        """Return the programs whose stream has been silent for so long without a break, and still is."""
        return [
            name
            for name, silence in self.of.items()
            if silence.now and silence.seconds - self._before[name] >= seconds
        ]

    def look(self, now: float) -> None:
        """Take in how it stands at a time in session seconds; to be called some times a second."""
        for name, row in self._rows.items():
            silence = self.of[name]
            age = data_silence(row, now)
            if math.isinf(age):
                # Nothing came since the session runs: that is no silence before the limit.
                limit = float(row["data_limit"])
                age = now - self._began if now - self._began > limit else 0.0
            else:
                silence.never = silence.never and math.isnan(float(row["data"]))
            if age and not silence.now:
                silence.times += 1
                self._before[name] = silence.seconds
            if age:
                silence.seconds = self._before[name] + age
                silence.longest = max(silence.longest, age)
            silence.now = bool(age)

"""A Check is one figure against its limit; all of them together are the verdict."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One figure against its limit.

    Attributes
    ----------
    name : str
        Its key for machines.
    what : str
        What was measured, for people.
    figure : float
        What was seen; NaN when it never came or could not be measured.
    limit : float
        What is allowed at most.
    unit : str
        Of both; empty for a number of things.
    """

    name: str
    what: str
    figure: float
    limit: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure keeps the limit; one that is not there does not.

        >>> Check("neutral", "neutral picture", float("nan"), 0.3, "s").passed
        False
        """
        return self.figure <= self.limit

    @property
    def figure_text(self) -> str:
        """The figure with its unit, or `never`."""
        return "never" if math.isnan(self.figure) else text_of(self.figure, self.unit)

    @property
    def limit_text(self) -> str:
        """The limit with its unit."""
        return "none" if self.limit == 0 and not self.unit else f"≤ {text_of(self.limit, self.unit)}"

    def result(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"figure": self.figure, "limit": self.limit, "unit": self.unit, "pass": self.passed}


@dataclass(frozen=True)
class Fact:
    """Something that must be so, and is or is not; `seen` says what was."""

    name: str
    what: str
    seen: str
    passed: bool

    @property
    def figure_text(self) -> str:
        """What was seen."""
        return self.seen

    @property
    def limit_text(self) -> str:
        """Nothing: a fact has no limit."""
        return ""

    def result(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"figure": self.seen, "limit": None, "unit": "", "pass": self.passed}


def text_of(value: float, unit: str) -> str:
    """Return a figure as text: milliseconds and seconds with three digits, counts whole.

    >>> text_of(0.31234, "s"), text_of(12.3456, "ms"), text_of(3.0, ""), text_of(0.25, "%")
    ('0.312 s', '12.3 ms', '3', '0.25 %')
    """
    if not unit and value == round(value):
        return f"{value:.0f}"
    digits = f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{digits} {unit}".strip()


def all_passed(checks: "Iterable[Check | Fact]") -> bool:
    """Whether there is not one that failed."""
    return all(check.passed for check in checks)

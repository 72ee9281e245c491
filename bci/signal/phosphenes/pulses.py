"""A PulseTrain is the current of one electrode: two phases of opposite sign, whose charges must cancel.

Charge that stays in the tissue corrodes the electrode and harms what is around it (Merrill, Bikson & Jefferys 2005,
J Neurosci Methods 141, 171-198), so a train whose charges do not cancel cannot be made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bci.errors import StimulationRefused

#: Share of a pulse's charge that may remain: rounding, and nothing that a stimulator could be set to.
TOLERANCE = 1e-3


def imbalance(currents: Sequence[float], durations: Sequence[float]) -> float:
    """Return the share of the charge that remains after currents, (k,), have flowed for durations, (k,).

    >>> imbalance([-1.0, 0.0, 1.0], [200, 60, 200]), imbalance([-1.0, 0.25], [200, 800])
    (0.0, 0.0)
    >>> round(imbalance([-1.0, 0.9], [200, 200]), 3)
    0.053
    """
    charges = [current * duration for current, duration in zip(currents, durations, strict=True)]
    moved = sum(abs(charge) for charge in charges)
    return abs(sum(charges)) / moved if moved else 0.0


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """A PulseTrain is what an electrode gives at most.

    Attributes
    ----------
    amplitude_ua : float
        Current of the first, cathodic phase, microampere.
    frequency_hz : float
        Pulses in a second.
    cathodic_us, gap_us, anodic_us : float
        Durations of the phases and of the pause between them, microseconds.
    anodic_ratio : float
        Current of the second phase, in shares of the first.
    charge_limit_nc : float
        Charge that a phase may move, nanocoulomb.

    Raises
    ------
    StimulationRefused
        If the charges of the phases do not cancel, a phase moves more than the limit, or pulses would overlap.
    """

    amplitude_ua: float
    frequency_hz: float
    cathodic_us: float = 170.0
    gap_us: float = 60.0
    anodic_us: float = 170.0
    anodic_ratio: float = 1.0
    charge_limit_nc: float = 20.0

    def __post_init__(self) -> None:
        left = imbalance((-1.0, 0.0, self.anodic_ratio), (self.cathodic_us, self.gap_us, self.anodic_us))
        if left > TOLERANCE:
            raise StimulationRefused(
                f"expected a pulse whose charges cancel, came {self.cathodic_us:g} µs of current and "
                f"{self.anodic_us:g} µs of {self.anodic_ratio:g} times as much the other way: {left:.1%} of the charge "
                f"would remain. Make anodic_ratio {self.cathodic_us / self.anodic_us:g}, or change the durations."
            )
        if self.charge_nc > self.charge_limit_nc:
            raise StimulationRefused(
                f"expected at most {self.charge_limit_nc:g} nC in a phase, came {self.charge_nc:.3g} nC: "
                f"{self.amplitude_ua:g} µA for {self.cathodic_us:g} µs. Lower the amplitude or the duration."
            )
        pulse_us = self.cathodic_us + self.gap_us + self.anodic_us
        if pulse_us * self.frequency_hz > 1e6:
            raise StimulationRefused(
                f"expected pulses that do not overlap, came {pulse_us:g} µs each at {self.frequency_hz:g} Hz. "
                "Lower the frequency or the durations."
            )

    @property
    def charge_nc(self) -> float:
        """Charge of one phase, nanocoulomb.

        >>> PulseTrain(100.0, 300.0).charge_nc
        17.0
        """
        return self.amplitude_ua * self.cathodic_us * 1e-3

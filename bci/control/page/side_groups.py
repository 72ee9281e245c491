"""A SideGroup is what belongs on one scale of what steps say beside the samples: a head's motion apart from DVARS."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.control.page.model import SideCurve
from bci.signal.volumes.motion import COLUMNS, FAULT, motion_regressors
from bci.signal.volumes.nuisance import MarkSpikes
from bci.signal.volumes.physiological_noise import COLUMNS as HEARD

#: Figures that groups are drawn in; what is left goes into the last.
MOST_GROUPS = 4

#: Curves of one group that are drawn.
MOST_CURVES = 12


@dataclass(frozen=True, eq=False)
class SideGroup:
    """Curves on one scale.

    Attributes
    ----------
    title : str
    curves : tuple of (str, (n,) float64, (n,) float64)
        Name, session seconds and values of each; NaN where it is interrupted.
    limit : float
        A value that is drawn as a line across; NaN for none.
    """

    title: str
    curves: tuple[tuple[str, NDArray[np.float64], NDArray[np.float64]], ...]
    limit: float = float("nan")


def side_groups(sides: Sequence[SideCurve]) -> list[SideGroup]:
    """Return what steps say in `MOST_GROUPS` groups or fewer, in its order, motion first."""
    groups: list[SideGroup] = []
    others: list[SideGroup] = []
    for side in sides:
        if side.labels == COLUMNS:
            groups += _of_motion(side)
        elif side.labels == HEARD:
            # Counts of what was heard are for reproduction.
            rates = [(name, side.times, side.values[:, HEARD.index(name)]) for name in HEARD[4:6]]
            others.append(SideGroup("Pulse and breaths a minute", tuple(rates)))
        else:
            curves = [(_called(side, k), side.times, side.values[:, k]) for k in range(len(side.labels))]
            others.append(SideGroup(side.name, tuple(curves[:MOST_CURVES])))
    groups += others
    if len(groups) <= MOST_GROUPS:
        return groups
    rest = groups[MOST_GROUPS - 1 :]
    together = tuple(curve for group in rest for curve in group.curves)[:MOST_CURVES]
    return [*groups[: MOST_GROUPS - 1], SideGroup(" · ".join(group.title for group in rest), together)]


def _called(side: SideCurve, place: int) -> str:
    return side.name if side.labels == (side.name,) else f"{side.name} {side.labels[place]}"


def _of_motion(side: SideCurve) -> list[SideGroup]:
    """Return a head's position and its displacement; where it is lost there is no position."""
    lost = side.values[:, COLUMNS.index(FAULT)] > 0
    six = np.where(lost[:, None], np.nan, motion_regressors(side.values))
    displaced = side.values[:, COLUMNS.index("framewise_displacement")]
    words = f" · HEAD LOST in {int(lost.sum())} of {len(lost)} volumes" if lost.any() else ""
    return [
        SideGroup(
            f"Head, mm; rotations as arcs of 50 mm{words}",
            tuple((COLUMNS[k], side.times, six[:, k]) for k in range(6)),
        ),
        SideGroup(
            "Framewise displacement, mm; the line: a jump",
            (("framewise_displacement", side.times, displaced),),
            MarkSpikes().displacement_mm,
        ),
    ]

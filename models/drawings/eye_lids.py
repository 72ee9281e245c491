"""The lids: where their margins run at any degree of closure, on the canvas that the eye is drawn on.

Coordinates: x from -1 (inner corner, left) to 1 (outer corner, right), y downwards, 0 near the pupil.
"""

from dataclasses import dataclass

import numpy as np

from models.drawings.paint import Plane

#: Half the width of the opening, from corner to corner.
HALF = 0.80
#: How far the eye sits below the middle of the canvas, to leave room for the brow.
DROP = 0.10


@dataclass(frozen=True, slots=True)
class Lids:
    """The two lid margins at one degree of closure.

    Attributes
    ----------
    upper, lower : (…) float32
        Height of each margin; ``upper < lower`` where the eye is open.
    crease : (…) float32
        Height of the fold above the upper lid.
    """

    upper: Plane
    lower: Plane
    crease: Plane


def lids(x: Plane, closure: float) -> Lids:
    """Return where the lid margins and the crease run above each `x`.

    The upper lid does nearly all the moving and comes to rest on the lower one, which rises a little; at
    ``closure == 1`` the two margins are one line.

    Parameters
    ----------
    x : (…) float32
        Horizontal positions.
    closure : float
        0 (wide open) to 1 (closed).
    """
    u = np.clip(x / HALF, -1.0, 1.0)
    tilt = 0.05 - 0.045 * u  # the outer corner stands a little higher
    arch = (1.0 - u**2) ** 0.62 * (1.0 - 0.16 * u)
    bowl = (1.0 - u**2) ** 0.85 * (1.0 + 0.22 * u)
    opened = tilt - 0.53 * arch
    floor = tilt + 0.29 * bowl
    rest = tilt + 0.22 * bowl  # where they meet
    lower = floor + (rest - floor) * closure
    upper = opened + (rest - opened) * closure
    upper = np.minimum(upper, lower)
    # The fold stays close to the brow while the lid unrolls below it.
    crease = tilt - (0.70 - 0.09 * closure) * (1.0 - u**2) ** 0.55 * (1.0 - 0.10 * u) - 0.02
    return Lids(upper, lower, crease)

"""Sites of the simulated head: the 64 scalp electrodes of the eegmmidb recordings and their places on a sphere.

Sites of the 10-10 system on a sphere (Chatrian et al. 1985, Am. J. EEG Technol. 25:83): along the midline every
tenth of the way from nasion to inion is 18 degrees; the outer ring runs 72 degrees from the vertex; rows lie
on great circles between the two.
"""

import math

import numpy as np
from numpy.typing import NDArray

#: In the order of the eegmmidb files (Schalk et al. 2004), in the usual spelling.
SITES: tuple[str, ...] = (
    "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "C5", "C3", "C1", "Cz", "C2", "C4", "C6",
    "CP5", "CP3", "CP1", "CPz", "CP2", "CP4", "CP6", "Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8",
    "F7", "F5", "F3", "F1", "Fz", "F2", "F4", "F6", "F8", "FT7", "FT8", "T7", "T8", "T9", "T10", "TP7", "TP8",
    "P7", "P5", "P3", "P1", "Pz", "P2", "P4", "P6", "P8", "PO7", "PO3", "POz", "PO4", "PO8", "O1", "Oz", "O2", "Iz",
)  # fmt: skip

#: Tenths of the way from nasion to inion, for each row of sites.
_ROWS = {
    "Fp": 1, "AF": 2, "F": 3, "FC": 4, "FT": 4, "C": 5, "T": 5, "CP": 6, "TP": 6, "P": 7, "PO": 8, "O": 9, "I": 10,
}  # fmt: skip
_STEP = math.radians(18.0)
_RING = 4 * _STEP


def directions(sites: tuple[str, ...] = SITES) -> NDArray[np.float64]:
    """Return the places of sites: (n, 3) unit vectors; right, front and up are positive.

    >>> directions(("Cz", "T8", "Fpz")).round(2).tolist()
    [[0.0, 0.0, 1.0], [0.95, 0.0, 0.31], [0.0, 0.95, 0.31]]
    """
    return np.array([_direction(site) for site in sites])


def background_modes(distances: NDArray[np.float64], reach: float, modes: int) -> NDArray[np.float64]:
    """Return patterns (modes, n) whose independent sum correlates sites as a Gaussian of their distance.

    Parameters
    ----------
    distances : (n, n) float64
        Between sites, in the unit of `reach`.
    reach : float
        Standard deviation of the Gaussian.
    modes : int
        How many patterns; every site has variance 1 in their sum.
    """
    values, vectors = np.linalg.eigh(np.exp(-((distances / reach) ** 2) / 2))
    patterns = vectors[:, ::-1][:, :modes] * np.sqrt(np.maximum(values[::-1][:modes], 0))
    # An eigenvector's sign is arbitrary; the samples must not depend on it.
    patterns *= np.sign(patterns[np.abs(patterns).argmax(axis=0), np.arange(modes)])
    # Without this scaling, the modes left out would make some sites quieter than others.
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True)
    return np.ascontiguousarray(patterns.T)


def _direction(site: str) -> NDArray[np.float64]:
    row = site.rstrip("z0123456789")
    number = site[len(row) :]
    step = _ROWS[row]
    front = _STEP * (5 - step)
    middle = np.array([0.0, math.sin(front), math.cos(front)])
    if number == "z":
        return middle
    sideways = (int(number) + 1) // 2
    side = -1.0 if int(number) % 2 else 1.0
    # On the ring, too, every row is 18 degrees further round from the nose.
    around = _STEP * step
    ring = np.array(
        [side * math.sin(_RING) * math.sin(around), math.sin(_RING) * math.cos(around), math.cos(_RING)]
    )
    reach = 1 if row in ("Fp", "O") else 4
    return _between(middle, ring, sideways / reach)


def _between(a: NDArray[np.float64], b: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return the point at `share` of the way along the great circle from `a` to `b`; more than 1 goes beyond `b`."""
    angle = math.acos(float(np.clip(a @ b, -1, 1)))
    return np.asarray((math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle))

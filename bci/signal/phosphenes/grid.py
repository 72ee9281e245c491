r"""An ElectrodeGrid says where in the visual field the phosphene of each electrode lies, and how large it is.

On the cortex (``cortex``) a square grid lies on both hemispheres' map of the visual field, the complex logarithm
(Schwartz 1980, Vision Res 20, 645-669) with the magnification of human cortex (Horton & Hoyt 1991, Arch Ophthalmol 109,
816-824):

.. math:: w = k \ln(z + a), \qquad M(e) = k / (e + a), \qquad k = 17.3 mm, a = 0.75 deg

so that phosphenes are small and dense where one looks, and larger further out. A current of I excites cortex within
√(I / 675 µA) mm of the electrode (Tehovnik & Slocum 2007, Brain Res Rev 55, 343-354), which is taken as the standard
deviation of the phosphene. ``even`` is a square grid in the visual field itself, of equal phosphenes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

K_MM, A_DEG = 17.3, 0.75
#: Microampere that excite cortex within a millimetre.
UA_PER_MM2 = 675.0

Layout = Literal["cortex", "even"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ElectrodeGrid:
    """An ElectrodeGrid holds the phosphenes of n electrodes.

    Attributes
    ----------
    places : (n, 2) float64
        Their middles, degrees right and down of where one looks.
    sizes : (n,) float64
        Standard deviations, degrees.
    apart : (n,) float64
        Distance of each from its nearest neighbour, degrees.
    """

    places: Floats
    sizes: Floats
    apart: Floats

    def __len__(self) -> int:
        return len(self.places)


def make_grid(
    electrodes: int, half_deg: tuple[float, float], layout: Layout = "cortex", amplitude_ua: float = 80.0
) -> ElectrodeGrid:
    """Lay out a grid whose phosphenes lie within a picture.

    Parameters
    ----------
    electrodes : int
        How many, at least 4.
    half_deg : (float, float)
        Half of the picture's height and width, degrees.
    layout : "cortex" or "even"
        See the module.
    amplitude_ua : float
        Current at which a phosphene has its size.

    >>> grid = make_grid(200, (4.0, 4.0))
    >>> len(grid), bool(grid.sizes[np.hypot(*grid.places.T).argmin()] == grid.sizes.min())
    (200, True)
    """
    places = _cortical(electrodes, half_deg) if layout == "cortex" else _even(electrodes, half_deg)
    apart = _nearest(places)
    if layout == "even":
        return ElectrodeGrid(places, np.full(electrodes, float(np.median(apart)) / 3), apart)
    magnification = K_MM / (np.hypot(*places.T) + A_DEG)
    return ElectrodeGrid(places, np.sqrt(amplitude_ua / UA_PER_MM2) / magnification, apart)


def _cortical(electrodes: int, half_deg: tuple[float, float]) -> Floats:
    """Return the places of a grid on both hemispheres, (n, 2); the right one sees the left half of the field."""
    right = (electrodes + 1) // 2
    low, high = 0.05, 50.0
    for _ in range(40):
        spacing = float(np.sqrt(low * high))
        low, high = (spacing, high) if len(_hemisphere(spacing, half_deg)) >= right else (low, spacing)
    seen = _hemisphere(low, half_deg)
    order = np.argsort(np.hypot(*seen.T), kind="stable")[:right]
    seen = seen[np.sort(order)]
    mirrored = seen * [-1, 1]
    return np.concatenate([seen, mirrored[: electrodes - right]])


def _hemisphere(spacing_mm: float, half_deg: tuple[float, float]) -> Floats:
    """Return where the electrodes of a square grid on one hemisphere see, as far as it is in the picture: (n, 2)."""
    furthest = float(np.hypot(*half_deg))
    across = np.arange(K_MM * np.log(A_DEG), K_MM * np.log(furthest + A_DEG), spacing_mm) + spacing_mm / 2
    along = np.arange(0, K_MM * np.pi / 2, spacing_mm) + spacing_mm / 2
    along = np.concatenate([-along[::-1], along])
    z = np.exp((across[:, None] + 1j * along[None, :]) / K_MM).ravel() - A_DEG
    inside = (z.real > 0) & (z.real < half_deg[1]) & (np.abs(z.imag) < half_deg[0])
    return np.stack([z.real[inside], z.imag[inside]], axis=1)


def _even(electrodes: int, half_deg: tuple[float, float]) -> Floats:
    """Return the places of a square grid over the picture, (n, 2); the last row is shared out evenly."""
    height, width = half_deg
    rows = max(1, round(np.sqrt(electrodes * height / width)))
    each = np.full(rows, electrodes // rows)
    each[: electrodes % rows] += 1
    places = [
        (width * ((2 * column + 1) / n - 1), height * ((2 * row + 1) / rows - 1))
        for row, n in enumerate(each)
        for column in range(n)
    ]
    return np.array(places, np.float64)


def _nearest(places: Floats) -> Floats:
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    nearest: Floats = apart.min(axis=1)
    return nearest

"""The light of a drawn face: one lamp, the light of the room, and painting in linear light.

Here and in the other parts of a face, `face` maps an attribute's name to (b, 1, 1) float32, a picture is
(b, 3, n, n) float32 in linear light and is painted in place, a cover is (b, n, n) and a colour (b, 3).
"""

from collections.abc import Mapping

import numpy as np

from models.drawings.paint import Plane

Attributes = Mapping[str, Plane]


class Light:
    """A Light is one lamp and the light of the room, for each of several faces.

    Parameters
    ----------
    face : Attributes
        Its ``light_side``, ``light_height`` and ``light_warmth`` are used.
    """

    def __init__(self, face: Attributes) -> None:
        x = 0.75 * face["light_side"]
        y = -0.30 - 0.45 * face["light_height"]
        z = np.full_like(x, 0.75)
        length = np.sqrt(x * x + y * y + z * z)
        #: Towards the lamp: x to the right, y down, z to the viewer; each (b, 1, 1).
        self.x, self.y, self.z = x / length, y / length, z / length
        warmth = face["light_warmth"][:, 0, 0]
        #: Colour of the lamp, (b, 3).
        self.colour = np.stack([1.0 + 0.09 * warmth, np.ones_like(warmth), 1.0 - 0.14 * warmth], 1)

    def falls_on(self, x: Plane, y: Plane, z: Plane) -> Plane:
        """Return how brightly a surface with this normal is lit, (b, n, n): wrapped Lambert over a floor."""
        wrapped: Plane = np.clip(0.35 + 0.65 * (x * self.x + y * self.y + z * self.z), 0.0, 1.0)
        return 0.20 + 0.88 * wrapped

    def glints_on(self, x: Plane, y: Plane, z: Plane, sharp: int) -> Plane:
        """Return the mirrored part, (b, n, n): Blinn's half-way vector to the power 2 ** `sharp`."""
        hx, hy, hz = self.x, self.y, self.z + 1.0
        length = np.sqrt(hx * hx + hy * hy + hz * hz)
        glint: Plane = np.clip((x * hx + y * hy + z * hz) / length, 0.0, 1.0)
        for _ in range(sharp):
            glint = glint * glint
        return glint


def lay(picture: Plane, colour: Plane, cover: Plane) -> None:
    """Lay a colour, (b, 3), or a shaded one, (b, 3, n, n), over the picture where `cover` is 1, in place."""
    above = colour[:, :, None, None] if colour.ndim == 2 else colour
    picture += (above - picture) * cover[:, None]


def shade(picture: Plane, amount: Plane) -> None:
    """Multiply the picture, in place; `amount` is (b, n, n)."""
    picture *= amount[:, None]


def from_srgb(colours: Plane) -> Plane:
    """Return sRGB colours, (…, 3) in 0 to 1, in linear light."""
    c = np.clip(colours, 0.0, 1.0)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def between(stops: tuple[tuple[float, float, float], ...], t: Plane) -> Plane:
    """Return the sRGB colour at `t` (b, 1, 1) between equally spaced stops, in linear light: (b, 3)."""
    at = np.linspace(0.0, 1.0, len(stops))
    table = np.asarray(stops)
    return from_srgb(np.stack([np.interp(t[:, 0, 0], at, table[:, k]) for k in range(3)], 1))


def hue(turn: Plane, saturation: float, value: Plane) -> Plane:
    """Return a colour by hue (0 to 1), saturation and value in sRGB, in linear light: (b, 3)."""
    h, v = turn[:, 0, 0, None], value[:, 0, 0, None]
    phase = np.abs((h + np.array([0.0, 2 / 3, 1 / 3])) % 1.0 * 6.0 - 3.0) - 1.0
    return from_srgb(v * (1.0 + saturation * (np.clip(phase, 0.0, 1.0) - 1.0)))

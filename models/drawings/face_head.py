"""The head of a drawn face: an egg that turns, its skin, ears, neck and shoulders.

Each pixel inside the outline is a point of the egg's surface; turned back by the pose it gives the place on the
face, so that features drawn there are foreshortened as they should be, and the surface's normal lights them.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.drawings.face_light import Attributes, Light, between, hue, lay
from models.drawings.paint import Plane, smooth

SKIN = ((0.97, 0.84, 0.76), (0.93, 0.74, 0.61), (0.80, 0.58, 0.43), (0.58, 0.38, 0.27), (0.36, 0.23, 0.17))
_PLANES = ("x", "y", "hx", "hy", "z", "u", "v", "front", "inside")
_YAW, _PITCH, _ROLL = 0.55, 0.26, 0.24  # radians at an attribute of 1


@dataclass(frozen=True, slots=True)
class Head:
    """A Head holds the geometry of drawn faces per fine pixel; arrays are (b, n, n) or (b, 1, 1).

    Attributes
    ----------
    x, y : (b, n, n)
        Canvas: -1 to 1, y downwards.
    hx, hy : (b, n, n)
        Turned upright and centred on the head; 1 is the outline's half-width or half-height.
    z : (b, n, n)
        Depth of the surface there, 0 at the outline.
    u, v : (b, n, n)
        Place on the face: 0, 0 between the eyes and nose, ±1 the sides, v downwards.
    front : (b, n, n)
        1 where the surface faces the viewer and belongs to the front of the head.
    inside : (b, n, n)
        How much of the pixel the head covers.
    width, height : (b, 1, 1)
        Half axes on the canvas.
    turn : (b, 1, 1)
        Sine of the yaw.
    soft : float
        A fine pixel, in units of the canvas.
    skin : (b, 3)
        Colour in linear light.
    """

    x: Plane
    y: Plane
    hx: Plane
    hy: Plane
    z: Plane
    u: Plane
    v: Plane
    front: Plane
    inside: Plane
    width: Plane
    height: Plane
    turn: Plane
    soft: float
    skin: Plane

    def part(self, picture: Plane, u: tuple[float, float], v: tuple[float, float]) -> tuple[Plane, Self]:
        """Return views of the picture and of the head around one part of the face, to paint only there."""
        wanted = (self.u > u[0]) & (self.u < u[1]) & (self.v > v[0]) & (self.v < v[1]) & (self.inside > 0)
        return self.where(picture, wanted)

    def where(self, picture: Plane, wanted: NDArray[np.bool_]) -> tuple[Plane, Self]:
        """Return views of the picture and of the head in the smallest box that holds all that is `wanted`."""
        rows, columns = np.flatnonzero(wanted.any((0, 2))), np.flatnonzero(wanted.any((0, 1)))
        if not len(rows):
            rows = columns = np.zeros(1, int)
        box = (slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        planes = {name: getattr(self, name)[box] for name in _PLANES}
        return picture[:, :, box[1], box[2]], replace(self, **planes)


def place(face: Attributes, n: int) -> Head:
    """Work out the geometry on n × n fine pixels."""
    axis = ((np.arange(n) + 0.5) / n * 2.0 - 1.0).astype(np.float32)
    x, y = (plane[None] for plane in np.meshgrid(axis, axis))
    yaw, pitch, roll = _YAW * face["yaw"], _PITCH * face["pitch"], _ROLL * face["roll"]
    grow = 1.0 + 0.08 * face["size"]
    width = 0.590 * grow * (1.0 + 0.10 * face["face_width"])
    height = 0.775 * grow * (1.0 - 0.03 * face["face_width"])
    # The neck is the pivot of a tilted head.
    cx, cy = 0.06 * face["yaw"] + 0.45 * np.sin(roll), -0.01 + 0.04 * face["pitch"]
    dx, dy = x - cx, y - cy
    cos, sin = np.cos(roll), np.sin(roll)
    right, down = dx * cos + dy * sin, dy * cos - dx * sin
    hy = down / height
    # Below the cheekbones the outline narrows to the chin, less so in a square jaw.
    taper = 1.0 - (0.19 - 0.13 * face["jaw"]) * smooth(hy, 0.05, 0.95)
    # The cranium is a little wider than an ellipse.
    hx = right / (width * taper * (1.0 + 0.03 * smooth(-hy, 0.0, 0.8)))
    r = np.sqrt(hx * hx + hy * hy)
    soft = 2.0 / n
    inside = np.clip(0.5 + (1.0 - r) * width / soft, 0.0, 1.0)
    z = np.sqrt(np.clip(1.0 - r * r, 0.0, None))
    w = hx * np.sin(yaw) + z * np.cos(yaw)
    u = hx * np.cos(yaw) - z * np.sin(yaw)
    v = hy * np.cos(pitch) - w * np.sin(pitch)
    front = smooth(w, 0.0, 0.25)
    x, y = np.broadcast_to(x, u.shape), np.broadcast_to(y, u.shape)
    return Head(
        x,
        y,
        hx,
        hy,
        z,
        u,
        v,
        front,
        inside,
        width,
        height,
        np.sin(yaw),
        soft,
        between(SKIN, face["skin_tone"]),
    )


def neck_and_shoulders(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint neck, collar and shoulders; the head's shadow falls on the neck."""
    picture, head = head.where(picture, head.y > 0.2)
    lean = 0.20 * np.sin(_ROLL * face["roll"])
    half = 0.27 + 0.03 * face["jaw"]
    nx = (head.x - lean * (0.9 - head.y)) / half
    nz = np.sqrt(np.clip(1.0 - nx * nx, 0.0, 1.0))
    cover = np.clip(0.5 + (1.0 - np.abs(nx)) * half / head.soft, 0.0, 1.0)
    lit = light.falls_on(nx, np.zeros_like(nx), nz)
    dark = 1.0 - 0.52 * smooth(0.92 - head.y + 0.12 * nx * light.x, 0.0, 0.32)
    tint = head.skin * light.colour
    lay(picture, tint[:, :, None, None] * (0.92 * lit * dark)[:, None], cover)
    colour = hue(face["clothes_hue"], 0.55, 0.18 + 0.72 * face["clothes_light"]) * light.colour
    top = 0.84 + 0.30 * (np.abs(head.x) / 0.95) ** 2.4 + 0.10 * np.exp(-((head.x / 0.30) ** 2))
    body = np.clip(0.5 + (head.y - top) / head.soft, 0.0, 1.0)
    lit = light.falls_on(0.75 * head.x, np.full_like(head.x, -0.45), np.full_like(head.x, 0.7))
    fold = 1.0 - 0.18 * np.exp(-(((head.y - top) / 0.05) ** 2))
    lay(picture, colour[:, :, None, None] * (lit * fold)[:, None], body)


def skin(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint ears and the bare head: lit, flushed on the cheeks, and lined by age."""
    tint = head.skin * light.colour
    _ears(picture, head, light, tint)
    lit = light.falls_on(head.hx, head.hy, head.z)
    u, v, age = head.u, head.v, face["age"]
    # Relief: sockets, the plane beside the nose, and the chin.
    for side in (-1.0, 1.0):
        lit = lit * (1.0 - 0.20 * _spot(u, v, side * 0.36, -0.10, 0.24, 0.13))
        lit = lit * (1.0 + 0.10 * _spot(u, v, side * 0.50, 0.20, 0.22, 0.15))
        lit = lit * (1.0 - 0.22 * age * _spot(u, v, side * 0.36, 0.10, 0.15, 0.05))
    lit = lit * (1.0 + 0.08 * _spot(u, v, 0.0, 0.80, 0.20, 0.10))
    lit = lit * (1.0 - 0.16 * _spot(u, v, 0.0, 0.665, 0.20, 0.05))
    lit = lit * (1.0 - _lines(face, u, v) * head.front)
    surface = tint[:, :, None, None] * lit[:, None]
    flush = 0.16 * sum(_spot(u, v, side * 0.50, 0.24, 0.24, 0.18) for side in (-1.0, 1.0)) * head.front
    red = np.stack([tint[:, 0] * 0.95, tint[:, 1] * 0.62, tint[:, 2] * 0.62], 1)
    surface += (red[:, :, None, None] * lit[:, None] - surface) * flush[:, None]
    surface += (0.16 * light.glints_on(head.hx, head.hy, head.z, 4))[:, None] * light.colour[:, :, None, None]
    lay(picture, surface, head.inside)


def _spot(u: Plane, v: Plane, cu: Plane | float, cv: Plane | float, wide: float, high: float) -> Plane:
    return np.exp(-(((u - cu) / wide) ** 2) - ((v - cv) / high) ** 2)


def _lines(face: Attributes, u: Plane, v: Plane) -> Plane:
    """Return how much darker the lines of age and of a smile make the skin, 0 to 1."""
    age = smooth(face["age"], 0.30, 1.0)
    across = np.exp(-((u / 0.42) ** 4))
    dark = np.zeros_like(u)
    for height in (-0.40, -0.50):
        dark = dark + 0.34 * age * across * np.exp(-(((v - height - 0.05 * u * u) / 0.020) ** 2))
    # From the wing of the nose to the corner of the mouth.
    fold = 0.36 * age + 0.16 * np.clip(face["smile"], 0.0, 1.0)
    bend = 0.22 + 0.16 * smooth(v, 0.22, 0.58)
    reach = smooth(v, 0.22, 0.32) * (1.0 - smooth(v, 0.50, 0.62))
    dark = dark + fold * reach * np.exp(-(((np.abs(u) - bend) / 0.028) ** 2))
    # Beside the eyes.
    for rise in (-0.09, 0.0):
        near = np.exp(-(((np.abs(u) - 0.68) / 0.06) ** 2))
        dark = dark + 0.25 * age * near * np.exp(-(((v + 0.04 - rise) / 0.016) ** 2))
    return np.clip(dark, 0.0, 0.8)


def _ears(whole_picture: Plane, whole_head: Head, light: Light, tint: Plane) -> None:
    for side in (-1.0, 1.0):
        at = side * np.sqrt(1.0 - whole_head.turn**2) * 0.99 - 0.10 * whole_head.turn
        near = (np.abs(whole_head.hx - at) < 0.16) & (np.abs(whole_head.hy - 0.06) < 0.20)
        picture, head = whole_head.where(whole_picture, near)
        ex, ey = (head.hx - at) / 0.135, (head.hy - 0.06) / 0.175
        r = np.sqrt(ex * ex + ey * ey)
        cover = np.clip(0.5 + (1.0 - r) * 0.07 / head.soft, 0.0, 1.0)
        lit = light.falls_on(0.8 * side + 0.3 * ex, 0.3 * ey, np.full_like(ex, 0.5))
        lit = lit * (0.62 + 0.38 * smooth(r, 0.15, 0.75))
        red = np.stack([tint[:, 0], tint[:, 1] * 0.86, tint[:, 2] * 0.84], 1)
        lay(picture, red[:, :, None, None] * lit[:, None], cover)

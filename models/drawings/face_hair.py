"""The hair of a drawn face: what hangs behind the head, what covers its top, and the beard."""

import numpy as np

from models.drawings.face_head import Head
from models.drawings.face_light import Attributes, Light, between, from_srgb, lay
from models.drawings.paint import Plane, smooth

_HAIR = ((0.07, 0.055, 0.05), (0.25, 0.15, 0.10), (0.46, 0.22, 0.11), (0.70, 0.50, 0.26), (0.90, 0.78, 0.52))
_GREY = (0.78, 0.78, 0.79)
#: Hair shorter than this is none.
BALD = 0.12


def hair_colour(face: Attributes) -> Plane:
    """Return the colour of hair, brows and beard, grey with age: (b, 3)."""
    grey = smooth(face["age"], 0.55, 0.95)[:, 0, 0, None] * 0.88
    pigment = between(_HAIR, face["hair_colour"])
    return pigment + (from_srgb(np.asarray([_GREY])) - pigment) * grey


def behind(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint the hair behind head and neck: a cap that hangs as far as the hair is long."""
    length, wave = face["hair_length"], face["hair_wave"]
    there = smooth(length, BALD, BALD + 0.06)
    volume = 1.05 + 0.09 * smooth(length, 0.1, 0.5) + 0.10 * wave
    curl = 0.035 * wave * np.sin(19.0 * head.y + 6.0 * wave) * np.ones_like(head.hx)
    r = np.sqrt((head.hx / volume) ** 2 + ((head.hy + 0.05) / (volume + 0.02)) ** 2)
    cap = np.clip(0.5 + (1.0 + curl - r) * head.width / head.soft, 0.0, 1.0)
    # Long hair falls straight down from the widest part.
    long = smooth(length, 0.42, 0.62)
    end = 0.35 + 1.05 * smooth(length, 0.42, 1.0)
    side = volume + 0.03 - 0.10 * smooth(head.hy, 0.2, 1.2) * (1.0 - wave) + 1.6 * curl
    fall = np.clip(0.5 + (side - np.abs(head.hx)) * head.width / head.soft, 0.0, 1.0)
    ends = head.hy + 0.05 * np.sin(17.0 * head.hx)
    fall = fall * smooth(head.hy, -0.15, 0.0) * (1.0 - smooth(ends, end, end + 0.12))
    cover = np.maximum(cap, fall * long) * there
    inner = 0.50 + 0.30 * smooth(np.abs(head.hx), 0.75, 1.15)
    _paint(picture, face, head, light, cover, inner)


def front(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint the hair on the head, from the crown down to the hairline, the parting and the fringe."""
    length, age, wave = face["hair_length"], face["age"], face["hair_wave"]
    there = smooth(length, BALD, BALD + 0.06)
    volume = 1.03 + 0.07 * smooth(length, 0.1, 0.5) + 0.07 * wave
    r = np.sqrt((head.hx / volume) ** 2 + ((head.hy + 0.03) / (volume + 0.03)) ** 2)
    curl = 0.03 * wave * np.sin(23.0 * np.arctan2(head.hx, -head.hy))
    shell = np.clip(0.5 + (1.0 + curl - r) * head.width / head.soft, 0.0, 1.0)
    u = head.hx - 0.75 * head.turn
    # The hairline: high above the forehead, down to the ears or, in long hair, along the cheeks.
    bare = -0.60 - 0.16 * smooth(age, 0.5, 1.0) * (1.0 - smooth(length, 0.45, 0.7))
    fringe = face["fringe"] * smooth(length, 0.2, 0.35)
    jagged = 0.035 * np.sin(21.0 * u + 5.0 * wave) + 0.02 * np.sin(37.0 * u)
    middle = bare + fringe * (0.30 + jagged)
    swept = face["hair_parting"]
    across = u - 0.32 * swept
    # On both sides of the parting the hair sweeps outwards and down.
    middle = middle + (1.0 - fringe) * (0.34 * across**2 + 0.10 * np.abs(across) - 0.02)
    edge = np.abs(head.hx + 0.10 * head.turn)
    down = -0.02 + 0.45 * smooth(length, 0.15, 0.45) * 0.35 + 1.2 * smooth(length, 0.45, 0.75)
    start = 0.80 - 0.10 * smooth(length, 0.3, 0.7) - 0.05 * wave
    line = middle + (down - middle) * smooth(edge, start, start + 0.22)
    below = np.clip(0.5 + (line - head.hy) * head.height / (2.5 * head.soft), 0.0, 1.0)
    cover = shell * below * there
    # A shaved head keeps a shadow of hair where it would grow.
    stubble = 0.30 * head.inside * below * (1.0 - there) * smooth(length, 0.02, BALD)
    parting = np.exp(-((across / 0.035) ** 2)) * smooth(-head.hy, 0.55, 0.75) * (1.0 - fringe)
    lit = 1.0 - 0.42 * parting
    # It throws a shadow on the forehead.
    near = np.exp(-np.clip(head.hy - line, 0.0, None) / 0.05) * head.inside * (1.0 - below) * there
    picture *= (1.0 - 0.30 * near)[:, None]
    _paint(picture, face, head, light, np.maximum(cover, stubble), lit)


def beard(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint a beard: stubble when short, and up to the cheeks when full."""
    if not face["beard"].any():
        return
    picture, head = head.part(picture, (-1.0, 1.0), (0.05, 1.1))
    full, u, v = face["beard"], head.u, head.v
    line = 0.42 - 0.10 * smooth(np.abs(u), 0.35, 0.85) - 0.25 * smooth(np.abs(u), 0.72, 0.95)
    cheek = smooth(v - line, -0.03, 0.10)
    lip = np.exp(-((u / 0.26) ** 4) - ((v - 0.425) / 0.045) ** 2)
    bare = np.exp(-((u / 0.13) ** 4) - ((v - 0.665) / 0.045) ** 2)
    cover = np.maximum(cheek, lip) * (1.0 - 0.6 * bare) * head.inside * head.front
    cover = cover * (0.30 * smooth(full, 0.02, 0.15) + 0.65 * smooth(full, 0.15, 0.75))
    _paint(picture, face, head, light, cover, np.full_like(u, 0.72), strands=0.07)


def _paint(
    picture: Plane,
    face: Attributes,
    head: Head,
    light: Light,
    cover: Plane,
    lit: Plane,
    strands: float = 0.20,
) -> None:
    """Lay hair down: strands along its fall, a band of shine, and the lamp's side brighter."""
    along = np.arctan2(head.hx, 0.9 - head.hy)
    fine = np.sin(46.0 * along + 3.0 * head.hy)
    fine = 0.5 * (fine + np.sin(29.0 * along - 7.0 * head.hy + 4.0 * face["hair_wave"]))
    band = np.exp(-(((head.hy + 0.72 - 0.30 * head.hx * light.x - 0.25 * head.hx**2) / 0.13) ** 2))
    depth = np.sqrt(np.clip(1.2 - head.hx**2 - 0.8 * head.hy**2, 0.05, 1.0))
    lamp = light.falls_on(0.9 * head.hx, 0.9 * np.minimum(head.hy, 0.0), depth)
    amount = lit * lamp * (1.0 + strands * fine + 0.55 * band)
    colour = (hair_colour(face) * light.colour)[:, :, None, None] * amount[:, None]
    colour = colour + (0.030 * band * lit * lamp * (1.0 + 0.5 * fine))[:, None]
    lay(picture, colour, cover)

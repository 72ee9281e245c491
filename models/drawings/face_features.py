"""The features of a drawn face: eyes, brows, nose and mouth, painted on the head where it faces the viewer."""

import numpy as np

from models.drawings.face_hair import hair_colour
from models.drawings.face_head import Head
from models.drawings.face_light import Attributes, Light, between, from_srgb, lay, shade
from models.drawings.paint import Plane, smooth

_IRIS = ((0.24, 0.13, 0.07), (0.45, 0.28, 0.12), (0.36, 0.46, 0.24), (0.25, 0.50, 0.68))
_LIPS = ((0.76, 0.48, 0.43), (0.78, 0.32, 0.32), (0.66, 0.10, 0.16))


def eye_place(face: Attributes) -> tuple[Plane, float]:
    """Return how far to each side of the middle the eyes sit, (b, 1, 1), and their height."""
    return 0.375 + 0.035 * face["eye_distance"], -0.075


def _beside(side: float, inner: float, outer: float) -> tuple[float, float]:
    return (inner, outer) if side > 0 else (-outer, -inner)


def eyes(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint both eyes: white, iris, pupil, glint, lids and lashes."""
    apart, level = eye_place(face)
    # A smile lifts the lower lid; lids of age hang a little.
    opened = face["eyes_open"] * (1.0 - 0.12 * smooth(face["age"], 0.4, 1.0))
    iris = between(_IRIS, face["eye_colour"])
    rows = len(iris)
    white = from_srgb(np.tile([[0.95, 0.94, 0.93]], (rows, 1))) * light.colour
    dark = np.full((rows, 3), 0.006, np.float32)
    lash = np.tile(np.array([[0.030, 0.020, 0.018]], np.float32), (rows, 1))
    thin = head.soft / head.width  # a fine pixel on the face
    whole_picture, whole_head = picture, head
    for side in (-1.0, 1.0):
        picture, head = whole_head.part(whole_picture, _beside(side, 0.08, 0.68), (-0.32, 0.10))
        eu = (head.u - side * apart) / 0.195
        ev = head.v - level + 0.018 * eu * side  # outer corners stand higher
        arch = np.clip(1.0 - eu * eu, 0.0, 1.0)
        upper = -0.112 * opened * np.sqrt(arch) * (1.0 + 0.10 * eu * side)
        lower = (0.068 * opened - 0.018 * np.clip(face["smile"], 0, 1)) * arch
        gap = np.minimum(ev - upper, lower - ev)
        hole = np.clip(0.5 + gap / thin, 0.0, 1.0) * (np.abs(eu) < 1.0) * head.front * head.inside
        lay(picture, white, hole)
        shade(picture, 1.0 - 0.45 * hole * smooth(-(ev - upper), -0.06, 0.01))
        iu, iv = eu * 0.195 - 0.045 * face["gaze"] - 0.02 * head.turn, ev + 0.022 * opened
        r = np.sqrt(iu * iu + (0.80 * iv) ** 2) / 0.094
        disc = (1.0 - smooth(r, 0.88, 1.10)) * hole
        lay(picture, iris, disc)
        shade(picture, 1.0 - 0.55 * disc * smooth(r, 0.65, 1.0))
        lay(picture, dark, (1.0 - smooth(r, 0.38, 0.55)) * hole)
        gu, gv = iu - 0.032 * light.x - 0.012, iv + 0.030
        spark = np.exp(-((gu * gu + gv * gv) / 0.026**2))
        lay(picture, light.colour, 0.95 * spark * hole)
        near = smooth(1.10 - np.abs(eu), 0.0, 0.25) * head.front * head.inside
        line = np.exp(-(((ev - upper + 0.006) / 0.022) ** 2)) * near
        lay(picture, lash, 0.88 * line)
        under = np.exp(-(((ev - lower - 0.006) / 0.014) ** 2)) * near
        lay(picture, lash, 0.30 * under)
        fold = np.exp(-(((ev - upper + 0.055) / 0.018) ** 2)) * near
        shade(picture, 1.0 - (0.28 + 0.15 * face["age"]) * fold)


def brows(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint both brows: thick towards the nose, arched when raised."""
    apart, level = eye_place(face)
    colour = hair_colour(face) * 0.75 * light.colour
    raised, thick = face["brows_raised"], 0.022 + 0.030 * face["brow_thickness"]
    whole_picture, whole_head = picture, head
    for side in (-1.0, 1.0):
        picture, head = whole_head.part(whole_picture, _beside(side, 0.02, 0.78), (-0.56, -0.10))
        t = side * (head.u - side * apart) / 0.26  # -1 at the nose, 1 at the temple
        middle = level - 0.195 - 0.055 * raised - (0.045 + 0.020 * raised) * (1.0 - (t - 0.25) ** 2)
        middle = middle - 0.030 * np.minimum(raised, 0.0) * t  # lowered brows meet in a frown
        taper = thick * (1.05 - 0.45 * smooth(t, 0.0, 1.0))
        off = np.abs(head.v - middle) / taper
        cover = (1.0 - smooth(off, 0.55, 1.25)) * smooth(1.05 - np.abs(t), 0.0, 0.22)
        lay(picture, colour, 0.90 * cover * head.front * head.inside)


def nose(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Shape the nose out of light: it stands off the face, so it moves with the pose more than the rest."""
    picture, head = head.part(picture, (-0.50, 0.50), (-0.20, 0.50))
    v, wide = head.v, 1.0 + 0.28 * face["nose_width"]
    rise = smooth(v, -0.10, 0.30)
    u = head.u - 0.20 * head.turn * rise
    half = (0.055 + 0.070 * rise**2) * wide
    body = smooth(v, -0.16, 0.05) * (1.0 - smooth(v, 0.30, 0.36)) * head.inside
    across = u / half
    # The side turned from the lamp is dark, the ridge is bright.
    dark = np.exp(-(((across + 1.15 * np.sign(light.x)) / 0.55) ** 2)) * (0.10 + 0.24 * np.abs(light.x))
    both = 0.10 * np.exp(-(((np.abs(across) - 1.2) / 0.4) ** 2))
    shade(picture, 1.0 - body * (dark + both))
    shade(picture, 1.0 + 0.16 * body * np.exp(-((across / 0.40) ** 2)))
    tip = np.exp(-((u / (0.07 * wide)) ** 2) - ((v - 0.255) / 0.05) ** 2) * head.inside
    shade(picture, 1.0 + 0.20 * tip)
    # Below: the shadow on the lip, the wings and the nostrils.
    below = np.exp(-((u / (0.17 * wide)) ** 2) - ((v - 0.375) / 0.035) ** 2) * head.inside
    shade(picture, 1.0 - 0.30 * below)
    for side in (-1.0, 1.0):
        wing = np.exp(-(((u - side * 0.135 * wide) / 0.028) ** 2) - ((v - 0.295) / 0.05) ** 2)
        shade(picture, 1.0 - 0.30 * wing * head.inside)
        hole = np.exp(-(((u - side * 0.065 * wide) / 0.040) ** 2) - ((v - 0.345) / 0.022) ** 2)
        shade(picture, 1.0 - 0.68 * hole * head.inside)


def mouth(picture: Plane, face: Attributes, head: Head, light: Light) -> None:
    """Paint lips, and teeth and the dark between them in an open mouth."""
    picture, head = head.part(picture, (-0.55, 0.55), (0.28, 0.92))
    smile, opened = face["smile"], face["mouth_open"]
    half = 0.275 + 0.075 * smile - 0.05 * opened * (1.0 - np.clip(smile, 0, 1))
    t = head.u / half
    arch = np.clip(1.0 - t * t, 0.0, 1.0)
    middle = 0.520 + 0.050 * smile - (0.125 * smile + 0.025 * np.clip(smile, 0.0, 1.0)) * t * t
    gap = (0.150 * opened) * arch
    full = 0.55 + 0.75 * face["lip_fullness"]
    bow = 1.0 - 0.25 * np.exp(-((t / 0.12) ** 2)) + 0.18 * np.exp(-(((np.abs(t) - 0.25) / 0.18) ** 2))
    upper = middle - 0.35 * gap - 0.052 * full * np.sqrt(arch) * arch**0.25 * bow
    lower = middle + 0.85 * gap + 0.074 * full * arch
    thin = 1.4 * head.soft / head.height
    on = (np.abs(t) < 1.0) * head.front * head.inside
    rows = len(light.colour)
    lips = between(_LIPS, face["lip_colour"]) * light.colour * (0.35 + 0.9 * head.skin[:, :1])
    body = np.clip(0.5 + np.minimum(head.v - upper, lower - head.v) / thin, 0.0, 1.0) * on
    # The upper lip looks down and lies in shadow, the lower one catches the light.
    lit = light.falls_on(head.hx, head.hy, head.z) * (0.86 + 0.30 * smooth(head.v - middle, -0.02, 0.05))
    lay(picture, lips[:, :, None, None] * lit[:, None], 0.92 * body)
    top, floor = middle - 0.35 * gap, middle + 0.85 * gap
    hole = np.clip(0.5 + np.minimum(head.v - top, floor - head.v) / thin, 0.0, 1.0) * on
    hole = hole * smooth(opened, 0.03, 0.15)
    lay(picture, np.tile(np.array([[0.060, 0.012, 0.012]], np.float32), (rows, 1)), hole)
    teeth = hole * (1.0 - smooth(head.v - top - 0.065, -0.012, 0.012)) * smooth(0.80 - np.abs(t), 0.0, 0.25)
    teeth = teeth * (0.92 + 0.9 * np.minimum(smile, 0.0))  # a turned-down mouth hides them
    lay(picture, from_srgb(np.tile([[0.93, 0.91, 0.86]], (rows, 1))) * light.colour, np.clip(teeth, 0.0, 1.0))
    line = np.exp(-(((head.v - middle) / 0.014) ** 2)) * smooth(1.08 - np.abs(t), 0.0, 0.12)
    closed = 1.0 - smooth(opened, 0.0, 0.12)
    shade(picture, 1.0 - 0.72 * line * closed * head.front * head.inside)
    corner = np.exp(-(((np.abs(t) - 1.0) / 0.10) ** 2) - ((head.v - middle) / 0.035) ** 2)
    shade(picture, 1.0 - 0.35 * corner * head.front * head.inside)

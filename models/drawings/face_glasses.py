"""The eyeglasses of a drawn face: rims, bridge and temples, with clear or tinted lenses."""

import numpy as np

from models.drawings.face_features import eye_place
from models.drawings.face_head import Head
from models.drawings.face_light import Attributes, between, lay
from models.drawings.paint import Plane, smooth

_FRAME = ((0.04, 0.04, 0.05), (0.30, 0.14, 0.08), (0.62, 0.12, 0.12), (0.78, 0.70, 0.50))


def wear(picture: Plane, face: Attributes, head: Head) -> None:
    """Put eyeglasses on the faces that wear them."""
    if not face["eyeglasses"].any():
        return
    picture, head = head.part(picture, (-1.1, 1.1), (-0.36, 0.24))
    on = face["eyeglasses"] * head.inside
    apart, level = eye_place(face)
    colour = between(_FRAME, face["frame_light"])
    square, tint = face["frame_square"], smooth(face["lens_tint"], 0.25, 0.9)
    level = level + 0.015
    # They stand off the face a little, so the pose moves them more than the eyes.
    u = head.u - 0.06 * head.turn
    rims = np.zeros_like(u)
    lenses = np.zeros_like(u)
    for side in (-1.0, 1.0):
        du, dv = np.abs(u - side * (apart + 0.01)) / 0.285, np.abs(head.v - level) / (0.205 - 0.025 * square)
        round_ = np.sqrt(du * du + dv * dv)
        boxed = np.sqrt(np.sqrt(du**4 + dv**4))
        r = round_ + (boxed * 1.04 - round_) * square
        rims = np.maximum(rims, 1.0 - smooth(np.abs(r - 1.0), 0.07, 0.21))
        lenses = np.maximum(lenses, 1.0 - smooth(r, 0.90, 1.02))
    inner = apart - 0.27
    bridge = (np.abs(u) < inner + 0.02) * (1.0 - smooth(np.abs(head.v - level + 0.05), 0.018, 0.045))
    temple = smooth(np.abs(u), apart + 0.26, apart + 0.30) * (
        1.0 - smooth(np.abs(head.v - level + 0.04), 0.018, 0.045)
    )
    dark = np.tile(np.array([[0.012, 0.012, 0.016]], np.float32), (len(colour), 1))
    lay(picture, dark, lenses * (0.04 + 0.90 * tint) * on * head.front)
    streak = np.exp(-(((u + 0.9 * head.v - 0.30 * np.sign(u)) / 0.05) ** 2)) * lenses
    picture += (0.10 * streak * on * head.front)[:, None]
    frame = np.maximum(np.maximum(rims, bridge) * head.front, temple)
    lay(picture, colour, 0.96 * frame * on)

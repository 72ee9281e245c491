"""Drawn faces are pictures whose every attribute is known, because a program draws them from their attributes.

A face is a row of numbers, one per entry of `ATTRIBUTES`, drawn independently of each other: a correlation between two
attributes that an analysis finds is not in the faces. Drawing is in linear light, at twice the size, with soft edges
of one fine pixel; only the last step is the sRGB curve. Many faces are drawn at a time.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.drawings import face_features as features
from models.drawings import face_glasses as glasses
from models.drawings import face_hair as haircuts
from models.drawings import face_light as scenes
from models.drawings.face_head import Head, neck_and_shoulders, place, skin
from models.drawings.face_light import Attributes
from models.drawings.paint import Plane, encode

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that faces differ in.

    Attributes
    ----------
    name : str
        What it is called.
    low, high : float
        Its range.
    kind : str
        ``any``: every value alike. ``middle``: values in the middle more often (mean of two draws). ``switch``:
        `low` or `high`. ``partly``: `low` in some faces, any value in the others.
    share : float
        Of a switch, how often it is on; of ``partly``, how often it is not `low`.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    kind: Literal["any", "middle", "switch", "partly"] = "any"
    share: float = 1.0


#: What faces differ in, in the order of the columns.
ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("yaw", -1.0, 1.0, "middle"),  # of the picture: -1 looks to its left
    Attribute("pitch", -1.0, 1.0, "middle"),
    Attribute("roll", -1.0, 1.0, "middle"),
    Attribute("size", -1.0, 1.0, "middle"),
    Attribute("smile", -1.0, 1.0),
    Attribute("mouth_open", 0.0, 1.0, "partly", 0.5),
    Attribute("eyes_open", 0.25, 1.0),
    Attribute("gaze", -1.0, 1.0, "middle"),
    Attribute("brows_raised", -1.0, 1.0),
    Attribute("age"),
    Attribute("eyeglasses", kind="switch", share=0.35),
    Attribute("lens_tint", kind="partly", share=0.3),  # seen only with eyeglasses, like the next two
    Attribute("frame_square"),
    Attribute("frame_light"),
    Attribute("hair_length"),  # bald below 0.12, to the shoulders above 0.6
    Attribute("hair_colour"),  # black, brown, red, blond
    Attribute("hair_wave"),
    Attribute("hair_parting", -1.0, 1.0),
    Attribute("fringe", kind="partly", share=0.4),
    Attribute("beard", kind="partly", share=0.35),
    Attribute("skin_tone"),  # fair to dark
    Attribute("eye_colour"),  # brown, green, blue
    Attribute("lip_colour"),
    Attribute("lip_fullness"),
    Attribute("face_width", -1.0, 1.0, "middle"),
    Attribute("jaw", -1.0, 1.0),
    Attribute("eye_distance", -1.0, 1.0, "middle"),
    Attribute("nose_width", -1.0, 1.0, "middle"),
    Attribute("brow_thickness"),
    Attribute("clothes_hue"),
    Attribute("clothes_light"),
    Attribute("background_hue"),
    Attribute("background_light"),
    Attribute("background_slope", -1.0, 1.0),
    Attribute("light_side", -1.0, 1.0),
    Attribute("light_height", -0.3, 1.0),
    Attribute("light_warmth", -1.0, 1.0),
)

#: Names of the attributes, in order.
NAMES: tuple[str, ...] = tuple(attribute.name for attribute in ATTRIBUTES)

_OVERSAMPLE = 2
_AT_ONCE = 2  # the planes of one face at twice the size stay in a core's cache


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces and what they show.

    Attributes
    ----------
    attributes : (n, 37) float32
        One column per entry of `ATTRIBUTES`.
    images : (n, size, size, 3) uint8
        sRGB.
    """

    attributes: NDArray[np.float32]
    images: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)

    def attribute(self, name: str) -> NDArray[np.float32]:
        """Return one column, (n,), by its name."""
        return self.attributes[:, NAMES.index(name)]


def sample_attributes(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the attributes of `n` faces: (n, 37) float32."""
    table = np.empty((n, len(ATTRIBUTES)))
    for column, attribute in enumerate(ATTRIBUTES):
        # Every kind takes three draws, so that a change of one kind leaves the other columns as they were.
        first, second, chance = rng.uniform(size=(3, n))
        if attribute.kind == "middle":
            first = 0.5 * (first + second)
        elif attribute.kind == "switch":
            first = (chance < attribute.share).astype(float)
        elif attribute.kind == "partly":
            first = first * (chance < attribute.share)
        table[:, column] = attribute.low + (attribute.high - attribute.low) * first
    return table.astype(np.float32)


def draw_faces(n: int, *, seed: int, size: int = 64, progress: Progress = lambda done, text: None) -> Faces:
    """Draw `n` faces with attributes of their own; equal seeds give equal pictures.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Of the attributes.
    size : int
        Height and width in pixels.
    progress : callable
        Takes the share done and a line of text.
    """
    attributes = sample_attributes(n, np.random.default_rng(seed))
    return Faces(attributes, draw(attributes, size=size, progress=progress))


def draw(
    attributes: NDArray[np.float32], *, size: int = 64, progress: Progress = lambda done, text: None
) -> NDArray[np.uint8]:
    """Draw faces.

    Parameters
    ----------
    attributes : (n, 37) array
        Within the ranges of `ATTRIBUTES`.
    size : int
        Height and width in pixels.
    progress : callable
        Takes the share done and a line of text.

    Returns
    -------
    (n, size, size, 3) uint8
        sRGB.

    Raises
    ------
    ValueError
        If there is not one column per attribute, or a value lies outside its range.
    """
    attributes = np.asarray(attributes, np.float32)
    if attributes.ndim != 2 or attributes.shape[1] != len(ATTRIBUTES):
        raise ValueError(
            f"faces have {len(ATTRIBUTES)} attributes: {', '.join(NAMES)}; got {attributes.shape}"
        )
    for attribute, column in zip(ATTRIBUTES, attributes.T, strict=True):
        if not np.all((column >= attribute.low) & (column <= attribute.high)):
            raise ValueError(f"{attribute.name} lies between {attribute.low:g} and {attribute.high:g}")
    images = np.empty((len(attributes), size, size, 3), np.uint8)
    starts = range(0, len(attributes), _AT_ONCE)

    def work(i: int) -> None:
        images[i : i + _AT_ONCE] = _draw_few(attributes[i : i + _AT_ONCE], size)

    # Threads are enough: nearly all the time is spent inside NumPy, which lets the others run.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done, _ in enumerate(pool.map(work, starts), 1):
            if done % 50 == 0 or done == len(starts):
                progress(done / len(starts), f"drawing {len(attributes)} faces")
    return images


def _draw_few(attributes: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Draw from back to front: background, hair behind, shoulders, head, features, hair in front, eyeglasses."""
    face = {name: attributes[:, i, None, None] for i, name in enumerate(NAMES)}
    head: Head = place(face, size * _OVERSAMPLE)
    light = scenes.Light(face)
    picture = _background(face, head)
    haircuts.behind(picture, face, head, light)
    neck_and_shoulders(picture, face, head, light)
    skin(picture, face, head, light)
    features.eyes(picture, face, head, light)
    features.nose(picture, face, head, light)
    haircuts.beard(picture, face, head, light)
    features.mouth(picture, face, head, light)
    features.brows(picture, face, head, light)
    haircuts.front(picture, face, head, light)
    glasses.wear(picture, face, head)
    n = len(attributes)
    small = picture.reshape(n, 3, size, _OVERSAMPLE, size, _OVERSAMPLE).mean((3, 5))
    levels = np.round(255.0 * encode(np.clip(small, 0.0, 1.0))).astype(np.uint8)
    return levels.transpose(0, 2, 3, 1)


def _background(face: Attributes, head: Head) -> Plane:
    """Paint what is behind everything: a wall with a slope of light and two soft patches."""
    bright = 0.28 + 0.62 * face["background_light"]
    wall = scenes.hue(face["background_hue"], 0.42, bright)
    other = scenes.hue(face["background_hue"] + 0.12, 0.35, bright * 0.62)
    across = head.x * face["background_slope"] + 0.7 * head.y
    slope = np.clip(0.5 + 0.42 * across, 0.0, 1.0)
    picture = np.broadcast_to(wall[:, :, None, None], (len(wall), 3, *slope.shape[1:])).astype(np.float32)
    scenes.lay(picture, other, slope)
    turn = 6.28 * face["background_hue"]
    for k in range(2):
        cx, cy = 0.75 * np.cos(5.0 * turn + 2.6 * k), -0.35 + 0.5 * np.sin(3.0 * turn + 1.7 * k)
        patch = np.exp(-(((head.x - cx) / 0.42) ** 2) - ((head.y - cy) / 0.36) ** 2)
        scenes.shade(picture, 1.0 + (0.35 - 0.6 * k) * patch)
    return picture

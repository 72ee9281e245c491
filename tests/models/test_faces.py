"""Drawn faces are what their attributes say, and the same each time."""

import numpy as np
import pytest

from models.drawings.face import ATTRIBUTES, NAMES, draw, draw_faces, sample_attributes


def plain(**values):
    """Give one face in the middle of every range, without eyeglasses and beard, but for what is named."""
    middle = {a.name: 0.5 * (a.low + a.high) for a in ATTRIBUTES}
    bare = {"eyeglasses": 0.0, "beard": 0.0, "fringe": 0.0, "mouth_open": 0.0, "lens_tint": 0.0, "age": 0.1}
    return np.array([[({**middle, **bare} | values)[name] for name in NAMES]], np.float32)


def difference(**values):
    """Give how much each pixel of 64 × 64 changes when these attributes do."""
    return np.abs(draw(plain()).astype(float) - draw(plain(**values)))[0].mean(2)


def test_equal_seeds_draw_equal_faces_however_many_there_are():
    few, many = draw_faces(3, seed=5), draw_faces(3, seed=5)
    assert np.array_equal(few.images, many.images)
    assert np.array_equal(draw(few.attributes[1:2])[0], few.images[1])
    assert not np.array_equal(few.images, draw_faces(3, seed=6).images)


def test_every_attribute_can_be_seen():
    shows = {"lens_tint": "eyeglasses", "frame_square": "eyeglasses", "frame_light": "eyeglasses"}
    for attribute in ATTRIBUTES:
        given = {shows[attribute.name]: 1.0} if attribute.name in shows else {}
        # A hue goes round: its two ends are one colour.
        other = 0.5 if attribute.name.endswith("hue") else attribute.high
        ends = [draw(plain(**{**given, attribute.name: end})) for end in (attribute.low, other)]
        changed = np.abs(ends[0].astype(float) - ends[1]).max()
        assert changed > 20, attribute.name


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"smile": 1.0}, slice(40, 64)),
        ({"eyes_open": 0.25}, slice(20, 40)),
        ({"eyeglasses": 1.0}, slice(18, 42)),
        ({"brows_raised": 1.0}, slice(12, 34)),
    ],
)
def test_an_attribute_changes_its_part_of_the_face(change, rows):
    changed = difference(**change)
    outside = changed.copy()
    outside[rows] = 0.0
    assert changed[rows].max() > 20
    assert changed[rows].sum() > 3 * outside.sum()


def test_the_light_brightens_the_side_that_it_falls_from():
    left, right = (draw(plain(light_side=side))[0].mean(2) for side in (-1.0, 1.0))
    cheek = slice(30, 45)
    assert left[cheek, 16:28].mean() > left[cheek, 36:48].mean() + 10
    assert right[cheek, 36:48].mean() > right[cheek, 16:28].mean() + 10


def test_attributes_are_drawn_independently_and_within_their_ranges():
    table = sample_attributes(4000, np.random.default_rng(1))
    for attribute, column in zip(ATTRIBUTES, table.T, strict=True):
        assert attribute.low <= column.min()
        assert column.max() <= attribute.high
    together = np.corrcoef(table, rowvar=False) - np.eye(len(NAMES))
    assert np.abs(together).max() < 0.08
    assert table[:, NAMES.index("eyeglasses")].mean() == pytest.approx(0.35, abs=0.03)


def test_a_value_outside_its_range_is_refused_by_name():
    with pytest.raises(ValueError, match="smile lies between -1 and 1"):
        draw(plain(smile=1.5))
    with pytest.raises(ValueError, match="37 attributes"):
        draw(np.zeros((1, 4), np.float32))

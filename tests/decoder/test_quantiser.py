"""A generator's numbers become bytes by one stated rule."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.decoder.quantiser import Quantiser
from bci.decoder.spec import ImageSpec
from bci.memory import hot


@pytest.fixture(scope="module", params=["python", "compiled"], autouse=True)
def library(request: pytest.FixtureRequest) -> Iterator[hot.Compiled | None]:
    """Give what quantises: NumPy, then compiled code."""
    found = request.getfixturevalue("compiled_library") if request.param == "compiled" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hot, "find_compiled", lambda: (found, "planted"))
        yield found


def quantise(values: object, low: float = -1.0, high: float = 1.0) -> list[int] | None:
    plane = np.asarray(values, np.float32).reshape(1, -1)
    picture = Quantiser(ImageSpec(height=1, width=plane.size, low=low, high=high))(np.stack([plane] * 3))
    if picture is None:
        return None
    assert picture.dtype == np.uint8
    assert (picture == picture[:, :, :1]).all()
    return [int(level) for level in picture[0, :, 0]]


def test_the_ends_of_the_range_are_black_and_full_brightness() -> None:
    assert quantise([-1, 1]) == [0, 255]
    assert quantise([0, 1], low=0, high=1) == [0, 255]


def test_every_level_in_the_middle_of_its_interval_comes_back() -> None:
    levels = np.arange(256)
    assert quantise(levels / 127.5 - 1) == list(levels)
    assert quantise(levels / 255, low=0, high=1) == list(levels)


def test_halves_round_to_even() -> None:
    # These halves are exact in float32 when the range is 0 to 255.
    assert quantise([0.5, 1.5, 2.5, 253.5, 254.5], low=0, high=255) == [0, 2, 2, 254, 254]


def test_values_outside_the_range_are_clipped() -> None:
    assert quantise([-3e38, -1.01, 1.01, 3e38][1:3]) == [0, 255]
    assert quantise([-1e6, 1e6]) == [0, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_makes_no_picture(value: float) -> None:
    assert quantise([0.0, value, 0.0]) is None


def test_planes_become_red_green_and_blue_and_rows_stay_rows() -> None:
    image = np.arange(3 * 2 * 4, dtype=np.float32).reshape(3, 2, 4)
    picture = Quantiser(ImageSpec(height=2, width=4, low=0, high=255))(image)
    assert picture is not None
    assert picture.shape == (2, 4, 3)
    assert picture.flags.c_contiguous
    assert (picture == image.transpose(1, 2, 0)).all()


@given(st.lists(st.floats(0, 255, width=32), min_size=1, max_size=20))
def test_rounding_equals_exact_arithmetic_where_the_scale_is_one(values: list[float]) -> None:
    assert quantise(values, low=0, high=255) == [round(Fraction(v)) for v in values]


def test_both_ways_give_the_same_bytes_of_any_image(compiled_library: hot.Compiled) -> None:
    random = np.random.default_rng(0)
    for low, high, spread in ((-1.0, 1.0, 1.5), (0.0, 1.0, 0.3), (-2.5, 3.1, 40.0)):
        ways = [Quantiser(ImageSpec(height=9, width=7, low=low, high=high)) for _ in range(2)]
        ways[0]._picture, ways[1]._picture = None, compiled_library.picture
        for _ in range(20):
            image = (spread * random.standard_normal((3, 9, 7))).astype(np.float32)
            image.flat[:60] = low + (np.arange(60) * 4 + 0.5) * (high - low) / 255  # halves, or next to them
            # What is not plain, such as a view with strides or double precision, is left to NumPy.
            for one in (image, np.asfortranarray(image), np.repeat(image, 2, axis=2)[:, :, ::2]):
                first, second = (way(one) for way in ways)
                assert first is not None
                assert second is not None
                assert first.tobytes() == second.tobytes()
    assert (
        compiled_library.picture(image, np.empty(189, np.uint8), np.empty((7, 9, 3), np.uint8), low, 1.0)
        is None
    )


def test_each_picture_owns_its_pixels() -> None:
    convert = Quantiser(ImageSpec(height=1, width=1))
    first = convert(np.full((3, 1, 1), 1, np.float32))
    convert(np.full((3, 1, 1), -1, np.float32))
    assert first is not None
    assert first.tolist() == [[[255, 255, 255]]]

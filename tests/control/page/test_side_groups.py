"""What steps say is drawn on scales of its own, and a lost head has no position; steadiness is that of the volumes."""

import numpy as np
import pytest

from bci.control.page.model import SideCurve
from bci.control.page.side_groups import MOST_GROUPS, side_groups
from bci.control.page.steadiness import FEWEST, SteadinessSight
from bci.signal.types import Signal
from bci.signal.volumes.motion import COLUMNS
from bci.signal.volumes.realign import MotionFault

TIMES = np.arange(4.0)


def curve(name: str, *labels: str) -> SideCurve:
    return SideCurve(name, labels or (name,), TIMES, np.ones((4, len(labels or (name,)))))


def test_a_heads_motion_is_in_millimetre_and_is_not_drawn_where_it_is_lost() -> None:
    values = np.zeros((4, len(COLUMNS)))
    values[1] = [1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 0.7, 0.99, 1.0, MotionFault.NONE]
    values[2, 0], values[2, -1] = 40.0, MotionFault.LARGE
    position, displacement, dvars = side_groups([SideCurve("motion", COLUMNS, TIMES, values), curve("dvars")])
    drawn = np.array([values for _, _, values in position.curves])
    assert drawn[:, 1].tolist() == pytest.approx([1, 2, 3, 5, 10, 15])
    assert np.isnan(drawn[:, 2]).all()
    assert "HEAD LOST in 1 of 4 volumes" in position.title
    assert (displacement.curves[0][2][1], displacement.limit) == (0.7, 0.9)
    assert [name for name, _, _ in dvars.curves] == ["dvars"]


def test_no_more_groups_than_figures_and_none_is_left_out() -> None:
    groups = side_groups(
        [curve("one"), curve("two"), curve("three"), curve("regions", "v1", "v2"), curve("five")]
    )
    assert len(groups) == MOST_GROUPS
    names = [name for group in groups for name, _, _ in group.curves]
    assert names == ["one", "two", "three", "regions v1", "regions v2", "five"]


def test_steadiness_is_mean_over_spread_of_whole_volumes_with_left_on_the_left() -> None:
    shape = (6, 8, 3)
    rng = np.random.default_rng(0)
    volumes = 100.0 + rng.normal(0, 1, (30, *shape))
    volumes[:, :3] = 100.0 + rng.normal(0, 10, (30, 3, 8, 3))
    volumes[4] = np.nan
    sight = SteadinessSight(Signal("bold", 1.0, shape))
    sight.add(volumes[:FEWEST])
    assert sight.picture(np.eye(4)) is None, "one of five did not come"
    sight.add(volumes[FEWEST:])
    used = np.delete(volumes, 4, axis=0)
    assert np.allclose(sight.values(), used.mean(axis=0) / used.std(axis=0, ddof=1))
    picture = sight.picture(np.eye(4))
    assert picture is not None
    assert picture.image is not None
    left, right = picture.image[:8, :3].sum(), picture.image[:8, 3:6].sum()
    assert left < right
    mirrored = sight.picture(np.diag([-1.0, 1.0, 1.0, 1.0]))
    assert mirrored is not None
    assert mirrored.image is not None
    assert mirrored.image[:8, :3].sum() == right

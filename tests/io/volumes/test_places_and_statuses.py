"""Every volume gets its declared status, and none of them moves another's place; time is turned by hand."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import ConfigError
from bci.io.volumes.gate import MOST_GAP, PlacedVolume, VolumeGate, VolumeStatus
from bci.io.volumes.intake import Intake
from bci.io.volumes.volume import ImagingSeries, Volume
from bci.sim.scanner.phantom import phantom, phantom_series

SERIES = phantom_series((4, 4, 3), total=0)
OK, LATE, DUPLICATE, GAP, PARTIAL, FOREIGN = VolumeStatus


def volume(
    index: int, series: ImagingSeries = SERIES, acquired: float = float("nan"), missing: int = 0
) -> Volume:
    absent = np.arange(series.shape[2]) < missing
    return Volume(
        series, index, phantom(series, index), f"{series.uid}/{index}", acquired, absent if missing else None
    )


def summary(placed: list[PlacedVolume]) -> list[tuple[int, VolumeStatus]]:
    return [(one.seq, one.status) for one in placed]


def gate(patience: float = 0.5) -> VolumeGate:
    return VolumeGate(SERIES, patience, delay=1.0)


def test_volumes_in_time_are_ok_and_one_tr_apart() -> None:
    at_work = gate()
    placed = [one for index in range(5) for one in at_work.offer(volume(index), 10.0 + index + 0.01 * index)]
    assert summary(placed) == [(index, OK) for index in range(5)]
    assert [one.stamp for one in placed] == pytest.approx([9.0, 10.0, 11.0, 12.0, 13.0])


def test_a_missing_volume_is_a_gap_and_those_behind_it_keep_their_places() -> None:
    at_work = gate()
    at_work.offer(volume(0), 10.0)
    assert at_work.offer(volume(2), 12.0) == []
    assert at_work.tick(12.4) == []
    placed = at_work.tick(12.5)
    assert summary(placed) == [(1, GAP), (2, OK)]
    assert [one.stamp for one in placed] == pytest.approx([10.0, 11.0])
    assert placed[0].volume is None
    assert summary(at_work.offer(volume(1), 12.6)) == [(-1, LATE)]
    assert summary(at_work.offer(volume(1), 12.7)) == [(-1, DUPLICATE)]
    assert summary(at_work.offer(volume(3), 13.0)) == [(3, OK)]


def test_volumes_out_of_order_are_put_in_order() -> None:
    at_work = gate()
    at_work.offer(volume(0), 10.0)
    at_work.offer(volume(2), 11.0)
    assert summary(at_work.offer(volume(1), 11.1)) == [(1, OK), (2, OK)]


def test_a_volume_far_behind_the_pace_is_late_and_the_burst_behind_it_is_not() -> None:
    at_work = gate()
    for index in range(3):
        at_work.offer(volume(index), 10.0 + index)
    statuses = [summary(at_work.offer(volume(index), 17.0))[0][1] for index in range(3, 8)]
    assert statuses == [LATE, LATE, LATE, OK, OK]
    assert summary(at_work.offer(volume(8), 18.0)) == [(8, OK)]


def test_a_slow_scanner_is_not_late_for_ever() -> None:
    """A header may say 1.970 s while volumes come every 1.978 s."""
    at_work = gate()
    for index in range(500):
        assert summary(at_work.offer(volume(index), 10.0 + 1.004 * index)) == [(index, OK)]


def test_stamps_follow_the_scanner_s_own_times_where_they_agree_with_the_tr() -> None:
    at_work = gate()
    stamps = [at_work.offer(volume(i, acquired=86397.0 + 1.004 * i - (86400 if i > 2 else 0)), 10.0 + i)[0].stamp
              for i in range(6)]  # fmt: skip
    assert np.diff(stamps) == pytest.approx(1.004)
    at_work = gate()
    stamps = [at_work.offer(volume(i, acquired=42495.0), 10.0 + i)[0].stamp for i in range(6)]
    assert np.diff(stamps) == pytest.approx(1.0), "one time for all files is no time"


def test_a_first_volume_with_other_slice_times_than_the_rest_is_said_once() -> None:
    single_band = dataclasses.replace(SERIES, slice_times=(0.0, 0.33, 0.66))
    at_work = VolumeGate(single_band, 0.5, delay=1.0)
    placed = at_work.offer(volume(0, single_band), 10.0)
    placed += [one for index in (1, 2) for one in at_work.offer(volume(index), 10.0 + index)]
    assert summary(placed) == [(0, OK), (1, OK), (2, OK)]
    assert ["slice times" in one.note for one in placed] == [False, True, False]


def test_partial_duplicate_and_foreign_volumes_are_told_apart() -> None:
    at_work = gate()
    assert summary(at_work.offer(volume(0, missing=1), 10.0)) == [(0, PARTIAL)]
    assert summary(at_work.offer(volume(0), 10.1)) == [(-1, DUPLICATE)]
    other = phantom_series((4, 4, 2), total=0)
    [foreign] = at_work.offer(volume(1, other), 11.0)
    assert (foreign.seq, foreign.status, foreign.note) == (-1, FOREIGN, "4×4×2 voxels instead of 4×4×3")
    [foreign] = at_work.offer(volume(1 + MOST_GAP), 11.0)
    assert foreign.status is FOREIGN
    assert summary(at_work.offer(volume(1), 11.0)) == [(1, OK)]


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(8)), st.lists(st.booleans(), min_size=8, max_size=8), st.integers(0, 7))
def test_whatever_happens_the_sequence_number_is_the_index(
    order: list[int], drops: list[bool], double: int
) -> None:
    at_work, now, placed = gate(), 10.0, []
    for index in [*order, double]:
        if not drops[index]:
            placed += at_work.offer(volume(index), now)
        now += 0.3
        placed += at_work.tick(now)
    placed += at_work.finish(now)
    published = [one for one in placed if one.seq >= 0]
    assert [one.seq for one in published] == list(range(len(published)))
    assert np.diff([one.stamp for one in published]) == pytest.approx(1.0)
    for one in published:
        assert one.index == one.seq
        assert (one.status is GAP) == (one.volume is None)
        if one.volume is not None:
            assert one.volume.data[0, 0, 0] == one.seq


# -- runs ----------------------------------------------------------------------------------------------------


def test_a_new_series_begins_a_new_run_once_the_one_before_is_silent() -> None:
    intake = Intake()
    second = phantom_series((4, 4, 2), uid="2.25.2", number=8, total=0)
    for index in range(3):
        assert summary(intake.offer(volume(index), 10.0 + index)) == [(index, OK)]
    assert summary(intake.offer(volume(0, second), 12.5)) == [(-1, FOREIGN)]
    assert summary(intake.offer(volume(3), 13.0)) == [(3, OK)]
    assert summary(intake.offer(volume(1, second), 14.0)) == [(-1, FOREIGN)]
    placed = intake.tick(16.1)
    assert summary(placed) == [(0, OK), (1, OK)]
    assert intake.series is not None
    assert intake.series.uid == "2.25.2"
    assert summary(intake.offer(volume(4), 16.2)) == [(-1, FOREIGN)], "the run before is over"
    assert summary(intake.offer(volume(2, second), 16.3))[0][0] == 2


def test_a_complete_run_is_followed_at_once() -> None:
    intake = Intake()
    first = phantom_series((4, 4, 3), total=2)
    for index in range(2):
        intake.offer(volume(index, first), 10.0 + index)
    second = phantom_series((4, 4, 3), uid="2.25.2", total=2)
    assert summary(intake.offer(volume(0, second), 11.1)) == [(0, OK)]


def test_a_scanner_that_promised_more_than_came_does_not_hold_up_the_next_run() -> None:
    intake = Intake()
    first = phantom_series((4, 4, 3), total=20)
    for index in range(15):
        intake.offer(volume(index, first), 10.0 + index)
    second = phantom_series((4, 4, 3), uid="2.25.2", total=20)
    assert summary(intake.offer(volume(0, second), 27.0)) == [(-1, FOREIGN)]
    assert summary(intake.offer(volume(1, second), 28.0)) == [(0, OK), (1, OK)]


def test_a_run_without_a_tr_is_refused_with_what_to_do() -> None:
    series = phantom_series((4, 4, 3), tr=float("nan"))
    with pytest.raises(ConfigError, match="--tr SECONDS"):
        Intake().offer(volume(0, series), 10.0)
    assert summary(Intake(tr=1.0).offer(volume(0, series), 10.0)) == [(0, OK)]


@pytest.mark.parametrize(
    ("first", "given", "seqs"), [(0, None, [0, 1, 2]), (1, None, [0, 1, 2]), (5, 5, [0, 1, 2])]
)
def test_files_numbered_from_0_or_1_begin_at_place_0(first: int, given: int | None, seqs: list[int]) -> None:
    series = dataclasses.replace(SERIES, numbered=True)
    intake = Intake(first_number=given)
    placed = [one for i in range(3) for one in intake.offer(volume(first + i, series), 10.0 + i)]
    assert [one.seq for one in placed] == seqs


def test_a_file_that_cannot_be_read_is_partial_and_its_place_a_gap() -> None:
    intake = Intake()
    intake.offer(volume(0), 10.0)
    assert summary(intake.give_up("….dcm is cut short", 11.5)) == [(-1, PARTIAL)]
    intake.offer(volume(2), 12.0)
    assert summary(intake.tick(12.6)) == [(1, GAP), (2, OK)]

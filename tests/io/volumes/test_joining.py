"""Volumes and their records are joined by sequence number, whatever came late or was lost; time is turned by hand."""

import numpy as np

from bci.io.volumes.gate import VolumeStatus
from bci.io.volumes.joining import JoinedVolume, VolumeJoin
from bci.io.volumes.outlet import META_COLUMNS

OK, LATE, DUPLICATE, GAP, PARTIAL, FOREIGN = VolumeStatus


def record(seq: int, status: VolumeStatus = OK, index: int | None = None) -> np.ndarray:
    row = np.full(len(META_COLUMNS), np.nan)
    row[:3] = seq, status, seq if index is None else index
    row[META_COLUMNS.index("stamp")] = stamp(seq)
    return row


def stamp(seq: int) -> float:
    return 100.0 + 1.1 * seq


def stamps(*seqs: int) -> np.ndarray:
    return np.array([stamp(seq) for seq in seqs])


def test_records_before_and_after_their_volumes_are_joined() -> None:
    join = VolumeJoin(0.5)
    join.records([record(0), record(1, LATE)])
    join.samples(0, stamps(0, 1, 2), 10.0)
    assert join.decided(10.0) == [JoinedVolume(0, 0, OK, 0), JoinedVolume(1, 1, LATE, 1)]
    join.records([record(2, GAP)])
    assert join.decided(10.3) == [JoinedVolume(2, 2, GAP, 2)]


def test_a_volume_whose_record_is_missing_for_half_a_tr_is_untold_and_the_next_are_joined() -> None:
    join = VolumeJoin(0.5)
    join.records([record(0), record(2)])
    join.samples(0, stamps(0, 1), 10.0)
    assert join.decided(10.0) == [JoinedVolume(0, 0, OK, 0)]
    assert join.decided(10.4) == []
    assert join.decided(10.5) == [JoinedVolume(1, 1, None, -1)]
    join.samples(2, stamps(2), 11.0)
    assert join.decided(11.0) == [JoinedVolume(2, 2, OK, 2)]


def test_a_consumer_that_connected_late_or_lost_samples_learns_their_numbers() -> None:
    join = VolumeJoin(0.5)
    join.records([record(seq) for seq in range(8)])
    join.samples(0, stamps(3, 4, 6, 7), 10.0)
    assert [(one.count, one.seq) for one in join.decided(10.0)] == [(0, 3), (1, 4), (2, 6), (3, 7)]
    assert join.lost == 1


def test_volumes_that_are_in_no_sample_are_told_beside() -> None:
    join = VolumeJoin(0.5)
    join.records([record(-1, DUPLICATE, 4), record(-1, FOREIGN, 0)])
    assert join.decided(10.0) == [JoinedVolume(-1, -1, DUPLICATE, 4), JoinedVolume(-1, -1, FOREIGN, 0)]
    assert join.decided(10.0) == []


def test_records_without_volumes_do_not_pile_up() -> None:
    join = VolumeJoin(0.5)
    join.records(record(seq) for seq in range(10_000))
    join.samples(0, stamps(9_999, 0), 10.0)
    assert join.decided(10.0) == [JoinedVolume(0, 9_999, OK, 9_999)]
    assert len(join._records) == 4095

"""A scanner in trouble: every fault gets its status, the run goes on, and no volume changes its place.

Files are real, time is turned by hand.
"""

from pathlib import Path

import numpy as np
import pytest

from bci.io.volumes.folder import WatchedFolder
from bci.io.volumes.gate import PlacedVolume, VolumeStatus
from bci.io.volumes.intake import Intake
from bci.io.volumes.outlet import META_COLUMNS, record_of, values_of
from bci.signal.clock import ManualClock
from bci.sim.scanner.phantom import phantom, phantom_series
from bci.sim.scanner.scanner import Fault, Format, SimulatedScanner

pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")

TR = 1.0
SERIES = phantom_series((8, 8, 4), tr=TR, total=14)
OK, LATE, DUPLICATE, GAP, PARTIAL, FOREIGN = VolumeStatus


def scan(
    folder: Path, kind: Format, faults: dict[int, Fault], *, total: int = 14, seed: int = 0
) -> list[PlacedVolume]:
    """Watch a folder while a run is written into it; return what became of its volumes."""
    clock = ManualClock(100.0)
    series = phantom_series((8, 8, 4), tr=TR, total=total)
    scanner = SimulatedScanner(folder, series, clock, kind=kind, faults=faults, seed=seed)
    intake = Intake(first_number=1)
    placed: list[PlacedVolume] = []
    with WatchedFolder(folder, clock, notify=False, give_up=0.4) as watched:
        for _ in range(int(50 * (total + 5) * TR)):
            scanner.step()
            for piece in watched.poll():
                placed += (
                    intake.give_up(piece, clock.now())
                    if isinstance(piece, str)
                    else intake.offer(piece, clock.now())
                )
            placed += intake.tick(clock.now())
            clock.advance(0.02)
    return placed


def in_the_stream(placed: list[PlacedVolume]) -> list[VolumeStatus]:
    return [one.status for one in placed if one.seq >= 0]


KINDS: tuple[Format, ...] = ("mosaic", "enhanced", "slices", "nifti")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_trouble_is_whole_and_in_time(tmp_path: Path, kind: Format) -> None:
    placed = scan(tmp_path, kind, {}, total=5)
    assert [(one.seq, one.status) for one in placed] == [(index, OK) for index in range(5)]
    for one in placed:
        assert one.volume is not None
        assert np.array_equal(one.volume.data, phantom(SERIES, one.seq))
        assert np.allclose(one.volume.series.affine, SERIES.affine, atol=1e-4)
        assert one.stamp == pytest.approx(100.0 + one.seq, abs=0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "beside", "inside"),
    [
        ("missing", [], {5: GAP}),
        ("duplicate", [DUPLICATE], {}),
        ("half-written", [], {}),
        ("foreign", [FOREIGN], {}),
        ("late", [LATE], {5: GAP}),
    ],
)
def test_a_fault_has_its_status_and_the_others_are_ok(
    tmp_path: Path, kind: Format, fault: Fault, beside: list[VolumeStatus], inside: dict[int, VolumeStatus]
) -> None:
    placed = scan(tmp_path, kind, {5: fault}, total=10)
    assert in_the_stream(placed) == [inside.get(index, OK) for index in range(10)]
    if kind == "slices" and fault in ("duplicate", "foreign"):
        beside = beside * (SERIES.shape[2] if fault == "duplicate" else 1)
    assert [one.status for one in placed if one.seq < 0] == beside
    for one in placed:
        if one.seq >= 0 and one.volume is not None:
            assert np.array_equal(one.volume.data, phantom(SERIES, one.seq)), "no volume changes its place"


def test_a_truncated_volume_is_partial_and_says_which_slices_came(tmp_path: Path) -> None:
    placed = scan(tmp_path, "enhanced", {5: "truncated"}, total=10)
    assert in_the_stream(placed) == [OK] * 5 + [PARTIAL] + [OK] * 4
    [partial] = [one for one in placed if one.status is PARTIAL]
    values = values_of(partial, (8, 8, 4))
    there = ~np.isnan(values).any(axis=(0, 1))
    assert there.any()
    assert not there.all()
    assert np.array_equal(values[:, :, there], phantom(SERIES, 5)[:, :, there])
    record = dict(zip(META_COLUMNS, record_of(partial), strict=True))
    assert record["present"] == pytest.approx(there.mean())
    assert (record["seq"], record["status"]) == (5, PARTIAL)


def test_a_truncated_nifti_file_is_partial_and_its_place_a_gap(tmp_path: Path) -> None:
    placed = scan(tmp_path, "nifti", {5: "truncated"}, total=10)
    assert in_the_stream(placed) == [OK] * 5 + [GAP] + [OK] * 4
    assert [one.status for one in placed if one.seq < 0] == [PARTIAL]


def test_volumes_out_of_order_and_in_a_burst_come_in_order(tmp_path: Path) -> None:
    placed = scan(tmp_path, "mosaic", {3: "swapped", 6: "burst", 7: "burst", 8: "burst"})
    assert [one.seq for one in placed] == list(range(14))
    assert placed[3].status is LATE, "it came 1.2 TRs after its time"
    assert [one.status for one in placed[6:9]] == [LATE, OK, OK], (
        "of the burst, the first is two TRs behind the pace"
    )
    assert np.diff([one.stamp for one in placed]) == pytest.approx(TR)


@pytest.mark.parametrize("seed", range(3))
def test_all_faults_together_leave_every_other_volume_untouched(tmp_path: Path, seed: int) -> None:
    faults: dict[int, Fault] = {
        1: "half-written", 3: "missing", 4: "duplicate", 6: "truncated", 8: "foreign", 10: "late", 12: "swapped",
    }  # fmt: skip
    placed = scan(tmp_path, "slices", faults, seed=seed)
    published = [one for one in placed if one.seq >= 0]
    assert [one.seq for one in published] == list(range(14))
    clean = [one for one in published if one.seq not in (3, 6, 10)]
    for one in clean:
        assert one.volume is not None
        assert np.array_equal(one.volume.data, phantom(SERIES, one.seq))
    assert np.diff([one.stamp for one in published]) == pytest.approx(TR)


def test_files_that_were_there_before_are_not_read_unless_wanted(tmp_path: Path) -> None:
    clock = ManualClock(100.0)
    series = phantom_series((8, 8, 4), total=3)
    scanner = SimulatedScanner(tmp_path, series, clock)
    clock.advance(10.0)
    assert scanner.step() == 3
    for existing, expected in ((False, 0), (True, 3)):
        with WatchedFolder(tmp_path, clock, notify=False, existing=existing) as watched:
            found = []
            for _ in range(20):
                found += list(watched.poll())
                clock.advance(0.05)
        assert len(found) == expected

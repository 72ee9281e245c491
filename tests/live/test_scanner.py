"""The scanner's files hold what the participant answered to the flips, and each is whole at the end of its TR."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_insilico import flip

from bci.errors import ConfigError
from bci.io.volumes.files import read_image
from bci.live.insilico import read_spec
from bci.live.participant_link import ParticipantLink
from bci.live.scanner import ScanFiles, folder_of, scanned_participant, scanner_of, series_of
from bci.memory.frames import shown_columns
from bci.memory.ring import Ring
from bci.signal.clock import ManualClock
from bci.sim.cortex.reference import reference_pictures
from bci.sim.scanner.scanned import scan

SPEC: dict[str, Any] = {
    "modality": "fmri",
    "source_id": "x",
    "units": 48,
    "tr": 1.0,
    "speed": 4.0,
    "scanner": {},
}


@pytest.mark.parametrize("files", ["mosaic", "enhanced", "slices"])
def test_files_hold_what_was_answered_to_the_flips(tmp_path: Path, files: str) -> None:
    pictures = reference_pictures(8, 16, seed=8)
    np.save(tmp_path / "reference.npy", pictures)
    more = {"reference": tmp_path / "reference.npy"}
    spec = read_spec(
        SPEC | more | {"scanner": {"voxel_mm": 12.0, "files": files, "folder": tmp_path / "out"}}
    )
    who, series, clock, zero = scanned_participant(spec), series_of(spec), ManualClock(0.0), 500.0
    folder = folder_of(scanner_of(spec), tmp_path)
    written: list[tuple[float, int]] = []
    with Ring.private(shown_columns(16, 16, 2), 64, 16) as ring:
        link = ParticipantLink(
            who, ring, ScanFiles(folder, series, scanner_of(spec).files), zero, speed=4.0, lag=0.25, samples=6
        )
        flips = [(pictures[0], 500.1), (None, 500.5), (pictures[1], 501.0)]
        waiting = list(flips)
        clock.sleep_until(zero)
        while not link.done:
            while waiting and waiting[0][1] <= clock.now():
                flip(ring, *waiting.pop(0))
            link.step(clock.now())
            written.append((clock.now(), link.sent))
            clock.advance(0.01)
    assert next(n for _, n in written if n) == 1
    ends = [min(now for now, sent in written if sent > k) - zero for k in range(6)]
    assert ends == pytest.approx([0.25 * (k + 1) for k in range(6)], abs=0.021)
    changes = [(np.full_like(pictures[0], 128) if p is None else p, (t - zero) * 4.0) for p, t in flips]
    expected = list(scan(scanned_participant(spec), changes, 6))
    pieces = [piece for path in sorted((tmp_path / "out").rglob("*.dcm")) for piece in read_image(path)]
    assert all(piece.whole and piece.series.uid == series.uid for piece in pieces)
    if files == "slices":
        assert len(pieces) == 6 * series.shape[2]
        pieces.sort(key=lambda piece: piece.height)
        stacked = [[p.data for p in pieces if p.index == k] for k in range(6)]
        assert np.array_equal(np.moveaxis(stacked, 1, -1), expected)
    else:
        assert [piece.series.differences(series) for piece in pieces] == [[]] * 6
        assert np.array_equal([piece.data for piece in pieces], expected)


def test_a_spec_without_a_scanner_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[source.scanner\]"):
        scanner_of(read_spec({**SPEC, "scanner": None}))
    with pytest.raises(ConfigError, match='for modality = "fmri"'):
        read_spec({**SPEC, "modality": "eeg"})

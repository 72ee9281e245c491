"""A session's true onset is read from the recording that its photodiode is in, on the session's clock."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.session.onset import true_onset
from bci.session.tables import SHOWN_FIELDS
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

RATE = 1000.0
BEGAN = 500.0  # session seconds
OFFSET = -7.5  # the amplifier's clock is ahead of ours
DELAY = 0.021
FLIPS = BEGAN + 1 + np.cumsum(np.random.default_rng(3).integers(5, 9, 120)) / 60


def write_session(folder: Path, **display: Any) -> Path:
    folder.mkdir()
    display = {"photodiode": True, "photodiode_stream": "diode-1"} | display
    (folder / "config.json").write_text(json.dumps({"display": display}))
    with (folder / "shown.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, SHOWN_FIELDS, restval="")
        writer.writeheader()
        writer.writerows({"change": i, "kind": "frame", "flip": float(t)} for i, t in enumerate(FLIPS))
    return folder


def write_recording(path: Path, source_id: str = "diode-1", *, exact: bool = True, gap: bool = False) -> None:
    """Write a file of two streams: an EEG, and an amplifier whose channel AUX sees the patch."""
    times = BEGAN + np.arange(round((FLIPS[-1] - BEGAN + 1) * RATE)) / RATE
    light = (np.searchsorted(FLIPS + DELAY, times, side="right") % 2).astype("f4")
    raw = times - OFFSET
    if not exact:
        # As an amplifier's program stamps: when a block of twenty was in its hands.
        raw = (
            raw[np.minimum(np.arange(len(raw)) // 20 * 20 + 19, len(raw) - 1)]
            - 0.0195
            + 0.001 * (np.arange(len(raw)) % 20)
        )
    kept = np.ones(len(times), bool)
    if gap:
        kept[6000:6300] = False
    both = np.stack([np.sin(times), light], axis=1).astype("f4")
    with XdfWriter(path, ManualClock(BEGAN)) as writer:
        eeg = writer.add_stream(
            StreamInfo(Signal("EEG", 100.0, (1,), ("Oz",), "uV"), "amp-1", exact_stamps=True)
        )
        aux = writer.add_stream(
            StreamInfo(Signal("Aux", RATE, (2,), ("RESP", "AUX")), source_id, exact_stamps=exact)
        )
        writer.write(eeg, np.zeros((100, 1), "f4"), BEGAN + np.arange(100) / 100)
        for at in range(0, len(times), 500):
            part = slice(at, at + 500)
            if kept[part].any():
                writer.write(aux, both[part][kept[part]], raw[part][kept[part]])
        for time in np.arange(BEGAN, times[-1], 5.0):
            writer.clock_offset(aux, time, OFFSET)


@pytest.mark.parametrize("exact", [True, False])
def test_the_light_is_put_on_the_sessions_clock(tmp_path: Path, exact: bool) -> None:
    session = write_session(tmp_path / "s", photodiode_channel="AUX")
    write_recording(session / "recording.xdf", exact=exact)
    found = true_onset(session)
    assert (found.unmatched, found.outside, found.stray) == (0, 0, 0)
    assert np.median(found.offsets) == pytest.approx(DELAY, abs=0.002)
    assert np.ptp(found.offsets) < 0.003


def test_a_gap_in_the_photodiodes_stream_shifts_nothing(tmp_path: Path) -> None:
    session = write_session(tmp_path / "s", photodiode_channel="AUX")
    write_recording(session / "recording.xdf", gap=True)
    found = true_onset(session)
    assert 1 <= found.outside <= 8
    assert (found.unmatched, found.stray) == (0, 0)
    assert np.all(np.abs(found.offsets - DELAY) < 0.002)


def test_a_file_beside_the_session_and_names_on_the_command_are_taken(tmp_path: Path) -> None:
    session = write_session(tmp_path / "s")
    write_recording(tmp_path / "beside.xdf", "other")
    found = true_onset(session, tmp_path / "beside.xdf", "other", "AUX")
    assert len(found.offsets) == len(FLIPS)


def test_a_session_without_a_patch_or_a_photodiode_says_so(tmp_path: Path) -> None:
    no_patch = write_session(tmp_path / "a", photodiode=False)
    no_diode = write_session(tmp_path / "b", photodiode_stream=None)
    not_recorded = write_session(tmp_path / "c")
    assert "no patch" in true_onset(no_patch).reason
    assert "no photodiode" in true_onset(no_diode).reason
    assert "name that file with --photodiode" in true_onset(not_recorded).reason


def test_what_is_not_there_is_said_with_what_was_expected(tmp_path: Path) -> None:
    session = write_session(tmp_path / "s")
    write_recording(session / "recording.xdf")
    with pytest.raises(RecordingError, match=r"2 channels.*RESP, AUX"):
        true_onset(session)
    write_recording(tmp_path / "beside.xdf", "other")
    with pytest.raises(RecordingError, match=r"'diode-1' was expected in .*beside\.xdf"):
        true_onset(session, tmp_path / "beside.xdf")
    with pytest.raises(RecordingError, match="there is no file"):
        true_onset(session, tmp_path / "nowhere.xdf")
    (tmp_path / "none.xdf").write_bytes(b"no recording")
    with pytest.raises(RecordingError, match="does not begin like an XDF file"):
        true_onset(session, tmp_path / "none.xdf")
    with pytest.raises(RecordingError, match="not a whole session"):
        true_onset(tmp_path)


def test_a_photodiode_of_another_time_or_clock_is_refused(tmp_path: Path) -> None:
    session = write_session(tmp_path / "s", photodiode_channel="AUX")
    write_recording(session / "recording.xdf")
    table = session / "shown.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join([rows[0], *(row.replace(",5", ",9") for row in rows[1:])]) + "\n")
    with pytest.raises(RecordingError, match="not at the same time, or not by the same clock"):
        true_onset(session)

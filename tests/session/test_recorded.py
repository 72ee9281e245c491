"""A session's parts are read as one: samples by their counts, rows of tables as far as they are whole."""

import json
from pathlib import Path

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.io.files.xdf.content import Header, read_values
from bci.io.files.xdf.wire import samples, stream_header
from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.session.recorded import RecordedSession
from bci.session.tables import FRAME_FIELDS
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

SIGNAL = Signal("amp", 100.0, (2,), ("a", "b"), "uV", "int16")
INFO = StreamInfo(SIGNAL, "amp-1")


def counts(first: int, end: int) -> np.ndarray:
    return np.stack([np.arange(first, end), -np.arange(first, end)], axis=1).astype("i2")


def write_part(path: Path, *stretches: tuple[int, int], finish: bool = True) -> None:
    """Write a recording of samples that are their own counts, after a stream of markers' header."""
    writer = XdfWriter(path, ManualClock())
    stream = writer.add_stream(INFO, stretches[0][0])
    other = writer.add_stream(StreamInfo(Signal("other", 10.0, (1,)), "other"))
    for first, end in stretches:
        writer.write(stream, counts(first, end), np.arange(first, end) / 100 + 1, first)
        writer.write(other, np.zeros((3, 1), "f4"), np.arange(3.0) + 1)
    writer.sync()
    if finish:
        writer.finish()
    writer.close()


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"decoder": {"bundle": "alpha"}}))
    (tmp_path / "environment.json").write_text(json.dumps({"bundle": {"hash": "12"}}))
    head = ",".join(FRAME_FIELDS).encode() + b"\r\n"
    rows = [f"{i},0,{99 + i},0,1,,0.5,[{i}.25],ab,,,,,,\r\n".encode() for i in range(3)]
    (tmp_path / "frames.csv").write_bytes(head + rows[0] + rows[1] + rows[2][:9])
    (tmp_path / "frames-2.csv").write_bytes(head + rows[2])
    for name in ("shown.csv", "shown-2.csv", "marks-2.csv"):
        (tmp_path / name).write_bytes(b"change\r\n")
    (tmp_path / "marks.csv").write_bytes(
        b"source,kind,first,detail\r\ndecode,pipeline_reset,0,start\r\nstream,gap,7,\r\n"
        b"decode,pipeline_reset,9000,restart\r\n"
    )
    write_part(tmp_path / "recording.xdf", (0, 3000), (3000, 6000), (6100, 6110), finish=False)
    write_part(tmp_path / "recording-2.xdf", (6105, 9000), (9000, 9500))
    return tmp_path


def test_parts_are_one_recording_with_its_holes(session: Path) -> None:
    recorded = RecordedSession.read(session)
    assert [path.name for path in recorded.recordings] == ["recording.xdf.partial", "recording-2.xdf"]
    assert recorded.signal() == SIGNAL
    found = list(recorded.pieces())
    assert all(np.array_equal(values, counts(first, first + len(values))) for first, values in found)
    held = np.concatenate([np.arange(first, first + len(values)) for first, values in found])
    assert np.array_equal(held, [*range(6000), *range(6100, 9500)])
    assert recorded.resets == {0: "start", 9000: "restart"}


def test_a_row_that_was_cut_is_left_to_the_next_part(session: Path) -> None:
    frames = RecordedSession.read(session).frames
    assert [(f.number, f.last_sample, f.latent.tolist()) for f in frames] == [
        (0, 99, [0.25]),
        (1, 100, [1.25]),
        (2, 101, [2.25]),
    ]


def test_a_table_that_was_edited_is_refused_with_the_row(session: Path) -> None:
    table = session / "frames.csv"
    table.write_bytes(table.read_bytes().replace(b"[1.25]", b"a lot"))
    recorded = RecordedSession.read(session)
    with pytest.raises(RecordingError, match=r"a whole row was expected.*'a lot'"):
        _ = recorded.frames


def test_a_session_without_a_recording_is_refused(session: Path) -> None:
    for path in session.glob("recording*"):
        path.unlink()
    recorded = RecordedSession.read(session)
    assert list(recorded.pieces()) == []
    with pytest.raises(RecordingError, match="holds no recording"):
        recorded.signal()


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, 6), slice(0, 4)])
def test_a_chunk_that_claims_more_than_it_holds_is_refused(cut: slice) -> None:
    header = Header.read(stream_header(INFO))
    content = samples(1, counts(0, 5), np.arange(5.0))[4:]  # behind length and tag
    assert np.array_equal(read_values(header, content), counts(0, 5))
    with pytest.raises(ValueError, match=r"claims|damaged"):
        read_values(header, content[cut])

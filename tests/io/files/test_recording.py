"""A recording gives the same samples however it is read, and its chunks are what the line gets live."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bci.errors import RecordingError
from bci.io.files.formats.file import FileRecording
from bci.io.files.recording import Recording, chunks, open_recording, sample_at
from bci.signal.types import Event, Signal

GAP = 7.5


def counters(n: int = 300, border: int = 120, rate: float = 100.0) -> Recording:
    """Give a recording whose first channel is the sample number, with a gap of `GAP` seconds at `border`."""
    values = np.stack([np.arange(n), -np.arange(n)], axis=1).astype(np.float32)
    times = np.arange(n) / rate
    times[border:] += GAP
    return FileRecording(
        name="counters.xdf",
        signal=Signal("counters", rate, (2,), ("up", "down"), "uV"),
        n=n,
        block=lambda first, end: values[first:end],
        markers=(Event(2.5, "late"), Event(0.5, "early")),
        segments=((0, border), (border, n)),
        stamps=times,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(size=st.integers(1, 400), start=st.integers(0, 299), length=st.integers(1, 300))
def test_chunks_are_every_sample_once_in_order_whatever_their_size(
    size: int, start: int, length: int
) -> None:
    recording = counters()
    stop = min(300, start + length)
    found = list(chunks(recording, size, start, stop))
    assert np.concatenate([c.samples for c in found])[:, 0].tolist() == list(range(start, stop))
    assert np.array_equal(np.concatenate([c.times for c in found]), recording.times(start, stop))
    at = 0
    for chunk in found:
        assert chunk.first == at
        assert chunk.last_sample == at + len(chunk.samples) - 1
        assert chunk.samples.dtype == np.float32
        assert not chunk.bad.any()
        at = chunk.end


def test_a_chunk_never_spans_a_gap_and_the_one_after_it_says_so() -> None:
    found = list(chunks(counters(), 50))
    assert [(c.first, c.reset) for c in found if c.reset] == [(0, "start"), (120, "gap")]
    assert found[2].end == 120
    behind = list(chunks(counters(), 50, start=120))
    assert [(c.first, c.reset) for c in behind if c.reset] == [(0, "start")]


def test_chunks_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be cut"):
        next(chunks(counters(), 10, 20, 10))
    with pytest.raises(ValueError, match="asked for"):
        counters().read(0, 301)


def test_a_time_finds_the_first_sample_at_or_after_it() -> None:
    recording = counters()
    assert sample_at(recording, 0.0) == 0
    assert sample_at(recording, 0.495) == 50
    assert sample_at(recording, 1.19) == 119
    assert sample_at(recording, 3.0) == 120  # within the gap
    assert sample_at(recording, 1e9) == 300


def test_markers_are_in_order_and_found_by_time() -> None:
    recording = counters()
    assert [m.text for m in recording.markers] == ["early", "late"]
    assert [m.text for m in recording.markers_between(0.5, 2.5)] == ["early"]


@pytest.mark.parametrize("name", ["missing.edf", "missing.npy", "missing.xdf"])
def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordingError, match="there is no file"):
        open_recording(tmp_path / name)


def test_a_file_of_no_known_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "notes.docx"
    path.write_bytes(b"words")
    with pytest.raises(RecordingError, match=r"Expected \.xdf, \.npy, \.npz or a format that mne"):
        open_recording(path)


def test_a_compressed_xdf_is_to_be_unpacked_first(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf.gz"
    path.write_bytes(b"\x1f\x8b")
    with pytest.raises(RecordingError, match="unpack it"):
        open_recording(path)

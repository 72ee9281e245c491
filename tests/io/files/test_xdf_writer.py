"""What is written is what any reader of XDF reads, and "recorded" is said of what is on the disk alone."""

import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import planted_disks as disks
import planted_recordings as planted
import pytest
import pyxdf

from bci.errors import DiskError, RecordingError
from bci.io.files.checksums import (
    BadLine,
    ChunkSum,
    HeaderCopy,
    hash_of,
    manifest_path,
    read_manifest,
    read_sums,
    sums_path,
)
from bci.io.files.disk import AppendFile
from bci.io.files.recording import open_recording
from bci.io.files.xdf.framing import BOUNDARY
from bci.io.files.xdf.writer import LONGEST_CHUNK, XdfWriter
from bci.signal.clock import ManualClock

RAW = {"synchronize_clocks": False, "dejitter_timestamps": False}


def load(path: Path) -> dict[str, dict]:
    return {s["info"]["name"][0]: s for s in pyxdf.load_xdf(path, **RAW)[0]}


def test_pyxdf_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    samples = planted.record(path)
    streams = load(path)
    amp, events = streams["amp"], streams["events"]
    assert np.array_equal(amp["time_series"], samples)
    assert np.array_equal(amp["time_stamps"], planted.stamps(600))
    assert [row[0] for row in events["time_series"]] == ["at 0, µ", "at 200, µ", "at 400, µ"]
    assert events["time_stamps"].tolist() == [1000.0, 1002.0, 1004.0]
    assert amp["clock_values"] == [-2.0] * 3
    assert amp["clock_times"] == [998.5 + 2.0, 1000.5 + 2.0, 1002.5 + 2.0]  # on the sender's own clock
    info = amp["info"]
    assert (info["source_id"], info["uid"], info["hostname"]) == (["amp-id"], ["uid-1"], ["bench"])
    assert [c["label"][0] for c in info["desc"][0]["channels"][0]["channel"]] == [f"E{i}" for i in range(8)]
    footer = amp["footer"]["info"]
    assert footer["sample_count"] == ["600"]
    assert float(footer["first_timestamp"][0]) == 1000.0
    assert float(footer["last_timestamp"][0]) == planted.stamps(600)[-1]
    assert len(footer["clock_offsets"][0]["offset"]) == 3


def test_our_own_reader_gives_the_same_on_the_sessions_clock(tmp_path: Path) -> None:
    samples = planted.record(tmp_path / "a.xdf")
    recording = open_recording(tmp_path / "a.xdf")
    assert np.array_equal(recording.read(0, 600), samples)
    assert np.allclose(recording.times(0, 600), np.arange(600) / planted.RATE, atol=1e-9)
    assert [(m.time, m.text) for m in recording.markers] == [
        (pytest.approx(t), f"at {n}, µ") for t, n in ((0, 0), (2, 200), (4, 400))
    ]
    assert recording.signal.channels == tuple(f"E{i}" for i in range(8))
    assert recording.signal.unit == "uV"
    assert recording.defects == ()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "int32", "int64"])
def test_every_number_format_comes_back_exactly(tmp_path: Path, dtype: str) -> None:
    with XdfWriter(tmp_path / "a.xdf", ManualClock()) as writer:
        stream = writer.add_stream(planted.eeg(3, dtype))
        limits = np.finfo(dtype) if dtype.startswith("f") else np.iinfo(dtype)
        samples = np.array([[limits.min, 0, limits.max], [1, 2, 3]], dtype)
        writer.write(stream, samples, [5.0, 5.01])
    amp = load(tmp_path / "a.xdf")["amp"]
    assert amp["time_series"].dtype == dtype
    assert np.array_equal(amp["time_series"], samples)


def test_a_name_with_any_character_in_it_is_readable(tmp_path: Path) -> None:
    with XdfWriter(tmp_path / "a.xdf", ManualClock()) as writer:
        writer.add_stream(planted.eeg(1, name='a<b> & "c" µ \x01\x1f'))
    (name,) = load(tmp_path / "a.xdf")
    assert name.startswith('a<b> & "c" µ')


def test_boundaries_come_every_ten_seconds_and_long_writes_are_cut(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "a.xdf"
    planted.record(path, n=3500)
    assert path.read_bytes().count(BOUNDARY) == 3
    assert BOUNDARY in (data / "xdf_examples" / "clock_resets.xdf").read_bytes()  # the one all files share
    with XdfWriter(tmp_path / "b.xdf", ManualClock()) as writer:
        stream = writer.add_stream(planted.eeg(64))
        writer.write(stream, planted.values(12_000, 64), planted.stamps(12_000))
    lengths = [s.length for s in read_sums(sums_path(tmp_path / "b.xdf")) if isinstance(s, ChunkSum)]
    assert max(lengths) <= LONGEST_CHUNK + 64
    assert sum(n > LONGEST_CHUNK // 2 for n in lengths) >= 3
    assert np.array_equal(load(tmp_path / "b.xdf")["amp"]["time_series"], planted.values(12_000, 64))


def test_the_checksums_tile_the_file_and_the_manifest_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    planted.record(path)
    lines = list(read_sums(sums_path(path)))
    assert not any(isinstance(line, BadLine) for line in lines)
    sums = [line for line in lines if isinstance(line, ChunkSum)]
    at = 4
    for line in sums:
        assert line.offset == at
        at += line.length
    assert at == path.stat().st_size
    assert [line.stream for line in lines if isinstance(line, HeaderCopy)] == [1, 2]
    manifest = read_manifest(manifest_path(path))
    assert manifest is not None
    assert manifest["sums"]["blake2b"] == hash_of(sums_path(path))
    assert (manifest["bytes"], manifest["chunks"]) == (at, len(sums))
    assert [(s["samples"], s["segments"]) for s in manifest["streams"]] == [(600, [[0, 600]]), (3, [[0, 3]])]
    assert json.loads(manifest_path(path).read_text()) != manifest  # it carries a hash of itself besides


def test_samples_that_were_lost_before_they_were_written_begin_a_segment(tmp_path: Path) -> None:
    with XdfWriter(tmp_path / "a.xdf", ManualClock()) as writer:
        stream = writer.add_stream(planted.eeg(), first=7)
        for first in (7, 57, 150):
            writer.write(stream, planted.values(50), planted.stamps(50, first / 100), first)
        writer.write(stream, planted.values(50), planted.stamps(50, 2.0))
    manifest = read_manifest(manifest_path(tmp_path / "a.xdf"))
    assert manifest is not None
    assert manifest["streams"][0]["segments"] == [[7, 100], [150, 100]]


def test_nothing_is_called_recorded_before_it_is_synced(tmp_path: Path) -> None:
    clock = ManualClock()
    order: list[str] = []

    class Watched(AppendFile):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self.name = path.name

        def sync(self) -> None:
            order.append(self.name)
            super().sync()

    with XdfWriter(tmp_path / "a.xdf", clock, sync_every=2.0, open_file=Watched) as writer:
        stream = writer.add_stream(planted.eeg())
        writer.write(stream, planted.values(50), planted.stamps(50))
        clock.advance(1.9)
        writer.tick()
        assert writer.recorded.get(stream, 0) == 0
        assert order == []
        clock.advance(0.2)
        writer.tick()
        assert writer.recorded[stream] == 50
        assert order == ["a.xdf.partial", "a.xdf.sums"]  # first the data, then what vouches for them
        writer.write(stream, planted.values(50), planted.stamps(50))
        assert writer.recorded[stream] == 50
        assert not (tmp_path / "a.xdf").exists()
    assert writer.recorded[stream] == 100
    assert (tmp_path / "a.xdf").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_a_full_disk_is_said_with_what_is_safe_and_writing_can_go_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    disk, clock = disks.FullDisk(60_000), ManualClock()
    samples, times = planted.values(5000), planted.stamps(5000)
    with XdfWriter(tmp_path / "a.xdf", clock, open_file=disk.open) as writer:
        stream = writer.add_stream(planted.eeg())
        done, refusals, safes = 0, [], []
        while done < 5000:
            try:
                writer.write(stream, samples[done : done + 100], times[done : done + 100])
                done += 100
                writer.sync()
            except DiskError as error:
                refusals.append(str(error))
                safe = writer.recorded[stream]
                safes.append(f"{safe} samples of 'amp'")
                # What was called safe is in the file, whole.
                copy = tmp_path / f"copy{len(refusals)}.xdf"
                copy.write_bytes(writer.partial.read_bytes())
                assert np.array_equal(open_recording(copy).read(0, safe), samples[:safe])
                disk.room += 50_000
    assert len(refusals) >= 3
    assert all(safe in words for safe, words in zip(safes, refusals, strict=True))
    assert all(os.strerror(errno.ENOSPC) in words and "Make room" in words for words in refusals)
    assert np.array_equal(load(tmp_path / "a.xdf")["amp"]["time_series"], samples)
    ends = [s.offset + s.length for s in read_sums(sums_path(tmp_path / "a.xdf")) if isinstance(s, ChunkSum)]
    assert ends[-1] == (tmp_path / "a.xdf").stat().st_size


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    planted.record(tmp_path / "a.xdf", n=50)
    before = (tmp_path / "a.xdf").read_bytes()
    with pytest.raises(DiskError, match="not overwritten"):
        XdfWriter(tmp_path / "a.xdf", ManualClock())
    assert (tmp_path / "a.xdf").read_bytes() == before


def test_a_recorder_that_fails_leaves_a_partial_file_that_reads(tmp_path: Path) -> None:
    def record_and_fail() -> None:
        with XdfWriter(tmp_path / "a.xdf", ManualClock()) as writer:
            stream = writer.add_stream(planted.eeg())
            writer.write(stream, planted.values(70), planted.stamps(70))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record_and_fail()
    assert not (tmp_path / "a.xdf").exists()
    (tmp_path / "a.xdf.partial").rename(tmp_path / "b.xdf")
    assert open_recording(tmp_path / "b.xdf").n == 70


def test_samples_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    with XdfWriter(tmp_path / "a.xdf", ManualClock()) as writer:
        stream = writer.add_stream(planted.eeg())
        with pytest.raises(ValueError, match=r"\(5, 8\)"):
            writer.write(stream, planted.values(5, 7), planted.stamps(5))
        with pytest.raises(ValueError, match="float32"):
            writer.write(stream, planted.values(5, 8, "float64"), planted.stamps(5))


def test_cut_at_three_hundred_places_it_loads_up_to_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    samples = planted.record(path, n=400, each=25, one_offset=True)
    content = path.read_bytes()
    ends = [
        (s.offset + s.length, s.samples)
        for s in read_sums(sums_path(path))
        if isinstance(s, ChunkSum) and s.stream == 1 and s.samples
    ]
    cut_path = tmp_path / "cut.xdf"
    loaded = 0
    for cut in random.Random(11).sample(range(4, len(content)), 300):
        cut_path.write_bytes(content[:cut])
        whole = sum(n for end, n in ends if end <= cut)
        if not whole:
            with pytest.raises(RecordingError):
                open_recording(cut_path)
            continue
        recording = open_recording(cut_path)
        assert recording.n == whole
        assert np.array_equal(recording.read(0, whole), samples[:whole])
        loaded += 1
    assert loaded > 200


@pytest.mark.system
def test_what_was_called_recorded_survives_the_kill_of_its_writer(tmp_path: Path) -> None:
    code = (
        "import sys, planted_recordings as planted\n"
        "from bci.io.files.xdf.writer import XdfWriter\n"
        "from bci.memory.lsl_clock import LslClock\n"
        "from pathlib import Path\n"
        "writer = XdfWriter(Path(sys.argv[1]), LslClock(), sync_every=0.02)\n"
        "stream = writer.add_stream(planted.eeg())\n"
        "samples, first = planted.values(100), 0\n"
        "while True:\n"
        "    writer.write(stream, samples, planted.stamps(100, first / 100)); first += 100; writer.tick()\n"
        "    sys.stdout.write(f'{writer.recorded.get(stream, 0)}\\n'); sys.stdout.flush()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.xdf")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert process.stdout is not None
    said = 0
    for line in process.stdout:
        said = int(line)
        if said >= 2000:
            break
    process.kill()
    rest, _ = process.communicate()
    said = max([said, *(int(line) for line in rest.split("\n")[:-1])])
    (tmp_path / "a.xdf.partial").rename(tmp_path / "b.xdf")
    assert open_recording(tmp_path / "b.xdf").n >= said >= 2000  # type: ignore[operator]

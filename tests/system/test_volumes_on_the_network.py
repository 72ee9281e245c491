"""A scanner's files become streams across real processes and a real network, volume for volume."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.io.lsl.address import Address
from bci.io.lsl.irregular import IrregularSource
from bci.io.lsl.source import LslSource
from bci.io.volumes.gate import VolumeStatus
from bci.io.volumes.outlet import META_COLUMNS, RAW
from bci.memory.lsl_clock import LslClock
from bci.memory.stream import Stream
from bci.sim.scanner.phantom import phantom, phantom_series
from bci.sim.scanner.scanner import SimulatedScanner

pytestmark = pytest.mark.system


@contextmanager
def command(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run `bci volumes` as a process of its own; end it if the test did not."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bci", "volumes", *map(str, words), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def receive(
    clock: LslClock, count: int, step: Any = lambda: None, others: int = 0
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return so many volumes of BOLD-raw, and the records of BOLD-meta: one for each, and `others`."""
    with LslSource(Address(name=RAW), clock=clock, timeout=60, data_age_limit=60, between=step) as raw:
        meta_id = raw.info.extra["meta_source_id"]
        with (
            IrregularSource(meta_id, clock=clock, timeout=60) as meta,
            Stream.private(meta.signal, 60.0) as particulars,
        ):
            volumes: list[Any] = []
            deadline = clock.now() + 120
            while len(volumes) < count and clock.now() < deadline:
                step()
                if (window := raw.pull(0.02)) is not None:
                    volumes += list(window.samples)
                meta.pull_into(particulars, 0.0)
            kept = particulars.samples
            while kept.count < count + others and clock.now() < deadline:
                meta.pull_into(particulars, 0.02)
            records = kept.read(0, kept.count)["samples"].copy() if kept.count else np.zeros((0, 13))
    return np.array(volumes), records


@pytest.mark.parametrize(
    ("series", "shape", "crc"),
    [("dicom_xa30", (20, 64, 64, 33), "30537a01"), ("dicom_ge", (10, 64, 64, 15), "2f4acb8f")],
)
def test_a_real_series_comes_through_the_network_bit_for_bit(
    data: Path, series: str, shape: tuple[int, ...], crc: str
) -> None:
    clock = LslClock()
    name = f"replayed-{os.getpid()}-{series}"
    with command("replay", data / series, "--speed", 10, "--source-id", name, "--wait", 30) as process:
        volumes, records = receive(clock, shape[0])
        done = result(process)
    assert volumes.shape == shape
    frames = np.ascontiguousarray(volumes.transpose(0, 3, 2, 1), "<u2")
    assert f"{zlib.crc32(frames):08x}" == crc
    assert records[:, META_COLUMNS.index("seq")].tolist() == list(range(shape[0]))
    assert done["sent"] == shape[0]
    assert done["statuses"]["gap"] == 0


def test_a_watched_folder_is_a_stream_in_which_every_place_is_kept(tmp_path: Path) -> None:
    clock = LslClock()
    series = phantom_series((16, 12, 6), tr=0.25, total=12)
    with command("watch", tmp_path, "--seconds", 40, "--wait", 20) as process:
        scanner: SimulatedScanner | None = None

        def step() -> None:
            nonlocal scanner
            if scanner is None and process.poll() is None:
                line = process.stderr.readline() if process.stderr else ""
                assert "watching" in line
                faults: Any = {3: "missing", 5: "half-written", 7: "duplicate", 9: "foreign"}
                scanner = SimulatedScanner(tmp_path, series, clock, faults=faults)
            if scanner is not None:
                scanner.step()

        step()
        volumes, records = receive(clock, 12, step, others=2)
    assert len(volumes) == 12
    for place in range(12):
        if place == 3:
            assert np.isnan(volumes[place]).all()
        else:
            assert np.array_equal(volumes[place], phantom(series, place))
    statuses = records[:, META_COLUMNS.index("status")]
    seqs = records[:, META_COLUMNS.index("seq")]
    assert seqs[seqs >= 0].tolist() == list(range(12))
    assert statuses[seqs == 3].tolist() == [VolumeStatus.GAP]
    assert {VolumeStatus(int(status)) for status in statuses[seqs < 0]} == {
        VolumeStatus.DUPLICATE, VolumeStatus.FOREIGN,
    }  # fmt: skip

"""The benchmarks of the decoder run, and their last line says what it promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.system


def last_line(*words: str, status: int = 0) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", *words, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_decode_latency_counts_every_frame_into_the_displays_hands() -> None:
    found = last_line("benchmarks.decode_latency", "--fresh", "--windows", "4")
    assert {name: row["n"] for name, row in found["latency_ms"].items()} == {
        "floor": 20,
        "decode": 20,
        "hands": 20,
    }
    assert 0 < found["latency_ms"]["decode"]["p50"] < found["latency_ms"]["hands"]["p50"]
    assert found["fresh"] is True


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is there")
def test_the_gpu_benchmark_says_plainly_that_there_is_no_gpu() -> None:
    found = last_line("benchmarks.gpu", "--quick", status=3)
    assert found["gpu"] is False
    assert "CUDAExecutionProvider" in found["reason"]

"""Results reach other tools over LSL: latent, confidence and provenance of every frame, and its pixels when asked."""

import threading
from pathlib import Path

import numpy as np
import pylsl
import pytest

from bci.control.posts import COUNTERS
from bci.live import publish
from bci.memory.board import Board
from bci.memory.frames import frame_columns, write_frame
from bci.memory.lsl_clock import LslClock
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.signal.types import Reconstruction

pytestmark = pytest.mark.system
FRAMES = 5


def frame(i: int) -> Reconstruction:
    return Reconstruction(
        image=np.full((2, 3, 3), 10 * i + 200, np.uint8),
        latent=np.array([i / 4, -i], np.float32),
        confidence=float("nan") if i == 2 else i / 10,
        valid=i != 3,
        reason="settling" if i == 3 else "",
        first=16 * i,
        last_sample=16 * i + 159,
        skipped=i % 2,
        stamps={
            "data": 100.0 + i,
            "arrived": 100.1 + i,
            "cut": 100.2 + i,
            "decoded": 100.3 + i,
            "published": 100.4 + i,
        },
        repeats=1 + i % 3,
    )


def open_inlet(source_id: str) -> pylsl.StreamInlet:
    found = pylsl.resolve_byprop("source_id", source_id, timeout=30)
    assert len(found) == 1
    inlet = pylsl.StreamInlet(found[0])
    inlet.open_stream(30)
    return inlet


def test_every_frame_is_published_with_its_provenance_and_its_pixels(
    segment_name: str, tmp_path: Path
) -> None:
    with (
        Ring.create(segment_name, frame_columns(2, 3, 2), 64, 16) as frames,
        Board.create(segment_name + "b", {"publish": COUNTERS["publish"]}) as board,
    ):
        spec = {
            "source_id": segment_name,
            "pixels": True,
            "values": ("probability-left", "probability-right"),
        }
        launch = Launch(
            "publish", "bci.live.publish", spec, str(tmp_path), segment_name + "b",
            rings={"frames": frames.handle}, slots={"frames": 2},
        )  # fmt: skip
        program = Program(launch, None, board, LslClock())
        running = threading.Thread(target=publish.main, args=(program,))
        running.start()
        latents, pixels = open_inlet(segment_name), open_inlet(segment_name + "-pixels")
        for i in range(FRAMES):
            write_frame(frames, frame(i))
        rows = [latents.pull_sample(timeout=30) for _ in range(FRAMES)]
        pictures = [pixels.pull_sample(timeout=30) for _ in range(FRAMES)]
        described = latents.info(timeout=30)
        frames.finish()
        running.join(30)
        assert not running.is_alive()
        program.close()
    assert described.channel_count() == 2 + len(publish.FACTS)
    assert described.get_channel_labels() == ["probability-left", "probability-right", *publish.FACTS]
    for i, ((row, stamp), (picture, _)) in enumerate(zip(rows, pictures, strict=True)):
        made = frame(i)
        expected = [*made.latent, made.confidence, made.valid, i, made.first, made.last_sample, made.skipped]
        assert np.array_equal(row[: len(expected)], np.array(expected, float), equal_nan=True)
        assert row[len(expected) : -1] == pytest.approx(list(made.stamps.values()))
        assert row[-1] == made.repeats
        assert stamp == pytest.approx(100.0 + i)
        assert np.array_equal(np.array(picture).reshape(2, 3, 3), made.image)

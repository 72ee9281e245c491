"""The display programs in processes of their own, a window on an X server whose screen the test can read."""

import contextlib
import multiprocessing
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.control.posts import COUNTERS
from bci.io.lsl.markers import MarkerSource
from bci.memory.board import Board, State
from bci.memory.frames import frame_columns, shown_columns, write_frame
from bci.memory.lsl_clock import LslClock
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, run_program
from bci.memory.ring import Ring
from bci.signal.types import Event, Reconstruction, Shown

pytestmark = pytest.mark.system

WIDTH, HEIGHT = 640, 480
SIDE = 16
#: Generous: a loaded machine may take long to start a process, and nothing here depends on how long.
PATIENCE = 60.0


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"waited {PATIENCE:g} s in vain for {what}")


@dataclass(frozen=True)
class Screen:
    """A virtual screen: its display name, and the file its pixels are in."""

    display: str
    file: Path

    def pixels(self) -> np.ndarray:
        """Return what is on the screen now, (HEIGHT, WIDTH, 3)."""
        dump = self.file.read_bytes()
        # The X window dump: 25 big-endian words, a name, the colour map of 12 bytes an entry, the pixels.
        words = struct.unpack(">25I", dump[:100])
        header, depth, width, height, byte_order, bits, line, colours = (
            words[i] for i in (0, 3, 4, 5, 7, 11, 12, 19)
        )
        assert (depth, width, height, byte_order, bits) == (24, WIDTH, HEIGHT, 0, 32)
        pixels = np.frombuffer(dump, np.uint8, line * height, header + 12 * colours)
        return pixels.reshape(height, line)[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1]


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("XVFB MISSING: `apt-get install xvfb` to test the window on a screen that can be read")
    read, write = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    process = subprocess.Popen(
        [
            server,
            "-displayfd",
            str(write),
            "-screen",
            "0",
            size,
            "-fbdir",
            tmp_path,
            "-nolisten",
            "tcp",
            "-nocursor",
        ],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb ended without opening a display"
        yield Screen(f":{number}", tmp_path / "Xvfb_screen0")
    finally:
        process.terminate()
        process.wait()


class DisplayProgram:
    """A display program as the supervisor would start it."""

    def __init__(self, key: str, folder: Path, kind: str = "window", **spec: Any) -> None:
        self.clock = LslClock()
        self.frames = Ring.create(key + "f", frame_columns(SIDE, SIDE, 1), 16, 1)
        self.shown = Ring.create(key + "w", shown_columns(SIDE, SIDE, 1), 256, 256)
        self.board = Board.create(
            key + "b",
            {"acquire": COUNTERS["acquire"], "decode": COUNTERS["decode"], "display": COUNTERS["display"]},
        )
        self.alive(True)
        launch = Launch(
            "display",
            f"stimuli.display.{kind}",
            {"kind": kind, "fresh_for": 600.0} | spec,
            str(folder),
            key + "b",
            rings={"frames": self.frames.handle, "shown": self.shown.handle},
        )
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=run_program, args=(launch, theirs))
        self.process.start()
        theirs.close()
        self.messages: list[tuple[str, dict[str, Any]]] = []

    def alive(self, yes: bool) -> None:
        for program in ("acquire", "decode"):
            row = self.board.row(program)
            row["beat"] = row["data"] = np.inf if yes else 0.0

    def message(self, kind: str) -> dict[str, Any]:
        """Wait for a message of this kind."""

        def come() -> dict[str, Any] | None:
            with contextlib.suppress(EOFError):  # it has ended, and has said all that it had to say
                while self.pipe.poll():
                    self.messages.append(self.pipe.recv())
            return next((facts for name, facts in self.messages if name == kind), None)

        facts: dict[str, Any] = wait_for(come, f"the message {kind!r}")
        return facts

    def show(self, image: np.ndarray) -> int:
        now = self.clock.now()
        stamps = dict.fromkeys(("data", "arrived", "cut", "decoded", "published"), now)
        latent = np.zeros(1, np.float32)
        return write_frame(self.frames, Reconstruction(image, latent, 0.5, True, "", 0, 0, stamps=stamps))

    def newest_shown(self) -> Any:
        count = self.shown.count
        return self.shown.read(count - 1, count)["shown"][0] if count else None

    def stop(self) -> int | None:
        self.pipe.send(Order(STOP))
        self.process.join(PATIENCE)
        return self.process.exitcode

    def close(self) -> None:
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()
        self.board.close()
        self.frames.close()
        self.shown.close()


@pytest.fixture
def start(
    screen: Screen, segment_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., DisplayProgram]]:
    monkeypatch.setenv("DISPLAY", screen.display)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    started: list[DisplayProgram] = []

    def run(**spec: Any) -> DisplayProgram:
        started.append(DisplayProgram(f"{segment_name}{len(started)}", tmp_path, **spec))
        return started[-1]

    yield run
    for program in started:
        program.close()


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def test_in_full_screen_the_pixels_on_the_screen_are_the_decoders(start, screen):
    # 640 pixels over 64 cm, and a distance at which the picture is 160 pixels: ten for each of its own.
    degrees = float(np.degrees(2 * np.arctan(8.0 / 57.0)))
    program = start(
        full_screen=True, monitor=0, screen_width_cm=64.0, viewing_distance_cm=57.0, image_deg=degrees,
        fixation=False, background=60,
    )  # fmt: skip
    facts = program.message("ready")
    assert (facts["driver"], facts["size_px"], facts["image_px"]) == ("x11", (WIDTH, HEIGHT), (160, 160))
    assert facts["refresh_hz"] > 0
    wait_for(lambda: program.shown.count == 1, "the record of the neutral picture")
    wait_for(lambda: (screen.pixels() == 60).all(), "the neutral picture on the whole screen")
    for seed in (1, 2):
        number = program.show(picture(seed))
        expected = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
        expected[160:320, 240:400] = picture(seed).repeat(10, axis=0).repeat(10, axis=1)
        wait_for(lambda number=number: program.newest_shown()["frame"] == number, "the record of the frame")
        wait_for(lambda expected=expected: (screen.pixels() == expected).all(), "the picture on the screen")
        record = program.newest_shown()
        assert (record["kind"], record["frame"]) == (Shown.FRAME, number)
        stamps = record["info"]["stamps"]
        assert (np.diff(stamps) >= 0).all(), "every stage is stamped, in order"
        assert stamps[-1] == record["flip"]
    program.alive(False)
    wait_for(lambda: program.newest_shown()["kind"] == Shown.NEUTRAL, "the record of the neutral picture")
    wait_for(lambda: (screen.pixels() == 60).all(), "the neutral picture again")
    assert program.newest_shown()["reason"].startswith(b"no heartbeat of acquire for")
    assert program.stop() == 0
    report = program.message("report")
    assert (report["shown_frames"], report["superseded"], report["closed"]) == (2, 0, False)
    row = program.board.row("display")
    assert (row["state"], row["flips"]) == (State.STOPPED, report["flips"])
    assert report["flips"] >= program.shown.count == 4
    assert report["flip_interval_ms"]["n"] == report["flips"] - 1


def test_a_window_stands_on_the_screen_pixel_by_pixel_with_its_photodiode_patch(start, screen):
    program = start(size_px=(300, 200), screen_width_cm=64.0, image_deg=4.0, photodiode=True, background=60)
    program.message("ready")
    wait_for(lambda: program.shown.count == 1, "the neutral picture")

    def window() -> np.ndarray:
        pixels = screen.pixels()
        rows, columns = np.nonzero((pixels == 60).all(axis=2))
        return pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]

    def patch(level: int) -> Callable[[], bool]:
        return lambda: window().shape == (200, 300, 3) and (window()[190:, :10] == level).all()

    wait_for(patch(255), "a white patch in the corner of the neutral picture")
    program.show(picture(1))
    wait_for(patch(0), "a black patch with the first picture")
    program.show(picture(2))
    wait_for(patch(255), "a white patch with the second")
    assert program.stop() == 0


def test_a_monitor_that_is_not_there_is_refused_by_name_before_ready(start):
    program = start(full_screen=True, monitor="VPixx")
    failed = program.message("failed")
    assert failed["error"] == "DisplayError"
    assert "no monitor is called 'VPixx'; there are: 0 'screen' (640 × 480)" in failed["message"]
    program.process.join(PATIENCE)
    assert program.process.exitcode == 2
    assert program.board.row("display")["state"] == State.FAILED


def test_every_change_of_picture_is_a_marker_with_the_stamp_of_its_flip(segment_name, tmp_path):
    program = DisplayProgram(
        segment_name, tmp_path, kind="headless", flip_markers=True, flip_stream=segment_name
    )
    try:
        with MarkerSource(segment_name, LslClock(), timeout=PATIENCE) as source:
            received: list[Event] = []

            def come(text: str) -> bool:
                received.extend(source.pull(0.1))
                return any(text in marker.text for marker in received)

            program.show(picture(1))
            wait_for(lambda: come("frame 0"), "the marker of the first frame")
            program.show(picture(2))
            wait_for(lambda: come("frame 1"), "the marker of the second")
            program.alive(False)
            wait_for(lambda: come("neutral: no heartbeat of acquire"), "the marker of the neutral picture")
        flips = {
            f"frame {row['frame']}"
            if row["kind"] == Shown.FRAME
            else f"neutral: {row['reason'].decode()}": row
            for row in program.shown.read(0, program.shown.count)["shown"]
        }
        for marker in received:
            assert marker.raw == flips[marker.text]["flip"]
        assert program.stop() == 0
    finally:
        program.close()

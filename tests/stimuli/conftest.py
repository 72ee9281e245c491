"""A stage for display programs: real rings and a pipe, a board, and a clock that plays a script as it turns."""

import gc
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stage import World

from bci.control.posts import COUNTERS
from bci.memory.board import Board
from bci.memory.frames import frame_columns, shown_columns, write_frame
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.memory.trial_parts import create_stimuli
from bci.signal.clock import ManualClock
from bci.signal.types import Event, Reconstruction


class ScriptedClock(ManualClock):
    """A hand-turned clock; what was entered for a time happens when the hand passes it."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__(start)
        self._script: list[tuple[float, Callable[[], Any]]] = []

    def at(self, time: float, act: Callable[[], Any]) -> None:
        self._script.append((time, act))
        self._script.sort(key=lambda entry: entry[0])

    def sleep_until(self, when: float) -> None:
        while self._script and self._script[0][0] <= when:
            time, act = self._script.pop(0)
            super().sleep_until(time)
            act()
        super().sleep_until(when)
        assert self._script, "the script of this test never stops the program"


class Stage:
    """Everything around one display program."""

    programs = ("acquire", "decode", "display", "engine")

    def __init__(self, name: str, folder: Path, shape: tuple[int, int] = (4, 6), latent: int = 2) -> None:
        self.shape, self.latent_size, self.folder = shape, latent, folder
        self.clock = ScriptedClock()
        self.frames = Ring.create(name + "f", frame_columns(*shape, latent), 8, 1)
        room = 512 if shape[0] * shape[1] <= 4096 else 16
        self.shown = Ring.create(name + "s", shown_columns(*shape, latent), room, room)
        self.stimuli = create_stimuli(name + "t", *shape)
        self.board = Board.private({name: COUNTERS[name] for name in self.programs})
        self.pipe, self._child_pipe = multiprocessing.Pipe()
        self.responses: Ring | None = None
        self.facts: dict[str, Any] = {}
        self._program: Program | None = None
        for program in ("acquire", "decode", "engine"):
            self.alive(program)

    def program(self, **spec: Any) -> Program:
        launch = Launch(
            "display",
            "stimuli.display.headless",
            {
                "kind": "headless",
                "refresh_hz": 50.0,
                "fresh_for": 0.25,
                "size_px": (160, 120),
                "image_deg": 6.0,
            }
            | spec,
            str(self.folder),
            "",
            rings={"frames": self.frames.handle, "shown": self.shown.handle}
            | ({"stimuli": self.stimuli.handle} if spec.get("engine") else {})
            | ({} if self.responses is None else {"responses": self.responses.handle}),
        )
        if self._program is not None:
            self._program.close()  # its rings would be freed while views of them are still there
        self._program = Program(launch, self._child_pipe, self.board, self.clock)
        return self._program

    def play(self, main: Callable[[Program], None], until: float, **spec: Any) -> dict[str, Any]:
        """Run a display program until a session time; return all that it told the supervisor."""
        self.clock.at(until, lambda: self.pipe.send(Order(STOP)))
        self.clock.at(until + 3600.0, lambda: pytest.fail("the display did not obey the order to stop"))
        main(self.program(**spec))
        while self.pipe.poll():
            kind, facts = self.pipe.recv()
            if kind in ("ready", "report"):
                self.facts |= facts
        return self.facts

    def alive(self, program: str, until: float = math.inf) -> None:
        """Give `program` heartbeats and data up to a session time."""
        row = self.board.row(program)
        row["beat"] = row["data"] = until

    def image(self, number: int) -> np.ndarray:
        """Return the picture that frame `number` of this stage has: no two are alike."""
        return np.random.default_rng(number).integers(0, 256, (*self.shape, 3), np.uint8)

    def frame(
        self,
        *,
        age: float = 0.0,
        valid: bool = True,
        reason: str = "",
        confidence: float = 0.75,
        latent: float | None = None,
        event: Event | None = None,
    ) -> int:
        """Publish a frame whose data arrived `age` seconds ago; return its number."""
        number = self.frames.count
        arrived = self.clock.now() - age
        return write_frame(
            self.frames,
            Reconstruction(
                self.image(number),
                np.full(self.latent_size, number if latent is None else latent, np.float32),
                confidence,
                valid,
                reason,
                first=number,
                last_sample=number + 9,
                stamps={"data": arrived, "arrived": arrived, "cut": arrived, "decoded": self.clock.now()},
                event=event,
            ),
        )

    def frames_at(self, *times: float, **facts: Any) -> None:
        """Enter a frame into the script for each of these times."""
        for time in times:
            self.clock.at(time, lambda: self.frame(**facts))

    def changes(self) -> dict[str, np.ndarray]:
        """Return all columns of the shown ring so far."""
        return self.shown.read(0, self.shown.count)

    def close(self) -> None:
        if self._program is not None:
            self._program.close()
        self.pipe.close()
        self._child_pipe.close()
        self.board.close()
        self.frames.close()
        self.shown.close()
        self.stimuli.close()


@pytest.fixture
def make_stage(segment_name: str, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Give a maker of stages."""
    stages: list[Stage] = []

    def make(**facts: Any) -> Stage:
        stages.append(Stage(f"{segment_name}{len(stages)}", tmp_path, **facts))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """Give a stage with pictures of 4 × 6 pixels and two latents."""
    return make_stage()


@pytest.fixture
def make_world(
    segment_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    """Return a function that makes the stage of an engine, in a folder of its own."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    worlds: list[World] = []

    def make(**facts: Any) -> World:
        folder = tmp_path / f"session-{len(worlds)}"
        folder.mkdir()
        worlds.append(World(f"{segment_name}{len(worlds)}", folder, **facts))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()
    gc.unfreeze()

"""A stage for the engine: real rings, a hand-turned clock, and a screen, a decoder and a renderer that follow it."""

import math
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.control.posts import COUNTERS
from bci.memory.board import Board
from bci.memory.frames import frame_columns, shown_columns, write_frame
from bci.memory.marks import create_marks
from bci.memory.orders import Order
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.memory.trial_parts import (
    KEY,
    Phase,
    create_drawn,
    create_requests,
    create_responses,
    create_stimuli,
    write_drawn,
    write_response,
)
from bci.signal.clock import ManualClock
from bci.signal.types import Event, Reconstruction, Shown
from stimuli import engine

SHAPE, LATENT = (4, 6), 4

#: What the planted decoder reads: (trial, pixels shown) -> (latent, confidence), or None where the epoch is lost.
Reader = Callable[[int, NDArray[np.uint8]], tuple[list[float], float] | None]


class Killed(BaseException):
    """The engine is no more."""


class _Engine(Program):
    """An engine that can be killed at a tick, and is stopped when it reports."""

    dies: Callable[[], bool] = staticmethod(lambda: False)

    def tick(self) -> bool:
        if self.dies():
            raise Killed
        return super().tick()

    def report(self, **facts: Any) -> None:
        self.facts = facts
        self._stopping = True


class World(ManualClock):
    """The rings around an engine; as the hand passes, what was asked for is shown, answered and decoded.

    Parameters
    ----------
    name : str
        What the rings' names begin with.
    folder : Path
        The session's.
    read : callable
        What the decoder reads of each trial.
    epoch_s : float
        From a flip to its reconstruction, seconds.
    second : callable, optional
        What another decoder that feeds the display reads of each trial.
    draw_s : callable
        Seconds after which the picture of a trial's latent is there, given the trial; infinite for never.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        read: Reader = lambda trial, image: ([float(trial), -1.0, 0.0, 0.0], 0.75),
        epoch_s: float = 0.1,
        draw_s: Callable[[int], float] = lambda trial: 0.05,
        second: Reader | None = None,
    ) -> None:
        super().__init__(0.0)
        self._second = second
        self.second_frames = Ring.create(name + "f2", frame_columns(*SHAPE, LATENT), 256, 1)
        self.folder, self._read, self._epoch_s, self._draw_s = folder, read, epoch_s, draw_s
        self.frames = Ring.create(name + "f", frame_columns(*SHAPE, LATENT), 256, 1)
        self.shown = Ring.create(name + "s", shown_columns(*SHAPE, LATENT), 256, 1)
        self.stimuli = create_stimuli(name + "t", *SHAPE)
        self.requests, self.drawn = create_requests(name + "q", LATENT), create_drawn(name + "g", *SHAPE)
        self.marks = create_marks(name + "m", 1)
        self.keys = {role: create_responses(name + role[0] + "k") for role in ("responses", "operator_keys")}
        self.pipe, self._child_pipe = multiprocessing.Pipe()
        self.board = Board.private({"engine": COUNTERS["engine"]})
        self.parts: list[tuple[int, str, NDArray[np.uint8]]] = []
        self.feeds: list[int] = []
        self.cleared: list[int] = []
        self.decoded: list[int] = []
        self.facts: dict[str, Any] = {}
        self._asked = self._requested = self._deaths = 0
        self._script: list[tuple[float, int, Callable[[], None], int]] = []

    # -- what follows the engine -------------------------------------------------------------------------

    def sleep_until(self, when: float) -> None:
        while True:
            self._look()
            due = min(self._script, default=None, key=lambda entry: entry[:2])
            if due is None or due[0] > when:
                break
            self._script.remove(due)
            super().sleep_until(max(due[0], self.now()))
            due[2]()
        super().sleep_until(when)

    def order(self, time: float, kind: str) -> None:
        """Enter an order into the script."""
        self._at(time, lambda: self.pipe.send(Order(kind)))

    def press(self, time: float, key: str, window: str = "responses") -> None:
        """Enter a key that is pressed in one of the windows."""
        self._at(time, lambda: write_response(self.keys[window], KEY + key, self.now()))

    def answers(self) -> list[tuple[str, str]]:
        """Return kind and verdict of every order that the engine has answered."""
        answers = []
        while self.pipe.poll():
            word, facts = self.pipe.recv()
            if word == "acknowledged":
                answers.append((facts["acknowledgement"].kind, str(facts["acknowledgement"].verdict)))
        return answers

    def _at(self, time: float, act: Callable[[], None], trial: int = -1) -> None:
        if math.isfinite(time):
            self._script.append((time, len(self._script), act, trial))

    def _look(self) -> None:
        for at in range(self._requested, self.requests.count):
            place = self.requests.read(at, at + 1)
            record, latent = place["request"][0], place["latent"][0]
            self._at(
                self.now() + self._draw_s(int(record["trial"])),
                lambda record=record, latent=latent: write_drawn(self.drawn, record, picture_of(latent)),
            )
        self._requested = self.requests.count
        for at in range(self._asked, self.stimuli.count):
            place = self.stimuli.read(at, at + 1)
            part, image = place["part"][0].copy(), place["image"][0]
            if part["phase"] == Phase.CLEAR:
                self.cleared.append(int(part["trial"]))
                self._script = [entry for entry in self._script if entry[3] != int(part["trial"])]
            if part["phase"] != Phase.STIMULUS:
                continue
            name = bytes(part["name"]).decode()
            self.parts.append((int(part["trial"]), name, image))
            self.feeds.append(int(part["feed"]))
            flip = float(part["start"]) + 0.004
            trial = int(part["trial"])
            self._at(flip, lambda part=part, flip=flip: self._flip(part, flip), trial)
            self._at(
                flip + self._epoch_s,
                lambda part=part, flip=flip, image=image: self._decode(part, flip, image),
                trial,
            )
        self._asked = self.stimuli.count

    def _flip(self, part: Any, flip: float) -> None:
        place = self.shown.claim(1)
        record = place["shown"]
        record["kind"], record["frame"], record["trial"] = Shown.STIMULUS, part["stimulus"], part["trial"]
        record["flip"] = flip
        self.shown.commit(1)

    def _decode(self, part: Any, flip: float, image: NDArray[np.uint8]) -> None:
        trial = int(part["trial"])
        event = Event(flip, "stimulus", 0, flip, trial)
        for ring, reader in ((self.frames, self._read), (self.second_frames, self._second)):
            read = None if reader is None else reader(trial, image)
            if read is None:
                continue
            latent, confidence = read
            if ring is self.frames:
                self.decoded.append(trial)
            stamps = {"arrived": self.now()}
            write_frame(
                ring,
                Reconstruction(
                    image, np.array(latent, np.float32), confidence, True, "", 0, 9, 0, stamps, event
                ),
            )

    # -- the engine --------------------------------------------------------------------------------------

    def run(self, dies: Callable[[], bool] = lambda: False, **spec: Any) -> bool:
        """Run an engine, in the place of the one before if that died; return whether it came to its end."""
        rings = {
            "stimuli": self.stimuli,
            "shown": self.shown,
            "frames": self.frames,
            "requests": self.requests,
            "drawn": self.drawn,
            "engine_marks": self.marks,
        } | self.keys
        if self._second is not None:
            rings["frames-2"] = self.second_frames
        launch = Launch(
            "engine",
            "stimuli.engine",
            {"size": SHAPE, "latent": LATENT, "reading": LATENT, "tail_s": 0.5} | spec,
            str(self.folder),
            "",
            rings={role: ring.handle for role, ring in rings.items()},
            restart=self._deaths,
        )
        program = _Engine(launch, self._child_pipe, self.board, self)
        program.dies = dies  # type: ignore[method-assign]
        try:
            engine.main(program)
        except Killed:
            self._deaths += 1
            return False
        finally:
            program.close()
        self.facts = program.facts
        return True

    def close(self) -> None:
        self.board.close()
        self.pipe.close()
        self._child_pipe.close()
        for ring in (
            self.marks,
            *self.keys.values(),
            self.frames,
            self.second_frames,
            self.shown,
            self.stimuli,
            self.requests,
            self.drawn,
        ):
            ring.close()


def picture_of(latent: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the picture of a latent: no two latents of a test look alike."""
    level = int(np.abs(latent).sum() * 1000) % 251
    return np.full((*SHAPE, 3), level, np.uint8)

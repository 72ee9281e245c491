"""A whole session in one process: every program of the line but the supervisor, around a sender that plants faults.

The programs are the real ones, each in a thread; a program is killed by an error at the next place where it looks for
orders. What they leave is a session's folder like any other.
"""

import gc
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tiny_bundle import CHANNELS, tiny_bundle

from bci.control.environment import describe_environment
from bci.control.posts import COUNTERS
from bci.io.files.folder import write_json
from bci.io.lsl.source import LslOutlet
from bci.live import acquire, decode, record
from bci.memory.board import Board, State
from bci.memory.frames import frame_columns, shown_columns
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import create_marks, read_marks
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.pipeline import Pipeline
from bci.signal.types import Signal
from stimuli.display import headless

RATE = 100.0
SIGNAL = Signal("planted", RATE, (3,), CHANNELS, "uV")
LENGTH, HOP = 20, 10
START = 5000.0

#: Long enough for the slowest machine.
_PATIENCE_S = 60.0

PIPELINE = [
    {"step": "flat", "seconds": 0.3},
    {"step": "band_pass", "low": 8.0, "high": 30.0, "order": 2},
]

#: Source samples after which what the pipeline heard is a thousandth, and from which it is settled.
SETTLE = Pipeline.from_json(PIPELINE).start(SIGNAL).settle

_DISPLAY = {
    "kind": "headless",
    "size_px": (96, 72),
    "image_deg": 3.0,
    "fresh_for": _PATIENCE_S,
    "data_age_limit": _PATIENCE_S,
    "heartbeat_limit": _PATIENCE_S,
    "contact_sheet": 0,
    "fixation": False,
}

_MODULES: Mapping[str, ModuleType] = {
    "acquire": acquire,
    "decode": decode,
    "display": headless,
    "record": record,
}


class _Killed(BaseException):
    """The program is no more."""


class _Mortal(Program):
    """A program that can be killed."""

    killed = False

    def tick(self) -> bool:
        if self.killed:
            raise _Killed
        return super().tick()


def noise(n: int, seed: int = 7) -> NDArray[np.float32]:
    """Return `n` samples of three channels: a rhythm that comes and goes in noise, microvolts."""
    generator = np.random.default_rng(seed)
    t = np.arange(n)[:, None] / RATE
    rhythm = np.sin(2 * np.pi * (11 + np.arange(3)) * t) * (1 + np.sin(2 * np.pi * 0.3 * t))
    return (rhythm + generator.standard_normal((n, 3))).astype("f4")


class Line:
    """The programs of one session, and the sender.

    Parameters
    ----------
    folder : Path
        The session's; it is made.
    opened : ExitStack
        Closes everything.
    speed : float
        How many times faster than real time the sender says that it plays.
    seconds : float
        How long a sample stays readable in the stream's ring.
    bundle : Any
        What the bundle has otherwise than here: arguments of `tiny_bundle`.
    """

    def __init__(
        self, folder: Path, opened: ExitStack, *, speed: float = 1.0, seconds: float = 60.0, **bundle: Any
    ) -> None:
        self.folder = folder
        folder.mkdir()
        self.bundle = tiny_bundle(
            folder.parent / "bundle",
            **{
                "pipeline": PIPELINE,
                "confidence": "gaussian",
                "masked_limit": 0.5,
                "length": LENGTH,
                "hop": HOP,
                **bundle,
            },
        )
        name = f"t{uuid.uuid4().hex[:12]}"
        columns = frame_columns(*self.bundle.image_size, self.bundle.latent_size)
        shown = shown_columns(*self.bundle.image_size, self.bundle.latent_size)
        self.stream = opened.enter_context(Stream.create(name, SIGNAL, seconds))
        self._rings = {
            "frames": opened.enter_context(Ring.create(name + "f", columns, 4096, 1024)),
            "shown": opened.enter_context(Ring.create(name + "w", shown, 4096, 1024)),
            "decode_marks": opened.enter_context(create_marks(name + "d", readers=1)),
        }
        self.board = opened.enter_context(Board.private({name: COUNTERS[name] for name in _MODULES}))
        self._outlet = opened.enter_context(LslOutlet(SIGNAL, name, speed=speed, exact_stamps=True))
        self._programs: dict[str, tuple[_Mortal, threading.Thread, Any]] = {}
        self._errors: list[BaseException] = []
        self._deaths: Counter[str] = Counter()
        self._period = 1 / (RATE * speed)
        self._stamp = START
        self.sent = 0
        opened.callback(self._end)
        self._specs: dict[str, dict[str, Any]] = {
            "acquire": {"source_id": name, "timeout": _PATIENCE_S, "data_age_limit": _PATIENCE_S},
            "decode": {"bundle": str(self.bundle.folder), "provider": "cpu", "audit": True},
            "display": _DISPLAY | {"feeds": [{"hop_seconds": HOP / RATE}]},
            "record": {"streams": {"stream": asdict(self._outlet.info)}},
        }
        write_json(folder / "config.json", {"decoder": self._specs["decode"], "display": _DISPLAY})
        for program in ("record", "display", "decode", "acquire"):
            facts = self.start(program)
            if program == "decode":
                bundle = {"hash": self.bundle.hash}
                environment = describe_environment() | {"bundle": bundle, "decoder": facts["environment"]}
                write_json(folder / "environment.json", environment)

    # -- programs ----------------------------------------------------------------------------------------

    def start(self, name: str) -> dict[str, Any]:
        """Start a program, anew if it was killed; return what it says when it is ready."""
        pipe, far_end = Pipe()
        launch = Launch(
            name,
            _MODULES[name].__name__,
            self._specs[name],
            str(self.folder),
            "",
            streams={"stream": self.stream.handle},
            rings={role: ring.handle for role, ring in self._rings.items()},
            slots={"stream": 0, "frames": 0, "shown": 0},
            restart=self._deaths[name],
        )
        program = _Mortal(launch, far_end, self.board, LslClock())
        program.row["state"] = State.LOADING
        thread = threading.Thread(target=partial(self._run, name, program), name=name)
        self._programs[name] = program, thread, pipe
        thread.start()
        self.until(lambda: program.row["state"] == State.RUNNING and pipe.poll(), f"{name} to be ready")
        _, facts = pipe.recv()
        return dict(facts)

    def kill(self, name: str) -> None:
        """Let a program die where it next looks for orders."""
        program, thread, _ = self._programs.pop(name)
        program.killed = True
        self._deaths[name] += 1
        thread.join(_PATIENCE_S)
        assert not thread.is_alive()

    def restart_decoder(self) -> int:
        """Start a decoder in the place of the one that died; return the count of the first sample that it takes up."""
        self.start("decode")
        # What it follows it has taken up once it has decoded something.
        at = self.stream.samples.count
        self.push(noise(HOP - at % HOP, seed=at))
        marks, _ = read_marks(self._rings["decode_marks"], 0)
        (first,) = marks["first"][marks["detail"] == b"restart"]
        return int(first)

    def stop(self) -> None:
        """Stop every program in the order of the house."""
        for name in ("acquire", "decode", "display", "record"):
            _, thread, pipe = self._programs.pop(name)
            pipe.send(Order(STOP))
            thread.join(_PATIENCE_S)
            assert not thread.is_alive(), f"{name} did not stop"
        assert not self._errors, self._errors

    def _run(self, name: str, program: _Mortal) -> None:
        try:
            _MODULES[name].main(program)
        except _Killed:
            pass
        except BaseException as error:
            self._errors.append(error)
        finally:
            program.close()

    def _end(self) -> None:
        for name in list(self._programs):
            self.kill(name)
        gc.unfreeze()

    # -- samples -----------------------------------------------------------------------------------------

    def push(self, samples: NDArray[np.float32], *, step: float = 0.0) -> None:
        """Send samples, a hop at a time, each when the one before has been acquired and, if it lives, decoded.

        At every tenth hop it waits until the screen shows the newest valid picture.

        Parameters
        ----------
        samples : (n, 3) float32
            What to send.
        step : float
            Seconds that the sender's clock makes, beyond a sample's, before the first of them.
        """
        self._stamp += step
        for at in range(0, len(samples), HOP):
            part = samples[at : at + HOP]
            self._outlet.push(part, self._stamp + np.arange(len(part)) * self._period)
            self._stamp += len(part) * self._period
            self.sent += len(part)
            self.until(lambda: self.stream.samples.count == self.sent, "the samples to arrive")
            if "decode" in self._programs:
                self.until(
                    lambda: self.board.row("decode")["samples"] == self.sent, "the samples to be decoded"
                )
                if self.sent % (10 * HOP) == 0:
                    self.until(self._newest_is_shown, "the newest picture to be shown")

    def _newest_is_shown(self) -> bool:
        frames, shown = self._rings["frames"], self._rings["shown"]
        newest = frames.count - 1
        if newest < 0 or not frames.read(newest, newest + 1)["info"]["valid"][0]:
            return True
        return bool(shown.count) and shown.read(shown.count - 1, shown.count)["shown"]["frame"][0] == newest

    def until_recorded(self) -> None:
        """Wait until all that was sent is safe on the disk."""
        self.until(lambda: self.board.row("record")["samples"] == self.sent, "the samples to be recorded")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert not self._errors, self._errors
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.0005)

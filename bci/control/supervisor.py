"""The Supervisor starts the programs of one session, watches them, and stops them in order.

::

    preparing ── every program ready ──> running ── recording ends, seconds pass, Ctrl-C, SIGTERM,
        │                                   │        window closed ──> stopping ──> done   (status 0)
        └── a program fails: its error      └── a program dies or hangs ──> stopping ──> safe (status 3)

Programs start from the end of the line (record, display, decode) to its beginning (acquire, then the source
plays), so nothing is sent before somebody listens; they stop from the beginning to the end, so everything
that was sent arrives. Nothing in the line ever waits for the supervisor.
"""

import logging
import math
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from bci.control.environment import describe_environment
from bci.control.spawn import Child
from bci.decoder.bundle import Bundle
from bci.errors import ProgramError
from bci.io.board import Board, State
from bci.io.folder import make_folder, write_json
from bci.io.frames import frame_columns, frames_capacity, shown_columns
from bci.io.lsl import StreamInfo, describe
from bci.io.marks import create_marks
from bci.io.program import Launch, log_to
from bci.io.session import SessionConfig
from bci.io.stream import Stream
from bci.live.latency import latency_picture, latency_table
from bci.signal.clock import Clock, LslClock
from bci.signal.ring import Ring

#: Which module each program is; `display` depends on the kind of display.
MODULES = {
    "source": "bci.live.source",
    "acquire": "bci.live.acquire",
    "decode": "bci.live.decode",
    "publish": "bci.live.publish",
    "record": "bci.live.record",
}
DISPLAYS = {"window": "stimuli.window", "headless": "stimuli.headless"}

#: From the sample to the disk: the rows of the board, and the reverse of the order in which they become ready.
ORDER = ("source", "acquire", "decode", "display", "publish", "record")

#: Acquire stops before a source of ours does: it takes what has arrived, and never sees its source vanish.
STOP_ORDER = ("acquire", "source", "decode", "display", "publish", "record")

#: Readers' places on the rings.
SLOTS: Mapping[str, Mapping[str, int]] = {
    "decode": {"stream": 0},
    "record": {"stream": 1, "frames": 1, "shown": 0},
    "display": {"frames": 0},
    "publish": {"frames": 2},
}

#: A sample ring grows to this for a stream that plays faster than real time, bytes.
_RING_BYTES = 256e6

LOADING_LIMIT = 120.0
HUNG_AFTER = 5.0
STOP_LIMIT = 5.0
_POLL = 0.1

log = logging.getLogger("bci.supervisor")


class Supervisor:
    """Runs one session from its configuration to its summary.

    Parameters
    ----------
    config : SessionConfig
        What to run.
    out : Path
        Where the session's folder is made.
    observe : callable, optional
        Called about ten times a second while the session runs, with this supervisor.
    """

    def __init__(
        self,
        config: SessionConfig,
        out: Path,
        observe: Callable[["Supervisor"], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.config = config
        self.clock: Clock = clock or LslClock()
        self.folder = make_folder(out, config.name)
        self.bundle = Bundle.load(config.decoder.bundle)
        self.children: dict[str, Child] = {}
        self.info: StreamInfo | None = None
        self.started = float("nan")
        self.ended_by = ""
        self.failures: list[str] = []
        self._observe = observe
        self._key = "bci" + uuid.uuid4().hex[:8]
        self._stop = False
        self._open = ExitStack()
        self._rings: dict[str, Ring] = {}
        self._streams: dict[str, Stream] = {}
        self.board: Board

    # -- the whole life ----------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Run the session; return its summary, which is also written to ``summary.json``.

        Raises
        ------
        BciError
            If the session could not start; whatever was started has been stopped again.
        """
        log_to(self.folder / "log.txt", "supervisor")
        log.info("session %s in %s, shared memory %s", self.config.name, self.folder, self._key)
        with self._open, self._signals():
            self.board = self._open.enter_context(Board.create(self._key + "b", ORDER))
            try:
                self._prepare()
                self._watch()
            finally:
                self._stop_all()
            return self._summarise()

    def newest_frame(self) -> dict[str, Any] | None:
        """Return the newest frame's columns, copied, or None before the first."""
        frames = self._rings["frames"]
        count = frames.count
        return {k: v[0] for k, v in frames.read(count - 1, count).items()} if count else None

    # -- preparing ---------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        config = self.config
        source_id = config.stream.source_id or f"{self._key}-{config.name}"
        if config.source is not None:
            spec = config.source.model_dump() | {"source_id": source_id, "ring": self._key + "s"}
            self._launch("source", spec)
            self._await_ready(["source"])
        self.info = describe(source_id, config.stream.timeout_s)
        self.bundle.check(self.info.signal)
        self._make_rings(self.info)

        markers = ["markers"] if config.stream.markers else []
        told = {
            "streams": {"stream": asdict(self.info)},
            "markers": {"markers": {"source_id": config.stream.markers}},
        }
        self._launch("record", told, streams=["stream"], rings=["frames", "shown", "decode_marks", *markers])
        seconds_per_hop = self._seconds_per_hop(self.info)
        display = config.display.model_dump() | {"hop_seconds": seconds_per_hop, "caption": self._caption()}
        self._launch("display", display, rings=["frames", "shown"])
        decoder = {
            "bundle": str(config.decoder.bundle),
            "provider": config.decoder.provider,
            "audit": config.decoder.audit,
        }
        self._launch("decode", decoder, streams=["stream"], rings=["frames", "decode_marks"])
        if config.publish is not None:
            self._launch("publish", config.publish.model_dump(), rings=["frames"])
        self._await_ready([name for name in reversed(ORDER) if name in self.children])
        self._write_facts()
        acquire = {
            "source_id": source_id,
            "timeout": config.stream.timeout_s,
            "data_age_limit": config.display.data_age_limit,
            "marker_source_id": config.stream.markers,
            "grid": self._grid(),
        }
        rings = ["markers"] if config.stream.markers else []
        self._launch("acquire", acquire, streams=["stream"], rings=rings)
        self._await_ready(["acquire"])
        self.started = self.clock.now()

    def _caption(self) -> str:
        """Say in a few words what will be shown, and plainly whether it is simulated."""
        source = self.children.get("source")
        facts = (source.ready or {}) if source is not None else {}
        if facts.get("simulated"):
            return f"{self.config.name}: SIMULATED EEG"
        origin = facts.get("recording") or (self.info.source_id if self.info else "")
        return f"{self.config.name}: {origin}"

    def _grid(self) -> tuple[int, int]:
        """Return (start, step) of the source counts at which the decoder's windows end."""
        ratio = self.bundle.pipeline.ratio(self.bundle.signal)
        return self.bundle.length * ratio, self.bundle.hop * ratio

    def _seconds_per_hop(self, info: StreamInfo) -> float:
        return self._grid()[1] / (info.signal.rate * info.speed)

    def _make_rings(self, info: StreamInfo) -> None:
        # A stream played faster fills its ring faster: the ring holds the same real time, within reason.
        least = self.config.stream.buffer_s
        bytes_per_s = info.signal.rate * math.prod(info.signal.shape) * np.dtype(info.signal.dtype).itemsize
        seconds = min(least * max(1.0, info.speed), max(least, _RING_BYTES / bytes_per_s))
        stream = Stream.create(self._key + "s", info.signal, seconds)
        self._streams["stream"] = self._open.enter_context(stream)
        height, width = self.bundle.image_size
        columns = frame_columns(height, width, self.bundle.latent_size)
        capacity = frames_capacity(columns, 1 / self._seconds_per_hop(info))
        shown = shown_columns(height, width, self.bundle.latent_size)
        shown_capacity = frames_capacity(shown, self.config.display.refresh_hz)
        for role, ring in (
            ("frames", Ring.create(self._key + "f", columns, capacity, max(1, capacity // 4))),
            ("shown", Ring.create(self._key + "w", shown, shown_capacity, max(1, shown_capacity // 4))),
            ("decode_marks", create_marks(self._key + "d", readers=1)),
        ):
            self._rings[role] = self._open.enter_context(ring)
        if self.config.stream.markers:
            from bci.io.markers import create_markers

            self._rings["markers"] = self._open.enter_context(create_markers(self._key + "k", readers=2))

    def _launch(
        self,
        name: str,
        spec: Mapping[str, Any],
        streams: list[str] | None = None,
        rings: list[str] | None = None,
    ) -> None:
        module = DISPLAYS[self.config.display.kind] if name == "display" else MODULES[name]
        launch = Launch(
            name=name,
            module=module,
            spec=spec,
            folder=str(self.folder),
            board=self._key + "b",
            streams={role: self._streams[role].handle for role in streams or ()},
            rings={role: self._rings[role].handle for role in rings or ()},
            slots=SLOTS.get(name, {}),
        )
        self.children[name] = Child(launch)
        log.info("%s started as process %d", name, self.children[name].process.pid)

    def _await_ready(self, names: list[str]) -> None:
        deadline = self.clock.now() + LOADING_LIMIT
        while True:
            self._listen()
            for child in self.children.values():
                if child.failure:
                    raise child.as_error()
            waiting = [name for name in names if self.children[name].ready is None]
            if not waiting:
                return
            if self._stop:
                raise ProgramError("stopped before everything was ready")
            if self.clock.now() > deadline:
                raise ProgramError(
                    f"{', '.join(waiting)} not ready within {LOADING_LIMIT:.0f} s; see {self.folder / 'log.txt'}"
                )

    def _write_facts(self) -> None:
        write_json(self.folder / "config.json", self.config.model_dump(mode="json"))
        decode = self.children["decode"].ready or {}
        environment = describe_environment() | {
            "bundle": {"folder": self.config.decoder.bundle.name, "hash": self.bundle.hash},
            "decoder": decode.get("environment", {}),
        }
        write_json(self.folder / "environment.json", environment)

    # -- running -----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        seconds = self.config.seconds
        log.info("running")
        while not self.ended_by:
            self._listen()
            if self._observe is not None:
                self._observe(self)
            now = self.clock.now()
            if self._stop:
                self.ended_by = "stopped by the operator"
            elif self.children["display"].facts.get("closed"):
                self.ended_by = "the window was closed"
            elif seconds is not None and now - self.started >= seconds:
                self.ended_by = f"{seconds:g} s have passed"
            elif self._all_played():
                self.ended_by = "the recording has ended"
            else:
                self._look_for_the_dead(now)
        log.info("ending: %s", self.ended_by)

    def _all_played(self) -> bool:
        source = self.children.get("source")
        return source is not None and "sent" in source.facts

    def _look_for_the_dead(self, now: float) -> None:
        for name, child in self.children.items():
            row = self.board.row(name)
            if child.failure or not child.alive:
                self.failures.append(f"{name} {child.failure or 'ended by itself'}")
            elif row["state"] == State.RUNNING and now - float(row["beat"]) > HUNG_AFTER:
                child.kill()
                self.failures.append(f"{name} hung: no heartbeat for {HUNG_AFTER:g} s")
        if self.failures:
            self.ended_by = "; ".join(self.failures)
            log.error("%s: the display falls to the neutral picture, the session ends", self.ended_by)

    def _listen(self) -> None:
        wait([w for child in self.children.values() if child.alive for w in child.waitables], _POLL)
        for child in self.children.values():
            child.listen()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._stop = True

        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # -- stopping ----------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        for name in STOP_ORDER:
            child = self.children.get(name)
            if child is None:
                continue
            child.ask_to_stop()
            if not child.join(STOP_LIMIT):
                log.error("%s did not stop within %g s and was killed", name, STOP_LIMIT)
                self.failures.append(f"{name} did not stop when told to")
                child.kill()
            elif child.failure and not any(f.startswith(name) for f in self.failures):
                self.failures.append(f"{name} {child.failure}")
            if name == "acquire" and "stream" in self._streams:
                # Also where acquire died: the decoder then drains what is there and ends.
                self._streams["stream"].samples.finish()

    def _summarise(self) -> dict[str, Any]:
        facts = {name: child.facts for name, child in self.children.items()}
        decode, acquire, display = facts["decode"], facts["acquire"], facts["display"]
        source = self.children["source"].ready if "source" in self.children else None
        latency = latency_table(self.folder)
        summary = {
            "session": str(self.folder),
            "status": "safe" if self.failures else "done",
            "ended_by": self.ended_by,
            "failures": self.failures,
            "simulated": bool(source and source.get("simulated")),
            "recording": (source or {}).get("recording", ""),
            "windows": decode.get("windows", 0),
            "reconstructions": decode.get("reconstructions", 0),
            "skipped": decode.get("skipped", 0),
            "invalid": decode.get("invalid", 0),
            "samples": acquire.get("samples", 0),
            "samples_lost": acquire.get("lost", 0) + decode.get("unseen", 0),
            "flips": display.get("flips", 0),
            "dropped_flips": display.get("dropped_flips", 0),
            "latency_ms": latency,
            "programs": facts,
        }
        write_json(self.folder / "latency.json", latency)
        latency_picture(self.folder, self.folder / "latency.png")
        write_json(self.folder / "summary.json", summary)
        return summary

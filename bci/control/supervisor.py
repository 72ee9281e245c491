"""The Supervisor starts the programs of one session, watches them, and stops them in order.

::

    preparing ── every program ready ──> running ── recording ends, seconds pass, Ctrl-C, SIGTERM,
        │                                 │   │         window closed ──> stopping ──> done       (status 0)
        └── a program fails: its error    │   └── a program dies or hangs ──> it is started again, at most
                                          │       `restarts` times       ──> ends as "recovered"  (status 4)
                                          └── one of them is given up ──> latched: neutral is held until the
                                                  session is ended       ──> stopping ──> safe     (status 3)

Programs start from the end of the line (record, display, decode) to its beginning (acquire, then the source
plays), so nothing is sent before somebody listens; they stop from the beginning to the end, so everything
that was sent arrives. Nothing in the line ever waits for the supervisor.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bci.config.session import SessionConfig
from bci.control.crew import Crew, on_signals
from bci.control.environment import describe_environment
from bci.control.preview import require_pairs
from bci.control.shared_memory import SharedMemory
from bci.control.spawn import Child
from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from bci.io.files.folder import make_folder, write_json
from bci.io.lsl.source import StreamInfo, describe
from bci.memory.board import Board
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import write_mark
from bci.memory.program import HOLD, Launch, log_to
from bci.session.latency import latency_picture, latency_table
from bci.signal.clock import Clock
from bci.signal.types import MarkKind

#: Which module each program is; some depend on their kind.
MODULES = {
    "source": "bci.live.source",
    "acquire": "bci.live.acquire",
    "decode": "bci.live.decode",
    "publish": "bci.live.publish",
    "preview": "stimuli.operator.preview",
    "record": "bci.live.record",
    "engine": "stimuli.engine",
    "display:window": "stimuli.display.window",
    "display:headless": "stimuli.display.headless",
    "source:insilico": "bci.live.insilico",
}

#: From the sample to the disk: the rows of the board, and the reverse of the order in which they become ready.
ORDER = ("engine", "source", "acquire", "decode", "display", "publish", "preview", "record")

#: Acquire stops before a source of ours does: it takes what has arrived, and never sees its source vanish.
STOP_ORDER = ("engine", "acquire", "source", "decode", "display", "publish", "preview", "record")

#: Readers' places on the rings; who only looks now and then (the engine, the preview) waits on none.
SLOTS: Mapping[str, Mapping[str, int]] = {
    "decode": {"stream": 0},
    "record": {"stream": 1, "frames": 1, "shown": 0},
    "display": {"frames": 0, "stimuli": 0},
    "publish": {"frames": 2},
    "source": {"shown": 1},
}

#: After its last trial an experiment waits this long for what is decoded of it, seconds, beside an epoch's own end.
_SETTLE = 0.5

#: Without these the participant sees what he should all the same.
_DISPENSABLE = frozenset({"publish", "preview"})

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

    Attributes
    ----------
    folder : Path
        The session's.
    started : float
        When everything was ready, session seconds; NaN before.
    markers : str or None
        Source id of the markers that are taken along; a recording that is played brings its own.
    ended_by : str
        What ended the session; empty while it runs.
    latched : str
        Why the session holds the neutral picture for good; empty while it does not.
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
        self.info: StreamInfo | None = None
        self.started = float("nan")
        self.ended_by = ""
        self.latched = ""
        self.markers = config.stream.markers
        self._observe = observe
        self._key = "bci" + uuid.uuid4().hex[:8]
        self._stop = False
        self._open = ExitStack()
        self._memory = SharedMemory(self._key, self._open)
        self.board: Board
        self.crew: Crew

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
        with self._open, on_signals(self._told_to_stop):
            self.board = self._open.enter_context(Board.create(self._key + "b", ORDER))
            rules = self.config.supervision
            self.crew = Crew(self.board, self.clock, restarts=rules.restarts, hung_after=rules.hung_after_s)
            try:
                self._prepare()
                self._watch()
            finally:
                self._stop_all()
            return self._summarise()

    @property
    def children(self) -> dict[str, Child]:
        """The programs' processes as they are now."""
        return self.crew.children

    @property
    def restarts(self) -> dict[str, int]:
        """How often each program was started again."""
        return self.crew.restarts

    def _told_to_stop(self) -> None:
        self._stop = True

    def newest_frame(self) -> dict[str, Any] | None:
        """Return the newest frame's columns, copied, or None before the first."""
        frames = self._memory.rings["frames"]
        count = frames.count
        return {k: v[0] for k, v in frames.read(count - 1, count).items()} if count else None

    # -- preparing ---------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        config = self.config
        source_id = config.stream.source_id or f"{self._key}-{config.name}"
        memory = self._memory
        if config.preview is not None:
            require_pairs(self.bundle)
        if config.source is not None:
            if config.source.kind == "insilico":
                # This participant looks at the screen, so what is shown there comes before the first sample.
                self._make_pictures(config.source.speed)
            self._start_source(source_id)
        self.markers = self._name_markers()
        self.info = describe(source_id, config.stream.timeout_s)
        self.bundle.check(self.info.signal)
        # Volumes come seconds apart: what is late for an amplifier is in time for a scanner.
        data_age_limit = config.display.data_age_seconds_at(1 / (self.bundle.signal.rate * self.info.speed))
        self.buffer = memory.make_stream(self.info, config.stream, self.bundle)
        level = logging.WARNING if self.buffer.shortened else logging.INFO
        log.log(level, "of the stream, shared memory holds %s", self.buffer)
        if "frames" not in memory.rings:
            self._make_pictures(self.info.speed)
        if self.markers:
            memory.make_markers()

        markers = ["markers"] if self.markers else []
        told = {
            "streams": {"stream": asdict(self.info)},
            "markers": {"markers": {"source_id": self.markers}},
            "on_disk_error": config.recording.on_disk_error,
        }
        doings = ["frames", "shown", "decode_marks", "rig_marks"]
        self._launch("record", told, streams=["stream"], rings=[*doings, *markers])
        seconds_per_hop = self._seconds_per_hop() / self.info.speed
        display = config.display.model_dump() | {
            "hop_seconds": seconds_per_hop,
            "data_age_limit": data_age_limit,
            "caption": self._caption(),
        }
        stimuli = []
        if config.experiment is not None:
            stimuli = ["stimuli"]
            display |= {"engine": "engine", "flip_markers": True}
        self._launch("display", display, rings=["frames", "shown", *stimuli])
        decoder = {
            "bundle": str(config.decoder.bundle),
            "provider": config.decoder.provider,
            "audit": config.decoder.audit,
        }
        seen = ["shown"] if config.experiment is not None else []
        rings = ["frames", "decode_marks", *markers, *seen]
        self._launch("decode", decoder, streams=["stream"], rings=rings)
        if config.publish is not None:
            self._launch("publish", config.publish.model_dump(), rings=["frames"])
        if config.preview is not None:
            self._launch("preview", self._preview(), rings=["shown", "frames", "decode_marks"])
        self.crew.await_ready(list(self.children), lambda: self._stop)
        self._write_facts()
        acquire = {
            "source_id": source_id,
            "timeout": config.stream.timeout_s,
            "data_age_limit": data_age_limit,
            "marker_source_id": self.markers,
            "grid": self._grid(),
        }
        self._launch("acquire", acquire, streams=["stream"], rings=markers)
        self.crew.await_ready(["acquire"], lambda: self._stop)
        if config.experiment is not None:
            tail = _SETTLE + self.bundle.cut.tail_s
            experiment = config.experiment.model_dump() | {"size": self.bundle.image_size, "tail_s": tail}
            self._launch("engine", experiment, rings=["stimuli", "shown", "frames"])
            self.crew.await_ready(["engine"], lambda: self._stop)
        self.started = self.clock.now()

    def _preview(self) -> dict[str, Any]:
        """Return what the operator's preview is told."""
        assert self.config.preview is not None
        display = self.config.display
        facts = self.children["source"].ready if "source" in self.children else None
        who = f", {facts['recording']}" if facts and facts.get("simulated") and facts.get("recording") else ""
        return self.config.preview.model_dump() | {
            "caption": self._caption() + who,
            "participant_monitor": display.monitor,
            "screen": display.kind != "headless",
        }

    def _make_pictures(self, speed: float) -> None:
        self._memory.make_pictures(
            self.bundle,
            speed / self._seconds_per_hop(),
            self.config.display.refresh_hz,
            stimuli=self.config.experiment is not None,
        )

    def _start_source(self, source_id: str) -> None:
        """Start the source that the session file asks for."""
        assert self.config.source is not None
        spec = self.config.source.model_dump() | {"source_id": source_id, "ring": self._key + "s"}
        kind = spec["kind"]
        if kind == "replay":
            spec["marker_consumer"] = True
        self._launch("source", spec, rings=["shown"] if kind == "insilico" else [])
        self.crew.await_ready(["source"], lambda: self._stop)

    def _name_markers(self) -> str | None:
        """Return the source id of the markers that are taken along, if any.

        Raises
        ------
        ConfigError
            If the bundle decodes epochs and there are none.
        """
        if self.config.stream.markers:
            return self.config.stream.markers
        if self.config.experiment is not None:
            # The display's flips are what epochs are cut around; it is there before acquire looks for them.
            return self.config.display.flip_stream
        source = self.children.get("source")
        own = (source.ready or {}).get("marker_source_id") if source else None
        if own is None and self.bundle.cut.needs_markers:
            raise ConfigError(
                f"bundle {self.bundle.name!r} decodes epochs around markers ({self.bundle.spec.window}), and the "
                "session names no stream of markers. Give [stream] markers (bci streams lists what is there)."
            )
        return own

    def _caption(self) -> str:
        """Say in a few words what will be shown, and plainly whether it is simulated."""
        source = self.children.get("source")
        facts = (source.ready or {}) if source is not None else {}
        if facts.get("simulated"):
            kind = getattr(self.config.source, "modality", "eeg")
            return f"{self.config.name}: SIMULATED {'fMRI' if kind == 'fmri' else kind.upper()}"
        origin = facts.get("recording") or (self.info.source_id if self.info else "")
        return f"{self.config.name}: {origin}"

    def _grid(self) -> tuple[int, int]:
        """Return (start, step) of the source counts at which the decoder looks for windows."""
        return self.bundle.cut.grid.start, self.bundle.cut.grid.step

    def _seconds_per_hop(self) -> float:
        """Return the seconds between two windows at the signal's own speed."""
        return self.bundle.hop * self.bundle.pipeline.ratio(self.bundle.signal) / self.bundle.signal.rate

    def _launch(
        self,
        name: str,
        spec: Mapping[str, Any],
        streams: list[str] | None = None,
        rings: list[str] | None = None,
    ) -> None:
        kinds = {
            "display": self.config.display.kind,
            "source": self.config.source and self.config.source.kind,
        }
        module = MODULES.get(f"{name}:{kinds.get(name)}") or MODULES[name]
        launch = Launch(
            name=name,
            module=module,
            spec=spec,
            folder=str(self.folder),
            board=self._key + "b",
            streams={role: self._memory.streams[role].handle for role in streams or ()},
            rings={role: self._memory.rings[role].handle for role in rings or ()},
            slots=SLOTS.get(name, {}),
        )
        self.crew.launch(launch)

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
            self.crew.listen()
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
            elif self._all_shown():
                self.ended_by = "the experiment has ended"
            else:
                self._look_after_the_crew()
        log.info("ending: %s", self.ended_by)

    def _all_played(self) -> bool:
        source = self.children.get("source")
        return source is not None and "sent" in source.facts

    def _all_shown(self) -> bool:
        engine = self.children.get("engine")
        return engine is not None and bool(engine.facts.get("finished"))

    def _look_after_the_crew(self) -> None:
        for name in self.crew.look_after(self._note_restart):
            why = f"{name} {self.crew.failures[name]}"
            if name == "display":
                self._latch(why)
                self.ended_by = f"{why}: nothing can be shown"
            elif name in _DISPENSABLE or (name == "record" and self.config.recording.if_lost == "continue"):
                log.critical("the session goes on without %s", name)
            else:
                self._latch(why)

    def _note_restart(self, name: str, n: int, why: str) -> None:
        self._mark(MarkKind.RESTART, f"{name} {why}", count=n)
        if name == "display" and self.latched:
            self.children[name].order(HOLD)

    def _latch(self, why: str) -> None:
        """Have the neutral picture held for good."""
        if not self.latched:
            self.latched = why
            log.critical("latched safe: the neutral picture is held until the session is ended (%s)", why)
            self._mark(MarkKind.LATCHED, why)
            self.children["display"].order(HOLD)
        if self.config.supervision.when_latched == "end":
            self.ended_by = why

    def _mark(self, kind: MarkKind, detail: str, count: int = 0) -> None:
        """Write a mark of the rig's own into the recording."""
        at = self._memory.streams["stream"].samples.count
        write_mark(
            self._memory.rings["rig_marks"], kind, at, count=count, time=self.clock.now(), detail=detail
        )

    # -- stopping ----------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        for name in STOP_ORDER:
            self.crew.stop(name, finishes=name in ("record", "display"))
            if name == "acquire" and "stream" in self._memory.streams:
                # Also where acquire died: the decoder then drains what is there and ends.
                self._memory.streams["stream"].samples.finish()

    def _summarise(self) -> dict[str, Any]:
        rows = {name: self.board.row(name) for name in self.children}
        decode, acquire, display = rows["decode"], rows["acquire"], rows["display"]
        failures = self.crew.describe_failures()
        source = self.children["source"].ready if "source" in self.children else None
        latency = latency_table(self.folder)
        summary = {
            "session": str(self.folder),
            "status": "safe" if failures else "recovered" if self.restarts else "done",
            "ended_by": self.ended_by,
            "latched": self.latched,
            "failures": failures,
            "restarts": self.restarts,
            "simulated": bool(source and source.get("simulated")),
            "recording": (source or {}).get("recording", ""),
            "windows": int(decode["windows"]),
            "reconstructions": int(decode["reconstructions"]),
            "skipped": int(decode["skipped"]),
            "invalid": int(decode["invalid"]),
            "samples": int(acquire["samples"]),
            "samples_lost": int(acquire["lost"]) + int(decode["lost"]),
            "buffer": self.buffer.facts(),
            "flips": int(display["flips"]),
            "dropped_flips": int(display["dropped"]),
            "latency_ms": latency,
            "programs": self.crew.facts(),
        }
        write_json(self.folder / "latency.json", latency)
        latency_picture(self.folder, self.folder / "latency.png")
        write_json(self.folder / "summary.json", summary)
        return summary

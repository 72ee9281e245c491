"""Recording without a decoder: the acquire programs of some streams, and the record program that drains them.

::

    looking ── every stream found ──> starting ── record, then acquire ready ──> recording
                                                                                    │
        done  <── record last ── stopping <── seconds passed, Ctrl-C, SIGTERM ──────┤
        failed <──────────────── a program dies or hangs once too often ────────────┘
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from bci.control.crew import Crew, on_signals
from bci.control.environment import describe_environment
from bci.errors import ConfigError, StreamNotFound
from bci.io.files.folder import make_folder, write_json
from bci.io.lsl.source import StreamInfo, describe, visible
from bci.memory.board import Board
from bci.memory.events import create_events
from bci.memory.lsl_clock import LslClock
from bci.memory.program import Launch, log_to
from bci.memory.stream import Capacity, Stream, plan_capacity
from bci.signal.clock import Clock

#: How often each program is started again; the recorder then begins another file, and loses nothing meanwhile.
RESTARTS = 3
_HUNG_AFTER = 10.0

log = logging.getLogger("bci.supervisor")


def record_streams(
    source_ids: Sequence[str],
    out: Path,
    seconds: float | None = None,
    *,
    name: str = "recording",
    timeout: float = 5.0,
    buffer_s: float = 12.0,
    on_disk_error: Literal["stop", "continue"] = "stop",
    observe: Callable[[Mapping[str, int]], object] | None = None,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Record streams into ``recording.xdf`` in a new folder, until told to stop.

    Parameters
    ----------
    source_ids : sequence of str
        Which streams; none means all that are visible. Regular streams are signals, irregular ones of text or
        integers are markers; each signal can take one stream of markers along.
    out : Path
        Where the folder is made.
    seconds : float, optional
        How long; absent means until SIGINT or SIGTERM.
    name : str
        What the folder is called after its date and time.
    timeout : float
        Seconds to look for each stream.
    buffer_s : float
        Seconds a sample stays readable in shared memory.
    on_disk_error : "stop" or "continue"
        Whether a disk that is full ends the recording.
    observe : callable, optional
        Called about ten times a second with ``received``, ``safe`` and ``lost`` samples; True ends the recording.
    clock : Clock, optional
        The session clock.

    Returns
    -------
    dict
        ``session`` (the folder), ``status`` (``"done"``, ``"recovered"`` or ``"failed"``), ``ended_by``, ``failures``,
        ``restarts``,
        ``recording`` (path), ``samples`` (recorded and safe), ``samples_lost``, ``streams`` (facts by source id) and
        ``programs``; also written to ``summary.json``.

    Raises
    ------
    BciError
        If a stream is not there or cannot be used, or a program did not start; whatever was started has been
        stopped again.
    """
    clock = clock or LslClock()
    infos = _found(source_ids, timeout)
    signals = [info for info in infos if info.signal.rate]
    markers = [info for info in infos if not info.signal.rate]
    if len(markers) > len(signals):
        raise ConfigError(
            f"{len(markers)} streams of markers and {len(signals)} signals were named; each signal takes one stream "
            "of markers along. Name more signals, or fewer markers."
        )
    folder = make_folder(out, name)
    log_to(folder / "log.txt", "supervisor")
    key = "bci" + uuid.uuid4().hex[:8]
    log.info("%s into %s, shared memory %s", ", ".join(info.source_id for info in infos), folder, key)
    write_json(folder / "environment.json", describe_environment())
    with ExitStack() as open_:
        rig = _Rig(folder, key, signals, markers, clock, open_)
        try:
            rig.start(timeout, buffer_s, on_disk_error)
            rig.watch(seconds, observe)
        finally:
            rig.stop()
        return rig.summarise()


def _found(source_ids: Sequence[str], timeout: float) -> list[StreamInfo]:
    """Return the full descriptions of the streams asked for."""
    if len(set(source_ids)) < len(source_ids):
        raise ConfigError(f"a stream is named twice: {', '.join(source_ids)}")
    ids = list(source_ids) or [info.source_id for info in visible(timeout)]
    if not ids:
        raise StreamNotFound(
            f"no stream answered within {timeout:g} s. Is the amplifier's LSL program running, in the same network?"
        )
    return [describe(source_id, timeout) for source_id in ids]


def _role(name: str, i: int) -> str:
    return name if i == 0 else f"{name}-{i + 1}"


class _Rig:
    """The programs of one recording."""

    def __init__(
        self,
        folder: Path,
        key: str,
        signals: Sequence[StreamInfo],
        markers: Sequence[StreamInfo],
        clock: Clock,
        open_: ExitStack,
    ) -> None:
        self.folder, self.clock = folder, clock
        self.signals = {_role("stream", i): info for i, info in enumerate(signals)}
        self.markers = {_role("markers", i): info for i, info in enumerate(markers)}
        self.acquirers = [_role("acquire", i) for i in range(len(signals))]
        self.ended_by = ""
        self._key = key
        self._stop = False
        self._open = open_
        open_.enter_context(on_signals(self._told_to_stop))
        self._board = open_.enter_context(Board.create(self._key + "b", [*self.acquirers, "record"]))
        self._crew = Crew(self._board, clock, restarts=RESTARTS, hung_after=_HUNG_AFTER)
        self._streams: dict[str, Stream] = {}
        self._capacities: dict[str, Capacity] = {}

    def start(self, timeout: float, buffer_s: float, on_disk_error: str) -> None:
        """Start the recorder, then the programs that feed it."""
        for i, (role, info) in enumerate(self.signals.items()):
            capacity = plan_capacity(info.signal, buffer_s * max(1.0, info.speed))
            self._capacities[role] = capacity
            level = logging.WARNING if capacity.shortened else logging.INFO
            log.log(level, "of %s, shared memory holds %s", info.source_id, capacity)
            stream = Stream.create(f"{self._key}s{i}", info.signal, readers=1, capacity=capacity)
            self._streams[role] = self._open.enter_context(stream)
        rings = {
            role: self._open.enter_context(create_events(f"{self._key}k{i}", readers=1)).handle
            for i, role in enumerate(self.markers)
        }
        told = {
            "streams": {role: asdict(info) for role, info in self.signals.items()},
            "markers": {
                role: asdict(info) | {"name": info.signal.name} for role, info in self.markers.items()
            },
            "on_disk_error": on_disk_error,
        }
        handles = {role: stream.handle for role, stream in self._streams.items()}
        self._launch("record", "bci.live.record", told, handles, rings)
        self._crew.await_ready(["record"], lambda: self._stop)
        for i, acquirer in enumerate(self.acquirers):
            role, marker = _role("stream", i), self.markers.get(_role("markers", i))
            spec = {
                "source_id": self.signals[role].source_id,
                "timeout": timeout,
                "data_age_limit": None,
                "marker_source_id": marker.source_id if marker else None,
            }
            mine = {"markers": rings[_role("markers", i)]} if marker else {}
            self._launch(acquirer, "bci.live.acquire", spec, {"stream": handles[role]}, mine)
        self._crew.await_ready(self.acquirers, lambda: self._stop)
        log.info("recording")

    def watch(self, seconds: float | None, observe: Callable[[Mapping[str, int]], object] | None) -> None:
        """Return when the recording shall end."""
        started = self.clock.now()
        while not self.ended_by:
            self._crew.listen()
            if observe is not None and observe(self._counts()) is True:
                self.ended_by = "its end"
            elif self._stop:
                self.ended_by = "stopped by the operator"
            elif seconds is not None and self.clock.now() - started >= seconds:
                self.ended_by = f"{seconds:g} s have passed"
            elif given_up := self._crew.look_after():
                self.ended_by = "; ".join(f"{name} {self._crew.failures[name]}" for name in given_up)
        log.info("ending: %s", self.ended_by)

    def stop(self) -> None:
        """Stop the programs that feed the recorder, then the recorder."""
        for name in (*self.acquirers, "record"):
            self._crew.stop(name, finishes=name == "record")

    def summarise(self) -> dict[str, Any]:
        """Return the summary, after writing it into the folder."""
        facts, failures = self._crew.facts(), self._crew.describe_failures()
        recording = facts["record"].get("recording", {})
        acquired = {
            info.source_id: facts[acquirer]
            for acquirer, info in zip(self.acquirers, self.signals.values(), strict=True)
        }
        summary = {
            "session": str(self.folder),
            "status": "failed" if failures else "recovered" if self._crew.restarts else "done",
            "ended_by": self.ended_by,
            "failures": failures,
            "restarts": self._crew.restarts,
            "recording": str(self.folder / recording["file"]) if recording else "",
            "samples": self._counts()["safe"],
            "samples_lost": self._counts()["lost"],
            "streams": acquired,
            "buffers": {role: capacity.facts() for role, capacity in self._capacities.items()},
            "programs": facts,
        }
        write_json(self.folder / "summary.json", summary)
        return summary

    # -- its parts ---------------------------------------------------------------------------------------

    def _told_to_stop(self) -> None:
        self._stop = True

    def _counts(self) -> dict[str, int]:
        record = self._board.row("record")
        return {
            "received": sum(int(self._board.row(name)["samples"]) for name in self.acquirers),
            "safe": int(record["samples"]),
            "lost": int(record["lost"]) + sum(int(self._board.row(name)["lost"]) for name in self.acquirers),
        }

    def _launch(
        self,
        name: str,
        module: str,
        spec: Mapping[str, Any],
        streams: Mapping[str, Any],
        rings: Mapping[str, Any],
    ) -> None:
        launch = Launch(name, module, spec, str(self.folder), self._key + "b", dict(streams), dict(rings))
        self._crew.launch(launch)

"""Recording without a decoder: the acquire programs of some streams, and the record program that drains them.

::

    looking ── every stream found ──> starting ── record, then acquire ready ──> recording
                                                                                    │
        done  <── record last ── stopping <── seconds passed, Ctrl-C, SIGTERM ──────┤
        failed <──────────────── a program dies or hangs once too often ────────────┘

A signal (numbers at a fixed rate) or a stream of numbers at none (gaze, markers as numbers) is recorded as the numbers
that it sends, text as markers.
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from bci.config.control import ControlSettings
from bci.control import posts
from bci.control.conclusion import judge
from bci.control.environment import describe_environment
from bci.control.line import Line, Post, kind_of
from bci.control.plan import Facts, Rules, SessionOutcome
from bci.control.snapshot import SessionSnapshot
from bci.control.stream_words import uncertain_words
from bci.control.supervisor import RIG_MARKS, Supervisor
from bci.errors import ConfigError
from bci.io.files.folder import write_json
from bci.io.lsl.address import Address
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.roll_call import roll_call
from bci.io.lsl.stated import Stated
from bci.memory.events import MARKER_UNCERTAINTY_LIMIT_S, create_events
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import create_marks
from bci.memory.ring import Ring
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
    marker_uncertainty_limit_s: float = MARKER_UNCERTAINTY_LIMIT_S,
    latency_s: float = 0.0,
    observe: Callable[[Mapping[str, int]], object] | None = None,
    watch: Callable[[SessionSnapshot], object] | None = None,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Record streams into ``recording.xdf`` in a new folder, until told to stop.

    Parameters
    ----------
    source_ids : sequence of str
        Which streams, as `bci.io.lsl.address.Address.parse` reads them; none means all that are visible. A source id
        that several streams have means all of them.
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
    marker_uncertainty_limit_s : float
        Markers of another computer whose time may be wrong by more are marked ``uncertain``, and counted.
    latency_s : float
        By how much the stamps of every signal are late, as `bci latency --loopback` measured it; they are corrected.
    observe : callable, optional
        Called about ten times a second with ``received``, ``safe`` and ``lost`` samples, and the ``markers`` received;
        True ends the recording.
    watch : callable, optional
        Called before it with how the recording stands, what is wrong included.
    clock : Clock, optional
        The session clock.

    Returns
    -------
    dict
        ``session`` (the folder), ``status`` (see `bci.control.conclusion.Conclusion`) and sentences on it (``told``),
        ``ended_by``, ``failures``, ``restarts``, ``no_data`` (for how long each signal was silent), ``events``,
        ``recording`` (path), ``samples`` (recorded and safe), ``samples_lost``, ``markers`` (text, received),
        ``markers_uncertain`` (of them), ``streams`` (facts by address), ``marker_streams`` (markers recorded of each,
        by address) and ``programs``; also written to ``summary.json``.

    Raises
    ------
    BciError
        If a stream is not there or cannot be used, or a program did not start; whatever was started has been
        stopped again.
    """
    if len(set(source_ids)) < len(source_ids):
        raise ConfigError(f"a stream is named twice: {', '.join(source_ids)}")
    clock = clock or LslClock()
    found = roll_call([Address.parse(text) for text in source_ids], timeout, clock)
    plan = RecordingPlan(
        found,
        name=name,
        seconds=seconds,
        timeout=timeout,
        buffer_s=buffer_s,
        on_disk_error=on_disk_error,
        marker_uncertainty_limit_s=marker_uncertainty_limit_s,
        latency_s=latency_s,
    )

    def look(supervisor: Supervisor) -> object:
        if watch is not None:
            watch(supervisor.snapshot())
        return None if observe is None else observe(plan.counts(supervisor))

    return Supervisor(plan, out, look, clock).run()


class RecordingPlan:
    """A RecordingPlan is the plan of a supervisor that records streams; see `bci.control.plan.Plan`.

    Each signal has an acquire program of its own; all markers share one.

    Parameters
    ----------
    found : sequence of (Address, StreamInfo)
        The streams.
    name, seconds, timeout, buffer_s, on_disk_error, marker_uncertainty_limit_s, latency_s
        As `record_streams` takes them.
    """

    def __init__(
        self,
        found: Sequence[tuple[Address, StreamInfo]],
        *,
        name: str = "recording",
        seconds: float | None = None,
        timeout: float = 5.0,
        buffer_s: float = 12.0,
        on_disk_error: Literal["stop", "continue"] = "stop",
        marker_uncertainty_limit_s: float = MARKER_UNCERTAINTY_LIMIT_S,
        latency_s: float = 0.0,
    ) -> None:
        self.name = name
        self.key = "bci" + uuid.uuid4().hex[:8]
        self.rules = Rules(RESTARTS, _HUNG_AFTER, "end")
        self.control = ControlSettings()
        numbers = [one for one in found if one[1].signal.dtype != "str"]
        texts = [one for one in found if one[1].signal.dtype == "str"]
        self._numbers = {posts.role("stream", i): one for i, one in enumerate(numbers)}
        self._markers = {posts.role("markers", i): one for i, one in enumerate(texts)}
        self.streams = {role: info for role, (_, info) in self._numbers.items()}
        self._seconds, self._timeout, self._buffer_s = seconds, timeout, buffer_s
        self._on_disk_error = on_disk_error
        self._marker_uncertainty_limit_s = marker_uncertainty_limit_s
        self._stated = Stated(latency_s=latency_s)
        self._buffers: dict[str, Capacity] = {}
        self._written = False
        self.line = Line(self._posts(), outside=(RIG_MARKS,))

    def _posts(self) -> list[Post]:
        line = []
        for i, (role, (address, _)) in enumerate(self._numbers.items()):
            spec = {
                "source_id": address,
                "stated": self._stated,
                "timeout": self._timeout,
                "data_age_limit": None,
            }
            name = str(i + 1) if i else ""
            line.append(posts.acquire(name, spec, stream=role, markers=[], takes=[str(address)]))
        if self._markers:
            addresses = [address for address, _ in self._markers.values()]
            spec = {
                "timeout": self._timeout,
                "markers": addresses,
                "marker_uncertainty_limit": self._marker_uncertainty_limit_s,
            }
            rings = list(self._markers)
            takes = list(map(str, addresses))
            line.append(
                posts.acquire(
                    "markers", spec, stream=None, markers=rings, takes=takes, marks=posts.MARKER_MARKS
                )
            )
        facts = {
            "streams": {role: asdict(info) for role, info in self.streams.items()},
            "markers": {
                role: asdict(info) | {"name": info.signal.name} for role, (_, info) in self._markers.items()
            },
            "on_disk_error": self._on_disk_error,
        }
        line.append(
            posts.record(
                facts,
                streams=list(self.streams),
                markers=list(self._markers),
                rings=[RIG_MARKS, *([posts.MARKER_MARKS] if self._markers else [])],
            )
        )
        return line

    def make(self, name: str, segment: str, readers: int) -> Ring | Stream:
        """Make a ring or a stream of the line; see `bci.control.plan.Plan`."""
        if name in self.streams:
            info = self.streams[name]
            capacity = plan_capacity(info.signal, self._buffer_s * max(1.0, info.speed))
            self._buffers[name] = capacity
            level = logging.WARNING if capacity.shortened else logging.INFO
            log.log(level, "of %s, shared memory holds %s", info.source_id, capacity)
            return Stream.create(segment, info.signal, readers=max(1, readers), capacity=capacity)
        if name in (RIG_MARKS, posts.MARKER_MARKS):
            return create_marks(segment, 1)
        return create_events(segment, max(1, readers))

    def begin(self, folder: Path) -> None:
        """Keep nothing: a recording fixes nothing beforehand."""

    def ready(self, stage: Sequence[Post], told: Facts, folder: Path) -> None:
        """Write down once on what all this runs."""
        if not self._written:
            self._written = True
            write_json(folder / "environment.json", describe_environment())

    def ended(self, facts: Facts, elapsed: float) -> str:
        """Return what has ended the recording; empty while it goes on."""
        seconds = self._seconds
        return f"{seconds:g} s have passed" if seconds is not None and elapsed >= seconds else ""

    def counts(self, supervisor: Supervisor) -> dict[str, int]:
        """Return how many samples and markers were received, how many samples are safe on the disk, or were lost."""
        return _counts({post.name: supervisor.board.row(post.name).counts() for post in self.line})

    def summarise(self, outcome: SessionOutcome) -> dict[str, Any]:
        """Return the summary; see `record_streams`."""
        snapshot, facts = outcome.snapshot, outcome.facts
        recording = facts["record"].get("recording", {})
        counts = _counts({name: program.counters for name, program in snapshot.programs.items()})
        acquirers = [post.name for post in self.line.of_kind("acquire") if post.streams]
        names = {
            name: str(address) for name, (address, _) in zip(acquirers, self._numbers.values(), strict=True)
        }
        own = snapshot.programs["record"].counters
        conclusion = judge(
            outcome,
            names=names,
            recorded=own["samples"] + own["events"],
            failed="failed",
            came_back_s=_HUNG_AFTER,
        )
        recorded = facts["record"].get("recorded", {})
        return {
            "session": str(outcome.folder),
            "status": conclusion.status,
            "told": [*self._uncertain(counts), *conclusion.sentences],
            "ended_by": snapshot.ended_by,
            "failures": outcome.failures,
            "restarts": snapshot.restarts,
            "recording": str(outcome.folder / recording["file"]) if recording else "",
            "samples": counts["safe"],
            "events": own["events"],
            "no_data": {
                names[program]: silence.as_json() for program, silence in outcome.at_end.silences.items()
            },
            "samples_lost": counts["lost"],
            "markers": counts["markers"],
            "markers_uncertain": counts["uncertain"],
            "streams": {address: facts[name] for name, address in names.items()},
            "marker_streams": {
                str(address): recorded.get(role, 0) for role, (address, _) in self._markers.items()
            },
            "buffers": {role: capacity.facts() for role, capacity in self._buffers.items()},
            "programs": dict(facts),
        }

    def _uncertain(self, counts: Mapping[str, int]) -> list[str]:
        if not counts["uncertain"]:
            return []
        words = uncertain_words(counts, self._marker_uncertainty_limit_s)
        return [f"{words} They are left out of calibration and training, and stand in markers.csv."]


def _counts(counters: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    acquired = [own for name, own in counters.items() if kind_of(name) == "acquire"]
    return {
        "received": sum(own["samples"] for own in acquired),
        "markers": sum(own["markers"] for own in acquired),
        "uncertain": sum(own["uncertain"] for own in acquired),
        "safe": counters["record"]["samples"],
        "lost": counters["record"]["lost"] + sum(own["lost"] for own in acquired),
    }

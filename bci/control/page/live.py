"""A LiveModel is a running session as its page draws it: read from shared memory that it can only look at.

It has no reader's slot on any ring, so no writer ever wakes it or waits for it, and its memory is mapped read-only.
What it looks at too late to find is left out of the drawing, and of the averages counted.
"""

import contextlib
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.control.directory import Directory, StreamPlace
from bci.control.line import kind_of, named
from bci.control.page.evoked import NOT_WHOLE, UNCERTAIN_TIME, Evoked, EvokedResponse
from bci.control.page.facts import PageFacts
from bci.control.page.model import SIDE_SAMPLES, GapBand, SideCurve
from bci.control.page.moment import (
    Banner,
    PageMoment,
    PagePicture,
    Tone,
    banner_of,
    confidence_words,
    counters_of,
    newest_lines,
    nodes_of,
    progress_of,
    repeats_words,
)
from bci.control.page.pairs_file import PairsFile
from bci.control.page.sight import StreamSight
from bci.control.page.spectrum import Spectrum
from bci.control.page.stages import AT_DISPLAY, BEFORE_DISPLAY, StageHistogram, StageTimes
from bci.control.page.traces import TracePicture
from bci.control.snapshot import SessionSnapshot, SessionState
from bci.control.snapshot_ring import SNAPSHOTS, newest_snapshot
from bci.errors import BciError, Overrun, RingError
from bci.memory.alarms import lasted
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.clock import Clock
from bci.signal.types import FRAME_DTYPE, SHOWN_DTYPE, Event, Shown, Signal, event_of

#: Lines of the log that are shown, and how much of the file's end is read for them, bytes.
LOG_LINES, _LOG_BYTES = 60, 16_384

#: Events whose samples have not all come yet; the oldest is given up beyond that.
_MOST_PENDING = 64

#: Seconds between two looks for rings, facts and log lines.
_SLOW = 1.0


class LiveModel:
    """See `bci.control.page.model.PageModel`.

    Parameters
    ----------
    folder : Path
        The session's.
    clock : Clock
        The session clock.
    seconds : float
        How much of the signals is shown at once.
    no_commands : callable, optional
        Returns why the session cannot be commanded, empty where it can.
    facts : callable, optional
        Returns what the session's files say, None while they do not; read at once where it is not given.
    """

    span = None

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        seconds: float = 10.0,
        no_commands: Callable[[], str] = str,
        facts: Callable[[], PageFacts | None] | None = None,
    ) -> None:
        self._folder, self._clock, self._seconds = folder, clock, seconds
        self._no_commands = no_commands
        self._directory: Directory | None = None
        self._rings: dict[str, Ring] = {}
        self._streams: dict[str, StreamSight] = {}
        self._main: list[str] = []
        self._read: dict[str, int] = {}
        self._evoked: Evoked | None = None
        self._pending: deque[Event] = deque()
        self._read_facts = facts or (lambda: PageFacts.of(folder))
        self._facts: PageFacts | None = None
        self._stage_times = StageTimes({})
        self._log: list[str] = []
        self._steady: tuple[int, PagePicture | None] = (0, None)
        self._pairs = PairsFile(folder)
        self._due = -math.inf
        self.snapshot: SessionSnapshot | None = None
        self.now = clock.now()

    @property
    def over(self) -> bool:
        """Whether the session has ended."""
        done = self.snapshot is not None and self.snapshot.state is SessionState.DONE
        return done or (self._directory is not None and Directory.read(self._folder) is None)

    @property
    def streams(self) -> dict[str, Signal]:
        """Streams of samples by name; what steps say beside them is in `sides`."""
        return {name: self._streams[name].signal for name in self._main}

    def close(self) -> None:
        """Let go of all that was opened."""
        for sight in self._streams.values():
            sight.stream.close()
        for ring in self._rings.values():
            ring.close()
        self._streams.clear()
        self._rings.clear()
        self._main.clear()

    # -- looking -----------------------------------------------------------------------------------------

    def seek(self, at: float) -> None:
        """Do nothing: what runs is shown as it is now."""

    def look(self) -> None:
        """Take in what is new."""
        self.now = self._clock.now()
        if self.now >= self._due:
            self._due = self.now + _SLOW
            self._look_for_rings()
            self._log = self._newest_log_lines()
            if self._facts is None and (facts := self._read_facts()) is not None:
                self._facts, self._stage_times = facts, StageTimes(facts.budgets)
        if SNAPSHOTS in self._rings:
            self.snapshot = newest_snapshot(self._rings[SNAPSHOTS]) or self.snapshot
        for sight in self._streams.values():
            sight.look()
        self._take_stage_times()
        self._take_events()

    def _look_for_rings(self) -> None:
        """Open what the session's directory names by now; rings are made one after the other as it starts."""
        try:
            directory = Directory.read(self._folder)
        except BciError:
            return
        if directory is None or directory == self._directory:
            return
        self._directory = directory
        for name, segment in directory.rings.items():
            if name not in self._rings and kind_of(name).rstrip("-0123456789") in _LOOKED_AT:
                with contextlib.suppress(RingError):
                    self._rings[name] = Ring.look(segment)
                    # What happened before the page was there is no news, and may be gone already.
                    self._read[name] = self._rings[name].count if name != "shown" else 0
        for name, place in directory.streams.items():
            if name not in self._streams:
                with contextlib.suppress(RingError):
                    stream = Stream.look(place.segment, place.signal)
                    self._streams[name] = StreamSight(stream, self._shown(name, place), place.speed)
        self._main = [name for name in self._streams if kind_of(name) == "stream"]
        if self._evoked is None and self._main:
            sight = self._streams[self._main[0]]
            evoked = Evoked(sight.signal, sight.speed)
            self._evoked = evoked if evoked.usable else None

    def _shown(self, name: str, place: StreamPlace) -> float:
        """Return how many seconds of a stream are shown: of what steps say of volumes, a whole run."""
        if kind_of(name) == "stream" or not place.signal.rate:
            return self._seconds
        return max(self._seconds, SIDE_SAMPLES / (place.signal.rate * place.speed))

    def _newest_log_lines(self) -> list[str]:
        try:
            with (self._folder / "log.txt").open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _LOG_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        return [line for line in newest_lines(text, LOG_LINES) if line]

    def _new_records(self, name: str, column: str) -> NDArray[np.void]:
        """Return the records of a ring that are new since the last look; those that are gone are passed over."""
        ring = self._rings[name]
        end = ring.count
        first = max(self._read[name], ring.oldest, end - ring.max_window)
        self._read[name] = end
        try:
            records = ring.view(first, end)[column].copy()
            ring.check(first)
        except (Overrun, ValueError):
            return np.empty(0, SHOWN_DTYPE)
        return records

    def _take_stage_times(self) -> None:
        for name in self._rings:
            if kind_of(name) == "frames":
                for info in self._new_records(name, "info"):
                    if info["valid"]:
                        self._stage_times.add(info["stamps"], BEFORE_DISPLAY)
        if "shown" in self._rings:
            for record in self._new_records("shown", "shown"):
                if record["kind"] == Shown.FRAME:
                    self._stage_times.add(record["info"]["stamps"], AT_DISPLAY)

    def _take_events(self) -> None:
        """Take in new events, and average those whose samples are all there."""
        if self._evoked is None:
            return
        for name in self._rings:
            if name.startswith("markers"):
                events = (event_of(record) for record in self._new_records(name, "event"))
                self._pending.extend(event for event in events if event is not None)
        while len(self._pending) > _MOST_PENDING:
            self._pending.popleft()
            self._evoked.miss(NOT_WHOLE)
        sight = self._streams[self._main[0]]
        for event in list(self._pending):
            # It is marked a moment after it came, and averaged when the samples after it are there.
            if any(event.time in one.uncertain for one in self._streams.values()):
                self._evoked.miss(UNCERTAIN_TIME)
                self._pending.remove(event)
            elif sight.average(event, self._evoked):
                self._pending.remove(event)

    # -- what is drawn -----------------------------------------------------------------------------------

    def moment(self) -> PageMoment:
        """Return all but the curves."""
        snapshot = self.snapshot
        if snapshot is None:
            banner = banner_of(None, self.now)
            return PageMoment(self._folder.name, math.nan, math.nan, banner, log=self._log)
        over = self.over and snapshot.state is not SessionState.DONE
        banner = Banner(Tone.IDLE, "Ended", snapshot.ended_by) if over else banner_of(snapshot, self.now)
        lasts = self._facts.lasts if self._facts is not None else None
        return PageMoment(
            name=self._folder.name,
            elapsed=snapshot.elapsed,
            lasts=math.nan if lasts is None else lasts,
            banner=banner,
            alarms=snapshot.alarms,
            nodes=nodes_of(snapshot),
            counters=counters_of(snapshot),
            progress=progress_of(snapshot),
            pictures=[*self._on_the_screen(), *self._what_was_read(snapshot), *self._steadiness()],
            log=self._log,
            no_commands=self._no_commands() if banner.level is not Tone.IDLE else "the session does not run",
        )

    def _on_the_screen(self) -> list[PagePicture]:
        ring = self._rings.get("shown")
        if ring is None or not ring.count:
            return []
        place = {"image": _like(ring, "image"), "shown": np.zeros(1, SHOWN_DTYPE)}
        try:
            ring.read_into(ring.count - 1, place)
        except Overrun:
            return []
        record = place["shown"][0]
        kind = Shown(int(record["kind"]))
        reason = bytes(record["reason"]).decode(errors="replace")
        words = SHOWN_WORDS[kind] + (f": {reason}" if reason else "")
        if record["trial"] >= 0:
            words += f" · trial {int(record['trial']) + 1}"
        level = Tone.NOTE if kind is Shown.NEUTRAL else Tone.GOOD
        return [PagePicture("On the screen", place["image"][0], words, level)]

    def _what_was_read(self, snapshot: SessionSnapshot) -> list[PagePicture]:
        pictures = []
        several = len(snapshot.newest) > 1
        for program, newest in snapshot.newest.items():
            ring = self._rings.get(named("frames", program.partition(":")[2]))
            title = "Read" + (f" by {program.partition(':')[2] or 'the first decoder'}" if several else "")
            if ring is None or not ring.count:
                continue
            latents = _like(ring, "latent")
            place = {"image": _like(ring, "image"), "latent": latents, "info": np.zeros(1, FRAME_DTYPE)}
            try:
                ring.read_into(ring.count - 1, place)
            except Overrun:
                continue
            info = place["info"][0]
            if not info["valid"]:
                reason = bytes(info["reason"]).decode(errors="replace")
                pictures.append(PagePicture(title, None, f"not valid: {reason}", Tone.NOTE))
                continue
            age = self.now - newest.published
            described = self._facts.describe(program, latents[0].tolist()) if self._facts is not None else ""
            words = [
                described,
                repeats_words(int(info["repeats"])),
                confidence_words(float(info["confidence"])),
            ]
            words += [f"{lasted(age)} ago"] if age > 1.5 else []
            pictures.append(PagePicture(title, place["image"][0], " · ".join(filter(None, words)), Tone.GOOD))
        return pictures

    def _steadiness(self) -> list[PagePicture]:
        """Return how steady the voxels of the first stream of volumes are, made anew with each volume."""
        sights = [self._streams[name].steadiness for name in self._main]
        sight = next((one for one in sights if one is not None), None)
        if sight is None:
            return []
        if sight.volumes != self._steady[0]:
            self._steady = sight.volumes, sight.picture(None if self._facts is None else self._facts.affine)
        return [self._steady[1]] if self._steady[1] is not None else []

    def traces(self, stream: str, channels: slice) -> TracePicture | None:
        """Return some channels of a stream; None while there is nothing."""
        sight = self._streams.get(stream)
        return None if sight is None else sight.traces.picture(channels, self.now)

    def seconds(self, stream: str) -> float:
        """Return how much of a stream is shown at once."""
        return self._streams[stream].traces.seconds

    def gaps(self, stream: str) -> Sequence[GapBand]:
        """Return where data of a stream are missing."""
        sight = self._streams.get(stream)
        return [] if sight is None else sight.gaps(self.now)

    def spectrum(self, stream: str, channels: slice) -> Spectrum | None:
        """Return the spectrum of some channels of a stream."""
        sight = self._streams.get(stream)
        return None if sight is None else sight.spectrum(channels)

    def evoked(self) -> Sequence[EvokedResponse]:
        """Return the running averages of the first stream."""
        return [] if self._evoked is None else self._evoked.responses()

    def events_left_out(self) -> Mapping[str, int]:
        """Return how many events are in none of these averages, by reason."""
        return {} if self._evoked is None else self._evoked.left_out

    def stage_times(self) -> Sequence[StageHistogram]:
        """Return how long the stages of the newest reconstructions took."""
        return self._stage_times.histograms()

    def sides(self) -> Sequence[SideCurve]:
        """Return what steps say beside the samples."""
        return [
            sight.curve(name, self.now) for name, sight in self._streams.items() if name not in self._main
        ]

    def pairs(self) -> bytes:
        """Return the operator's preview as it is now."""
        return self._pairs.jpeg()


#: What is on the participant's screen.
SHOWN_WORDS = {
    Shown.NEUTRAL: "the neutral picture",
    Shown.FRAME: "a reconstruction",
    Shown.FIXATION: "the fixation target",
    Shown.STIMULUS: "a stimulus",
    Shown.UPDATE: "feedback",
}

#: Kinds of rings that are looked at.
_LOOKED_AT = frozenset({SNAPSHOTS, "frames", "shown", "markers"})


def _like(ring: Ring, name: str) -> NDArray[np.generic]:
    column = next(column for column in ring.columns if column.name == name)
    return np.zeros((1, *column.shape), column.dtype)

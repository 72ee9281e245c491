"""A RecordedModel is a finished session as its page draws it, at whatever time the slider stands.

It asks `bci.session.recorded.RecordedSession` and nothing else. Signals are read from the recording where they are
looked at, so an hour opens as fast as a minute.
"""

import contextlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.control.line import named
from bci.control.page.evoked import AFTER_S, UNCERTAIN_TIME, Evoked, EvokedResponse
from bci.control.page.facts import PageFacts
from bci.control.page.live import SHOWN_WORDS
from bci.control.page.model import GapBand, SideCurve
from bci.control.page.moment import (
    Banner,
    Counter,
    Node,
    PageMoment,
    PagePicture,
    Progress,
    Tone,
    confidence_words,
    counter,
    repeats_words,
)
from bci.control.page.pairs_file import PairsFile
from bci.control.page.recorded_log import RecordedLog
from bci.control.page.recorded_marks import RecordedMarks
from bci.control.page.recorded_sight import RecordedSight
from bci.control.page.redrawing import Redrawing, file_picture
from bci.control.page.spectrum import Spectrum
from bci.control.page.stages import AT_DISPLAY, BEFORE_DISPLAY, KEPT, StageHistogram, StageTimes
from bci.control.page.traces import TracePicture
from bci.errors import BciError
from bci.memory.alarms import Alarm, lasted
from bci.session.recorded import RecordedSession
from bci.session.samples import RecordedStream
from bci.session.tables import Row
from bci.signal.types import STAGES, Event, Shown, Signal

#: The kind of a stream that a step writes beside the samples.
_SIDE = "Quality"

#: Marks whose counts are samples that never came or were never seen.
_LOSSES = ("gap", "overrun", "reconnect")

#: In the name of a trial whose latent the second generator draws.
_SECOND = "@2-"

#: Events that are averaged: so many before the time that is shown.
_AVERAGED = 200


class RecordedModel:
    """See `bci.control.page.model.PageModel`.

    Parameters
    ----------
    session : RecordedSession
        The session.
    seconds : float
        How much of the signals is shown at once.

    Raises
    ------
    RecordingError
        If the session's tables or recording are missing or damaged.
    """

    def __init__(self, session: RecordedSession, seconds: float = 10.0) -> None:
        self._session, self._seconds = session, seconds
        self._facts = PageFacts.of(session.folder) or PageFacts()
        self._shown = session.table("shown")
        self._flips = np.array([float(row["flip"]) for row in self._shown])
        self._marks = RecordedMarks(session.table("marks"))
        self._frames = {
            named("decode", name or ""): list(session.frames_of(name)) for name in (None, *session.decoders)
        }
        self._published = {
            program: np.array([frame.stamps.get("published", math.nan) for frame in frames])
            for program, frames in self._frames.items()
        }
        self._redrawing = {program: Redrawing(self._facts.bundles.get(program)) for program in self._frames}
        self._artists: dict[str, Redrawing] = {}
        self._sights: dict[str, RecordedSight] = {}
        self._evoked: tuple[int, Evoked] | None = None
        self._steady: tuple[int, PagePicture | None] = -1, None
        self._pairs = PairsFile(session.folder)
        begin = min(
            (times[0] for times in (self._flips, *self._published.values()) if len(times)), default=0.0
        )
        end = max(
            (times[-1] for times in (self._flips, *self._published.values()) if len(times)), default=1.0
        )
        self.span: tuple[float, float] | None = (float(begin), float(end))
        self.now = float(end)

    @cached_property
    def streams(self) -> dict[str, Signal]:
        """Streams of samples, by role."""
        return {name: stream.signal for name, stream in self._recorded.items() if stream.info.kind != _SIDE}

    @cached_property
    def _recorded(self) -> dict[str, RecordedStream]:
        """All streams of numbers; none where there is no recording with its checksums."""
        with contextlib.suppress(BciError):
            return {name: self._session.stream(name) for name in self._session.stream_names()}
        return {}

    def look(self) -> None:
        """Do nothing: what is recorded does not change."""

    def seek(self, at: float) -> None:
        """Show another time."""
        start, stop = self.span or (at, at)
        self.now = min(max(at, start), stop)

    # -- words -------------------------------------------------------------------------------------------

    def moment(self) -> PageMoment:
        """Return all but the curves."""
        start, stop = self.span or (0.0, 0.0)
        alarms = self._marks.alarms(self.now)
        return PageMoment(
            name=self._session.folder.resolve().name,
            elapsed=self.now - start,
            lasts=stop - start,
            banner=self._banner(alarms),
            alarms=[*alarms, *self._marks.done(self.now)],
            nodes=self._nodes(),
            counters=self._counters(),
            progress=self._progress(),
            pictures=[*self._on_the_screen(), *self._what_was_read(), *self._steadiness()],
            log=self._log.until(stop - self.now),
            no_commands="the session is over",
        )

    def _row_now(self) -> Row | None:
        """Return what was on the screen."""
        place = int(np.searchsorted(self._flips, self.now, "right")) - 1
        return self._shown[place] if place >= 0 else None

    def _banner(self, alarms: Sequence[Alarm]) -> Banner:
        summary = self._session.summary or {}
        how = f"Recorded; it ended: {summary.get('ended_by') or 'without a summary'}."
        row = self._row_now()
        if alarms:
            level = Tone.URGENT if any(alarm.urgent for alarm in alarms) else Tone.NOTE
            return Banner(level, alarms[0].line, f"{alarms[0].what.rstrip('.')}. {how}")
        if row is not None and row["kind"] == Shown.NEUTRAL.name.lower():
            return Banner(Tone.NOTE, "Neutral picture", f"{row['reason']}. {how}")
        return Banner(Tone.GOOD, "All was well", how)

    def _nodes(self) -> list[Node]:
        summary = self._session.summary or {}
        restarts = self._marks.restarts(self.now)
        nodes = []
        for name in summary.get("programs", {}):
            times = restarts.get(name, 0)
            words = f"restarted {times} ×" if times else "ran"
            nodes.append(Node(name, words, Tone.NOTE if times else Tone.IDLE))
        return nodes

    def _counters(self) -> list[Counter]:
        """Return the numbers as they stood."""
        invalid = made = 0
        for program, frames in self._frames.items():
            past = frames[: self._past(program)]
            made += len(past)
            invalid += sum(not frame.valid for frame in past)
        changes = int(np.searchsorted(self._flips, self.now, "right"))
        numbers = [
            counter("samples lost", self._marks.count(_LOSSES, self.now), Tone.URGENT),
            counter("reconstructions", made, Tone.IDLE),
            counter("windows skipped", self._marks.count(("skipped",), self.now), Tone.NOTE),
            counter("invalid", invalid, Tone.IDLE),
            counter("changes of picture", changes, Tone.IDLE),
        ]
        if self._session.summary is not None:
            dropped = int(self._session.summary.get("dropped_flips", 0))
            numbers.append(counter("flips dropped, in all", dropped, Tone.NOTE))
        return numbers

    def _past(self, program: str) -> int:
        """Return how many reconstructions of a decoder there were by now."""
        return int(np.searchsorted(self._published[program], self.now, "right"))

    @cached_property
    def _trials(self) -> list[dict[str, str]]:
        with contextlib.suppress(BciError):
            return self._session.table("trials")
        return []

    @cached_property
    def _untils(self) -> NDArray[np.float64]:
        return np.array([float(row["until"] or "nan") for row in self._trials])

    def _progress(self) -> Progress | None:
        if not self._trials:
            return None
        with np.errstate(invalid="ignore"):
            over = self._untils <= self.now
        done = int(over.sum())
        aborted = sum(
            row["ending"] == "aborted" for row, past in zip(self._trials, over, strict=True) if past
        )
        return Progress(done, aborted, len(self._trials), "recorded")

    @cached_property
    def _log(self) -> RecordedLog:
        return RecordedLog(self._session.folder / "log.txt")

    # -- pictures ----------------------------------------------------------------------------------------

    def _on_the_screen(self) -> list[PagePicture]:
        row = self._row_now()
        if row is None:
            return []
        kind = Shown[row["kind"].upper()]
        words = SHOWN_WORDS[kind] + (f": {row['reason']}" if row["reason"] else "")
        image = None
        if kind is Shown.FRAME:
            image = self._frame_picture(named("decode", self._session.fed_by(row) or ""), int(row["frame"]))
        elif kind is Shown.STIMULUS:
            image = self._stimulus_picture(row)
        if row.get("trial") not in (None, "", "-1"):
            words += f" · trial {int(row['trial']) + 1}"
        level = Tone.NOTE if kind is Shown.NEUTRAL else Tone.GOOD
        return [PagePicture("On the screen", image, words, level)]

    def _frame_picture(self, program: str, number: int) -> NDArray[np.uint8] | None:
        frames = self._frames.get(program, [])
        frame = next((f for f in frames[number : number + 1] if f.number == number), None) or next(
            (f for f in frames if f.number == number), None
        )
        return None if frame is None else self._redrawing[program].picture(frame.latent)

    def _stimulus_picture(self, row: Row) -> NDArray[np.uint8] | None:
        trial = next((one for one in self._trials if one["trial"] == row.get("trial")), None)
        if trial is None:
            return None
        if latent := trial.get("stimulus_latent"):
            with contextlib.suppress(ValueError):
                vector = np.array(json.loads(latent), np.float32)
                return self._artist(second=_SECOND in trial["name"]).picture(vector)
        experiment = self._session.config.get("experiment") or {}
        folder = experiment.get("folder")
        if trial.get("file") and folder:
            for place in (Path(folder) / trial["file"], Path(folder) / Path(trial["file"]).name):
                if (picture := file_picture(place)) is not None:
                    return picture
        return None

    def _artist(self, *, second: bool) -> Redrawing:
        """Return what drew the latents that were shown: the bundle that the experiment names, else the decoder's."""
        key = "also_drawn_by" if second else "drawn_by"
        if key not in self._artists:
            experiment = self._session.config.get("experiment") or {}
            ran = self._session.environment.get(key) or {}
            named_one = experiment.get(key) is not None
            self._artists[key] = (
                Redrawing.of(experiment[key], str(ran.get("hash")))
                if named_one
                else next(iter(self._redrawing.values()))
            )
        return self._artists[key]

    def _what_was_read(self) -> list[PagePicture]:
        pictures = []
        for program, frames in self._frames.items():
            past = self._past(program)
            if not past:
                continue
            name = program.partition(":")[2]
            title = "Read" + (f" by {name or 'the first decoder'}" if len(self._frames) > 1 else "")
            frame = frames[past - 1]
            if not frame.valid:
                pictures.append(PagePicture(title, None, f"not valid: {frame.reason}", Tone.NOTE))
                continue
            age = self.now - float(self._published[program][past - 1])
            described = self._facts.describe(program, frame.latent.tolist())
            words = [described, repeats_words(frame.repeats), confidence_words(frame.confidence)]
            words += [f"{lasted(age)} before"] if age > 1.5 else []
            image = self._redrawing[program].picture(frame.latent)
            pictures.append(PagePicture(title, image, " · ".join(filter(None, words)), Tone.GOOD))
        return pictures

    def _steadiness(self) -> list[PagePicture]:
        """Return how steady the voxels of the first stream of volumes were, by the newest ones before the time."""
        name = next((name for name, signal in self.streams.items() if len(signal.shape) == 3), "")
        sight = self._sight(name)
        if sight is None:
            return []
        end = sight.count_at(self.now)
        if end != self._steady[0]:
            self._steady = end, sight.steadiness(end).picture(self._facts.affine)
        return [self._steady[1]] if self._steady[1] is not None else []

    # -- curves ------------------------------------------------------------------------------------------

    def _sight(self, stream: str) -> RecordedSight | None:
        if stream not in self._recorded:
            return None
        if stream not in self._sights:
            frames = next(iter(self._frames.values())) if stream == next(iter(self._recorded)) else []
            recorded = self._recorded[stream]
            jumps = self._marks.resumptions(stream, recorded.signal.rate)
            self._sights[stream] = RecordedSight(recorded, frames, jumps, self._seconds)
        return self._sights[stream]

    def traces(self, stream: str, channels: slice) -> TracePicture | None:
        """Return some channels of a stream."""
        sight = self._sight(stream)
        return None if sight is None else sight.traces(self.now).picture(channels, self.now)

    def seconds(self, stream: str) -> float:
        """Return how much of a stream is shown at once."""
        sight = self._sight(stream)
        return self._seconds if sight is None else sight.seconds

    def gaps(self, stream: str) -> Sequence[GapBand]:
        """Return where data of a stream are missing in the time that is shown."""
        return self._marks.gaps(stream, self.now - self.seconds(stream), self.now)

    def spectrum(self, stream: str, channels: slice) -> Spectrum | None:
        """Return the spectrum of some channels of a stream."""
        sight = self._sight(stream)
        return None if sight is None else sight.spectrum(channels, self.now)

    @cached_property
    def _events(self) -> list[Event]:
        """Events: those that epochs were cut around, else the flips that brought stimuli."""
        events = list(self._session.events)
        if not events:
            with contextlib.suppress(BciError):
                events = [Event(flip.time, f"stimulus {flip.stimulus}") for flip in self._session.flips]
        return sorted(events, key=lambda event: event.time)

    @cached_property
    def _uncertain(self) -> Collection[float]:
        return self._session.uncertain

    def evoked(self) -> Sequence[EvokedResponse]:
        """Return the averages of the first stream, of the newest events."""
        sight = self._sight(next(iter(self.streams), ""))
        if sight is None or not self._events:
            return []
        times = [event.time + AFTER_S for event in self._events]
        end = int(np.searchsorted(times, self.now, "right"))
        begun, evoked = self._evoked or (0, None)
        if evoked is None or not begun <= end <= begun + _AVERAGED:
            begun, evoked = max(0, end - _AVERAGED), Evoked(sight.signal, sight.speed)
        if evoked.usable:
            for event in self._events[begun:end]:
                if event.time in self._uncertain:
                    evoked.miss(UNCERTAIN_TIME)
                else:
                    sight.average(event, evoked)
        self._evoked = end, evoked
        return evoked.responses() if evoked.usable else []

    def events_left_out(self) -> Mapping[str, int]:
        """Return how many events are in none of these averages, by reason."""
        return {} if self._evoked is None else self._evoked[1].left_out

    def stage_times(self) -> Sequence[StageHistogram]:
        """Return how long the stages of the newest reconstructions took."""
        stages = StageTimes(self._facts.budgets)
        for program, frames in self._frames.items():
            for frame in frames[max(0, self._past(program) - KEPT) : self._past(program)]:
                if frame.valid:
                    stages.add([frame.stamps.get(name, math.nan) for name in STAGES], BEFORE_DISPLAY)
        end = int(np.searchsorted(self._flips, self.now, "right"))
        for row in self._shown[max(0, end - KEPT) : end]:
            if row["kind"] == "frame":
                stages.add([float(row[name] or "nan") for name in STAGES], AT_DISPLAY)
        return stages.histograms()

    def sides(self) -> Sequence[SideCurve]:
        """Return what steps said beside the samples."""
        names = [name for name in self._recorded if name not in self.streams]
        return [sight.curve(name, self.now) for name in names if (sight := self._sight(name)) is not None]

    def pairs(self) -> bytes:
        """Return the operator's preview as it was at the end, whatever time is shown."""
        return self._pairs.jpeg()

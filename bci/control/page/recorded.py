"""A RecordedModel is a finished session as its page draws it, at whatever time the slider stands.

It asks `bci.session.recorded.RecordedSession` and nothing else. Signals are read from the recording where they are
looked at, so an hour opens as fast as a minute.
"""

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.control.line import named
from bci.control.page.evoked import AFTER_S, BEFORE_S, Evoked, EvokedResponse
from bci.control.page.facts import PageFacts
from bci.control.page.live import LOG_LINES, SHOWN_WORDS, gap_band
from bci.control.page.model import COLUMNS, SIDE_SAMPLES, SPECTRUM_S, GapBand, SideCurve, channel_labels
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
)
from bci.control.page.redrawing import Redrawing, file_picture
from bci.control.page.spectrum import Spectrum, spectrum
from bci.control.page.stages import AT_DISPLAY, BEFORE_DISPLAY, KEPT, StageHistogram, StageTimes
from bci.control.page.traces import DrawnTraces, TracePicture
from bci.errors import BciError
from bci.memory.alarms import Alarm, lasted
from bci.session.frames import RecordedFrame
from bci.session.recorded import RecordedSession
from bci.session.samples import RecordedStream
from bci.session.tables import Row
from bci.signal.types import STAGES, Event, MarkKind, Shown, Signal

#: The kind of a stream that a step writes beside the samples.
_SIDE = "Quality"

#: Events that are averaged: so many before the time that is shown.
_AVERAGED = 200

#: For how long a mark of what went wrong stands among the alarms, seconds.
_RECENT_S = 10.0

#: Marks that say that something went wrong, and how badly.
_TROUBLES: Mapping[str, Tone] = {
    "gap": Tone.URGENT,
    "overrun": Tone.URGENT,
    "stalled": Tone.URGENT,
    "lost": Tone.URGENT,
    "latched": Tone.URGENT,
    "reconnect": Tone.NOTE,
    "clock_reset": Tone.NOTE,
    "restart": Tone.NOTE,
    "refused": Tone.NOTE,
    "double": Tone.NOTE,
    "uncertain": Tone.NOTE,
    "epoch_lost": Tone.NOTE,
    "command": Tone.NOTE,
    "swapped": Tone.NOTE,
    "skipped": Tone.NOTE,
}


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
        self._marks = [row for row in session.table("marks") if row["time"] not in ("", "nan")]
        self._mark_times = np.array([float(row["time"]) for row in self._marks])
        self._frames = {
            named("decode", name or ""): list(session.frames_of(name)) for name in (None, *session.decoders)
        }
        self._published = {
            program: np.array([frame.stamps.get("published", math.nan) for frame in frames])
            for program, frames in self._frames.items()
        }
        self._redrawing = {program: Redrawing(self._facts.bundles.get(program)) for program in self._frames}
        self._sights: dict[str, _RecordedSight] = {}
        self._evoked: tuple[int, Evoked] | None = None
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
        alarms = self._alarms()
        return PageMoment(
            name=self._session.folder.resolve().name,
            elapsed=self.now - start,
            lasts=stop - start,
            banner=self._banner(alarms),
            alarms=alarms,
            nodes=self._nodes(),
            counters=self._counters(),
            progress=self._progress(),
            pictures=[*self._on_the_screen(), *self._what_was_read()],
            log=self._log_until_now(),
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
            return Banner(level, alarms[0].line, f"{alarms[0].what} {how}")
        if row is not None and row["kind"] == Shown.NEUTRAL.name.lower():
            return Banner(Tone.NOTE, "Neutral picture", f"{row['reason']}. {how}")
        return Banner(Tone.GOOD, "All was well", how)

    def _alarms(self) -> list[Alarm]:
        """Return what went wrong in the seconds before."""
        first = int(np.searchsorted(self._mark_times, self.now - _RECENT_S))
        end = int(np.searchsorted(self._mark_times, self.now, "right"))
        alarms = []
        for row in reversed(self._marks[first:end]):
            level = _TROUBLES.get(row["kind"])
            if level is None:
                continue
            ago = self.now - float(row["time"])
            words = f"{row['source']}: {row['kind'].replace('_', ' ')}"
            alarms.append(
                Alarm(
                    f"{row['kind']} {row['source']} {row['time']}",
                    f"{words}, {lasted(ago)} before",
                    row["detail"] or f"{words} at sample {row['first']}.",
                    "",
                    urgent=level is Tone.URGENT,
                    age=ago,
                )
            )
        return sorted(alarms, key=lambda alarm: not alarm.urgent)

    def _nodes(self) -> list[Node]:
        summary = self._session.summary or {}
        restarts: dict[str, int] = {}
        for row in self._marks[: int(np.searchsorted(self._mark_times, self.now, "right"))]:
            if row["kind"] == MarkKind.RESTART.name.lower():
                name = row["detail"].partition(" ")[0]
                restarts[name] = restarts.get(name, 0) + 1
        nodes = []
        for name in summary.get("programs", {}):
            times = restarts.get(name, 0)
            words = f"restarted {times} ×" if times else "ran"
            nodes.append(Node(name, words, Tone.NOTE if times else Tone.IDLE))
        return nodes

    def _counters(self) -> list[Counter]:
        """Return the numbers as they stood."""
        skipped = invalid = made = 0
        for program, frames in self._frames.items():
            past = frames[: self._past(program)]
            made += len(past)
            invalid += sum(not frame.valid for frame in past)
        until = int(np.searchsorted(self._mark_times, self.now, "right"))
        lost = 0
        for row in self._marks[:until]:
            if row["kind"] == "skipped":
                skipped += int(row["count"])
            elif row["kind"] in ("gap", "overrun", "reconnect"):
                lost += int(row["count"])
        changes = int(np.searchsorted(self._flips, self.now, "right"))
        numbers = [
            counter("samples lost", lost, Tone.URGENT),
            counter("reconstructions", made, Tone.IDLE),
            counter("windows skipped", skipped, Tone.NOTE),
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
    def _log(self) -> tuple[list[str], NDArray[np.float64]]:
        """Lines of the log, and when each was written, seconds before the last of them."""
        try:
            text = (self._session.folder / "log.txt").read_text("utf-8", errors="replace")
        except OSError:
            return [], np.empty(0)
        lines = [line for line in text.split("\n") if line]
        times, last = [], math.nan
        for line in lines:
            with contextlib.suppress(ValueError):
                last = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()
            times.append(last)
        return lines, np.array(times)

    def _log_until_now(self) -> list[str]:
        """Return the lines until now; the log has the wall's clock, whose end is about that of the flips."""
        lines, times = self._log
        if not lines or not np.isfinite(times).any():
            return lines[-LOG_LINES:]
        ending = next((t for line, t in zip(lines, times, strict=True) if "INFO ending: " in line), times[-1])
        stop = self.span[1] if self.span else self.now
        end = (
            int(np.searchsorted(times, ending + (self.now - stop), "right"))
            if self.now < stop
            else len(lines)
        )
        return lines[max(0, end - LOG_LINES) : end]

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
                return next(iter(self._redrawing.values())).picture(vector)
        experiment = self._session.config.get("experiment") or {}
        folder = experiment.get("folder")
        if trial.get("file") and folder:
            for place in (Path(folder) / trial["file"], Path(folder) / Path(trial["file"]).name):
                if (picture := file_picture(place)) is not None:
                    return picture
        return None

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
            words = [self._facts.describe(program, frame.latent.tolist()), confidence_words(frame.confidence)]
            words += [f"{lasted(age)} before"] if age > 1.5 else []
            image = self._redrawing[program].picture(frame.latent)
            pictures.append(PagePicture(title, image, " · ".join(filter(None, words)), Tone.GOOD))
        return pictures

    # -- curves ------------------------------------------------------------------------------------------

    def _sight(self, stream: str) -> "_RecordedSight | None":
        if stream not in self._recorded:
            return None
        if stream not in self._sights:
            frames = next(iter(self._frames.values())) if stream == next(iter(self._recorded)) else []
            self._sights[stream] = _RecordedSight(self._recorded[stream], frames, self._seconds)
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
        bands = []
        for row in self._marks:
            kind = MarkKind[row["kind"].upper()]
            if row["source"] == stream and (kind.starts_segment or kind is MarkKind.STALLED):
                bands.append(gap_band(kind, float(row["time"]), float(row["value"] or "nan")))
        start = self.now - self.seconds(stream)
        return [band for band in bands if band.stop >= start and band.start <= self.now]

    def spectrum(self, stream: str, channels: slice) -> Spectrum | None:
        """Return the spectrum of some channels of a stream."""
        sight = self._sight(stream)
        if sight is None or not sight.signal.rate:
            return None
        end = sight.count_at(self.now)
        samples, _ = sight.read(end - int(SPECTRUM_S * sight.signal.rate), end)
        return spectrum(samples.reshape(len(samples), -1)[:, channels], sight.signal.rate)

    @cached_property
    def _events(self) -> list[Event]:
        """Events: those that epochs were cut around, else the flips that brought stimuli."""
        events = list(self._session.events)
        if not events:
            with contextlib.suppress(BciError):
                events = [Event(flip.time, f"stimulus {flip.stimulus}") for flip in self._session.flips]
        return sorted(events, key=lambda event: event.time)

    def evoked(self) -> Sequence[EvokedResponse]:
        """Return the averages of the first stream, of the newest events."""
        sight = self._sight(next(iter(self.streams), ""))
        if sight is None or not self._events:
            return []
        times = [event.time + AFTER_S for event in self._events]
        end = int(np.searchsorted(times, self.now, "right"))
        begun, evoked = self._evoked or (0, None)
        if evoked is None or not begun <= end <= begun + _AVERAGED:
            begun, evoked = max(0, end - _AVERAGED), Evoked(sight.signal)
        if evoked.usable:
            for event in self._events[begun:end]:
                sight.average(event, evoked)
        self._evoked = end, evoked
        return evoked.responses() if evoked.usable else []

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
        curves = []
        for name in self._recorded:
            if name not in self.streams and (sight := self._sight(name)) is not None:
                end = sight.count_at(self.now)
                samples, counts = sight.read(end - SIDE_SAMPLES, end)
                labels = channel_labels(sight.signal)
                values = np.asarray(samples, np.float64).reshape(len(samples), -1)
                curves.append(SideCurve(name, labels, sight.times(counts), values))
        return curves


class _RecordedSight:
    """One recorded stream as it is looked at: its counts and times, and what is between two of them."""

    def __init__(self, stream: RecordedStream, frames: Sequence[RecordedFrame], seconds: float) -> None:
        self._stream, self._asked = stream, seconds
        self.signal = stream.signal
        self._counts, self._times = _clock(stream, frames, self.signal)
        self._drawn: tuple[float, DrawnTraces] | None = None

    @property
    def seconds(self) -> float:
        """How much is shown at once."""
        return (
            DrawnTraces(self.signal, self._asked, COLUMNS).seconds
            if self._drawn is None
            else self._drawn[1].seconds
        )

    def count_at(self, time: float) -> int:
        """Return the count of the sample after a time, session seconds."""
        return round(float(_line(time, self._times, self._counts, self.signal.rate or 1.0))) + 1

    def times(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """Return the times of samples, session seconds."""
        rate = self.signal.rate or 1.0
        return np.asarray(_line(counts, self._counts, self._times, 1 / rate), np.float64)

    def read(self, first: int, end: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the samples between two counts, as far as they are there, and their counts."""
        pieces = [(at, samples) for at, samples in self._stream.between(max(0, first), end) if len(samples)]
        if not pieces:
            return np.empty((0, *self.signal.shape), np.float32), np.empty(0, np.int64)
        counts = np.concatenate([at + np.arange(len(samples)) for at, samples in pieces])
        return np.concatenate([samples for _, samples in pieces]), counts

    def traces(self, now: float) -> DrawnTraces:
        """Return the columns of what is shown at a time."""
        if self._drawn is None or self._drawn[0] != now:
            drawn = DrawnTraces(self.signal, self._asked, COLUMNS)
            end = self.count_at(now)
            for at, samples in self._stream.between(max(0, self.count_at(now - drawn.seconds) - 1), end):
                if len(samples):
                    drawn.add(at, samples, self.times(at + np.arange(len(samples))))
            self._drawn = now, drawn
        return self._drawn[1]

    def average(self, event: Event, evoked: Evoked) -> None:
        """Average an event in."""
        around = self.count_at(event.time - 2 * BEFORE_S), self.count_at(event.time + AFTER_S + BEFORE_S)
        samples, counts = self.read(*around)
        times = self.times(counts)
        needed = evoked.needed(event, times, int(counts[0])) if len(counts) else None
        if needed is None:
            evoked.miss()
            return
        inside = (counts >= needed[0]) & (counts < needed[1])
        if int(inside.sum()) != needed[1] - needed[0]:
            evoked.miss()
            return
        evoked.add(event, samples[inside], times[inside])


def _clock(
    stream: RecordedStream, frames: Sequence[RecordedFrame], signal: Signal
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts of samples with their session times: of those that reconstructions rest on, else of all."""
    pairs = sorted({(frame.last_sample, frame.stamps.get("data", math.nan)) for frame in frames})
    known = np.array([pair for pair in pairs if math.isfinite(pair[1])], float).reshape(-1, 2)
    if len(known) < 2:
        ends = [
            (stretch.first + place, stretch.times[place])
            for stretch in stream.stretches()
            for place in (0, len(stretch.times) - 1)
        ]
        known = np.array(ends, float).reshape(-1, 2)
    if not len(known):
        known = np.zeros((1, 2))
    return known[:, 0], np.maximum.accumulate(known[:, 1])


def _line(x: Any, xs: NDArray[np.float64], ys: NDArray[np.float64], slope: float) -> Any:
    """Return y at x between known points, and beyond them with a stated slope."""
    inside = np.interp(x, xs, ys)
    return inside + slope * (np.minimum(x - xs[0], 0) + np.maximum(x - xs[-1], 0))

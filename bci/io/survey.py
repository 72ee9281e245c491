"""Findings are the results of a survey of a live stream or a recording: quality of each channel and of its time."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from bci.errors import StreamNotFound
from bci.io.files.formats.file import text_at
from bci.io.files.recording import Recording, chunks
from bci.io.lsl.discovery import WAIT
from bci.io.lsl.source import LslSource
from bci.memory.marks import read_marks
from bci.memory.stream import Stream
from bci.signal.clock import Clock
from bci.signal.quality.channels import ChannelFigures, Survey
from bci.signal.quality.pace import Pace, RunningPace
from bci.signal.quality.stamping import Stamping
from bci.signal.quality.verdicts import Verdict, judge_amplitude, judge_channels, judge_time, still_limit
from bci.signal.types import MarkKind, Signal

#: Takes the share done, 0 to 1.
Progress = Callable[[float], None]

_CHUNK_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Findings holds the results of a survey.

    Attributes
    ----------
    signal : Signal
        The surveyed signal.
    seconds : float
        Surveyed length, at the nominal rate.
    figures : ChannelFigures
        Of every channel, and of each its verdict in `channels`.
    pace : Pace
        Rate and jitter by the stamps, scaled to real time where the stream plays faster.
    lost, duplicates : int
        Samples missing by their stamps; stamped as the one before. Of a recording not known, 0.
    channels : tuple of Verdict
    time : Verdict
    amplitude : Verdict
        Whether the channels move by what a brain gives, in the unit that is stated.
    """

    signal: Signal
    seconds: float
    figures: ChannelFigures
    pace: Pace
    lost: int
    duplicates: int
    channels: tuple[Verdict, ...]
    time: Verdict
    amplitude: Verdict


def survey_recording(
    recording: Recording, seconds: float | None = None, progress: Progress = lambda share: None
) -> Findings:
    """Measure a recording, second by second, never all of it at once.

    Parameters
    ----------
    recording : Recording
        The recording to survey.
    seconds : float, optional
        Only the first so many, by its nominal rate; needed for one that never ends.
    progress : callable
        Takes the share done.

    Raises
    ------
    ConfigError
        If its samples are no row of channels.
    """
    signal = recording.signal
    wanted = math.inf if seconds is None else seconds * signal.rate
    stop = min(wanted, math.inf if recording.n is None else recording.n)
    if math.isinf(stop):
        raise ValueError(f"{recording.name} never ends: say how many seconds")
    survey, pace = Survey(signal), RunningPace(signal.rate)
    for chunk in chunks(recording, max(1, round(_CHUNK_S * signal.rate)), 0, int(stop)):
        survey.add(chunk.samples, fresh=bool(chunk.reset))
        pace.add(chunk.times, fresh=bool(chunk.reset))
        progress(chunk.end / stop)
    return _found(survey, pace.pace(), kind=text_at(getattr(recording, "header", {}), "type"))


def survey_stream(
    source: LslSource, clock: Clock, seconds: float, progress: Progress = lambda share: None
) -> Findings:
    """Listen to a stream for `seconds` of real time, from its first sample on.

    Raises
    ------
    ConfigError
        If its samples are no row of channels.
    StreamNotFound
        If none comes in that time.
    """
    signal = source.signal
    survey, running = Survey(signal), RunningPace(signal.rate * source.speed)
    with Stream.private(signal, max(4.0, 4 * source.speed)) as stream:
        marks_read, fresh_at = 0, [0]
        began = clock.now()
        while (now := clock.now()) - began < seconds:
            progress((now - began) / seconds)
            first = stream.samples.count
            n = source.pull_into(stream, WAIT)
            if not first:
                if not n:
                    continue
                began = clock.now()
            marks, marks_read = read_marks(stream.marks, marks_read)
            fresh_at += [int(m["first"]) for m in marks if MarkKind(int(m["kind"])).starts_segment]
            cuts = sorted({first, *(at for at in fresh_at if first < at < first + n), first + n})
            for at, to in itertools.pairwise(cuts):
                columns = stream.samples.view(at, to)
                survey.add(columns["samples"], fresh=at in fresh_at)
                running.add(columns["raw"], fresh=at in fresh_at)
            fresh_at = [at for at in fresh_at if at >= first + n]
    if not survey.samples:
        raise StreamNotFound(
            f"stream {source.info.source_id!r} is there and sent nothing for {seconds:g} s. Is its device started?"
        )
    pace = running.pace()
    slowed = Pace(
        signal.rate,
        pace.measured / source.speed,
        pace.jitter * source.speed,
        pace.largest_step * source.speed,
        pace.runs,
    )
    return _found(survey, slowed, source.lost, source.duplicates, source.info.kind, source.stamping)


def _found(
    survey: Survey,
    pace: Pace,
    lost: int = 0,
    duplicates: int = 0,
    kind: str = "",
    stamping: Stamping | None = None,
) -> Findings:
    figures = survey.figures(still_limit(survey.signal))
    return Findings(
        survey.signal,
        figures.samples / survey.signal.rate,
        figures,
        pace,
        lost,
        duplicates,
        tuple(judge_channels(figures)),
        judge_time(pace, figures.samples, lost, duplicates, stamping),
        judge_amplitude(figures, survey.signal, kind),
    )

"""A Seen holds the effects of a fault on screen, recording and log: measured here, judged elsewhere.

All times are seconds after the fault, NaN for what never came.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bci.control.certify.traces import Said, Traces, number

#: A strip of the screen's history begins this long before the fault, seconds.
BEFORE_S = 1.5

#: Marks that tell of samples which the rig never got.
_MISSED = frozenset({"gap", "reconnect"})


@dataclass(frozen=True)
class Broken:
    """A Broken is one fault as it was made.

    Attributes
    ----------
    program, how : str
        Which program was ``"killed"`` or ``"frozen"``.
    at, until : float
        Session seconds of the fault, and of when the rig had recovered or was given up.
    wall : float
        The time of the fault as the log tells it, Unix seconds.
    recovered : bool
        Whether the rig recovered.
    """

    program: str
    how: str
    at: float
    until: float
    wall: float
    recovered: bool


@dataclass(frozen=True)
class Span:
    """A Span is a stretch of one content of the screen: ``picture``, ``neutral``, ``still`` (frozen) or ``nothing``."""

    start: float
    end: float
    what: str


@dataclass(frozen=True)
class Seen:
    """A Seen holds the measured effects of one fault.

    Attributes
    ----------
    neutral_after : float
        When the neutral picture came.
    neutral_reason : str
        The display's reason for it.
    neutral_digest : str
        Digest of its pixels.
    picture_after : float
        When the first picture came after the screen was neutral or gone.
    found_after : float
        When the supervisor said that the program had died or hung.
    restarted_after : float
        When its successor was started.
    screen_after : float
        When the display's successor flipped for the first time.
    decoding_after : float
        When the first valid reconstruction was published after the interruption.
    interrupted_s : float
        Longest time between two valid reconstructions.
    marks : tuple of str
        Kinds of marks that were recorded meanwhile, ``source: kind``.
    missed : int
        Samples that the rig never got.
    told : tuple of str
        Lines of the log for the operator.
    strip : tuple of Span
        What the screen showed, from `BEFORE_S` before the fault until it was over.
    """

    neutral_after: float
    neutral_reason: str
    neutral_digest: str
    picture_after: float
    found_after: float
    restarted_after: float
    screen_after: float
    decoding_after: float
    interrupted_s: float
    marks: tuple[str, ...]
    missed: int
    told: tuple[str, ...]
    strip: tuple[Span, ...] = field(repr=False, default=())


def look(
    traces: Traces, broken: Broken, *, decoder: "str | Literal[False] | None" = None, watched: bool = True
) -> Seen:
    """Measure the effects of one fault.

    Parameters
    ----------
    traces : Traces
        The session's folder, after its end.
    broken : Broken
        The fault.
    decoder : str, None or False
        The decoder that decodes nothing meanwhile, None for the first; False for none.
    watched : bool
        Whether the screen shows nothing without the program.
    """
    at, name = broken.at, broken.program
    end = broken.until + 1.0
    changes = [row for row in traces.shown if at <= number(row, "flip") <= end]
    neutral = next((row for row in changes if row["kind"] == "neutral"), None)
    lines = [said for said in traces.log if broken.wall - 0.002 <= said.wall <= broken.wall + (end - at)]
    started = f"{name} started as process"
    noticed = _when([line for line in lines if not line.text.startswith(started)], broken, f"{name} ")
    restarted = _when(lines, broken, started)
    screen = math.nan
    if name == "display":
        # A display that is gone shows nothing until its successor is there: its first flip is its first change.
        later = [number(row, "flip") - at for row in changes if number(row, "flip") - at >= restarted]
        screen = later[0] if later else math.nan
    interruption = screen if name == "display" else _after(neutral, at)
    picture = next(
        (
            number(row, "flip") - at
            for row in changes
            if row["kind"] == "frame" and number(row, "flip") - at >= interruption
        ),
        math.nan,
    )
    published = sorted(
        number(row, "published") - at
        for row in (traces.frames if decoder is False else traces.frames_of(decoder))
        if row["valid"] == "1" and at - BEFORE_S <= number(row, "published") <= end
    )
    decoding = next((time for time in published if time >= max(interruption, 0.0)), math.nan)
    if not watched or (neutral is None and name != "display"):
        # Nothing on the screen says when it was interrupted: the longest time without a reconstruction does. A program
        # that is back before its last picture is too old leaves no neutral one.
        gaps = [(b - a, b) for a, b in itertools.pairwise(published) if b >= 0]
        decoding = max(gaps)[1] if gaps else math.nan
        frames = (number(row, "flip") - at for row in changes if row["kind"] == "frame")
        picture = next((flip for flip in frames if flip >= decoding), math.nan)
    marks = [row for row in traces.marks if at <= number(row, "time") <= end]
    return Seen(
        neutral_after=_after(neutral, at),
        neutral_reason=neutral["reason"] if neutral else "",
        neutral_digest=neutral["digest"] if neutral else "",
        picture_after=picture,
        found_after=noticed,
        restarted_after=restarted,
        screen_after=screen,
        decoding_after=decoding,
        interrupted_s=max((b - a for a, b in itertools.pairwise(published)), default=math.nan),
        marks=tuple(dict.fromkeys(f"{row['source']}: {row['kind']}" for row in marks)),
        missed=sum(int(row["count"]) for row in marks if row["kind"] in _MISSED),
        told=tuple(_told(lines)),
        strip=tuple(_strip(traces.shown, broken, end, noticed, screen)),
    )


def _after(row: dict[str, str] | None, at: float) -> float:
    return number(row, "flip") - at if row is not None else math.nan


def _when(lines: Sequence[Said], broken: Broken, text: str) -> float:
    """Return when the supervisor first logged a line that begins with `text`."""
    for said in lines:
        if said.program == "supervisor" and said.text.startswith(text):
            return max(0.0, said.wall - broken.wall)
    return math.nan


def _told(lines: Sequence[Said]) -> list[str]:
    """Return the log lines for the operator: warnings and worse."""
    log_lines = []
    for line in lines:
        # The start of a process is no news for the operator; that it works again is logged as a warning.
        if line.level in ("WARNING", "ERROR", "CRITICAL"):
            log_lines.append(f"{line.program}: {line.text}")
    return list(dict.fromkeys(log_lines))


def _strip(
    shown: Sequence[dict[str, Any]], broken: Broken, end: float, found: float, screen: float
) -> list[Span]:
    """Return what the screen showed around a fault, without gaps."""
    start, stop = broken.at - BEFORE_S, end
    edges: list[tuple[float, str]] = []
    for row in shown:
        what = "neutral" if row["kind"] == "neutral" else "picture"
        flip = number(row, "flip")
        if flip < start:
            edges = [(start, what)]
        elif flip <= stop:
            edges.append((flip, what))
    if broken.program == "display":
        back = broken.at + screen if math.isfinite(screen) else stop
        killed = broken.at + (found if broken.how == "frozen" and math.isfinite(found) else 0.0)
        edges = [edge for edge in edges if not broken.at <= edge[0] < back]
        if broken.how == "frozen":
            edges.append((broken.at, "still"))
        edges.append((killed, "nothing"))
        edges.sort(key=lambda edge: edge[0])
    spans: list[Span] = []
    for (a, what), (b, _) in zip(edges, [*edges[1:], (stop, "")], strict=True):
        if spans and spans[-1].what == what:
            spans[-1] = Span(spans[-1].start, b - broken.at, what)
        else:
            spans.append(Span(a - broken.at, b - broken.at, what))
    return spans

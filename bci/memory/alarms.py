"""An Alarm is what an operator must know at once: what fails now, and what the participant sees meanwhile.

Alarms are read off a session's board, so the terminal's live line and the operator's preview say the same, each by
itself, whatever other program hangs. Most urgent first.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bci.memory.board import Board, State

#: How long a program may be silent before the operator is told, seconds.
SILENT_S = 1.0

#: How long the disk may not answer before the operator is told, seconds.
SLOW_S = 1.0

#: Below this the operator is told how long the disk will last: a session's length, with some to spare, seconds.
SHORT_S = 30 * 60.0

#: What `display` shows, by its counter ``neutral``.
SHOWN_PICTURES, SHOWN_NEUTRAL, SHOWN_HELD, SHOWN_WITHHELD = 0, 1, 2, 3

#: Why a head is lost, by `decode`'s counter ``head`` (`bci.signal.volumes.realign.MotionFault`): for a line, and whole.
HEAD_LOST: Mapping[int, tuple[str, str]] = {
    1: ("moved too far", "The head has moved or turned beyond the limit of motion correction."),
    2: ("out of the volume", "Too little of the head lies within the volume."),
    3: (
        "volume unlike the reference",
        "The newest volume is too unlike the reference: movement, another head or coil.",
    ),
    4: ("motion not found", "The motion of the newest volume could not be found."),
}


@dataclass(frozen=True)
class Alarm:
    """An Alarm is one thing that is wrong now.

    Attributes
    ----------
    key : str
        Which one it is, the same for as long as it lasts: ``"no data acquire"``.
    line : str
        It in a few words, with how long it has lasted: ``"NO DATA 12 s, neutral"``.
    what, do : str
        What happened and what the participant sees; what to do. Whole sentences.
    urgent : bool
        Whether something is lost, or the participant sees the neutral picture.
    age : float
        How long it has lasted, where that is known, seconds.
    over : str
        What is said when it is over.
    """

    key: str
    line: str
    what: str
    do: str
    urgent: bool = True
    age: float = 0.0
    over: str = "over"


def alarms(board: Board, now: float, names: Mapping[str, str] | None = None) -> list[Alarm]:
    """Return what is wrong now.

    Parameters
    ----------
    board : Board
        The session's.
    now : float
        Session seconds.
    names : mapping of str to str, optional
        What a program's stream is called, by the program's name; the rest of the program's name is used otherwise.
    """
    rows = {name: board.row(name) for name in board.programs}
    sees = _shows(rows["display"], "neutral") if "display" in rows else None
    found = [*_held(sees)]
    for name, row in rows.items():
        found += _silent_program(name, row, now)
    for name, row in rows.items():
        kind, _, rest = name.partition(":")
        if kind == "acquire":
            found += _of_stream((names or {}).get(name, rest), name, row, now, sees)
        elif kind == "decode":
            found += _of_decoder(f"{rest}: " if rest else "", name, row)
        elif kind == "control" and row["state"] == State.RUNNING and not _shows(row, "connected"):
            found.append(
                Alarm(
                    "no broker",
                    "no broker: commands do not arrive",
                    "The control plane has no connection to its broker: commands do not arrive. The session goes on.",
                    "Start the broker again: the connection comes back by itself. Ctrl-C ends the session.",
                    urgent=False,
                    over="commands arrive",
                )
            )
        elif kind == "record":
            found += [*_of_disk(row), *_of_amplitude(row)]
    return found


def lasted(seconds: float) -> str:
    """Return a time as a person reads it.

    >>> lasted(0.62), lasted(12.4), lasted(185.0), lasted(7300.0)
    ('0.6 s', '12 s', '3 min 5 s', '2 h 1 min')
    """
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def data_silence(row: Any, now: float) -> float:
    """Return for how long a stream has sent nothing, if that is longer than it may be; 0 otherwise.

    Infinite where it has never sent anything. `row` is that of an acquire program with a stream.
    """
    limit, newest = float(row["data_limit"]), float(row["data"])
    if not math.isfinite(limit):
        return 0.0
    # What a program that died received last is as old for its successor.
    if math.isnan(newest):
        return math.inf if row["state"] in (State.READY, State.RUNNING) else 0.0
    age = now - newest
    return age if age > limit else 0.0


def _shows(row: Any, counter: str) -> int:
    """Return a counter of a program; 0 where it shows no such thing."""
    return int(row[counter]) if counter in row.counters else 0


def _sees(sees: int | None) -> tuple[str, str]:
    """Return what the participant sees, for a line and as a sentence; nothing where there is no screen."""
    if sees is None:
        return "", ""
    if sees == SHOWN_PICTURES:
        return "", " The participant still sees pictures."
    return ", neutral", " The participant sees the neutral picture."


def _held(sees: int | None) -> Iterator[Alarm]:
    if sees == SHOWN_HELD:
        yield Alarm(
            "held",
            "LATCHED SAFE: held neutral, end the session",
            "The participant sees the neutral picture for good; recording goes on.",
            "Press Ctrl-C to end the session, and look into log.txt before the next one.",
        )
    elif sees == SHOWN_WITHHELD:
        yield Alarm(
            "withheld",
            "neutral by command",
            "The participant sees the neutral picture because a command has asked for it; recording goes on.",
            "Send the command release to show pictures again.",
            urgent=False,
            over="the neutral picture is released",
        )


def _silent_program(name: str, row: Any, now: float) -> Iterator[Alarm]:
    """Yield what is wrong with a program that does not beat, or is being started again; its row outlives it."""
    age = now - float(row["beat"])
    if row["restarts"] and row["state"] in (State.ABSENT, State.LOADING):
        yield restarting(name, int(row["restarts"]))
    elif row["state"] == State.FAILED:
        yield failed(name)
    elif row["state"] in (State.READY, State.RUNNING) and age > SILENT_S:
        yield Alarm(
            f"silent {name}",
            f"{name} SILENT {lasted(age)}",
            f"{name} does not answer any more: its heart has not beaten for {lasted(age)}.",
            "Wait: it is started again by itself.",
            age=age,
            over=f"{name} answers again, or is started again",
        )


def restarting(name: str, times: int) -> Alarm:
    """Return the alarm of a program that is being started again."""
    return Alarm(
        f"restart {name}",
        f"{name} starts again",
        f"{name} ended unasked and is started again, time number {times}.",
        "Nothing, if it works again within seconds.",
        over=f"{name} works again",
    )


def failed(name: str, why: str = "") -> Alarm:
    """Return the alarm of a program that has ended for good."""
    reason = f" It is given up: {why.rstrip('.')}." if why else ""
    kept = " Nothing is recorded any more." if name == "record" else ""
    return Alarm(
        f"failed {name}",
        f"{name} HAS FAILED" + (", nothing is recorded" if kept else ""),
        f"{name} has failed.{kept}{reason}",
        "Look into log.txt for its last words.",
        over=f"{name} is started again",
    )


def _of_stream(called: str, name: str, row: Any, now: float, sees: int | None) -> Iterator[Alarm]:
    whose = f" {called}" if called else ""
    of = f" from {called}" if called else ""
    short, long = _sees(sees)
    silence = data_silence(row, now)
    if silence:
        how_long = "yet" if math.isinf(silence) else lasted(silence)
        why = (
            "Its program or its computer is gone from the network."
            if _shows(row, "gone")
            else "The stream is still announced, and sends nothing."
        )
        yield Alarm(
            f"no data {name}",
            f"NO DATA{whose} {how_long}{short}",
            f"No data{of}. {why}{long} What was received is recorded, and recording goes on.",
            "Look at the amplifier, its cable and its program; with the data the session goes on by itself.",
            age=0.0 if math.isinf(silence) else silence,
            over=f"data again{of}",
        )
    if due_ms := _shows(row, "first_due_ms"):
        when = _due(due_ms, now)
        yield Alarm(
            f"first {name}",
            f"first volume{whose} {when}",
            f"The first volume{of} is under way: {when}. Nothing is wrong.",
            "Wait. Where it does not come in time, that is said.",
            urgent=False,
            over=f"the first volume{of} is awaited no longer",
        )
    if _shows(row, "mistimed"):
        yield Alarm(
            f"mistimed {name}",
            f"TIME OF {called or 'STREAM'} WRONG",
            f"The stamps{of} are of another clock or unit of time, or its rate is not what it states; log.txt says "
            "which. It is recorded as it comes.",
            "Correct it in the amplifier's program: markers fall on other samples, filters are off.",
            over=f"the time{of} can be used",
        )
    if count := _shows(row, "uncertain"):
        yield Alarm(
            f"uncertain {name}",
            f"MARKERS UNCERTAIN{whose}: {count}",
            f"The time of {count} marker{'s' * (count != 1)} could be wrong by more than marker_uncertainty_limit_s: "
            "the clock of the computer that sends them could not be compared well enough.",
            "Connect the two computers by cable, not by radio; marks uncertain in marks.csv say which markers.",
            urgent=False,
        )
    if apart := _shows(row, "slices_held_ms"):
        yield Alarm(
            f"slices {name}",
            f"SLICE TIMES WRONG{whose}: {apart} ms",
            f"The decoder takes slices to be measured at other times than the volumes{of} say, by up to {apart} ms: "
            "its correction shifts them wrongly. log.txt has both. Everything is recorded as it comes.",
            "End the run. Write the slice times of a second volume into the bundle's step (bci volumes info prints "
            "them), and train it again.",
            over=f"the slice times{of} agree",
        )
    elif apart := _shows(row, "slices_stated_ms"):
        yield Alarm(
            f"slices {name}",
            f"slice times of the first volume differ{whose}: {apart} ms",
            f"The first volume{of} states other slice times than those after it, by up to {apart} ms, as multiband "
            "runs do whose first volume bears those of the single-band reference. No decoder here holds wrong ones.",
            "Nothing now. Never take slice times from a first volume: bci volumes info prints those of the second.",
            over=f"the slice times{of} agree",
            urgent=False,
        )
    if _shows(row, "doubles"):
        yield Alarm(
            f"double {name}",
            f"SECOND SOURCE{whose}",
            f"A second program claims to be the stream{whose}. Nothing changes as long as the first one is there; "
            "when it is lost, two are refused, and one that is left alone is taken up, whichever it is.",
            "Close one of the two.",
            over=f"one source{of} alone",
        )


def _due(due_ms: int, now: float) -> str:
    """Return when a first volume is due, from `acquire`'s counter ``first_due_ms`` (`bci.live.first_volume`)."""
    if due_ms < 0:
        return "due a TR after the scanner begins"
    left = due_ms / 1e3 - now
    # Nearer than that it would be due in, or have been due, 0.0 s.
    if abs(left) < 0.05:
        return "due now"
    return f"due in {lasted(left)}" if left > 0 else f"was due {lasted(-left)} ago"


def _of_decoder(which: str, name: str, row: Any) -> Iterator[Alarm]:
    if count := _shows(row, "masked"):
        yield Alarm(
            f"masked {name}",
            f"{which}{count} channel{'s' * (count != 1)} masked",
            f"{count} channel{'s' * (count != 1)} cannot be trusted (saturated, flat or not a number) and "
            "count as masked; confidence falls with them.",
            "Mend the electrodes: the channels come back by themselves.",
            over=f"{which}no channel is masked any more",
            urgent=False,
        )
    if fault := _shows(row, "head"):
        line, what = HEAD_LOST.get(fault, ("cannot be followed", "Its motion cannot be followed."))
        yield Alarm(
            f"head {name}",
            f"{which}HEAD LOST: {line}",
            f"{what} The newest volume is not corrected, every voxel of it is marked and nothing is read from it. "
            "It is recorded as it came.",
            "Speak to the participant. Where the head is not back within some volumes, end the run, and begin another "
            "with a reference volume of the new position.",
            over=f"{which}the head is back",
        )
    elif count := _shows(row, "unmeasured"):
        yield Alarm(
            f"unmeasured {name}",
            f"{which}not read from volumes: {count}",
            f"{count} value{'s' * (count != 1)} (regions, voxels or betas) cannot be read from the newest volume: a "
            "warm-up or a model's first volumes still last, or the volume is missing, cut short or a spike.",
            "Wait for the end of the warm-up. Where it lasts longer, marks.csv says what came.",
            over=f"{which}volumes are read again, or their head is lost",
            urgent=False,
        )


def _of_amplitude(row: Any) -> Iterator[Alarm]:
    if _shows(row, "implausible"):
        yield Alarm(
            "implausible",
            "VALUES NOT PLAUSIBLE: wrong unit?",
            "The channels move by what no brain gives in the unit that the stream states: what is read of them means "
            "nothing. They are recorded as they come; log.txt says by how much they move.",
            "Correct the unit in the amplifier's program; look whether the electrodes are connected.",
            over="the values are plausible",
        )


def _of_disk(row: Any) -> Iterator[Alarm]:
    if row["state"] == State.FAILED:
        return
    refuses, slow, left_s = (_shows(row, name) for name in ("refuses_ms", "slow_ms", "left_s"))
    waits = f"{_shows(row, 'waiting') / 1e6:.1f} MB wait in memory"
    if refuses:
        for_ = lasted(refuses / 1e3)
        yield Alarm(
            "disk",
            f"DISK REFUSES {for_}",
            f"The disk refuses what is to be recorded; {waits}.",
            "Free space on it now: nothing is lost while memory lasts.",
            age=refuses / 1e3,
            over="the disk takes it again",
        )
    elif slow > SLOW_S * 1e3:
        yield Alarm(
            "disk",
            f"DISK SLOW {lasted(slow / 1e3)}",
            f"The disk has not answered for {lasted(slow / 1e3)}; {waits}.",
            "Use another disk next time; no network drive.",
            age=slow / 1e3,
            over="the disk answers again",
        )
    elif 0 < left_s < SHORT_S:
        left = lasted(float(left_s))
        yield Alarm(
            "space",
            f"disk full in {left}",
            f"At this rate the disk is full in {left}: {_shows(row, 'free_mb')} MB are free.",
            "Free space on it, or end the session before.",
            urgent=left_s < SHORT_S / 3,
        )
    if lost := _shows(row, "lost"):
        yield Alarm(
            "unrecorded",
            f"{lost} NOT RECORDED",
            f"{lost} samples or events were overwritten in memory before the disk took them.",
            "Nothing brings them back; marks.csv says which.",
        )

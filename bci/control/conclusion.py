"""A Conclusion is how a session ended in one word, with a sentence for each thing that an operator must know of it."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bci.control.plan import SessionOutcome
from bci.control.silences import Silence
from bci.memory.alarms import SHOWN_NEUTRAL, SHOWN_PICTURES, lasted

#: Exit status of each word: 3 where the session ended in the safe state or without what it was for, 4 where something
#: failed and came back.
EXIT_STATUS: Mapping[str, int] = {"done": 0, "recovered": 4, "safe": 3, "failed": 3, "lost": 3, "empty": 3}


@dataclass(frozen=True)
class Conclusion:
    """A Conclusion is a word and its reasons.

    Attributes
    ----------
    status : str
        ``"done"``; ``"recovered"``: something failed and came back; ``"safe"``: the screen was held or left neutral
        because of what had failed; ``"failed"``: a program was given up in a recording; ``"lost"``: a source was
        silent or gone at the end; ``"empty"``: nothing was decoded, or nothing recorded.
    sentences : list of str
        What happened, what the participant saw, what is recorded, what to do.
    """

    status: str
    sentences: list[str] = field(default_factory=list)


def judge(
    outcome: SessionOutcome,
    *,
    names: Mapping[str, str],
    shown: Collection[str] = (),
    decoded: Mapping[str, int] | None = None,
    made: Mapping[str, int] | None = None,
    recorded: int,
    failed: str = "safe",
    came_back_s: float,
    ended: Collection[str] = (),
) -> Conclusion:
    """Return how a session ended.

    Parameters
    ----------
    outcome : SessionOutcome
        How it ended.
    names : mapping of str to str
        What each stream is called, by its acquire program.
    shown : collection of str
        Acquire programs whose data the screen shows.
    decoded : mapping of str to int, optional
        How many reconstructions of each decoder could be shown; None where there is no decoder.
    made : mapping of str to int, optional
        How many it made, those that were invalid too.
    recorded : int
        Samples and events on the disk.
    failed : str
        The word for a session in which a program was given up.
    came_back_s : float
        A silence of so many seconds counts as a failure that came back, as a program's silence does.
    ended : collection of str
        Acquire programs whose source has sent all that it had: silence is no fault then.
    """
    sentences, silent, came_back = [], [], False
    screen = outcome.at_end.programs.get("display")
    for program, silence in outcome.at_end.silences.items():
        if not silence.times or (program in ended and silence.now and silence.times == 1):
            continue
        driving = program in shown
        sentences.append(_of_silence(names[program], silence, driving and screen is not None))
        came_back |= silence.longest >= came_back_s
        if silence.now:
            silent.append(driving)
    for program, name in names.items():
        if fault := outcome.facts.get(program, {}).get("time_fault"):
            sentences.append(f"The time of {name} cannot be used: {fault}")
    nothing = [name for name, count in (decoded or {}).items() if not count]
    if nothing and not silent:
        sentences.append(_of_nothing(nothing, len(decoded or {}) == 1, made or {}))
    if not recorded:
        sentences.append("Nothing was recorded: not one sample or event came.")
    recorder = outcome.at_end.programs.get("record")
    if recorder is not None and recorder.counters.get("implausible"):
        sentences.append(
            "The values were not plausible to the end: no brain moves as much, or as little, in the unit that "
            "the stream states, so what was read means nothing. log.txt says by how much the channels moved."
        )
    sentences += _of_volumes(outcome)
    if cut := sum(facts.get("markers_cut", 0) for facts in outcome.facts.values()):
        sentences.append(
            f"{cut} marker{'s were' if cut != 1 else ' was'} too long: only the beginning of the text is recorded and "
            "read. log.txt says of which stream, and after how many bytes. Send shorter ones."
        )
    left_neutral = screen is not None and screen.counters.get("neutral", SHOWN_PICTURES) >= SHOWN_NEUTRAL
    if outcome.failures:
        status = failed
    elif any(silent) and left_neutral:
        status = "safe"
    elif silent:
        status = "lost"
    elif nothing or not recorded:
        status = "empty"
    elif outcome.snapshot.restarts or came_back:
        status = "recovered"
    else:
        status = "done"
    return Conclusion(status, sentences)


def _of_nothing(decoders: Collection[str], alone: bool, made: Mapping[str, int]) -> str:
    which = "" if alone else f" by {', '.join(decoders)}"
    refused = sum(made.get(name, 0) for name in decoders)
    if refused:
        return (
            f"Nothing was decoded{which} that could be shown: windows were complete, and all {refused} reconstructions "
            "are invalid, because filters still settled or what came was refused. frames.csv says why of each."
        )
    return (
        f"Nothing was decoded{which}: no window was complete, or no event came that one is cut around. bci streams "
        "says who sends markers, marks.csv what is missing."
    )


def _of_volumes(outcome: SessionOutcome) -> list[str]:
    lost = max((one.counters.get("heads_lost", 0) for one in outcome.at_end.programs.values()), default=0)
    unheard = max((one.counters.get("unheard", 0) for one in outcome.at_end.programs.values()), default=0)
    heard = (
        f"No physiology was heard at {unheard} volume{'s' * (unheard != 1)}: they were used without. unheard in "
        "marks.csv says which. Look at the device's program and its network."
    )
    return [heard] * bool(unheard) + _of_lost(lost)


def _of_lost(lost: int) -> list[str]:
    if not lost:
        return []
    return [
        f"The head was lost in {lost} volume{'s' * (lost != 1)}: the motion could not be corrected, and nothing was "
        "read from there. head_lost in marks.csv says which and why; leave trials of that time out."
    ]


def _of_silence(name: str, silence: Silence, seen: bool) -> str:
    saw = " The participant saw the neutral picture meanwhile." if seen else ""
    if silence.never:
        return (
            f"No data from {name}: the stream was there and sent nothing for {lasted(silence.seconds)}.{saw} Nothing "
            "of it is recorded. Look at the amplifier and its program: is it started, is a cable loose?"
        )
    times = "" if silence.times == 1 else f" in {silence.times} stretches"
    until = ", until the end" if silence.now else "; then it came back"
    rest = (
        ""
        if math.isclose(silence.longest, silence.seconds)
        else f", {lasted(silence.longest)} at the longest"
    )
    return (
        f"No data from {name} for {lasted(silence.seconds)}{times}{rest}{until}.{saw} What came before "
        f"{'is' if silence.now else 'and after is'} recorded, and marks.csv says where it is missing. Look at the "
        "amplifier, its cable and its program; leave trials of that time out."
    )

"""A FaultReport judges one fault: the participant's screen, the recording, and the operator's log.

What must be seen is the table "When things die": the screen falls to the neutral picture within the display's own
limits and one flip, the program is started again, the recording says what happened, the log says which program.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bci.config.session import SessionConfig
from bci.control.certify.checks import Check, Fact, all_passed, text_of
from bci.control.certify.seeing import Broken, Seen, Span
from bci.control.line import Line, kind_of, name_of, named

#: The programs of the table, and the two ways in which each can fail.
PROGRAMS = ("source", "acquire", "decode", "display", "publish", "record")
WAYS = ("killed", "frozen")

#: What the programs are called on the page.
_NAMES = {"acquire": "acquisition", "decode": "decoder", "publish": "publisher", "record": "recorder"}

#: The supervisor's own mark, of every program that it starts again.
RESTART = "rig: restart"

#: Kinds of other marks, by their program, of which at least one must tell of the fault.
_TELLING: Mapping[str, frozenset[str]] = {
    "source": frozenset({"gap", "reconnect", "lost", "stalled"}),
    "acquire": frozenset({"gap", "reconnect"}),
    "decode": frozenset({"pipeline_reset", "retraced"}),
}


@dataclass(frozen=True)
class FaultRules:
    """FaultRules holds the limits that faults are judged by.

    Attributes
    ----------
    config : SessionConfig
        The session as it was run.
    hop_seconds : float
        Seconds between two reconstructions.
    neutral_digest : str
        Digest of the neutral picture's pixels.
    sample_seconds : float
        Seconds between two samples of the stream.
    """

    config: SessionConfig
    hop_seconds: float
    neutral_digest: str
    sample_seconds: float = 0.0

    def watched(self, program: str) -> bool:
        """Return whether the screen shows nothing without a program: it feeds the decoder that drives the display."""
        config, kind = self.config, kind_of(program)
        if kind not in _TELLING:
            return False
        if kind == "decode":
            return program == named(kind, _beside(config.decoders, config.driver))
        return program == named(kind, _beside(config.streams, config.decoded_by(config.driver)))

    def decoder_of(self, program: str) -> "str | Literal[False] | None":
        """Return the decoder, None for the first, that decodes nothing while a program is gone; False for none.

        Of the display and the recorder it is the one that the screen shows.
        """
        config, kind = self.config, kind_of(program)
        if kind not in _TELLING:
            return _beside(config.decoders, config.driver) or None
        fed = [
            index
            for index in range(len(config.decoders))
            if program
            == named(
                kind,
                _beside(config.decoders, index)
                if kind == "decode"
                else _beside(config.streams, config.decoded_by(index)),
            )
        ]
        # Where several are fed, the one that the screen shows.
        index = config.driver if config.driver in fed else next(iter(fed), -1)
        return False if index < 0 else _beside(config.decoders, index) or None

    def telling(self, program: str) -> frozenset[str]:
        """Return the marks of which at least one must tell of a fault, ``source: kind``; none for some programs."""
        kind = kind_of(program)
        source = program if kind == "decode" else name_of(program) or "stream"
        return frozenset(f"{source}: {mark}" for mark in _TELLING.get(kind, ()))

    def neutral_limit(self, program: str) -> float:
        """Return how long after a fault the neutral picture may come: the display's strictest rule and one flip."""
        display, program = self.config.display, kind_of(program)
        rules = [display.fresh_seconds_at(self.hop_seconds)]
        if program in ("source", "acquire"):
            rules.append(display.data_age_seconds_at(self.sample_seconds))
        if program in ("acquire", "decode"):
            rules.append(display.heartbeat_limit)
        return min(rules) + 1 / display.refresh_hz + self.config.limits.neutral_margin_ms / 1e3


@dataclass(frozen=True)
class FaultReport:
    """A FaultReport is the judgement of one fault.

    Attributes
    ----------
    program, how : str
        Which program, and what was done to it.
    injected_at : float
        Seconds after the session's beginning.
    saw, recorded : str
        What the participant saw and what is on disk, a sentence each.
    told : tuple of str
        Lines of the log.
    checks : tuple of Check or Fact
        The checks and facts of this fault.
    neutral_limit : float
        Where the neutral picture was due, seconds after the fault; NaN where none was.
    strip : tuple of Span
        What the screen showed.
    """

    program: str
    how: str
    injected_at: float
    saw: str
    recorded: str
    told: tuple[str, ...]
    checks: "tuple[Check | Fact, ...]"
    neutral_limit: float = math.nan
    strip: tuple[Span, ...] = ()
    moments: tuple[tuple[float, str], ...] = ()
    """Seconds after the fault, and what happened then."""

    @property
    def title(self) -> str:
        """The program and the fault, for people."""
        kind, name = kind_of(self.program), name_of(self.program)
        of = f" of {name}" if name else ""
        return f"{_NAMES.get(kind, kind)}{of} {self.how}"

    @property
    def passed(self) -> bool:
        """Whether all checks passed."""
        return all_passed(self.checks)

    def result(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "program": self.program,
            "how": self.how,
            "injected_at_s": self.injected_at,
            "saw": self.saw,
            "recorded": self.recorded,
            "told": list(self.told),
            "moments_s": {what: time for time, what in self.moments},
            "checks": {check.name: check.result() for check in self.checks},
            "pass": self.passed,
        }


def judge(broken: Broken, seen: Seen, rules: FaultRules, begun: float) -> FaultReport:
    """Judge one fault; `begun` is the session time that "injected at" counts from."""
    name, limits = kind_of(broken.program), rules.config.limits
    watched = rules.watched(broken.program)
    checks: list[Check | Fact] = []
    limit = math.nan
    again = Check(
        "decoding_again_s",
        "decoding again after it was found",
        seen.decoding_after - seen.found_after,
        limits.decoding_again_s,
        "s",
    )
    if name in _TELLING and watched:
        limit = rules.neutral_limit(broken.program)
        if math.isnan(seen.neutral_after) and seen.interrupted_s <= limit:
            words = f"none was due: pictures came again after {text_of(seen.interrupted_s, 's')}"
            checks.append(Fact("neutral_s", "neutral picture after the fault", words, True))
        else:
            grey = seen.neutral_digest == rules.neutral_digest
            checks += [
                Check("neutral_s", "neutral picture after the fault", seen.neutral_after, limit, "s"),
                Fact("neutral_grey", "every pixel of it grey", "yes" if grey else "no", grey),
            ]
        checks.append(again)
    elif name == "display":
        checks.append(
            Check(
                "screen_back_s",
                "screen back after it was found",
                seen.screen_after - seen.found_after,
                limits.screen_back_s,
                "s",
            )
        )
    else:
        calm = math.isnan(seen.neutral_after)
        words = "unchanged" if calm else f"neutral after {text_of(seen.neutral_after, 's')}"
        checks.append(Fact("screen", "participant's screen", words, calm))
        if name in _TELLING and rules.decoder_of(broken.program) is not False:
            checks.append(again)
    if name == "display" or (name in _TELLING and watched):
        back = math.isfinite(seen.picture_after)
        checks.append(Fact("picture_back", "pictures again", "yes" if back else "never", back))
    checks += [*_restart(broken, seen), *_recording(broken, seen, rules)]
    moments = [
        (seen.neutral_after, "neutral"),
        (seen.found_after, "found " + ("dead" if broken.how == "killed" else "hanging")),
        (seen.restarted_after, "started again"),
        (seen.screen_after, "screen back"),
        (seen.decoding_after if name in _TELLING else math.nan, "decoding again"),
        (seen.picture_after if name == "display" or watched else math.nan, "picture back"),
    ]
    return FaultReport(
        program=broken.program,
        how=broken.how,
        injected_at=broken.at - begun,
        saw=_saw(broken, seen, watched),
        recorded=_recorded(seen),
        told=seen.told,
        checks=tuple(checks),
        neutral_limit=limit,
        strip=seen.strip,
        moments=tuple((time, what) for time, what in moments if math.isfinite(time)),
    )


def not_made(program: str, how: str, why: str) -> FaultReport:
    """Return the report on a fault that was ordered but could not be made: it does not pass."""
    return FaultReport(
        program, how, math.nan, "not tested", "not tested", (), (Fact("tested", "tested", why, False),)
    )


def _restart(broken: Broken, seen: Seen) -> "list[Check | Fact]":
    again = math.isfinite(seen.restarted_after)
    after = text_of(seen.restarted_after, "s") if again else "never"
    named = [words for words in seen.told if words.startswith(f"supervisor: {broken.program} ")]
    logged = any("restart" in words for words in named)
    return [
        Fact("restarted", "started again after", after, again),
        Fact("told", "log names the program and the restart", "yes" if logged else "no", logged),
    ]


def _recording(broken: Broken, seen: Seen, rules: FaultRules) -> "list[Check | Fact]":
    checks: list[Check | Fact] = []
    wanted = rules.telling(broken.program)
    marks = [mark for mark in seen.marks if mark == RESTART or mark in wanted]
    marked = RESTART in marks and (not wanted or len(marks) > 1)
    checks.append(Fact("marked", "marked in the recording", ", ".join(marks) or "no", marked))
    if kind_of(broken.program) not in ("source", "acquire"):
        checks.append(Check("missed_samples", "samples missed", seen.missed, 0))
    return checks


def _saw(broken: Broken, seen: Seen, watched: bool) -> str:
    if not watched and broken.program != "display" and math.isnan(seen.neutral_after):
        return "nothing: the pictures went on"
    if broken.program == "display":
        if math.isnan(seen.screen_after):
            return "no picture of ours any more"
        first = (
            f"the last picture, standing still for {text_of(seen.found_after, 's')}, then no picture"
            if broken.how == "frozen"
            else "no picture"
        )
        return f"{first} until {text_of(seen.screen_after, 's')} after the fault"
    if math.isnan(seen.neutral_after):
        return "no neutral picture"
    back = (
        f"; pictures again after {text_of(seen.picture_after, 's')}"
        if math.isfinite(seen.picture_after)
        else "; no picture came back"
    )
    return f"neutral after {text_of(seen.neutral_after, 's')}{back}"


def _recorded(seen: Seen) -> str:
    completeness = f"{seen.missed} samples never came" if seen.missed else "samples complete"
    return f"{completeness}; {marked_as(seen)}"


def marked_as(seen: Seen) -> str:
    """Return in words which marks were recorded; comparisons of clocks, made all the time, are left out."""
    kinds = dict.fromkeys(mark.partition(": ")[2].replace("_", " ") for mark in seen.marks)
    kinds.pop("clock offset", None)
    return f"marked as {', '.join(kinds)}" if kinds else "no marks"


def planned(line: Line) -> Sequence[tuple[str, str]]:
    """Return the faults of the table that can be made in a running line; none of an external source."""
    programs = [post.name for kind in PROGRAMS for post in line.of_kind(kind)]
    return [(program, how) for program in programs for how in WAYS]


def _beside(sections: Sequence[Any], index: int) -> str:
    """Return what tells one of several streams or decoders apart from the first; empty for the first."""
    return str(sections[index].name or "") if index else ""

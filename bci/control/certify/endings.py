"""Endings: the safe state after the last restart, and the end of a rig whose supervisor is frozen or killed."""

import math
from pathlib import Path
from typing import Any

from bci.control.certify.checks import Check, Fact, text_of
from bci.control.certify.faults import FaultReport, FaultRules, marked_as, not_made
from bci.control.certify.runs import CertifiedRun
from bci.control.certify.seeing import BEFORE_S, Broken, Span, look
from bci.control.certify.traces import Traces, number
from bci.control.line import named
from bci.errors import RecordingError
from bci.io.files.xdf.verify import verify

#: How long a supervisor is frozen, and how long its orphans are watched, seconds.
FREEZE_S = 4.0
PATIENCE_S = 20.0


def exhausted(rules: FaultRules) -> str:
    """Return which program is killed until it is not started any more: the decoder that the screen shows."""
    config = rules.config
    return named("decode", str(config.decoders[config.driver].name or "") if config.driver else "")


def latched(run: CertifiedRun, rules: FaultRules) -> FaultReport:
    """Judge a session in which a program was killed until it was not started again."""
    kills = [line for line in run.journal if line["event"] == "broken"]
    summary = run.summary
    if not kills or summary is None or run.session is None:
        return not_made(exhausted(rules), "given up", run.trouble or "no program was killed")
    traces = Traces(run.session)
    last, name = kills[-1], kills[-1]["program"]
    end = number(traces.shown[-1], "flip") if traces.shown else math.nan
    broken = Broken(name, "killed", last["at"], max(end, last["at"]), last["wall"], False)
    seen = look(traces, broken, decoder=rules.decoder_of(name))
    stayed = bool(traces.shown) and traces.shown[-1]["kind"] == "neutral"
    grey = stayed and traces.shown[-1]["digest"] == rules.neutral_digest
    logged = any("latched safe" in words for words in seen.told)
    marked = "rig: latched" in seen.marks
    limit = rules.neutral_limit(name)
    return FaultReport(
        program=name,
        how="given up",
        injected_at=last["at"] - run.happened("session")[0]["at"],
        saw=f"neutral after {text_of(seen.neutral_after, 's')}, and nothing else until the end"
        if stayed and math.isfinite(seen.neutral_after)
        else "pictures after the last restart was used up",
        recorded=f"samples complete; {marked_as(seen)}"
        if not traces.coverage.missing
        else f"{traces.coverage.missing} samples missing; {marked_as(seen)}",
        told=seen.told,
        checks=(
            Check("neutral_s", "neutral picture after the fault", seen.neutral_after, limit, "s"),
            Fact("neutral_grey", "every pixel of it grey", "yes" if grey else "no", grey),
            Fact(
                "safe",
                "session ends in the safe state",
                f"status {summary['status']}",
                summary["status"] == "safe",
            ),
            Fact("latched", "latched safe", str(summary["latched"]) or "no", bool(summary["latched"])),
            Fact("told", "log says so loudly", "yes" if logged else "no", logged),
            Fact("marked", "marked in the recording", "yes" if marked else "no", marked),
        ),
        neutral_limit=limit,
        strip=seen.strip,
        moments=((seen.neutral_after, "neutral for good"),) if math.isfinite(seen.neutral_after) else (),
    )


def supervisor_frozen(run: CertifiedRun, made: dict[str, Any], rules: FaultRules) -> FaultReport:
    """Judge the session while the supervisor was frozen: no program may wait for it."""
    assert run.session is not None
    broken = Broken("supervisor", "frozen", made["at"], made["until"] + 1.0, made["wall"], True)
    seen = look(Traces(run.session), broken, decoder=rules.decoder_of("display"))
    calm = math.isnan(seen.neutral_after)
    limit = rules.config.display.fresh_seconds_at(rules.hop_seconds)
    return FaultReport(
        program="supervisor",
        how="frozen",
        injected_at=made["at"] - run.happened("session")[0]["at"],
        saw="nothing: the pictures went on" if calm else f"neutral after {text_of(seen.neutral_after, 's')}",
        recorded=f"samples complete; {marked_as(seen)}",
        told=seen.told,
        checks=(
            Fact("screen", "participant's screen", "unchanged" if calm else "neutral", calm),
            Check("interrupted_s", "longest time without a reconstruction", seen.interrupted_s, limit, "s"),
            Check("missed_samples", "samples missed", seen.missed, 0),
        ),
        strip=seen.strip,
        moments=((made["until"] - made["at"], "goes on"),),
    )


def supervisor_killed(run: CertifiedRun, made: dict[str, Any], rules: FaultRules) -> FaultReport:
    """Judge the end of the session after the supervisor had been killed."""
    assert run.session is not None
    traces = Traces(run.session)
    broken = Broken("supervisor", "killed", made["at"], made["at"] + PATIENCE_S, made["wall"], False)
    seen = look(traces, broken)
    limits = rules.config.limits
    lived = made["lived_s"]
    outlived = [name for name, seconds in lived.items() if seconds is None]
    longest = math.nan if outlived else max(lived.values(), default=math.nan)
    grey = seen.neutral_digest == rules.neutral_digest
    segments = run.segments
    whole, words = finalised(run.session)
    log_lines = tuple(
        f"{line.program}: {line.text}" for line in traces.log if line.wall >= made["wall"] - 0.002
    )
    strip = [span for span in seen.strip if span.start < longest]
    if strip and math.isfinite(longest):
        gone = _lived(lived, "display", longest)
        strip = [Span(s.start, min(s.end, gone), s.what) for s in strip if s.start < gone]
        strip.append(Span(gone, gone + BEFORE_S, "nothing"))
    return FaultReport(
        program="supervisor",
        how="killed",
        injected_at=made["at"] - run.happened("session")[0]["at"],
        saw=f"neutral after {text_of(seen.neutral_after, 's')}, then the window closed"
        if math.isfinite(seen.neutral_after)
        else "no neutral picture",
        recorded=words,
        told=log_lines,
        checks=(
            Check(
                "neutral_s",
                "neutral picture after the fault",
                seen.neutral_after,
                limits.programs_exit_s,
                "s",
            ),
            Fact("neutral_grey", "every pixel of it grey", "yes" if grey else "no", grey),
            Check("programs_exit_s", "last program ended after", longest, limits.programs_exit_s, "s"),
            Fact(
                "segments",
                "shared memory left behind",
                "cannot be listed here" if segments is None else ", ".join(segments) or "none",
                not segments,
            ),
            Fact("finalised", "recording finalised", "yes" if whole else "no", whole),
            Fact("told", "session log says how it ended", "yes" if log_lines else "no", bool(log_lines)),
        ),
        strip=tuple(strip),
        neutral_limit=limits.programs_exit_s,
        moments=tuple(
            (time, what)
            for time, what in ((seen.neutral_after, "neutral"), (longest, "all programs gone"))
            if math.isfinite(time)
        ),
    )


def finalised(session: Path) -> tuple[bool, str]:
    """Return whether every part of a recording was closed and is sound, and what it holds."""
    traces = Traces(session)
    parts = traces.parts
    try:
        reports = [verify(path) for path in parts]
        coverage = traces.coverage
    except RecordingError as error:
        return False, str(error)
    whole = bool(reports) and all(r.finished and r.sound for r in reports) and not coverage.missing
    closed = "closed and sound" if whole else "; ".join(n for r in reports for n in r.notes) or "not closed"
    return whole, f"{coverage.samples} samples, {coverage.missing} missing; {closed}"


def _lived(lived: dict[str, float | None], name: str, otherwise: float) -> float:
    seconds = lived.get(name)
    return otherwise if seconds is None else seconds

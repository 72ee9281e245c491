"""A Certificate compares a rig's measured behaviour with its limits: figures, faults, and a verdict."""

import math
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bci.config.session import SessionConfig
from bci.control.certify import endings
from bci.control.certify.breaking import Fault
from bci.control.certify.checks import Check, Fact, all_passed
from bci.control.certify.faults import FaultReport, FaultRules, judge, not_made, planned
from bci.control.certify.figures import Figures, decode_again, measure
from bci.control.certify.light import Light
from bci.control.certify.rig import Rig
from bci.control.certify.runs import CertifiedRun
from bci.control.certify.seeing import Broken, look
from bci.control.certify.traces import Traces
from bci.control.environment import describe_environment
from bci.errors import ProgramError, RecordingError
from bci.io.files.folder import write_json, write_whole
from bci.io.files.xdf.verify import verify
from bci.memory.frames import image_digest
from bci.memory.lsl_clock import LslClock
from bci.session.photodiode import Onset
from bci.signal.clock import Clock

#: The sessions in which programs are broken and come back, and what they are called on the page.
_SESSIONS = {"faults": "session with faults", "recorder": "session whose recorder failed"}

#: What ends the time after a fault, in a run's journal.
_CLOSED = ("recovered", "latched", "given up", "ended", "failed")

#: Told what is being done, and for how many seconds.
Observe = Callable[[str, float], None]

#: Says how well a session decoded what its source is known to have held: ``agreement``, ``baseline``, ``n``.
Known = Callable[[SessionConfig, Path], dict[str, Any]]


@dataclass(frozen=True)
class Certificate:
    """A Certificate holds the results of one certification.

    Attributes
    ----------
    rig : Rig
        The certified rig.
    folder : Path
        The certificate's folder.
    made : datetime
        When the certification began.
    figures : Figures
        The session without faults.
    faults : sequence of FaultReport or None
        Each fault, judged; None where none was asked for.
    sessions : sequence of Check or Fact
        The recordings of the sessions with faults.
    onset : Onset
        Measured onset of light, or why there is none.
    environment : dict
        The machine, and its ``load`` in the last minute of the run without faults.
    """

    rig: Rig
    folder: Path
    made: datetime
    figures: Figures
    faults: Sequence[FaultReport] | None
    sessions: Sequence[Check | Fact]
    onset: Onset
    environment: dict[str, Any]

    @property
    def checks(self) -> "list[Check | Fact]":
        """All checks and facts except those of the faults."""
        return [*self.figures.checks, *self.sessions]

    @property
    def passed(self) -> bool:
        """Whether every limit was kept and every fault was handled as it must be."""
        return all_passed(self.checks) and all(fault.passed for fault in self.faults or ())

    @property
    def freezing(self) -> bool:
        """Whether programs can be frozen here the way an operating system freezes them."""
        return platform.system() != "Windows"

    def result(self) -> dict[str, Any]:
        """Return the certificate as JSON holds it: ``pass``, ``limits`` with their figures, and all on the page."""
        figures = self.figures
        return {
            "pass": self.passed,
            "limits": {name: check.result() for name, check in self._limits()},
            "facts": {check.name: check.result() for check in self.checks if isinstance(check, Fact)},
            "faults": None if self.faults is None else [fault.result() for fault in self.faults],
            "name": self.rig.config.name,
            "made": self.made.isoformat(timespec="seconds"),
            "folder": str(self.folder),
            "source": self.rig.source,
            "simulated": self.rig.simulated,
            "notes": list(self.rig.notes),
            "seconds": figures.seconds,
            "latency_ms": figures.latency,
            "flip_interval_ms": figures.flips,
            "known_answer": figures.known,
            "clock_offset_ms": figures.offsets,
            "true_onset": self.onset.result(),
            "verified": figures.verified,
            "reproduced": figures.reproduced,
            "bundle": {"name": self.rig.bundle.name, "hash": self.rig.bundle.hash},
            "environment": self.environment,
            "config": self.rig.config.model_dump(mode="json"),
        }

    def _limits(self) -> Iterator[tuple[str, Check]]:
        """Yield every limit with its key for machines; those of a fault begin with its name."""
        yield from ((check.name, check) for check in self.checks if isinstance(check, Check))
        for fault in self.faults or ():
            for check in fault.checks:
                if isinstance(check, Check):
                    yield f"{fault.program}_{fault.how}_{check.name}".replace(" ", "_"), check

    def write(self, page: str) -> tuple[Path, Path]:
        """Write the page and the JSON file; return their paths."""
        html, machine = self.folder / "certificate.html", self.folder / "certificate.json"
        write_whole(html, page)
        write_json(machine, self.result())
        return html, machine


def certify(
    rig: Rig,
    folder: Path,
    seconds: float,
    *,
    faults: bool = False,
    observe: Observe = lambda what, elapsed: None,
    known: Known = lambda config, session: {},
    clock: Clock | None = None,
) -> Certificate:
    """Run a rig for some time, break its programs if `faults`, and judge the results.

    Parameters
    ----------
    rig : Rig
        The rig to certify.
    folder : Path
        The certificate's; sessions go below it.
    seconds : float
        How long the session without faults runs.
    faults : bool
        Whether to kill and freeze every program of the table, in sessions of their own.
    observe : callable
        Called about ten times a second with the step under way and its seconds so far.
    known : callable
        Compares a session's reconstructions with the known answer of its source.
    clock : Clock, optional
        The session clock.

    Raises
    ------
    ProgramError
        If the session without faults could not be run at all.
    BciError
        If what it left cannot be read.
    """
    made = datetime.now().astimezone()
    clock = clock or LslClock()
    calm = rig.config.model_copy(update={"seconds": seconds})
    with (
        Light(rig, folder) as light,
        CertifiedRun("calm", calm, folder, clock, rig.hop_seconds, hold=True) as run,
    ):
        run.follow(lambda elapsed, what: observe(f"running for {seconds:g} s", elapsed))
        summary, session = run.summary, run.session
        if summary is None or session is None:
            raise ProgramError(f"the rig could not be run: {run.trouble}")
        load = psutil.getloadavg()[0]
        onset = light.onset(session)
    observe("verifying and reproducing", 0.0)
    figures = measure(rig, session, summary, seconds, known(rig.config, session))
    reports: list[FaultReport] | None = None
    recordings: list[Check | Fact] = []
    if faults:
        crew = _Crew(rig, folder, clock, observe)
        reports, recordings = crew.reports, crew.recordings
        wanted = [Fault(program, how) for program, how in planned(rig.line)]
        crew.breaks("faults", [fault for fault in wanted if fault.program != "record"])
        crew.breaks("recorder", [fault for fault in wanted if fault.program == "record"])
        crew.exhausts()
        crew.orphans()
    return Certificate(
        rig=rig,
        folder=folder,
        made=made,
        figures=figures,
        faults=reports,
        sessions=recordings,
        onset=onset,
        environment=describe_environment() | {"load": load},
    )


class _Crew:
    """A _Crew runs the sessions in which programs are broken, one after the other."""

    def __init__(self, rig: Rig, folder: Path, clock: Clock, observe: Observe) -> None:
        self._rig, self._folder, self._clock, self._observe = rig, folder, clock, observe
        height, width = rig.bundle.image_size
        grey = np.full((height, width, 3), rig.config.display.background, np.uint8)
        self._endless = rig.config.model_copy(update={"seconds": None})
        self._rules = FaultRules(self._endless, rig.hop_seconds, image_digest(grey), rig.sample_seconds)
        self.reports: list[FaultReport] = []
        self.recordings: list[Check | Fact] = []

    def breaks(self, name: str, faults: Sequence[Fault]) -> None:
        """Go through faults in one session, and look at its recording."""
        with self._run(name, faults=faults) as run:
            run.follow(self._say(name))
        made = broken_in(run)
        for fault in faults:
            broken = next((b for b in made if (b.program, b.how) == (fault.program, fault.how)), None)
            if broken is None or run.session is None:
                ended = (run.summary or {}).get("ended_by") or run.trouble
                why = f"the session had ended before: {ended}"
                self.reports.append(not_made(fault.program, fault.how, why))
                continue
            rules, name = self._rules, broken.program
            seen = look(
                Traces(run.session), broken, decoder=rules.decoder_of(name), watched=rules.watched(name)
            )
            self.reports.append(judge(broken, seen, self._rules, run.happened("session")[0]["at"]))
        self._look_at_the_recordings(name, run)

    def exhausts(self) -> None:
        """Kill one program until it is not started again."""
        with self._run("latched", exhaust=endings.exhausted(self._rules)) as run:
            run.follow(self._say("killing once too often"))
        self.reports.append(endings.latched(run, self._rules))

    def orphans(self) -> None:
        """Freeze a supervisor, then kill it."""
        with self._run("orphans", hold=True) as run:
            run.follow(
                self._say("supervisor"),
                until=lambda r: bool(r.happened("through") or r.happened("never well")),
            )
            if run.process.poll() is not None or not run.happened("through"):
                for how in ("frozen", "killed"):
                    self.reports.append(not_made("supervisor", how, run.trouble))
                return
            frozen = run.freeze(endings.FREEZE_S)
            # Until it has caught up: its actions after waking belong to the fault, too.
            awake = self._clock.now()
            run.follow(self._say("supervisor"), until=lambda r: self._clock.now() - awake > 3.0)
            killed = run.kill(endings.PATIENCE_S)
        self.reports.append(endings.supervisor_frozen(run, frozen, self._rules))
        self.reports.append(endings.supervisor_killed(run, killed, self._rules))

    def _look_at_the_recordings(self, name: str, run: CertifiedRun) -> None:
        """Judge the recording of a session with faults, and decode it again."""
        if run.session is None:
            return
        what = f"{_SESSIONS[name]}: samples recorded"
        traces = Traces(run.session)
        try:
            coverage = traces.coverage
            damaged = sum(verify(path).damaged for path in traces.parts)
        except RecordingError as error:
            self.recordings.append(Fact(f"{name}_recorded", what, str(error), False))
            return
        parts = len(traces.parts)
        pieces = f" in {parts} files" if parts > 1 else ""
        seen = f"{coverage.samples}{pieces}, {coverage.missing} missing, {damaged} chunks damaged"
        self.recordings.append(Fact(f"{name}_recorded", what, seen, not coverage.missing and not damaged))
        wrong = decode_again(run.session).get("wrong", math.nan)
        what = f"{_SESSIONS[name]}: reconstructions that differ when decoded again"
        limit = self._rig.config.limits.wrong_reproductions
        self.recordings.append(Check(f"{name}_wrong_reproductions", what, float(wrong), limit))

    def _run(self, name: str, **orders: Any) -> CertifiedRun:
        return CertifiedRun(name, self._endless, self._folder, self._clock, self._rig.hop_seconds, **orders)

    def _say(self, name: str) -> Callable[[float, str], None]:
        return lambda elapsed, what: self._observe(what or name, elapsed)


def broken_in(run: CertifiedRun) -> list[Broken]:
    """Return the faults in a run's journal, each until the rig had recovered, or to the journal's end."""
    faults = []
    for i, line in enumerate(run.journal):
        if line["event"] != "broken":
            continue
        rest = run.journal[i + 1 :]
        closed = next((e for e in rest if e["event"] in _CLOSED), None)
        until = closed["at"] if closed is not None and "at" in closed else line["at"] + 10.0
        recovered = closed is not None and closed["event"] == "recovered"
        faults.append(Broken(line["program"], line["how"], line["at"], until, line["wall"], recovered))
    return faults

"""The Watch is what the terminal shows of a session while it runs: what is wrong, how far it is, what was read last.

::

    NO DATA 12 s, neutral                              what is wrong now, in colour, most urgent first
    0:19 of 0:30 ━━━━━━━━━━━━━━━╸         trial 3 of 8  how far it is
    nothing read for 12 s · 57 reconstructions, 0 skipped

Above it stays a line for each thing that went wrong, and one for its end: what happened, what the participant sees,
what to do.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bci.cli.alarm_lines import AlarmLines, clock_face
from bci.cli.output import Output, joined
from bci.cli.planted_states import STATES, planted_states
from bci.config.session import SessionConfig
from bci.decoder.bundle import Bundle
from bci.decoder.result import Result
from bci.decoder.spec import AT_CHANCE
from bci.memory.alarms import lasted
from bci.memory.trial_parts import Stage

if TYPE_CHECKING:
    from bci.control.snapshot import ReconstructionSnapshot, SessionSnapshot
    from bci.control.supervisor import Supervisor

#: A reconstruction older than this is said with its age, seconds.
OLD_S = 1.5

#: What the operator must know of an experiment that does not run.
_STAGES = {
    Stage.WAITING: ", waits for the order to start",
    Stage.PAUSED: ", paused",
    Stage.ABORTED: ", aborted",
}


class Watch:
    """The live lines of a session, as a context manager; called with the supervisor about ten times a second.

    Parameters
    ----------
    config : SessionConfig
        The session file.
    output : Output
        Where they are shown.
    """

    def __init__(self, config: SessionConfig, output: Output) -> None:
        self._config, self._output = config, output
        self._planted = planted_states(config)
        self._trials = count_trials(config)
        self._bundles = [Bundle.load(decoder.bundle) for decoder in config.decoders]
        self._alarms = AlarmLines(output)
        self._live = Live(Text("starting"), console=output.console, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        if not self._output.console.is_terminal:
            # What is redirected gets the last lines as they stood, without the end of the last one.
            self._output.console.line()

    def __call__(self, supervisor: "Supervisor") -> None:
        """Show how the session stands."""
        self.show(supervisor.snapshot())

    def show(self, session: "SessionSnapshot") -> None:
        """Show a session at one moment."""
        self._alarms(session)
        rows: list[RenderableType] = [*self._alarms.rows, self._how_far(session)]
        rows += (
            self._decoded(session) if self._bundles else [Text("nothing is decoded: this session collects")]
        )
        self._live.update(Group(*rows))

    def _how_far(self, session: "SessionSnapshot") -> RenderableType:
        """Return the row that says how long it has run, and of an experiment which trial it is at."""
        total, done = self._config.seconds, session.elapsed
        words = clock_face(done) + (f" of {clock_face(total)}" if total is not None else "")
        trial = ""
        if self._config.experiment is not None:
            engine = session.programs["engine"].counters
            trials = engine["done"]
            if self._trials is None:
                trial = f"trial {trials + 1}"
            else:
                trial = f"trial {min(trials + 1, self._trials)} of {self._trials}"
                if total is None:
                    total, done = float(self._trials), float(trials)
            trial += _STAGES.get(Stage(engine["stage"]), "")
        row = Table.grid(padding=(0, 2))
        row.add_row(Text(words), ProgressBar(total=total, completed=done, width=24, pulse=False), Text(trial))
        return row if total is not None else Text("  ".join(filter(None, (words, trial, "Ctrl-C ends it"))))

    def _decoded(self, session: "SessionSnapshot") -> list[Text]:
        """Return a row for each decoder: what it read last, and what it counts."""
        decoders = {name: p for name, p in session.programs.items() if name.partition(":")[0] == "decode"}
        rows = []
        # The line lists its decoders as the session file does.
        for (name, program), bundle in zip(decoders.items(), self._bundles, strict=True):
            result, epochs = bundle.spec.result, bundle.cut.needs_markers
            which = f"{name.partition(':')[2]}: " if len(decoders) > 1 and ":" in name else ""
            counted, newest = program.counters, session.newest.get(name)
            words = []
            if newest is not None:
                words.append(describe_frame(newest, result, session.at - newest.published, epochs=epochs))
                if self._planted is not None and name == "decode":
                    seconds = newest.last_sample / self._planted.signal.rate
                    words.append(f"planted {STATES[int(self._planted.state(np.array([seconds]))[0])]}")
            words.append(f"{counted['reconstructions']} reconstructions, {counted['skipped']} skipped")
            words += [AT_CHANCE] * bundle.spec.at_chance
            rows.append(joined(which + " · ".join(words)))
            self._output.explain(rows[-1].plain)
        return rows


def describe_frame(newest: "ReconstructionSnapshot", result: Result, age: float, *, epochs: bool) -> str:
    """Return a reconstruction in a few words.

    Parameters
    ----------
    newest : ReconstructionSnapshot
        The newest.
    result : Result
        What its decoder gives.
    age : float
        How long ago it was published, seconds.
    epochs : bool
        Whether it answers an event: then none need follow it soon.
    """
    if age > OLD_S and not epochs:
        return f"nothing read for {lasted(age)}"
    ago = f", {lasted(age)} ago" if age > OLD_S else ""
    if not newest.valid:
        return f"neutral ({newest.reason}){ago}"
    sure = "none" if np.isnan(newest.confidence) else f"{newest.confidence:.2f}"
    return f"{result.describe(newest.latent)}, confidence {sure}{ago}"


def count_trials(config: SessionConfig) -> int | None:
    """Return how many trials an experiment will have; None where there is none, or its protocol decides as it goes."""
    if config.experiment is None:
        return None
    from stimuli.protocols import count

    return count(config.experiment.model_dump())

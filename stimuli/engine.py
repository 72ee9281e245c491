"""The engine runs an experiment's protocol: it asks the display for stimuli ahead of time, and says what came of them.

::

    blank ──> stimulus ──> feedback ──> blank ──> …       what the display is asked for
      └── aborted: the stimulus never came, or the screen went neutral in its time

Orders to start, pause, go on and abort come from the operator (`stimuli.controls`). No trial begins while the
experiment waits or is paused, and none is late for it: the next one is planned when it goes on.

Nothing here is timed by this program: parts of trials carry the session times at which the display is to show them. A
stimulus that is a latent is drawn by the render program in the blank before it; one that is a text by the display.
``trials.csv`` gets a row per trial, on the disk before the next one begins. Started in the place of an engine that
died, this one tells the protocol every recorded outcome again, so that it goes on where it was.
"""

import math
from collections.abc import Mapping
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from bci.config.protocol import KeySettings
from bci.errors import ConfigError
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase, Stage, write_clear, write_part
from stimuli.controls import Controls
from stimuli.feedback_table import FeedbackTable
from stimuli.fixation_task import FixationTask
from stimuli.live_feedback import LiveFeedback, at_first
from stimuli.protocols import count, open_protocol
from stimuli.protocols.own import keep_own
from stimuli.rendered import Rendered
from stimuli.trial_table import Past, TrialRow, TrialTable, read_past
from stimuli.trials import Ending, Latent, Live, Outcome, Palette, Picture, Protocol, Text, Trial
from stimuli.witness import NO_FEED, Witness

#: From asking for a stimulus to its onset, at least: a display looks once in a flip.
LEAD_S = 0.1

#: From asking for the picture of a latent to asking the display for it, at least; a longer blank leaves more.
DRAW_S = 0.2

_SLICE = 0.02


def main(program: Program) -> None:
    """Run the protocol to its end, then report ``finished``.

    Opens the rings of roles ``stimuli`` (written), ``shown`` and, of each decoder that feeds the display, ``frames``,
    ``frames-2`` … (read); where there are any, ``requests`` (written) and ``drawn`` (read), for latents, and those of
    `stimuli.controls.Controls`. Started in the place of one that died, it calls the trial that was under way aborted
    and goes on with what the protocol then asks for.

    Spec: ``[experiment]`` of the session file; ``size``, (height, width) of the pictures; ``latent``, size of the
    generator's latent space, 0 where there is none; ``reading``, how many values a reading has; ``tail_s``, how long to
    wait after the last trial for what is decoded of it; ``feeds``, the place of the decoder that each phase shows among
    those frames, the first where it says nothing; ``uncertainty_limits``, of each of these decoders, seconds: of an
    event whose time may be wrong by more, nothing was read.

    Report: ``trials``, ``aborted``, ``finished``; ``aborted_by``, where the order to abort came from, if one came.

    Raises
    ------
    ConfigError
        If the protocol cannot be used, or asks for other trials than before when it is told the same outcomes.
    """
    spec = program.spec
    stimuli, shown = (program.ring(role) for role in ("stimuli", "shown"))
    frames = [program.ring(role) for role in program.roles("frames")]
    rendered = Rendered(program.ring("requests"), program.ring("drawn")) if program.has("requests") else None
    palette = Palette(tuple(spec["size"]), spec["latent"], spec["reading"], spec.get("second_latent", 0))
    feeds = spec.get("feeds") or {}
    protocol = open_protocol(spec, palette)
    past = read_past(program.folder)
    trial, number = _replay(protocol, past), len(past.rows)
    keep_own(spec["protocol"], program.folder)
    aborted = sum(row.outcome.ending is Ending.ABORTED for row in past.rows)
    row = program.row
    with (
        TrialTable(program.folder) as table,
        closing(_controls(program)) as controls,
        closing(FeedbackTable(program.folder)) as feedback,
    ):
        # A flip can come up to half a refresh before the time it was asked for.
        limits = spec.get("uncertainty_limits", ())
        witness = Witness(shown, frames, early_s=LEAD_S / 2, first_frames=past.frames, limits_s=limits)
        witness.feeds |= {place: _feed(row, feeds) for place, row in enumerate(past.rows)}
        if trial is not None and number < program.inherited["begun"]:
            # Its predecessor's rows are in the tables; the trial that was under way is lost with it.
            witness.feeds[number] = feeds.get(trial.phase, 0)
            outcome = witness.lost(number, past.pending.get(number, ()))
            table.write(number, trial, outcome, frames=witness.frames_seen)
            aborted, number, trial = aborted + 1, number + 1, _next(protocol, outcome)
        row["done"], row["aborted"], controls.trial = number, aborted, number
        row["planned"] = count(spec) or 0
        program.ready()
        task = spec.get("fixation_task")
        watch = _Watch(program, controls, witness, task and FixationTask(task, stimuli, program.restart))
        free_from = program.clock.now() + LEAD_S + spec["lead_in_s"]
        going = True
        while trial is not None and going and controls.tick():
            if controls.halted:
                going = watch.until_running()
                # The participant settles again, and so do filters.
                free_from = program.clock.now() + LEAD_S + spec["lead_in_s"]
                continue
            row["begun"] = number + 1
            feed = witness.feeds[number] = feeds.get(trial.phase, 0)
            first = at_first(trial)
            lead = LEAD_S + DRAW_S * isinstance(first.stimulus, Latent)
            start = max(program.clock.now() + lead, free_from + trial.blank_s)
            image = _image(watch, rendered, number, first, start - LEAD_S)
            if controls.cut:
                pass  # a pause or the end came before anything was asked for
            elif image is not None or isinstance(first.stimulus, Text):
                ask(stimuli, number, first, start, image, feed)
                if isinstance(trial.stimulus, Live):
                    watch.feedback = LiveFeedback(
                        program.clock, stimuli, feedback, witness, rendered, number, trial, start, feed
                    )
            elif program.tick():
                program.log.error("the picture of trial %d did not come in time: it is aborted", number)
            free_from = start + trial.stimulus_s + trial.feedback_s
            going = watch.until(free_from, answered=start if trial.until_answer else math.inf)
            watch.feedback = None
            if controls.cut or (going and program.clock.now() < free_from):
                write_clear(stimuli, number)
                free_from = program.clock.now()
            if controls.cut and controls.stage is Stage.PAUSED:
                # What was read meanwhile is told with the next outcome: the protocol never hears of this trial.
                outcome, going = witness.paused(number, start, trial), True
            else:
                outcome = witness.outcome(number, start, trial, controls.answers(), cut_short=not going)
            table.write(number, trial, outcome, start, witness.frames_seen)
            if not going:
                break
            aborted, number = aborted + (outcome.ending is Ending.ABORTED), number + 1
            row["done"], row["aborted"], controls.trial = number, aborted, number
            if outcome.ending is not Ending.PAUSED:
                trial = _next(protocol, outcome)
        if trial is None:
            controls.finish()
        going = watch.for_the_tail(spec["tail_s"])
        late = witness.readings()
        table.write_late(reading for _, reading in sorted(late.items()) if reading.trial not in past.after)
        by = {"aborted_by": controls.aborted_by} if controls.aborted_by else {}
        program.report(trials=number, aborted=aborted, finished=going and trial is None, **by)
        while program.tick():
            program.clock.sleep_until(program.clock.now() + _SLICE)


class _Watch:
    """The engine's waiting: it looks at the screen, at orders and at keys meanwhile."""

    def __init__(
        self, program: Program, controls: Controls, witness: Witness, task: FixationTask | None
    ) -> None:
        self.program, self._controls, self._witness, self._task = program, controls, witness, task
        self.feedback: LiveFeedback | None = None

    def until(self, when: float, answered: float = math.inf) -> bool:
        """Look until `when`, or for an answer from the time `answered` on; False when told to stop, or cut short."""
        clock, controls = self.program.clock, self._controls
        while clock.now() < when:
            if not controls.tick() or controls.cut:
                return False
            if clock.now() >= answered and controls.answered_since(answered):
                return True
            clock.sleep_until(min(when, clock.now() + _SLICE))
            self._witness.look()
            if self._task is not None:
                self._task.look(clock.now())
            if self.feedback is not None:
                self.feedback.look()
        return not controls.cut

    def until_running(self) -> bool:
        """Look until the experiment runs; False when told to stop, or when it is aborted."""
        if self._task is not None:
            self._task.rest()
        while self._controls.halted:
            if not self.until_slice() or self._controls.stage is Stage.ABORTED:
                return False
        return True

    def for_the_tail(self, seconds: float) -> bool:
        """Look for so many seconds, whatever is ordered but to stop; False when told to."""
        deadline = self.program.clock.now() + seconds
        while self.program.clock.now() < deadline:
            if not self.until_slice(deadline):
                return False
        return True

    def until_slice(self, when: float = math.inf) -> bool:
        """Look for one slice of time, at most until `when`; False when told to stop."""
        going = self._controls.tick()
        if going:
            self.program.clock.sleep_until(min(when, self.program.clock.now() + _SLICE))
            self._witness.look()
        return going


def _controls(program: Program) -> Controls:
    spec = program.spec
    return Controls(
        program,
        begin=spec.get("begin", "auto"),
        on_pause=spec.get("on_pause", "finish"),
        keys=spec.get("keys") or KeySettings().model_dump(),
    )


def _feed(row: TrialRow, feeds: Mapping[str, int]) -> int:
    return NO_FEED if row.outcome.ending is Ending.PAUSED else feeds.get(row.phase, 0)


def ask(
    stimuli: Ring,
    number: int,
    trial: Trial,
    start: float,
    image: NDArray[np.uint8] | None = None,
    feed: int = 0,
) -> None:
    """Ask the display for the parts of a trial.

    Parameters
    ----------
    stimuli : Ring
        A ring of `bci.memory.trial_parts.stimulus_columns`.
    number : int
        The trial's.
    trial : Trial
        What is to be shown.
    start : float
        When, session seconds.
    image : (height, width, 3) uint8, optional
        The stimulus' pixels, where it is no text.
    feed : int
        Which of the decoders that feed the display the trial shows.
    """
    stop = start + trial.stimulus_s
    text = trial.stimulus if isinstance(trial.stimulus, Text) else None
    write_part(
        stimuli,
        Phase.STIMULUS,
        trial=number,
        stimulus=trial.number,
        since=start,
        start=start,
        stop=stop,
        name=trial.name,
        image=image,
        text=text.words if text else "",
        text_deg=text.size_deg if text else 0.0,
        feed=feed,
    )
    if trial.feedback_s:
        write_part(
            stimuli,
            Phase.FEEDBACK,
            trial=number,
            stimulus=trial.number,
            since=start,
            start=stop,
            stop=stop + trial.feedback_s,
            name=trial.name,
            feed=feed,
        )


def _replay(protocol: Protocol, past: Past) -> Trial | None:
    """Tell a protocol what became of the trials before; return the trial that it goes on with."""
    trial = next(protocol, None)
    for number, row in enumerate(past.rows):
        asked = None if trial is None else (trial.number, trial.name)
        if asked != (row.stimulus, row.name):
            raise ConfigError(
                f"trial {number} was stimulus {row.stimulus} ({row.name!r}) before the restart; told the same "
                f"outcomes, the protocol now asks for {asked}. A protocol must give the same trials again: were its "
                "files changed?"
            )
        if row.outcome.ending is not Ending.PAUSED:
            trial = _next(protocol, row.outcome)
    return trial


def _next(protocol: Protocol, outcome: Outcome) -> Trial | None:
    try:
        return protocol.send(outcome)
    except StopIteration:
        return None


def _image(
    watch: _Watch, rendered: Rendered | None, number: int, trial: Trial, deadline: float
) -> NDArray[np.uint8] | None:
    """Return the pixels of a trial's stimulus; None where it is a text, or was not drawn by `deadline`."""
    if isinstance(trial.stimulus, Picture):
        return trial.stimulus.image
    if not isinstance(trial.stimulus, Latent) or rendered is None:
        return None
    clock = watch.program.clock
    rendered.request(number, trial.number, trial.stimulus.latent, trial.stimulus.generator)
    while (image := rendered.take(number)) is None and clock.now() < deadline:
        if not watch.until(min(deadline, clock.now() + _SLICE)):
            return None
    return image

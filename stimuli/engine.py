"""The engine runs an experiment's protocol: it asks the display for stimuli ahead of time, and says what came of them.

::

    blank ──> stimulus ──> feedback ──> blank ──> …       what the display is asked for
      └── aborted: the stimulus never came, or the screen went neutral in its time

Nothing here is timed by this program: parts of trials carry the session times at which the display is to show them. A
stimulus that is a latent is drawn by the render program in the blank before it; one that is a text by the display.
``trials.csv`` gets a row per trial, on the disk before the next one begins. Started in the place of an engine that
died, this one tells the protocol every recorded outcome again, so that it goes on where it was.
"""

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase, write_part
from stimuli.protocols import open_protocol
from stimuli.rendered import Rendered
from stimuli.trial_table import Past, TrialTable, read_past
from stimuli.trials import Ending, Latent, Outcome, Palette, Picture, Protocol, Text, Trial
from stimuli.witness import Witness

#: From asking for a stimulus to its onset, at least: a display looks once in a flip.
LEAD_S = 0.1

#: From asking for the picture of a latent to asking the display for it, at least; a longer blank leaves more.
DRAW_S = 0.2

_SLICE = 0.02


def main(program: Program) -> None:
    """Run the protocol to its end, then report ``finished``.

    Opens the rings of roles ``stimuli`` (written), ``shown`` and, of each decoder that feeds the display, ``frames``,
    ``frames-2`` … (read); where there are any, ``requests`` (written) and ``drawn`` (read), for latents. Started in the
    place of one that died, it calls the trial that was under way aborted and goes on with what the protocol then asks
    for.

    Spec: ``[experiment]`` of the session file; ``size``, (height, width) of the pictures; ``latent``, size of the
    generator's latent space, 0 where there is none; ``reading``, how many values a reading has; ``tail_s``, how long to
    wait after the last trial for what is decoded of it; ``feeds``, the place of the decoder that each phase shows among
    those frames, the first where it says nothing.

    Report: ``trials``, ``aborted``, ``finished``.

    Raises
    ------
    ConfigError
        If the protocol cannot be used, or asks for other trials than before when it is told the same outcomes.
    """
    spec = program.spec
    stimuli, shown = (program.ring(role) for role in ("stimuli", "shown"))
    frames = [program.ring(role) for role in program.roles("frames")]
    rendered = Rendered(program.ring("requests"), program.ring("drawn")) if program.has("requests") else None
    palette = Palette(tuple(spec["size"]), spec["latent"], spec["reading"])
    feeds = spec.get("feeds") or {}
    protocol = open_protocol(spec, palette)
    past = read_past(program.folder)
    trial, number = _replay(protocol, past), len(past.rows)
    aborted = sum(row.outcome.ending is Ending.ABORTED for row in past.rows)
    row = program.row
    with TrialTable(program.folder) as table:
        # A flip can come up to half a refresh before the time it was asked for.
        witness = Witness(shown, frames, early_s=LEAD_S / 2, first_frames=past.frames)
        witness.feeds |= {place: feeds.get(row.phase, 0) for place, row in enumerate(past.rows)}
        if trial is not None and number < program.inherited["begun"]:
            # Its predecessor's rows are in the tables; the trial that was under way is lost with it.
            witness.feeds[number] = feeds.get(trial.phase, 0)
            outcome = witness.lost(number, past.pending.get(number, ()))
            table.write(number, trial, outcome, frames=witness.frames_seen)
            aborted, number, trial = aborted + 1, number + 1, _next(protocol, outcome)
        row["done"], row["aborted"] = number, aborted
        program.ready()
        free_from = program.clock.now() + LEAD_S + spec["lead_in_s"]
        while trial is not None and program.tick():
            row["begun"] = number + 1
            feed = witness.feeds[number] = feeds.get(trial.phase, 0)
            lead = LEAD_S + DRAW_S * isinstance(trial.stimulus, Latent)
            start = max(program.clock.now() + lead, free_from + trial.blank_s)
            image = _image(program, rendered, number, trial, start - LEAD_S, witness)
            if image is not None or isinstance(trial.stimulus, Text):
                ask(stimuli, number, trial, start, image, feed)
            elif program.tick():
                program.log.error("the picture of trial %d did not come in time: it is aborted", number)
            free_from = start + trial.stimulus_s + trial.feedback_s
            going = _sleep_until(program, free_from, witness)
            outcome = witness.outcome(number, start, trial, cut_short=not going)
            table.write(number, trial, outcome, start, witness.frames_seen)
            if not going:
                break
            aborted, number = aborted + (outcome.ending is Ending.ABORTED), number + 1
            row["done"], row["aborted"] = number, aborted
            trial = _next(protocol, outcome)
        going = _sleep_until(program, program.clock.now() + spec["tail_s"], witness)
        late = witness.readings()
        table.write_late(reading for _, reading in sorted(late.items()) if reading.trial not in past.after)
    program.report(trials=number, aborted=aborted, finished=going and trial is None)
    while program.tick():
        program.clock.sleep_until(program.clock.now() + _SLICE)


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
        trial = _next(protocol, row.outcome)
    return trial


def _next(protocol: Protocol, outcome: Outcome) -> Trial | None:
    try:
        return protocol.send(outcome)
    except StopIteration:
        return None


def _image(
    program: Program, rendered: Rendered | None, number: int, trial: Trial, deadline: float, witness: Witness
) -> NDArray[np.uint8] | None:
    """Return the pixels of a trial's stimulus; None where it is a text, or was not drawn by `deadline`."""
    if isinstance(trial.stimulus, Picture):
        return trial.stimulus.image
    if isinstance(trial.stimulus, Text) or rendered is None:
        return None
    rendered.request(number, trial.number, trial.stimulus.latent)
    while (image := rendered.take(number)) is None and program.clock.now() < deadline:
        if not _sleep_until(program, min(deadline, program.clock.now() + _SLICE), witness):
            return None
    return image


def _sleep_until(program: Program, when: float, witness: Witness) -> bool:
    """Look at the screen until `when`; False when told to stop."""
    while program.clock.now() < when:
        if not program.tick():
            return False
        program.clock.sleep_until(min(when, program.clock.now() + _SLICE))
        witness.look()
    return True

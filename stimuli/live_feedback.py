"""LiveFeedback draws a `Live` stimulus anew while it is shown, of what the decoder reads."""

from dataclasses import replace

from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase, write_part
from bci.signal.clock import Clock
from stimuli.feedback_table import FeedbackRow, FeedbackTable
from stimuli.rendered import Rendered
from stimuli.trials import Live, Picture, Trial
from stimuli.witness import Witness


class LiveFeedback:
    """The pictures of one trial with a `Live` stimulus.

    Parameters
    ----------
    clock : Clock
        The session clock.
    stimuli : Ring
        Where the display is asked for pictures.
    table : FeedbackTable
        Told what was read, and what was shown for it.
    witness : Witness
        Knows the newest reconstruction.
    rendered : Rendered or None
        Draws latents.
    number : int
        The trial's.
    trial : Trial
        What is shown; its stimulus is a `Live`.
    start : float
        When it is due, session seconds.
    feed : int
        Which of the decoders that feed the display it shows.
    """

    def __init__(
        self,
        clock: Clock,
        stimuli: Ring,
        table: FeedbackTable,
        witness: Witness,
        rendered: Rendered | None,
        number: int,
        trial: Trial,
        start: float,
        feed: int,
    ) -> None:
        assert isinstance(trial.stimulus, Live)
        self._clock, self._stimuli, self._table = clock, stimuli, table
        self._witness, self._rendered = witness, rendered
        self._number, self._trial, self._live = number, trial, trial.stimulus
        self._start, self._stop, self._feed = start, start + trial.stimulus_s, feed
        # The stimulus itself is flipped first: with it the trial begins.
        self._frame, self._next = -1, start + self._live.update_s

    def look(self) -> None:
        """Ask for another picture, where there is something new to show and the time has come."""
        now = self._clock.now()
        if self._rendered is not None and (image := self._rendered.take(self._number)) is not None:
            self._ask(Picture(image), now)
        if not self._next <= now < self._stop:
            return
        frame, reading = self._witness.newest(self._feed, now - self._live.fresh_s)
        if frame == self._frame:
            return
        self._frame, self._next = frame, now + self._live.update_s
        drawn = self._live.draw(reading, now - self._start)
        self._table.write(FeedbackRow(self._number, now, now - self._start, frame, drawn.read, drawn.value))
        if isinstance(drawn.stimulus, Picture):
            self._ask(drawn.stimulus, now)
        elif self._rendered is not None:
            self._rendered.request(self._number, self._trial.number, drawn.stimulus.latent)

    def _ask(self, picture: Picture, now: float) -> None:
        write_part(
            self._stimuli,
            Phase.UPDATE,
            trial=self._number,
            stimulus=self._trial.number,
            since=self._start,
            start=now,
            stop=self._stop,
            name=self._trial.name,
            image=picture.image,
            feed=self._feed,
        )


def at_first(trial: Trial) -> Trial:
    """Return a trial with what its stimulus is before anything was read, where that is drawn of what is read."""
    if not isinstance(trial.stimulus, Live):
        return trial
    return replace(trial, stimulus=trial.stimulus.draw(None, 0.0).stimulus)

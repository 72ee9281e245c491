"""A Presenter decides what the screen shows at the next flip, and when and why it falls back to neutral.

It is the only place where that is decided. It knows no screen, no ring and no clock: it is told the time and
the newest frame, reads the programs' rows, and answers with a `Choice`.

::

               an unseen frame that breaks no rule
        ┌─────────┐ ───────────────────────────────► ┌───────┐ ──┐ a newer one
        │ NEUTRAL │                                  │ FRAME │   │ that breaks
        └─────────┘ ◄─────────────────────────────── └───────┘ ◄─┘ no rule
                     the newest frame breaks a rule

In an experiment the engine's parts come first: a stimulus is shown in its time while hearts beat and data are
young, frames are shown in times of feedback only, and otherwise nothing but the fixation target.

The rules, in the order in which they are checked: there is no order to hold or show neutral; there is a frame; every
watched program's heart beats; the data are young; the frame is valid; the frame is fresh. Neutral is left only
by a frame that has not been shown yet: what was doubted once does not come back, and no frame is shown as new
twice. It keeps the reason that it came with, but for one: that there was no frame yet gives way to what is wrong with
those that came.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bci.memory.board import Board
from bci.memory.trial_parts import Phase
from bci.signal.types import SETTLING, Shown
from stimuli.display.settings import DisplaySpec
from stimuli.trials import Text


class Cause(StrEnum):
    """A Cause is the rule that put the neutral picture on the screen."""

    NO_FRAME = "no frame"
    HEARTBEAT = "heartbeat"
    DATA_AGE = "data age"
    INVALID = "invalid frame"
    FRAME_AGE = "frame age"
    HELD = "held"
    WITHHELD = "withheld"
    END = "end"


@dataclass(frozen=True, slots=True)
class Frame:
    """A Frame holds the facts about the newest frame that the rules check.

    Attributes
    ----------
    number : int
        Its count in the frame ring.
    arrived : float
        When the newest sample behind it was received, session seconds; NaN when it has no such stamp.
    valid : bool
        Whether its decoder lets it be shown.
    reason : str
        Why not.
    taken : float
        When the display took it from the ring, session seconds.
    trial : int
        The trial whose stimulus its epoch was cut around; -1 when it belongs to none, as a sliding window does.
    """

    number: int
    arrived: float
    valid: bool
    reason: str
    taken: float
    trial: int = -1


@dataclass(frozen=True, slots=True)
class TrialPart:
    """The part of a trial that is due now; see `bci.memory.trial_parts`.

    Attributes
    ----------
    since : float
        When the trial began, session seconds: feedback shows no sliding window that rests on older data, and no epoch
        of another trial.
    text : Text or None
        The stimulus, where it is a text.
    feed : int
        Which of the decoders that feed the display this trial shows.
    """

    phase: Phase
    trial: int
    stimulus: int
    name: str
    since: float
    text: Text | None = None
    feed: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A Choice is the picture to show: a frame or a stimulus by its number, or (number -1) neither, and why.

    The reason is that of a neutral picture, and the name of a stimulus; `trial` is the experiment's, -1 where the
    picture belongs to none; `text` is the stimulus, where it is a text.
    """

    kind: Shown
    frame: int = -1
    cause: Cause | None = None
    reason: str = ""
    trial: int = -1
    text: Text | None = None


#: Which rule of a feed a limit of the session file is.
_LIMITS = {"fresh_for": "fresh_seconds", "data_age_limit": "data_age_limit"}


@dataclass(frozen=True, slots=True)
class FeedRules:
    """FeedRules hold what one decoder's pictures must keep to be shown.

    Attributes
    ----------
    fresh_seconds, data_age_limit : float
        Greatest age of a frame and of the newest data, seconds.
    hearts : mapping of str to record
        Live board rows of the programs whose ``beat`` must be young.
    sources : mapping of str to record
        Live board rows of the programs whose ``data`` must be young.
    """

    fresh_seconds: float
    data_age_limit: float
    hearts: Mapping[str, Any]
    sources: Mapping[str, Any]


class Presenter:
    """The state machine behind every display.

    Parameters
    ----------
    feeds : sequence of FeedRules
        Of each decoder that feeds the display. The first one's hold until a part of a trial says otherwise, and those
        of a part hold until the next part.
    heartbeat_limit : float
        Greatest age of a heartbeat, seconds.
    engine : record, optional
        Live board row of the program that asks for stimuli, in an experiment.

    Attributes
    ----------
    choice : Choice or None
        What the screen shows; None before the first decision.
    """

    def __init__(
        self,
        *,
        feeds: Sequence[FeedRules],
        heartbeat_limit: float,
        engine: Any = None,
    ) -> None:
        self._feeds = tuple(feeds)
        self._rules = self._feeds[0]
        self._heartbeat_limit = heartbeat_limit
        self._engine = engine
        self._part: TrialPart | None = None
        self._feed = 0
        self._last_shown = [-1] * len(self._feeds)
        self._held = self._withheld = False
        self.choice: Choice | None = None

    @classmethod
    def of(cls, spec: DisplaySpec, board: Board) -> "Presenter":
        """Build the presenter that `spec` describes on the rows of `board`.

        Raises
        ------
        RingError
            If a program to be watched is not on the board.
        """
        return cls(
            feeds=[
                FeedRules(
                    fresh_seconds=spec.fresh_seconds(feed),
                    data_age_limit=spec.data_age_seconds(feed),
                    hearts={name: board.row(name) for name in feed.watch},
                    sources={name: board.row(name) for name in feed.data_from},
                )
                for feed in spec.feeds
            ],
            heartbeat_limit=spec.heartbeat_limit,
            engine=board.row(spec.engine) if spec.engine else None,
        )

    def choose(self, now: float, newest: Frame | None, part: TrialPart | None = None) -> Choice:
        """Decide what the next flip shows; the same object as before when nothing changes.

        Parameters
        ----------
        now : float
            Session seconds; not before `newest` was taken.
        newest : Frame or None
            The newest frame there is, of the decoder that feeds this part.
        part : TrialPart or None
            In an experiment, the part of a trial that is due now; the same object as before while it lasts.
        """
        if part is not None and part.feed != self._feed:
            self._feed = part.feed
            self._rules = self._feeds[part.feed]
        if self._engine is not None and (part is None or part.phase is not Phase.FEEDBACK):
            return self._choose_stimulus(now, part)
        self._part = part
        doubt = self._doubt(now, newest, part)
        if doubt is not None:
            if (
                self.choice is None
                or self.choice.kind is not Shown.NEUTRAL
                or self._tells_more(newest, doubt[0])
            ):
                self.choice = Choice(Shown.NEUTRAL, -1, *doubt)
        elif newest is not None and newest.number > self._last_shown[self._feed]:
            self._last_shown[self._feed] = newest.number
            self.choice = Choice(Shown.FRAME, newest.number, trial=-1 if part is None else part.trial)
        assert self.choice is not None
        return self.choice

    def _tells_more(self, newest: Frame | None, cause: Cause) -> bool:
        """Whether the screen is neutral since there was no frame, and there is a reason that tells more now.

        Neutral stays neutral for its first reason. But "before the first frame" would stand over a whole session whose
        every frame is refused; filters that settle are a beginning still.
        """
        assert self.choice is not None
        settling = newest is not None and newest.reason == SETTLING
        return self.choice.cause is Cause.NO_FRAME and cause is not Cause.NO_FRAME and not settling

    def _choose_stimulus(self, now: float, part: TrialPart | None) -> Choice:
        """Decide between a stimulus, the fixation target and neutral."""
        before, part_before, self._part = self.choice, self._part, part
        doubt = self._dead(now)
        if doubt is None and part is None:
            silent = now - float(self._engine["beat"])
            if not silent <= self._heartbeat_limit:
                doubt = Cause.HEARTBEAT, f"no heartbeat of the engine {_since(silent, self._heartbeat_limit)}"
        if doubt is not None:
            kind, number, cause, reason = Shown.NEUTRAL, -1, *doubt
        elif part is None:
            kind, number, cause, reason = Shown.FIXATION, -1, None, "between trials"
        else:
            shown = Shown.UPDATE if part.phase is Phase.UPDATE else Shown.STIMULUS
            kind, number, cause, reason = shown, part.stimulus, None, part.name
        # Neutral stays neutral for its first reason; a stimulus of another trial is another one.
        drawn = kind in (Shown.STIMULUS, Shown.UPDATE)
        if before is None or before.kind is not kind or (drawn and part is not part_before):
            text = part.text if part is not None and drawn else None
            self.choice = Choice(kind, number, cause, reason, -1 if part is None else part.trial, text)
        assert self.choice is not None
        return self.choice

    def hold(self) -> None:
        """Show nothing but neutral from the next flip on, whatever comes."""
        self._held = True

    def withhold(self, withheld: bool) -> None:
        """Show neutral from the next flip on, for as long as the operator wants it; or end that."""
        self._withheld = withheld

    def limit(self, name: str, seconds: float) -> None:
        """Change one of the limits, ``fresh_for``, ``data_age_limit`` or ``heartbeat_limit``, of all decoders.

        Raises
        ------
        ValueError
            If there is no such limit, or no time above 0 is given.
        """
        if not (seconds > 0 and math.isfinite(seconds)):
            raise ValueError(f"{name} is a time above 0 s; {seconds:g} came")
        if name == "heartbeat_limit":
            self._heartbeat_limit = seconds
            return
        if name not in _LIMITS:
            raise ValueError(
                f"the display has no limit {name!r}; it has heartbeat_limit, {', '.join(_LIMITS)}"
            )
        changed: dict[str, Any] = {_LIMITS[name]: seconds}
        self._feeds = tuple(replace(rules, **changed) for rules in self._feeds)
        self._rules = self._feeds[self._feed]

    def end(self) -> Choice:
        """Fall back to neutral because the run is over."""
        if self.choice is None or self.choice.kind is not Shown.NEUTRAL:
            self.choice = Choice(Shown.NEUTRAL, -1, Cause.END, "the run is over")
        return self.choice

    def _doubt(self, now: float, newest: Frame | None, part: TrialPart | None) -> tuple[Cause, str] | None:
        """Return the first rule that forbids showing `newest`, and what it found."""
        if newest is None and not (self._held or self._withheld):
            return Cause.NO_FRAME, "before the first frame"
        dead = self._dead(now)
        if dead is not None or newest is None:
            return dead
        if not newest.valid:
            return Cause.INVALID, f"frame {newest.number} is invalid: {newest.reason or 'no reason given'}"
        age = now - newest.arrived
        if math.isnan(age):
            return Cause.FRAME_AGE, f"frame {newest.number} does not say when its data arrived"
        if age < 0:
            # Arrival is stamped on this host's clock before the frame exists, so it cannot lie ahead of now.
            return Cause.FRAME_AGE, f"frame {newest.number} has data stamped {-age:.3f} s in the future"
        if part is not None and not _belongs(newest, part):
            return Cause.NO_FRAME, f"no reconstruction of trial {part.trial} yet"
        if age > self._rules.fresh_seconds:
            limit = f"limit {self._rules.fresh_seconds:.2f} s"
            return Cause.FRAME_AGE, f"no fresh frame: the newest is {age:.2f} s old ({limit})"
        return None

    def _dead(self, now: float) -> tuple[Cause, str] | None:
        """Return the first rule that forbids showing anything, and what it found."""
        # Ages are compared as `not (age <= limit)`: a NaN, which stands for never, is too old.
        if self._held:
            return Cause.HELD, "the session is latched safe"
        if self._withheld:
            return Cause.WITHHELD, "the operator has asked for it"
        for name, row in self._rules.hearts.items():
            age = now - float(row["beat"])
            if not age <= self._heartbeat_limit:
                return Cause.HEARTBEAT, f"no heartbeat of {name} {_since(age, self._heartbeat_limit)}"
        for name, row in self._rules.sources.items():
            age = now - float(row["data"])
            if not age <= self._rules.data_age_limit:
                return Cause.DATA_AGE, f"no data from {name} {_since(age, self._rules.data_age_limit)}"
        return None


def _belongs(frame: Frame, part: TrialPart) -> bool:
    """Return whether a reconstruction may be shown as feedback in a part of a trial."""
    return frame.trial == part.trial if frame.trial >= 0 else frame.arrived >= part.since


def _since(age: float, limit: float) -> str:
    return "yet" if math.isnan(age) else f"for {age:.2f} s (limit {limit:.2f} s)"

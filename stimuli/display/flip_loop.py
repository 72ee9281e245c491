"""The flip loop is what a display does from ready to stop: take the newest frame, decide, draw, flip, say so.

A window and its headless twin run this same loop on the same presenter and canvas; they differ in the
`Display` it is given, which only waits and flips. Everything is allocated before the first flip.

A flip stamp is the time at which the buffer swap returned, not the time of light on the screen: a monitor's
own delay comes on top (milliseconds, to be measured with the photodiode patch).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from bci.io.lsl.markers import MarkerOutlet
from bci.memory.alarms import SHOWN_HELD, SHOWN_NEUTRAL, SHOWN_PICTURES, SHOWN_WITHHELD
from bci.memory.orders import NEUTRAL, RELEASE, SET
from bci.memory.program import PROMPTLY, Program
from bci.memory.trial_parts import BACK, CHANGED, KEY, write_response
from bci.signal.types import Event, Shown
from stimuli.display.album import Album
from stimuli.display.canvas import Canvas
from stimuli.display.flip_times import FlipTimes
from stimuli.display.frames import FrameReader, Frames
from stimuli.display.presenter import Cause, Choice, Presenter
from stimuli.display.rings import Pictures, ShownWriter, StimulusReader
from stimuli.display.settings import DisplaySpec


class Display(Protocol):
    """A Display is a screen as the flip loop needs it.

    Attributes
    ----------
    driver : str
        Who flips.
    size : (int, int)
        Width and height, pixels.
    pixels_per_cm : float
        Pixels per centimetre of screen.
    refresh_hz : float
        Measured, or kept by the session clock.
    """

    driver: str
    size: tuple[int, int]
    pixels_per_cm: float
    refresh_hz: float

    def wait(self) -> None:
        """Return, within 0.1 s, when it is time to take the frame for the next flip."""
        ...

    def show(self, canvas: Canvas, changed: bool) -> float:
        """Flip to what `canvas` holds, `changed` since the last flip or not; return the flip's session time."""
        ...

    def pressed(self) -> Sequence[str]:
        """Return the names of the keys pressed since the last call, in small letters."""
        ...

    def closed(self) -> bool:
        """Whether the user has closed the display."""
        ...


class FlipLoop:
    """One display program at work.

    Parameters
    ----------
    program : Program
        Its ring of role ``shown`` is written.
    spec : DisplaySpec
        What to show and when not to.
    pictures : Pictures
        The frames, and in an experiment the stimuli, to show.
    display : Display
        Where to show them.
    album : Album, optional
        Remembers what was shown.
    markers : MarkerOutlet, optional
        Told every change of picture, stamped with its flip: ``frame 12``, or ``neutral: `` and the reason.

    Attributes
    ----------
    times : FlipTimes
        Every flip so far.
    shown_frames : int
        Frames that reached the screen; each is shown at most once.
    """

    def __init__(
        self,
        program: Program,
        spec: DisplaySpec,
        pictures: Pictures,
        display: Display,
        album: Album | None = None,
        markers: MarkerOutlet | None = None,
    ) -> None:
        self._program = program
        self._display = display
        self._pictures, self._frames = pictures, pictures.frames
        self._album = album
        decoders = [feed.decoder for feed in spec.feeds]
        self._shown = ShownWriter(program.ring("shown"), pictures, spec.background, decoders)
        self._keys = frozenset(spec.keys)
        self._responses = program.ring("responses") if program.has("responses") else None
        self._presenter = Presenter.of(spec, program.board)
        self._markers = markers
        self._choice: Choice | None = None
        self._white = self._target = False
        self._neutral_since = math.nan
        self._neutral_seconds = 0.0
        self._neutral_causes: Counter[str] = Counter()
        shape = pictures.frames.image_shape
        self.canvas = Canvas(spec, display.size, display.pixels_per_cm, shape, spec.fixation_change)
        if pictures.stimuli is not None:
            pictures.stimuli.prepare_text = self.canvas.prepare
        self.times = FlipTimes(display.refresh_hz)
        self.shown_frames = 0

    def run(self) -> None:
        """Say ready, show until told to stop or closed by the user, report."""
        program, display, canvas = self._program, self._display, self.canvas
        clock = program.clock
        program.holds()
        program.looks_every = PROMPTLY
        program.obeys(NEUTRAL, lambda payload: self._withhold(True))
        program.obeys(RELEASE, lambda payload: self._withhold(False))
        program.obeys(SET, self._set)
        program.ready(
            driver=display.driver,
            refresh_hz=display.refresh_hz,
            size_px=display.size,
            image_px=(canvas.image_area.width, canvas.image_area.height),
        )
        closed, stimuli = False, self._pictures.stimuli
        while program.tick() and not closed:
            display.wait()
            part = stimuli.due(clock.now()) if stimuli is not None else None
            if part is not None and part.feed != self._frames.feed:
                self._frames.choose(part.feed)
            newest = self._frames.take(clock)
            if program.held:
                self._presenter.hold()
                # Said here, not with the picture: that may have been the neutral one already.
                program.row["neutral"] = SHOWN_HELD
            now = clock.now()
            target = stimuli is not None and stimuli.target_changed(now)
            self._flip(self._presenter.choose(now, newest, part), target)
            self._note_keys()
            closed = display.closed()
        # One flip more: its record says when the last picture of the run left the screen.
        display.wait()
        self._flip(self._presenter.end())
        program.report(**self.summary(), closed=closed)

    def _withhold(self, withheld: bool) -> None:
        """Show the neutral picture for now, or no longer; said at once, for it may be on the screen already."""
        self._presenter.withhold(withheld)
        if withheld:
            self._program.row["neutral"] = SHOWN_WITHHELD
        elif self._choice is not None:
            self._program.row["neutral"] = _what_is_seen(self._choice)
        self._program.log.info("neutral picture %s by command", "asked for" if withheld else "released")

    def _set(self, payload: Mapping[str, Any]) -> None:
        """Change a limit, as an order says."""
        self._presenter.limit(str(payload["name"]), float(payload["value"]))
        self._program.log.info("%s is now %g s", payload["name"], payload["value"])

    def _note_keys(self) -> None:
        """Write down the keys that were pressed, as far as they mean something."""
        for key in self._display.pressed():
            if self._responses is not None and key in self._keys:
                write_response(self._responses, KEY + key, self._program.clock.now())

    @property
    def decoded(self) -> bool:
        """Whether a decoder feeds this display."""
        return self._frames.fed

    def summary(self) -> dict[str, Any]:
        """Return what a session should know about the display's run so far."""
        return {
            **self.times.summary(),
            "shown_frames": self.shown_frames,
            "superseded": self._frames.superseded,
            "withheld": self._frames.taken - self.shown_frames,
            "neutral_seconds": self._neutral_seconds,
            "neutral_causes": dict(self._neutral_causes),
        }

    def _flip(self, choice: Choice, target: bool = False) -> None:
        changed = choice is not self._choice
        # Behind a text there is no target that could be seen to change.
        target &= choice.text is None
        turned = target is not self._target
        if changed:
            self._white = not self._white
        if changed or turned:
            self._target = target
            self.canvas.draw(
                self._pictures.original(choice),
                white=self._white,
                text=choice.text,
                changed=target,
                phosphenes=bool(self._pictures.mode(choice)),
            )
        flip = self._display.show(self.canvas, changed or turned)
        if turned:
            self._note_target(flip)
        interval = self.times.add(flip)
        if self._choice is not None and self._choice.kind is Shown.NEUTRAL:
            self._neutral_seconds += interval
        if changed:
            self._tell(choice, flip)
        if self._album is not None:
            self._album.flip(flip)
        row = self._program.row
        before = self._program.inherited
        row["flips"] = before["flips"] + self.times.flips
        row["dropped"] = before["dropped"] + self.times.dropped

    def _note_target(self, flip: float) -> None:
        """Record that the fixation target has changed, or is as before."""
        text = CHANGED if self._target else BACK
        if self._responses is not None:
            write_response(self._responses, text, flip)
        if self._markers is not None:
            self._markers.push(Event(flip, text))

    def _tell(self, choice: Choice, flip: float) -> None:
        """Record that `choice` has replaced what was on the screen before."""
        before, self._choice = self._choice, choice
        self._program.row["neutral"] = _what_is_seen(choice)
        if self._album is not None:
            self._album.change(choice, self._shown.count, flip, self._white)
        self._shown.write(choice, flip)
        log = self._program.log
        if choice.kind is Shown.FRAME:
            text = f"frame {choice.frame}"
            self.shown_frames += 1
            if before is not None and before.kind is Shown.NEUTRAL:
                log.info("frame %d ends %.2f s of neutral picture", choice.frame, flip - self._neutral_since)
        elif choice.kind is Shown.STIMULUS:
            text = f"stimulus {choice.frame} {choice.reason}"
        elif choice.kind is Shown.UPDATE:
            text = f"update {choice.frame} {choice.reason}"
        elif choice.kind is Shown.FIXATION:
            text = "fixation"
        else:
            text = f"neutral: {choice.reason}"
            self._neutral_since = flip
            self._neutral_causes[str(choice.cause)] += 1
            log.info("neutral picture: %s", choice.reason)
        if self._markers is not None:
            self._markers.push(Event(flip, text, code=max(0, choice.frame)))


def _what_is_seen(choice: Choice) -> int:
    """Return what the board says of a picture; see `bci.memory.alarms`."""
    if choice.kind is not Shown.NEUTRAL:
        return SHOWN_PICTURES
    by_order = {Cause.HELD: SHOWN_HELD, Cause.WITHHELD: SHOWN_WITHHELD}
    return SHOWN_NEUTRAL if choice.cause is None else by_order.get(choice.cause, SHOWN_NEUTRAL)


def open_pictures(program: Program, spec: DisplaySpec) -> Pictures:
    """Open what there is to show: the frames of each decoder, and stimuli where the session has an experiment.

    Of a session without a decoder the spec says the size of the pictures.
    """
    frames = Frames([FrameReader(program.ring(role)) for role in program.roles("frames")], spec.picture_px)
    if not program.has("stimuli"):
        return Pictures(frames, None, spec.phosphenes, spec.image_deg)
    stimuli = StimulusReader(program.ring("stimuli"), frames.image_shape)
    return Pictures(frames, stimuli, spec.phosphenes, spec.image_deg)


def open_markers(spec: DisplaySpec) -> AbstractContextManager[MarkerOutlet | None]:
    """Open the stream of flip markers if the session wants one."""
    return MarkerOutlet("Flips", spec.flip_stream) if spec.flip_markers else nullcontext()

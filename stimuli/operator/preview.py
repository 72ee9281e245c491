"""The preview: what the operator sees, every stimulus above what was read of it. Never on the participant's screen.

What is wrong now, no data above all, stands in red across its top. It stands outside the hot path: it looks at rings
and board some times a second, nothing waits for it, and a session goes on without it. Which reconstruction belongs to
which stimulus is found by `stimuli.operator.pairing`. ``preview.png`` in the session's folder is kept up to date, whole
at any time; where the operator has a screen there is a window beside it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pygame
from PIL import Image

from bci.errors import DisplayError
from bci.memory.alarms import alarms
from bci.memory.program import Program
from bci.memory.trial_parts import KEY, write_response
from stimuli.display.keys import key_name
from stimuli.display.monitors import Monitor, choose_monitor, monitors
from stimuli.operator.fitness_curve import HEIGHT, FitnessCurve, with_curve
from stimuli.operator.pair_sheet import draw_pairs, sheet_size
from stimuli.operator.pairing import Pairing
from stimuli.operator.placing import choose, has_room, side_by_side

#: How often it looks, and how often it writes its file at most, seconds.
LOOK_EVERY, WRITE_EVERY = 0.1, 1.0

FILE = "preview.png"


class OperatorScreen(Protocol):
    """An OperatorScreen shows a sheet, beside the file."""

    def show(self, sheet: Image.Image) -> None:
        """Show a sheet until the next one."""
        ...

    def tend(self) -> Sequence[str]:
        """Answer the operator, who may have closed it; return the names of the keys pressed since the last call."""
        ...


class NoScreen:
    """Nothing beside the file."""

    def show(self, sheet: Image.Image) -> None:
        """Do nothing."""

    def tend(self) -> tuple[str, ...]:
        """Return nothing: there are no keys to press."""
        return ()


class PreviewWindow:
    """A window on the operator's monitor, as a context manager; once closed it stays closed, and the session goes on.

    Parameters
    ----------
    monitor : Monitor
        Which.
    size : (int, int)
        Width and height, pixels.
    title : str
        What is written above it.
    """

    def __init__(self, monitor: Monitor, size: tuple[int, int], title: str) -> None:
        try:
            self._surface: pygame.Surface | None = pygame.display.set_mode(size, display=monitor.index)
        except pygame.error as error:
            raise DisplayError(
                f"no preview of {size[0]} × {size[1]} pixels on monitor {monitor}: {error}. Choose another [preview] "
                'monitor, or kind = "file".'
            ) from None
        self._size = size
        pygame.display.set_caption(title)
        self._surface.fill("white")
        pygame.display.flip()

    def move(self, place: tuple[int, int]) -> None:
        """Stand with the upper left corner at a place on the desktop, pixels, where the system lets windows choose."""
        pygame.display.set_window_position(place)

    def show(self, sheet: Image.Image) -> None:
        """Show a sheet, from its upper left corner."""
        if self._surface is not None:
            drawn = pygame.image.frombytes(sheet.tobytes(), sheet.size, "RGB")
            self._surface.blit(drawn, (0, 0))
            pygame.display.flip()

    def tend(self) -> list[str]:
        """Close the window if the operator wants that; draw it again where another window has uncovered it."""
        if self._surface is None:
            return []
        events = pygame.event.get()
        kinds = {event.type for event in events}
        if pygame.QUIT in kinds:
            self._surface = None
            pygame.display.quit()
        elif pygame.WINDOWEXPOSED in kinds:
            pygame.display.flip()
        return [key_name(event) for event in events if event.type == pygame.KEYDOWN]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pygame.display.quit()


def main(program: Program) -> None:
    """Keep the preview up to date until told to stop.

    Opens the rings of roles ``shown``, and of each decoder that feeds the display ``frames`` and ``decode_marks``
    (``frames-2`` …), and changes none of them; writes ``operator_keys``, where that was handed over.

    Spec: ``[preview]`` of the session file; ``decoders``, their places in the session; ``uncertainty_limits``, of
    each of them, what the time of an event may be wrong by, seconds; ``caption``;
    ``evolution``: ``[experiment]`` where pictures evolve, whose fitness is drawn below the pairs;
    ``participant_monitor`` (index or name), ``screen``: whether the participant has one, and ``keys``: the names of
    those that are passed on to the engine.

    Report: ``preview`` (the file), ``paired`` (trials with a reconstruction, of those that it shows).
    """
    spec = program.spec
    if hasattr(os, "nice"):
        os.nice(5)  # the line comes first
    frames, marks = (
        dict(zip(spec["decoders"], map(program.ring, program.roles(kind)), strict=True))
        for kind in ("frames", "decode_marks")
    )
    curve = None
    if (evolution := spec.get("evolution")) is not None:
        (reading,) = (c.shape[0] for c in frames[spec["decoders"][0]].columns if c.name == "latent")
        curve = FitnessCurve.of(evolution, reading)
    limits = dict(zip(spec["decoders"], spec.get("uncertainty_limits", ()), strict=False))
    pairing = Pairing(program.ring("shown"), frames, marks, keep=spec["pairs"], curve=curve, limits_s=limits)
    keys = program.ring("operator_keys") if program.has("operator_keys") else None
    path = program.folder / FILE
    screen = open_screen(program)
    program.ready(window=isinstance(screen, PreviewWindow))
    stale, written = True, -WRITE_EVERY
    said: list[str] = []
    going = True
    while going:
        program.clock.sleep_until(program.clock.now() + LOOK_EVERY)
        going = program.tick()
        for key in screen.tend():
            if keys is not None and key in spec["keys"]:
                write_response(keys, KEY + key, program.clock.now())
        changed = pairing.look()
        # Its own look at the board: what is wrong is seen here too, whatever became of the supervisor.
        wrong = [alarm.line for alarm in alarms(program.board, program.clock.now())] if going else []
        changed |= wrong != said
        said = wrong
        stale |= changed
        program.row["trials"], program.row["lost"] = pairing.trials, pairing.lost
        now = program.clock.now()
        due = stale and (now - written >= WRITE_EVERY or not going)
        if changed or due:
            sheet = draw_pairs(
                pairing.pairs,
                spec["caption"],
                f"single trials, the newest {len(pairing.pairs)} of {pairing.trials} so far",
                room=spec["pairs"],
                alarms=wrong,
                read=bool(frames),
            )
            sheet = with_curve(sheet, curve)
            if changed:
                screen.show(sheet)
            if due:
                write_whole(sheet, path)
                stale, written = False, now
    paired = sum(pair.read is not None for pair in pairing.pairs)
    program.report(preview=str(path), paired=paired)


def open_screen(program: Program) -> OperatorScreen:
    """Open the operator's window, where there is to be one; a missing screen is said in the log, and is no failure."""
    spec: Any = program.spec
    if spec["kind"] == "file" or (spec["kind"] == "auto" and not spec["screen"]):
        return NoScreen()
    try:
        pygame.display.init()
        there_are = monitors()
        monitor = choose(there_are, spec["monitor"], spec["participant_monitor"], spec["kind"])
        if monitor is None:
            pygame.display.quit()
            return NoScreen()
        width, height = sheet_size(spec["pairs"])
        size = width, height + HEIGHT * (spec.get("evolution") is not None)
        window = PreviewWindow(monitor, size, f"Operator's preview: {spec['caption']}")
        beside = spec["participant_size"]  # None where it has no window of its own to stand beside
        if (
            beside is not None
            and monitor.index == choose_monitor(there_are, spec["participant_monitor"]).index
        ):
            window.move(side_by_side(monitor, tuple(beside), size)[1])
            if not has_room(monitor, tuple(beside), size):
                program.log.info(
                    "the preview (%d pixels wide) and the participant's window (%d) overlap on monitor %s: choose a "
                    "smaller [display] size_px, or fewer [preview] pairs",
                    size[0],
                    beside[0],
                    monitor,
                )
        return window
    except (pygame.error, DisplayError) as error:
        program.log.warning("no window for the preview (%s): it is kept in %s", error, FILE)
        return NoScreen()


def write_whole(sheet: Image.Image, path: Path) -> None:
    """Write a picture whole or not at all, so that it can be opened at any time."""
    beside = path.with_name(f".{path.name}.partial")
    sheet.save(beside, format="PNG", compress_level=1)
    os.replace(beside, path)

"""The window: the one program that owns the participant's screen and does nothing but flip.

It opens a pygame-ce window (full screen on a named monitor, or windowed), measures the refresh rate, and runs
the flip loop. Between flips it sleeps until shortly before the next one is due, so that the picture it draws
is the newest there is. A driver that does not wait for the screen is paced by the session clock instead.

A flip stamp is the time at which the buffer swap returned, not the time of light on the screen.
"""

import logging
import statistics
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Self

import pygame

from bci.errors import DisplayError
from bci.memory.program import Program
from bci.signal.clock import Clock
from stimuli.display.canvas import Area, Canvas, gamma_table
from stimuli.display.flip_loop import FlipLoop, open_markers, open_pictures
from stimuli.display.keys import key_name
from stimuli.display.monitors import Monitor, choose_monitor, monitors, open_video
from stimuli.display.pacer import Pacer
from stimuli.display.settings import DisplaySpec
from stimuli.operator.pair_sheet import sheet_size
from stimuli.operator.placing import choose, side_by_side

#: Flips over which the refresh rate is measured, and over which a rest between flips is tried.
MEASURED_FLIPS = 60
TRIED_FLIPS = 20

#: No monitor is faster than this: quicker flips mean that nothing waited for one, whatever the driver says of
#: itself. SDL's own drivers without a screen never wait, though `offscreen` draws as slowly as a fast monitor.
FASTEST_HZ = 1000.0
_SCREENLESS = frozenset({"dummy", "offscreen"})


class WindowDisplay:
    """A window on a monitor, as a context manager.

    Parameters
    ----------
    spec : DisplaySpec
        Which monitor, how large, what refresh rate is expected.
    clock : Clock
        What stamps flips.
    beat : callable
        Called between flips while the refresh rate is measured; False ends the measurement.
    log : logging.Logger
        Told what was opened and measured.

    Raises
    ------
    DisplayError
        If there is no screen, no such monitor, or the window cannot be opened.
    """

    def __init__(
        self, spec: DisplaySpec, clock: Clock, beat: Callable[[], bool], log: logging.Logger
    ) -> None:
        self._clock = clock
        self._pacer: Pacer | None = None
        self._rest = 0.0  # seconds to sleep after a flip
        self._closed = False
        self._expected = 1.0 / spec.refresh_hz
        open_video()
        try:
            self.driver = pygame.display.get_driver()
            there_are = monitors()
            monitor = choose_monitor(there_are, spec.monitor)
            self.size = monitor.size if spec.full_screen else spec.size_px
            self.pixels_per_cm = monitor.size[0] / spec.screen_width_cm
            self._surface = _open(monitor, self.size, spec, log)
            _leave_room(there_are, monitor, self.size, spec)
            self._canvas_surface: pygame.Surface | None = None
            table = gamma_table(spec.gamma)
            level = spec.background if table is None else int(table[spec.background])
            self._surface.fill((level, level, level))
            self._last = clock.now()
            self.refresh_hz = self._settle(spec, beat, log)
            log.info(
                "%s, %d × %d pixels on monitor %s, driver %s, %.2f Hz",
                "full screen" if spec.full_screen else "windowed",
                *self.size,
                monitor,
                self.driver,
                self.refresh_hz,
            )
        except BaseException:
            pygame.display.quit()
            raise

    def _settle(self, spec: DisplaySpec, beat: Callable[[], bool], log: logging.Logger) -> float:
        """Measure the refresh rate, find out how long to rest between flips, and return the rate to keep."""
        period = self._median_interval(MEASURED_FLIPS, beat)
        if not pygame.display.is_vsync() or self.driver in _SCREENLESS or period * FASTEST_HZ < 1.0:
            self._pacer = Pacer(self._clock, spec.refresh_hz)
            log.warning(
                "the driver %s does not wait for a screen (a flip takes %.2f ms): flips are paced by the clock at "
                "%g Hz and say nothing about light",
                self.driver,
                period * 1e3,
                spec.refresh_hz,
            )
            return spec.refresh_hz
        if not 0.95 < period * spec.refresh_hz < 1.05:
            log.warning(
                "the monitor refreshes at %.2f Hz, %g Hz were expected", 1.0 / period, spec.refresh_hz
            )
        # A swap itself takes time, on a slow machine more than was allowed for: then flips would come too late.
        wanted = ahead = spec.draw_ahead_ms / 1e3
        while ahead < period:
            self._rest = period - ahead
            if self._median_interval(TRIED_FLIPS, beat) < 1.1 * period:
                break
            ahead = max(2.0 * ahead, 0.002)
        else:
            self._rest = 0.0
        if ahead != wanted:
            log.warning(
                "drawing %.1f ms ahead of a flip comes too late here: pictures are drawn %.1f ms ahead",
                wanted * 1e3,
                (period - self._rest) * 1e3,
            )
        return 1.0 / period

    def _median_interval(self, flips: int, beat: Callable[[], bool]) -> float:
        """Flip this often, resting as in the run, and return the median seconds between flips."""
        intervals: list[float] = []
        while len(intervals) <= flips and beat():
            pygame.event.pump()
            self.wait()
            before = self._last
            pygame.display.flip()
            self._last = self._clock.now()
            intervals.append(self._last - before)
        # The first interval began with the opening of the window, or with another rest. Told to stop before
        # there is a second, nothing will be shown for which the rate matters.
        return statistics.median(intervals[1:] or [self._expected])

    def wait(self) -> None:
        """Return shortly before the next flip is due."""
        if self._pacer is not None:
            self._pacer.wait()
        else:
            self._clock.sleep_until(self._last + self._rest)

    def show(self, canvas: Canvas, changed: bool) -> float:
        """Flip to the canvas; return the session time at which the buffer swap returned."""
        if self._canvas_surface is None:
            # Shares the canvas's memory: what is drawn there is what is blitted.
            self._canvas_surface = pygame.image.frombuffer(canvas.pixels.data, self.size, "RGB")
            self._surface.blit(self._canvas_surface, (0, 0))
        elif changed:
            for area in canvas.changed:
                self._blit(self._canvas_surface, area)
        pygame.display.flip()
        self._last = self._clock.now()
        return self._last

    def pressed(self) -> list[str]:
        """Return the names of the keys pressed since the last call, in small letters."""
        keys = []
        for event in pygame.event.get():
            if event.type == pygame.KEYDOWN:
                keys.append(key_name(event))
            self._closed |= event.type == pygame.QUIT
        self._closed |= "escape" in keys
        return keys

    def closed(self) -> bool:
        """Whether the user has closed the window or pressed Escape, by the last look at the keys."""
        return self._closed

    def _blit(self, source: pygame.Surface, area: Area) -> None:
        rectangle = (area.left, area.top, area.width, area.height)
        self._surface.blit(source, rectangle[:2], rectangle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pygame.display.quit()


def _open(monitor: Monitor, size: tuple[int, int], spec: DisplaySpec, log: logging.Logger) -> pygame.Surface:
    """Open the window, one of its pixels to one of the monitor's, waiting for the screen if the driver can.

    Full screen asks for SCALED, the flag with which SDL promises to wait for the screen, at the desktop's own
    size, where it scales by one. A window does not: there SCALED would enlarge it.
    """
    flags = pygame.FULLSCREEN | pygame.SCALED if spec.full_screen else 0
    problem = ""
    for vsync in (1, 0):
        # pygame warns of a renderer without a graphics card: a matter for the session's log.
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                surface = pygame.display.set_mode(size, flags, display=monitor.index, vsync=vsync)
                break
            except pygame.error as error:
                problem = str(error)
    else:
        raise DisplayError(
            f"no {'full screen' if spec.full_screen else 'window'} of {size[0]} × {size[1]} pixels on monitor "
            f"{monitor}: {problem}. Choose another [display] monitor or size_px."
        )
    if surface.get_size() != size:
        raise DisplayError(
            f"monitor {monitor} gave a surface of {surface.get_size()} pixels where {size} were asked for, so "
            "sizes in degrees would be wrong. Choose another [display] size_px or full_screen."
        )
    for warning in warned:
        log.warning("pygame: %s", warning.message)
    pygame.display.set_caption(spec.caption or "bci")
    pygame.display.set_allow_screensaver(False)
    pygame.mouse.set_visible(not spec.full_screen)
    return surface


def _leave_room(
    there_are: tuple[Monitor, ...], monitor: Monitor, size: tuple[int, int], spec: DisplaySpec
) -> None:
    """Stand at the left, where the operator's window opens on the same monitor."""
    operator = spec.operator
    if operator is None or spec.full_screen or operator.kind == "file":
        return
    try:
        theirs = choose(there_are, operator.monitor, spec.monitor, operator.kind)
    except DisplayError:
        return  # the preview says so, and goes on without a window
    if theirs is not None and theirs.index == monitor.index:
        pygame.display.set_window_position(side_by_side(monitor, size, sheet_size(operator.pairs))[0])


def main(program: Program) -> None:
    """Show in a window until told to stop, or until the user closes it."""
    spec = DisplaySpec.of(program.spec)
    with (
        open_markers(spec) as markers,
        WindowDisplay(spec, program.clock, program.tick, program.log) as display,
    ):
        pictures = open_pictures(program, spec)
        FlipLoop(program, spec, pictures, display, markers=markers).run()

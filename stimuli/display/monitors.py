"""A Monitor is one screen that the operating system offers: its index, name, size and stated refresh rate."""

import ctypes
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pygame
import pygame.base

from bci.errors import DisplayError


@dataclass(frozen=True, slots=True)
class Monitor:
    """A Monitor is one screen of this computer.

    Attributes
    ----------
    index : int
        Its place in the system's list.
    name : str
        The system's name for it; empty when it has none.
    size : (int, int)
        Width and height of its desktop, pixels.
    refresh_hz : int
        Refresh rate that the driver states; 0 when it states none.
    origin : (int, int)
        Its upper left corner on the desktop that all monitors share, pixels; (0, 0) where SDL does not say.
    """

    index: int
    name: str
    size: tuple[int, int]
    refresh_hz: int
    origin: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        name = f" '{self.name}'" if self.name else ""
        rate = f" at {self.refresh_hz} Hz" if self.refresh_hz else ""
        return f"{self.index}{name} ({self.size[0]} × {self.size[1]}{rate})"


def monitors() -> tuple[Monitor, ...]:
    """Return the monitors there are; `pygame.display` must be initialised."""
    name_of, origin_of = _namer(), _placer()
    sizes, rates = pygame.display.get_desktop_sizes(), pygame.display.get_desktop_refresh_rates()
    return tuple(
        Monitor(i, name_of(i), (int(size[0]), int(size[1])), int(rate), origin_of(i))
        for i, (size, rate) in enumerate(zip(sizes, rates, strict=True))
    )


def require_monitor(wanted: int | str) -> Monitor:
    """Return the monitor of that index or name; the video system is left as it was found.

    Raises
    ------
    DisplayError
        If there is no screen, or no such monitor.
    """
    was_open = pygame.display.get_init()
    open_video()
    try:
        return choose_monitor(monitors(), wanted)
    finally:
        if not was_open:
            pygame.display.quit()


def open_video() -> None:
    """Open the system's video.

    Raises
    ------
    DisplayError
        If there is no screen.
    """
    try:
        pygame.display.init()
    except pygame.error as error:
        raise DisplayError(
            f"no screen could be opened: {error}. Start from a desktop session (on Linux DISPLAY or WAYLAND_DISPLAY is "
            "then set), or run with --headless."
        ) from None


def choose_monitor(there_are: Sequence[Monitor], wanted: int | str) -> Monitor:
    """Return the monitor of that index, or of that name in any case.

    Raises
    ------
    DisplayError
        If there is none, or several of that name; lists those there are.
    """
    if isinstance(wanted, int):
        matches = [m for m in there_are if m.index == wanted]
    else:
        matches = [m for m in there_are if m.name.casefold() == wanted.casefold()]
    if len(matches) == 1:
        return matches[0]
    problem = "several monitors are" if matches else "no monitor is"
    listed = "; ".join(map(str, there_are)) or "none"
    raise DisplayError(
        f"{problem} called {wanted!r}; there are: {listed}. Set [display] monitor to the index or name of one."
    )


def _namer() -> Callable[[int], str]:
    """Return the function that gives a monitor's name by its index.

    pygame does not pass on ``SDL_GetDisplayName``, so it is called in the SDL 2 library that pygame has loaded:
    its symbols are visible through pygame's own extension module, on Windows through the DLL's name.
    """
    function = _sdl("SDL_GetDisplayName")
    if function is None:
        return _nameless  # monitors go by index alone
    function.argtypes, function.restype = [ctypes.c_int], ctypes.c_char_p

    def name_of(index: int) -> str:
        name: bytes | None = function(index)
        return (name or b"").decode(errors="replace")

    return name_of


def _nameless(index: int) -> str:
    return ""


def _placer() -> Callable[[int], tuple[int, int]]:
    """Return the function that gives a monitor's upper left corner by its index; found as `_namer` finds names."""
    function = _sdl("SDL_GetDisplayBounds")

    def origin_of(index: int) -> tuple[int, int]:
        bounds = (ctypes.c_int * 4)()  # SDL_Rect: x, y, width, height
        if function is None or function(ctypes.c_int(index), bounds) != 0:
            return 0, 0
        return bounds[0], bounds[1]

    return origin_of


def _sdl(name: str) -> Any:
    """Return a function of the SDL 2 that pygame has loaded; None where there is none."""
    try:
        if pygame.get_sdl_version()[0] != 2:
            return None  # SDL 3 counts displays by other numbers
        library = ctypes.CDLL("SDL2.dll" if sys.platform == "win32" else pygame.base.__file__)
        return getattr(library, name)
    except (OSError, AttributeError):
        return None  # pygame built without a shared SDL

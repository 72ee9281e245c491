"""Placing decides on which monitor the operator's window opens, and where it stands beside the participant's.

Both programs ask the same functions, so that neither has to be told what the other did: the participant's window stands
at the left, the operator's at the right.
"""

from collections.abc import Sequence

from stimuli.display.monitors import Monitor, choose_monitor

#: Pixels between the two windows.
GAP = 16

Size = tuple[int, int]
Place = tuple[int, int]


def choose(
    there_are: Sequence[Monitor], wanted: int | str | None, participant: int | str, kind: str
) -> Monitor | None:
    """Return the monitor for the preview: the one named, else the first that is not the participant's.

    With one monitor alone, None for kind ``"auto"``, and that one for ``"window"``.

    Raises
    ------
    DisplayError
        If there is no such monitor.
    """
    if wanted is not None:
        return choose_monitor(there_are, wanted)
    theirs = choose_monitor(there_are, participant)
    others = [monitor for monitor in there_are if monitor.index != theirs.index]
    return others[0] if others else theirs if kind == "window" else None


def side_by_side(monitor: Monitor, left: Size, right: Size) -> tuple[Place, Place]:
    """Return where the upper left corners of two windows on one monitor stand, desktop pixels.

    Together they stand in the middle, `GAP` apart. Where they are wider than the monitor, they stand at its two sides
    and overlap as little as they can. Each is centred from top to bottom, but its upper edge stays on the monitor.

    Parameters
    ----------
    monitor : Monitor
    left, right : (int, int)
        Widths and heights, pixels.

    Examples
    --------
    >>> side_by_side(Monitor(0, "", (1920, 1080), 60), (800, 600), (914, 743))
    ((95, 240), (911, 168))
    """
    (width, height), (x, y) = monitor.size, monitor.origin
    margin = max(0, (width - left[0] - GAP - right[0]) // 2)
    tops = [y + max(0, (height - side[1]) // 2) for side in (left, right)]
    return (x + margin, tops[0]), (x + max(0, width - margin - right[0]), tops[1])


def has_room(monitor: Monitor, left: Size, right: Size) -> bool:
    """Whether two windows stand side by side on a monitor without covering each other."""
    return left[0] + GAP + right[0] <= monitor.size[0]
